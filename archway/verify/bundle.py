"""The native code that a zip archive holds (JAR, WAR, NAR, wheel), and the archives within it.

Every entry is judged by its first bytes, never by its name: Java loads a library from any name. What cannot be looked
into is told as a trouble, whatever its name is, for the same reason; troubles of one cause are one line for an archive.
Nothing is raised, whatever the archive holds, and its size, its depth and the memory it takes are bounded.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

from archway.verify.elf import CutShort, ElfHeader, read_header
from archway.verify.origins import DESCRIPTIONS, Origin
from archway.verify.tar import printable, weight
from archway.verify.zipfiles import MAGICS, PIECE, STORED, TAIL, Entry, Zip, ZipError, open_zip

_FORMATS = {
    b"\x7fELF": "ELF", b"\xfe\xed\xfa\xce": "Mach-O", b"\xfe\xed\xfa\xcf": "Mach-O", b"\xce\xfa\xed\xfe": "Mach-O",
    b"\xcf\xfa\xed\xfe": "Mach-O", b"\xca\xfe\xba\xbf": "Mach-O",
}  # fmt: skip
_FAT_OR_CLASS = b"\xca\xfe\xba\xbe"
_OLDEST_CLASS = 45  # the first version of Java's class files; a fat Mach-O has the count of its parts there
_WINDOWS = (b".dll", b".exe")
_ARCHIVES = (b".jar", b".war", b".ear", b".nar", b".zip", b".whl")

_MANY = 100  # descriptions of one archive, and lines of troubles
_SMALL = 1 << 16  # a description is read up to this size
_SMALLEST = 4  # no packed entry of fewer bytes is of a format above
_ODD = (
    1 << 16
)  # bytes counted for an entry that cannot be looked into: finding that out may take a hundred times as long


@dataclass(frozen=True, kw_only=True, slots=True)
class BundleLimits:
    """How much work one archive may ask for, all archives within it included.

    ``data`` are bytes looked at or inflated; ``memory`` are those of inflated archives that are held at one time;
    ``names`` are bytes of paths in the answer.
    """

    entries: int = 1_000_000
    data: int = 4 << 30
    memory: int = 1 << 30
    names: int = 8 << 20
    depth: int = 8


DEFAULT_LIMITS = BundleLimits()


@dataclass(frozen=True, kw_only=True, slots=True)
class Native:
    """Native code in an archive.

    ``path`` is the one inside the archive, that of an archive within before ``!/``:
    ``lib/x.jar!/META-INF/native/libx.so``. Like a file's, it is not yet printable. ``format`` is ``ELF``, ``Mach-O``
    or ``PE``; ``header`` is ELF's. ``library`` is what the innermost archive says it is, empty if nothing:
    ``org.xerial.snappy:snappy-java:1.1.10.5``.
    """

    path: str
    header: ElfHeader | None
    format: str
    library: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """What an archive holds. ``archives`` were looked into, itself included, and ``entries`` looked at; ``troubles``
    say, printable, what could not be, and why."""

    natives: tuple[Native, ...]
    archives: int
    entries: int
    troubles: tuple[str, ...]


def read_bundle(
    data: bytes | memoryview | mmap.mmap, *, name: str = "", limits: BundleLimits = DEFAULT_LIMITS
) -> Bundle | None:
    """Look into an archive; None is: no zip archive.

    :param name: its file name, which helps to tell which library it is
    """
    reader = _Reader(limits)
    with memoryview(data) as view:
        try:
            if not reader.read(view, "", name, 1):
                return None
        except _OverrunError as overrun:
            reader.note("", str(overrun))
    return Bundle(
        natives=tuple(reader.natives),
        archives=reader.archives,
        entries=reader.entries,
        troubles=tuple(reader.told()),
    )


class _OverrunError(Exception):
    """A limit was reached: nothing more is read."""

    def __init__(self, what: str) -> None:
        super().__init__(f"holds more {what} than are read of one archive; the rest was not looked at")


class _Reader:
    """Reads an archive and those within it, and counts against the limits."""

    def __init__(self, limits: BundleLimits) -> None:
        self.natives: list[Native] = []
        self.archives = self.entries = 0
        self._limits = limits
        self._data, self._names, self._memory = limits.data, limits.names, limits.memory
        self._troubles: dict[tuple[str, str], tuple[str, int]] = {}  # archive and cause: the first path, how many

    def read(self, data: memoryview, inside: str, name: str, depth: int) -> bool:
        """Read one archive. ``inside`` is what stands before the paths of its entries; False is: no archive."""
        self._spend(min(len(data), TAIL))
        found: list[tuple[str, ElfHeader | None, str]] = []
        described: dict[str, str] = {}
        try:
            archive = open_zip(data)
            if archive is None:
                return False
            self.archives += 1
            descriptions: dict[str, Entry] = {}
            try:
                for entry in archive:
                    found += self._look(archive, entry, inside, depth)
                    if entry.name.endswith(DESCRIPTIONS) and len(descriptions) < _MANY:
                        descriptions[_text(entry.name)] = entry
            finally:
                described = {path: self._describe(archive, entry) for path, entry in descriptions.items() if found}
        except ZipError as trouble:
            self.note(inside, str(trouble))
        finally:
            origin = Origin(described, name)
            self.natives += [
                Native(path=inside + path, header=header, format=kind, library=origin.of(path))
                for path, header, kind in found
            ]
        return True

    def note(self, inside: str, cause: str, path: str = "") -> None:
        """Keep a trouble, of an entry or of the archive itself. One line is enough for a cause in one archive."""
        key = (inside, cause) if len(self._troubles) < _MANY or (inside, cause) in self._troubles else ("", "more")
        first, count = self._troubles.get(key, (path or inside.removesuffix("!/"), 0))
        self._troubles[key] = (first, count + 1)

    def told(self) -> Iterator[str]:
        """The troubles as lines."""
        for (_, cause), (first, count) in self._troubles.items():
            where = printable(first if len(first) < 300 else f"{first[:150]}…{first[-150:]}")
            more = f" (and {count - 1:,} more)" if count > 1 else ""
            yield f"{where}: {cause}{more}" if where else f"{cause}{more}"

    def _spend(self, data: int) -> None:
        self._data -= data
        if self._data < 0:
            raise _OverrunError("bytes")

    def _look(self, archive: Zip, entry: Entry, inside: str, depth: int) -> list[tuple[str, ElfHeader | None, str]]:
        """Look at one entry, and into it if it is an archive; what native code it is itself, if it is."""
        if self.entries >= self._limits.entries:
            raise _OverrunError("entries")
        self.entries += 1
        if entry.packed < _SMALLEST:
            return []
        try:
            head = archive.head(entry)
        except ZipError as trouble:
            self._spend(_ODD)
            self.note(inside, str(trouble), inside + _text(entry.name))
            return []
        self._spend(min(entry.packed, PIECE))
        if kind := _format(head, entry.name):
            path = _text(entry.name)
            self._names -= weight(inside) + weight(path)
            if self._names < 0:
                raise _OverrunError("bytes of paths")
            header = read_header(head)
            if not isinstance(header, CutShort):
                return [(path, header, kind)]
            self.note(inside, "ELF file cut short", inside + path)
        elif head[:4] in MAGICS or entry.name.lower().endswith(_ARCHIVES):
            self._enter(archive, entry, inside, depth)
        return []

    def _enter(self, archive: Zip, entry: Entry, inside: str, depth: int) -> None:
        """Read an archive within an archive."""
        path = inside + _text(entry.name)
        if depth >= self._limits.depth:
            self.note(inside, f"nested deeper than {self._limits.depth} archives", path)
            return
        try:
            data = archive.read(entry, min(self._memory, self._data))
        except ZipError as trouble:
            self._spend(_ODD)
            self.note(inside, str(trouble), path)
            return
        if data is None:
            raise _OverrunError("bytes")
        size = 0 if entry.method == STORED else len(data)
        self._spend(size)
        self._memory -= size
        self.read(data, path + "!/", path, depth + 1)
        self._memory += size

    def _describe(self, archive: Zip, entry: Entry) -> str:
        """The text of a description; empty if it cannot be had."""
        limit = max(0, min(self._data, _SMALL))
        try:
            data = archive.read(entry, limit)
        except ZipError:
            return ""
        self._data -= limit if data is None else min(limit, len(data))
        return "" if data is None or len(data) > limit else bytes(data).decode("utf-8", "replace")


def _format(head: bytes, name: bytes) -> str:
    """The format of native code; empty if it is none."""
    magic = head[:4]
    if found := _FORMATS.get(magic):
        return found
    if magic == _FAT_OR_CLASS:
        return "Mach-O" if 0 < int.from_bytes(head[4:8], "big") < _OLDEST_CLASS else ""
    if magic[:2] == b"MZ":  # two letters alone are no sign: a place for the PE header is named, and a near one
        place = int.from_bytes(head[60:64], "little")
        return "PE" if 0 < place < 0x1000 or name.lower().endswith(_WINDOWS) else ""
    return ""


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
