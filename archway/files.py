"""Files that several runs may read and write: replaced in one step, changed by one run at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file in one step: whoever reads it meanwhile has the old one or the new one. Its mode stays.

    :raises OSError: it cannot be written; nothing is left beside it
    """
    with beside(path) as made:
        made.write_bytes(content)
        if path.exists():
            shutil.copymode(path, made)
        made.replace(path)


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A name beside a file, for what is replaced in one step; nothing is left there, whatever happens."""
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield made
    finally:
        made.unlink(missing_ok=True)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """One run at a time gets here, and the others wait; the file says nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # freed by the system when the file is closed, also when we are killed
        yield
