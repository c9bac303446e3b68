"""Unpacks the archive of a crate, which nobody has looked into yet.

Python's own filter for that (``filter="data"``) is missing in the 3.11.2 of Debian 12, and lets links pass; Cargo packs
plain files only, and nothing else is taken.
"""

from __future__ import annotations

import gzip
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, cast

LARGEST = 1 << 30
"""Bytes of all files together: far more than any crate has, and less than a disk."""
MOST = 100_000
"""Files."""


def unpack(archive: Path, into: Path, *, top: str) -> None:
    """Write the files of an archive's only top folder.

    :raises ValueError: the archive is broken, or holds what no crate holds; something may have been written
    """
    size = count = 0
    try:
        with tarfile.open(archive, mode="r:gz") as tar:
            for member in tar:
                path = _path(member, top)
                size, count = size + member.size, count + 1
                if member.size < 0 or size > LARGEST or count > MOST:
                    raise ValueError(f"it holds more than {LARGEST >> 20} MiB or {MOST} files")
                target = into / path
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                elif member.isreg():
                    _write(tar, member, target)
                else:
                    raise ValueError(f"{member.name!r} is neither a file nor a folder")
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, OverflowError) as broken:
        raise ValueError(f"it is no whole archive: {broken}") from None
    if not count:
        raise ValueError("it is empty")


def _path(member: tarfile.TarInfo, top: str) -> PurePosixPath:
    parts = member.name.rstrip("/").split("/")
    if parts[0] != top:
        raise ValueError(f"{member.name!r} is not in the folder {top}")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise ValueError(f"{member.name!r} is no path inside of it")
    return PurePosixPath(*parts[1:])


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with cast("IO[bytes]", tar.extractfile(member)) as source, target.open("xb") as file:
            shutil.copyfileobj(source, file)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise ValueError(f"{member.name!r} stands twice") from None
    target.chmod(0o755 if member.mode & 0o100 else 0o644)
