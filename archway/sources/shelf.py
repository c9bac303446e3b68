"""Keeps what was fetched: whole or not at all, and only as it was fetched."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from archway import log
from archway.docker import NO_SPACE
from archway.errors import NoSpaceError
from archway.files import alone
from archway.inputs import context_digest
from archway.scratch import scratch
from archway.settings import Settings

_FILES, _DIGEST = "files", "digest"


def keep(settings: Settings, name: str, what: str, fetch: Callable[[Path, Path], None]) -> Path:
    """The folder of a source that was fetched before, or is fetched now.

    :param name: stands for exactly these contents
    :param what: names them in messages
    :param fetch: is given the folder to fill, and one for whatever it needs meanwhile
    :raises NoSpaceError: the disk is full
    """
    place = settings.state / "sources" / re.sub(r"[^A-Za-z0-9._-]", "-", name)
    if _is_whole(place):
        return place / _FILES
    if place.exists():
        log.warn(f"{what}: {place.relative_to(settings.root)} was changed since it was fetched; it is fetched again")
    try:
        with scratch(settings.state, "source") as folder:
            made = folder / "made"
            (made / _FILES).mkdir(parents=True)
            fetch(made / _FILES, folder)
            (made / _DIGEST).write_text(context_digest(made / _FILES), encoding="utf-8")
            _put(made, place, folder / "old")
    except OSError as failed:
        if failed.errno in (errno.ENOSPC, errno.EDQUOT):
            raise full(what, str(failed)) from None
        raise
    return place / _FILES


def full(what: str, why: str) -> NoSpaceError:
    """The error for a disk that cannot take a source."""
    return NoSpaceError(f"{what}: the disk is full", why=why, hint="sources are kept in .archway/sources, which may go")


def is_full(said: str) -> bool:
    """Whether a command failed because of that."""
    return bool(NO_SPACE.search(said))


def _put(made: Path, place: Path, old: Path) -> None:
    """Give what was fetched its name, in place of what is broken.

    What another run has put there meanwhile stays: that run may read it by now, and it is the same.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    with alone(place.parent.with_name(f"{place.parent.name}.lock")):
        if _is_whole(place):
            return
        with suppress(FileNotFoundError):
            place.rename(old)
        made.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _is_whole(place: Path) -> bool:
    try:
        return (place / _DIGEST).read_text(encoding="utf-8") == context_digest(place / _FILES)
    except (OSError, UnicodeDecodeError):
        return False
