"""Tar archives, read as streams: V7, ustar, GNU and PAX.

This is not left to ``tarfile``, because an image may come from anywhere: ``tarfile`` loads an extended header of any
size into memory, takes a damaged header for the end of the archive, keeps every entry it has seen, and names some
entries otherwise than container engines do (a global PAX header, a prefix in a GNU header), so that a file could hide
from the proof.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import SEEK_CUR, SEEK_END
from typing import BinaryIO, NamedTuple, Protocol

from archway.errors import VerifyError

HEAD = 64
"""So many first bytes are kept of every file: enough for ELF, scripts and zip files."""

_BLOCK = 512
_EXTENSION_LIMIT = 1 << 20
_PATH_LIMIT = 4096  # PATH_MAX of Linux
_DEPTH_LIMIT = 256

HARD_LINK, SYMLINK, FOLDER = b"1", b"2", b"5"
_SPARSE = b"S"
_WITHOUT_DATA = frozenset({b"1", b"2", b"3", b"4", b"5", b"6"})
_NO_TAR = "it is damaged, or no tar archive at all"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much work one archive may ask for. What is larger is refused, since a small file can unpack to anything.

    Memory is at most about 1,000 bytes for every entry (folders that only stand in paths are entries too) and once
    ``names``: with these limits about a gigabyte, whatever the archive holds, and half of that where it is right.
    """

    data: int = 64 << 30
    entries: int = 1_000_000
    names: int = 128 << 20


_DATA, _ENTRIES, _NAMES = "bytes of data", "entries", "bytes of names and documents"


class Budget:
    """Counts what is read against the limits, over all layers of an archive."""

    def __init__(self, limits: Limits, *, where: str) -> None:
        self._left = {_DATA: limits.data, _ENTRIES: limits.entries, _NAMES: limits.names}
        self._where = where

    def spend(self, *, data: int = 0, entries: int = 0, names: int = 0) -> None:
        for what, amount in ((_DATA, data), (_ENTRIES, entries), (_NAMES, names)):
            self._left[what] -= amount
            if self._left[what] < 0:
                raise VerifyError(
                    f"the archive holds more {what} than is read of any archive",
                    where=self._where,
                    why="a small file that unpacks to an endless one looks like this",
                    hint="if the image is really so large, raise the limits of the check",
                )


# ------------------------------------------------------------------------------------------------------------ its bytes


class Source(Protocol):
    """What a tar archive is read from, forwards only. ``read`` gives less than it was asked for only at the end;
    ``skip`` raises :func:`cut_short` there."""

    where: str

    def tell(self) -> int: ...
    def read(self, size: int, /) -> bytes: ...
    def skip(self, size: int, /) -> None: ...


class Stream:
    """A source of pieces of data, counted."""

    def __init__(self, pieces: Iterable[bytes], *, where: str, budget: Budget) -> None:
        self.where = where
        self._pieces = iter(pieces)
        self._budget = budget
        self._piece = b""
        self._at = 0  # in the piece
        self._before = 0

    def tell(self) -> int:
        return self._before + self._at

    def read(self, size: int, /) -> bytes:
        start, self._at = self._at, self._at + size
        if self._at <= len(self._piece):
            return self._piece[start : self._at]
        parts = [self._piece[start:]]
        while self._at > len(self._piece) and self._next():
            parts.append(self._piece[: self._at])
        self._at = min(self._at, len(self._piece))
        return b"".join(parts)

    def skip(self, size: int, /) -> None:
        self._at += size
        while self._at > len(self._piece):
            if not self._next():
                raise cut_short(self.where)

    def _next(self) -> bool:
        """Go on to the next piece; the place may lie behind it."""
        piece = next(self._pieces, b"")
        if piece:
            self._budget.spend(data=len(piece))
            self._at -= len(self._piece)
            self._before += len(self._piece)
            self._piece = piece
        return bool(piece)


class FileSource:
    """A source of an open file; what is skipped is not read."""

    def __init__(self, file: BinaryIO, *, where: str) -> None:
        self.where = where
        self._file = file
        self._size = file.seek(0, SEEK_END)
        file.seek(0)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int, /) -> bytes:
        return self._file.read(size)

    def skip(self, size: int, /) -> None:
        if self._file.tell() + size > self._size:
            raise cut_short(self.where)
        self._file.seek(size, SEEK_CUR)


def cut_short(where: str) -> VerifyError:
    return damaged(where, "it ends in the middle of a file: it was cut short")


def damaged(where: str, why: str) -> VerifyError:
    return VerifyError("a tar archive cannot be read", where=where, why=why, hint="make the archive again")


def weight(name: str) -> int:
    """How many bytes a name takes in memory, at most: one character that is not ASCII makes all of them wider."""
    return len(name) if name.isascii() else 4 * len(name)


def printable(name: str) -> str:
    """A name as it can be printed: what is no text, or moves the cursor, is written ``\\xNN``."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


# ---------------------------------------------------------------------------------------------------------- its entries


class Member(NamedTuple):
    """One entry of a tar archive. ``offset`` is the place of its data."""

    path: str
    kind: bytes
    link: str
    size: int
    mode: int
    head: bytes = b""
    offset: int = 0

    @property
    def is_file(self) -> bool:
        """A kind that no standard knows counts as a file: better one too many than one unseen."""
        return self.kind not in _WITHOUT_DATA


def members(source: Source) -> Iterator[Member]:
    """The entries of a tar archive, named as container engines name them."""
    records: dict[str, str] = {}
    while (block := source.read(_BLOCK)).strip(b"\0"):
        if len(block) < _BLOCK:
            raise cut_short(source.where)
        header = _header(block, source.where)
        if header.kind in b"LKx":
            records = _extend(records, header, source)
        elif header.kind == b"g":  # engines ignore global records, and forget what was announced before them
            source.skip(_padded(header.size))
            records = {}
        else:
            yield (member := _complete(header, records, source))
            source.skip(member.offset + _padded(member.size) - source.tell())
            records = {}
    while rest := source.read(1 << 18):
        if rest != bytes(len(rest)):  # ten times as fast as strip(), and bombs are mostly zeros
            raise damaged(source.where, "something stands behind its end mark")


def _header(block: bytes, where: str) -> Member:
    checked = block[:148] + b" " * 8 + block[156:]
    wrong = sum(checked) - _number(block[148:156], where)
    if wrong and wrong != 256 * sum(byte > 127 for byte in checked):  # old writers summed signed bytes
        raise damaged(where, f"a header has the wrong checksum: {_NO_TAR}")
    path = _text(block[:100])
    if block[257:265] == b"ustar\x0000":  # only POSIX has a prefix; GNU keeps times in its place
        prefix = _text(block[345:476] if block[508:] == b"tar\0" else block[345:500])
        path = f"{prefix}/{path}" if prefix else path
    return Member(
        path=path,
        kind=block[156:157],
        link=_text(block[157:257]),
        size=_number(block[124:136], where),
        mode=_number(block[100:108], where) & 0o7777,
    )


def _number(field: bytes, where: str) -> int:
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.partition(b"\0")[0].strip(b" ") if field.strip(b" \0") else b"0"
    if not digits.isdigit() or digits.strip(b"01234567"):
        raise damaged(where, f"a header holds a number that is none: {_NO_TAR}")
    return int(digits, 8)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _extend(records: dict[str, str], header: Member, source: Source) -> dict[str, str]:
    """Read a header that says something of the next entry: GNU's long names, or PAX records."""
    if header.size > _EXTENSION_LIMIT:
        raise damaged(source.where, f"an extended header of {header.size} bytes; no name is so long")
    data = source.read(header.size)
    source.skip(_padded(header.size) - len(data))
    match header.kind:
        case b"L":
            return records | {"GNU path": _text(data)}
        case b"K":
            return records | {"GNU linkpath": _text(data)}
        case _:
            return {key: value for key, value in records.items() if key.startswith("GNU ")} | _pax(data, source.where)


def _pax(data: bytes, where: str) -> dict[str, str]:
    """Read PAX records, ``LENGTH KEY=VALUE\\n`` each, and keep those that change what is read."""
    records: dict[str, str] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 8)
        end = at + int(data[at:space]) if space > at and data[at:space].isdigit() else 0
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        matters = key in (b"path", b"linkpath", b"size") or key.startswith(b"GNU.sparse.")
        if not at < end <= len(data) or data[end - 1] != 0x0A or not equals or (matters and b"\0" in value):
            raise damaged(where, "a PAX header is malformed")
        if matters:
            records[key.decode("utf-8", "surrogateescape")] = value.decode("utf-8", "surrogateescape")
        at = end
    return records


def _complete(header: Member, records: dict[str, str], source: Source) -> Member:
    path = records.get("GNU path") or records.get("path") or header.path
    link = records.get("GNU linkpath") or records.get("linkpath") or header.link
    if header.kind == _SPARSE or any(key.startswith("GNU.sparse.") for key in records):
        # Engines write none, each reader knows other forms of them, and their first bytes are not the file's.
        why = f"{printable(path)} is stored as a sparse file: make the layer without tar --sparse"
        raise damaged(source.where, why)
    size = records.get("size") or str(header.size)
    if not (size.isascii() and size.isdigit()) or len(size) > 20:
        raise damaged(source.where, "a PAX header holds a size that is no number")
    kind = FOLDER if header.kind == b"\0" and path.endswith("/") else header.kind
    stored = 0 if kind in _WITHOUT_DATA else int(size)
    offset = source.tell()
    return Member(path, kind, link, stored, header.mode, source.read(min(HEAD, stored)), offset)


def normal_path(name: str, where: str) -> str:
    """A path from the root, with no way out of it: engines take ``../x`` for ``/x``."""
    path = posixpath.normpath("/" + name.lstrip("/"))
    if len(path) > _PATH_LIMIT or path.count("/") > _DEPTH_LIMIT:
        raise damaged(where, f"a path of {len(path)} characters and {path.count('/')} folders; no file system takes it")
    return path
