"""Folders for whole images, which may take gigabytes: what a killed run left is removed by the next one."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

_OWNED = re.compile(r".+@(?P<host>.*)-(?P<pid>[0-9]+)-(?P<started>[0-9]+)-[^-]*")


@contextmanager
def scratch(state: Path, purpose: str) -> Iterator[Path]:
    """A folder of this run alone, below the state of a monorepo. Those of runs that are over are removed first.

    :param purpose: the first word of its name
    """
    place = state / "scratch"
    place.mkdir(parents=True, exist_ok=True)
    _sweep(place)
    with TemporaryDirectory(dir=place, prefix=_prefix(purpose), ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _prefix(purpose: str) -> str:
    return f"{purpose}@{platform.node()}-{os.getpid()}-{_started(os.getpid())}-"


def _sweep(place: Path) -> None:
    for folder in place.iterdir():
        owner = _OWNED.fullmatch(folder.name)
        # The processes of another machine, or container, that uses the same folder cannot be seen from here.
        if owner and owner["host"] == platform.node() and _started(int(owner["pid"])) != owner["started"]:
            shutil.rmtree(folder, ignore_errors=True)


def _started(pid: int) -> str:
    """When a process was started, in whatever unit the system counts; empty if there is none.

    A number that is used again, by another process, has another time. On Linux it is that of the kernel, which does
    not move when somebody sets the clock.
    """
    try:
        if sys.platform == "linux":
            # proc_pid_stat(5): the 22nd field; the second may hold blanks, and ends with the last parenthesis.
            return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
        return str(int(psutil.Process(pid).create_time()))
    except (OSError, psutil.NoSuchProcess):
        return ""
