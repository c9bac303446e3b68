"""What goes into a build: the identity of a folder, and the words for a platform."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from archway.platforms import Platform

_WORDS = ("uname", "debian", "rust", "maven", "node", "qemu")
GIVEN = frozenset(f"{prefix}_{word.upper()}" for prefix in ("TARGET", "BUILD") for word in _WORDS)
"""The build arguments that archway gives beside BuildKit's own."""


def platform_words(prefix: str, platform: Platform) -> dict[str, str]:
    """The words of other communities for a platform, as build arguments (``TARGET_DEBIAN``, ``BUILD_RUST`` …)."""
    names = platform.names
    return {f"{prefix}_{word.upper()}": getattr(names, word) for word in _WORDS}


CACHE_TAG, _SIGNATURE = "CACHEDIR.TAG", b"Signature: 8a477f597d28d172789f06886806bc55"
"""A folder with this file holds what can be made again: Cargo's ``target``, caches of pytest, mypy and ruff
(Cache Directory Tagging Specification)."""


def files(folder: Path, *, skip_caches: bool = False) -> Iterator[Path]:
    """The files and links of a folder, in order of their names.

    :param skip_caches: without folders that are marked as caches, which only archway knows to leave out; BuildKit
        copies them
    :raises OSError: a folder cannot be read
    """
    found = []
    for place, folders, names in os.walk(folder, onerror=_refuse):
        here = Path(place)
        if skip_caches and CACHE_TAG in names and here != folder and _is_tag(here / CACHE_TAG):
            folders.clear()
            continue
        linked = [name for name in folders if (here / name).is_symlink()]
        found += [here / name for name in (*names, *linked)]
    return iter(sorted(found, key=lambda path: path.relative_to(folder).as_posix()))


def context_digest(folder: Path) -> str:
    """The identity of a folder: names, contents, links and executable bits of its files, not their times.

    :raises OSError: something in it cannot be read
    """
    return digest((path.relative_to(folder).as_posix(), path) for path in files(folder))


def digest(named: Iterable[tuple[str, Path]]) -> str:
    """The identity of some files, which have these names."""
    whole = hashlib.sha256()
    for name, path in named:
        if path.is_symlink():
            entry = ["link", name, str(path.readlink())]
        elif path.is_file():
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            entry = ["file", name, "x" if path.stat().st_mode & 0o100 else "-", content]
        else:
            continue
        whole.update(json.dumps(entry).encode() + b"\n")
    return whole.hexdigest()


def _is_tag(path: Path) -> bool:
    """A file, no link, that begins as the specification says; anything else only has its name."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_SIGNATURE)) == _SIGNATURE


def _refuse(failed: OSError) -> None:
    raise failed
