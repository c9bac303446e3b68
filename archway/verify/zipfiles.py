"""Zip archives (JAR, WAR, NAR, wheel), read from a buffer.

This is not left to ``zipfile``, which takes 20 µs for an entry, keeps all entries before it shows the first, and has a
dozen exceptions for what an archive from anywhere may hold. Here the central directory is walked with one ``struct``
call for an entry, and only as many bytes are inflated as were asked for.

What counts is what the JVM would read: it finds the end record from behind, takes the central directory that stands
right before it for the truth, and counts all offsets from where the archive begins, which need not be the file's
beginning (an executable JAR is a shell script with a zip archive behind it).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

MAGICS = (b"PK\3\4", b"PK\5\6")
"""The first bytes of an archive, and of one without entries."""

TAIL = 65535 + 22
"""So many last bytes may be searched for the end record: its comment is no longer."""

HEAD = 64
"""So many first bytes are given of an entry: enough for ELF, Mach-O, PE and zip files."""

PIECE = 512
"""So many packed bytes are looked at for them. A Huffman table takes 300 at most, and no packer begins with more."""

ENOUGH = 20
"""So many bytes an ELF header takes. An entry that gives fewer and goes on hides what it is."""

STORED, DEFLATED = 0, 8
_METHODS = {1: "shrink", 6: "implode", 9: "deflate64", 12: "bzip2", 14: "LZMA", 93: "zstd", 95: "xz", 98: "PPMd"}

_END = struct.Struct("<4s4xHHIIH")
_END64 = struct.Struct("<4s20xQQQQ")
_LOCATOR = struct.Struct("<4s4xQ4x")
_CENTRAL = struct.Struct("<I4xHH8xIIHHH8xI")
_LOCAL = struct.Struct("<I22xHH")
_CENTRAL_MAGIC, _LOCAL_MAGIC = 0x02014B50, 0x04034B50

_MAX32 = 0xFFFFFFFF
_CANDIDATES = 100  # end records are tried; a comment full of them is an attack
_EXTRA = 1024  # bytes of an entry's extra fields are searched for sizes that 32 bits do not hold
_CHUNK = 1 << 16


class ZipError(Exception):
    """Why something of an archive cannot be looked into, in a few words. None leaves :mod:`archway.verify.bundle`."""


class Entry(NamedTuple):
    """One entry of the central directory. ``offset`` is the place of its local header, ``packed`` the size there.

    The unpacked size is not kept: the JVM inflates until the data ends, whatever the directory says of their size.
    """

    name: bytes
    flags: int
    method: int
    packed: int
    offset: int


class _End(NamedTuple):
    """The end record. ``at`` is its own place, right behind the central directory."""

    at: int
    entries: int
    size: int
    offset: int


class Zip:
    """An archive whose end record was found."""

    def __init__(self, data: memoryview, end: _End) -> None:
        self._data = data
        self._end = end
        self._start = end.at - end.size
        self._before = self._start - end.offset  # bytes that stand before the archive
        if self._start < 0 or self._before < 0:
            raise ZipError("its end record points outside")

    def __iter__(self) -> Iterator[Entry]:
        """The entries. What is wrong with the directory itself is said after the last that can be told."""
        data, at, end, before = self._data, self._start, self._end.at, self._before
        unpack, size, count = _CENTRAL.unpack_from, _CENTRAL.size, 0
        while at + size <= end:
            magic, flags, method, packed, full, name, extra, comment, offset = unpack(data, at)
            after = at + size + name
            if magic != _CENTRAL_MAGIC or after + extra + comment > end:
                raise ZipError("its directory is damaged")
            if _MAX32 in (packed, full, offset):
                packed, offset = _long(bytes(data[after : after + extra]), packed, full, offset)
            yield Entry(bytes(data[at + size : after]), flags, method, packed, offset + before)
            at = after + extra + comment
            count += 1
        said = self._end.entries
        if at != end or (count != said if said > 0xFFFF else (count - said) % 0x10000):  # older archives have 16 bits
            raise ZipError("its end record and its directory disagree")
        if before and _magic(data, 0) == MAGICS[0]:
            raise ZipError("another archive stands before it")

    def head(self, entry: Entry) -> bytes:
        """The first bytes of an entry."""
        start = self._place(entry)
        if entry.method == STORED:
            return bytes(self._data[start : start + min(entry.packed, HEAD)])
        inflater = zlib.decompressobj(-15)
        try:
            data = inflater.decompress(self._data[start : start + min(entry.packed, PIECE)], HEAD)
        except zlib.error:
            raise ZipError("damaged") from None
        if len(data) < ENOUGH and not inflater.eof:
            raise ZipError("packed so that its beginning does not show" if entry.packed > PIECE else "cut short")
        return data

    def read(self, entry: Entry, limit: int) -> memoryview | None:
        """The whole of an entry, not copied where it is not packed; None is: it is larger than the limit."""
        start = self._place(entry)
        if entry.method == STORED:
            return self._data[start : start + entry.packed]
        inflater, data = zlib.decompressobj(-15), bytearray()
        try:
            for at in range(start, start + entry.packed, _CHUNK):
                piece = self._data[at : min(at + _CHUNK, start + entry.packed)]
                data += inflater.decompress(piece, limit + 1 - len(data))
                if len(data) > limit:
                    return None
                if inflater.eof:
                    return memoryview(data)
        except zlib.error:
            raise ZipError("damaged") from None
        raise ZipError("cut short")

    def _place(self, entry: Entry) -> int:
        """Where the data of an entry begin."""
        if entry.flags & 1:
            raise ZipError("encrypted")
        if entry.method not in (STORED, DEFLATED):
            raise ZipError(f"packed with {_METHODS.get(entry.method, 'a method of no name')}")
        if entry.offset + _LOCAL.size > len(self._data):
            raise ZipError("points outside the archive")
        magic, name, extra = _LOCAL.unpack_from(self._data, entry.offset)
        start: int = entry.offset + _LOCAL.size + name + extra
        if magic != _LOCAL_MAGIC:
            raise ZipError("its local header is damaged")
        if start + entry.packed > len(self._data):
            raise ZipError("points outside the archive")
        return start


def open_zip(data: memoryview) -> Zip | None:
    """Find the end record and read it; None is: no zip archive.

    :raises ZipError: it begins as one and has no end, or an end that makes no sense
    """
    begins = _magic(data, 0) in MAGICS
    tail = bytes(data[-TAIL:])
    before = len(data) - len(tail)
    at = tail.rfind(MAGICS[1])
    for _ in range(_CANDIDATES):
        if at < 0:
            if begins:
                raise ZipError("cut short: it has no end record")
            return None
        if at + _END.size <= len(tail):
            _, _, entries, size, offset, comment = _END.unpack_from(tail, at)
            end = _longer(data, _End(before + at, entries, size, offset))
            fits = at + _END.size + comment == len(tail)
            if _leads(data, end, fits) or (begins and fits):
                return Zip(data, end)
        at = tail.rfind(MAGICS[1], 0, at + 3)
    raise ZipError(f"more than {_CANDIDATES} end records")


def _magic(data: memoryview, at: int) -> bytes:
    return bytes(data[at : at + 4])


def _leads(data: memoryview, end: _End, fits: bool) -> bool:
    """Whether an end record leads to a directory, and that to an archive where the record is not the file's end."""
    start = end.at - end.size
    before = start - end.offset
    if start < 0 or before < 0 or _magic(data, start) != b"PK\1\2":
        return False
    return fits or _magic(data, before) == MAGICS[0]


def _longer(data: memoryview, end: _End) -> _End:
    """The end record of 64 bits that stands before a short one, if there is one and the two agree, as for the JVM."""
    at = end.at - _LOCATOR.size
    if at < _END64.size or _magic(data, at) != b"PK\6\7":
        return end
    _, named = _LOCATOR.unpack_from(data, at)
    for place in (named, at - _END64.size):  # the second: what stands before the archive was not counted
        if place + _END64.size <= at and _magic(data, place) == b"PK\6\6":
            _, _, entries, size, offset = _END64.unpack_from(data, place)
            short = ((end.entries, 0xFFFF, entries), (end.size, _MAX32, size), (end.offset, _MAX32, offset))
            if all(value in (mark, long) for value, mark, long in short):
                return _End(place, entries, size, offset)
    return end


def _long(extra: bytes, packed: int, full: int, offset: int) -> tuple[int, int]:
    """The packed size and the offset of an entry where 32 bits do not hold them: an extra field has the long ones."""
    at = 0
    while at + 4 <= min(len(extra), _EXTRA):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            field = extra[at + 4 : at + 4 + size]
            longs = iter(struct.unpack_from(f"<{len(field) // 8}Q", field))
            _, packed, offset = (next(longs, value) if value == _MAX32 else value for value in (full, packed, offset))
            break
        at += 4 + size
    return packed, offset
