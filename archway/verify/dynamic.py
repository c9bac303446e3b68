"""What the dynamic linker reads of an ELF file: its interpreter, the libraries and symbol versions it needs.

Found as the kernel and the linker find it: by program headers and by the addresses at which they map the file. Section
headers are no help, a stripped file has none. The files come from strangers: every count and every length has a limit,
chains move forward only, and what cannot be read becomes the text ``damage`` beside all that could.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from mmap import mmap
from struct import Struct
from typing import NamedTuple, TypeVar

from archway.verify.elf import CutShort, read_header

SEGMENTS = 512
ENTRIES = 65536
LIBRARIES = 4096
VERSIONS = 65536
NAME = 4096
"""The longest name and interpreter path, in bytes."""
PATH = 65536
"""The longest search path: build tools that give each library a folder of its own write long ones."""
TEXT = 4 << 20
"""All strings of a file together: many long names that overlap in a small file would fill the memory."""

_PROGRAM, _SHARED = 2, 3
_LOAD, _DYNAMIC, _INTERP = 1, 2, 3
_NULL, _NEEDED, _STRTAB, _SONAME, _RPATH, _RUNPATH = 0, 1, 5, 14, 15, 29
_VERDEF, _VERNEED = 0x6FFFFFFC, 0x6FFFFFFE
_NAMED = frozenset({_SONAME, _RPATH, _RUNPATH, _VERDEF, _VERNEED})
_BASE, _WEAK = 1, 2
_NOBITS = 8

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Dynamic:
    """What the dynamic linker reads of an ELF file."""

    interpreter: str = ""
    soname: str = ""
    needed: tuple[str, ...] = ()
    """In the order in which the linker loads them."""
    runpath: tuple[str, ...] = ()
    """The folders searched first, ``$ORIGIN`` not replaced; an empty one is the working directory."""
    required: tuple[tuple[str, str], ...] = ()
    """Library and version, as ``("libc.so.6", "GLIBC_2.34")``, each once, without those that may be missing (weak)."""
    defined: tuple[str, ...] = ()
    """The versions it defines, without the one that is its own name."""
    damage: str = ""
    """Why part of it cannot be read; empty if all was."""


class _DamagedError(Exception):
    """A part of the file cannot be read; the message says why."""


class _Segment(NamedTuple):
    offset: int
    address: int
    filled: int
    """Bytes from the file; in memory zeros follow, up to ``mapped``."""
    mapped: int


class _Layout:
    """Where the fields stand in files of one class and byte order."""

    def __init__(self, bits: int, order: str) -> None:
        # header: offset of segments and sections, then size and number of each. segment: type, then as in _Segment.
        # section: type, address, size. entry: tag, value.
        if bits == 64:
            header, segment, section, entry = "32xQQ6xHHHH2x", "I4xQQ8xQQ8x", "4xI8xQ8xQ24x", "QQ"
        else:
            header, segment, section, entry = "28xII6xHHHH2x", "III4xII8x", "4xI4xI4xI16x", "II"
        self.header, self.segment = Struct(order + header), Struct(order + segment)
        self.section, self.entry = Struct(order + section), Struct(order + entry)
        # library: form, its name, its first version, the next library. version: flags, name, the next one.
        # definition: form, flags, its first name, the next definition.
        self.library, self.version = Struct(order + "H2xIII"), Struct(order + "4xH2xII")
        self.definition, self.name = Struct(order + "HH8xII"), Struct(order + "I")


_LAYOUTS = {
    (bits, order): _Layout(bits, ">" if order == "big" else "<") for bits in (32, 64) for order in ("little", "big", "")
}


def read_dynamic(data: bytes | memoryview | mmap) -> Dynamic | None:
    """Read a whole file; None is: nothing in it for the dynamic linker.

    That is no ELF file, an object file, a static program, and debug information kept apart from its program.
    """
    with memoryview(data) as view:  # let go at the end: a mapped file with views left cannot be closed
        header = read_header(bytes(view[:20]))
        if header is None:
            return None
        if isinstance(header, CutShort):
            return Dynamic(damage=str(header))
        if header.kind not in (_PROGRAM, _SHARED):
            return None
        layout = _LAYOUTS.get((header.bits, header.order))
        if layout is None:
            return Dynamic(damage=f"class {view[4]} is neither 32 nor 64 bits")
        return _File(view, layout).read()


class _File:
    """One file being read, part by part: what fails ends its own part, and the others are read all the same."""

    def __init__(self, view: memoryview, layout: _Layout) -> None:
        self.view, self.layout = view, layout
        self.damage: list[str] = []
        self.loads: list[_Segment] = []
        self.interp: _Segment | None = None
        self.dynamic: _Segment | None = None
        self.strings = memoryview(b"")
        self.libraries: list[int] = []
        self.tags: dict[int, int] = {}
        self.text_left, self.versions_left = TEXT, VERSIONS
        self.texts: dict[bytes, str] = {}

    def read(self) -> Dynamic | None:
        for kind, *fields in self.take("program headers", self.segments()):
            if kind == _LOAD:
                self.loads.insert(0, _Segment(*fields))  # where some overlap, the last one is seen
            elif kind == _DYNAMIC:
                self.dynamic = _Segment(*fields)  # the linker takes the last one
            elif kind == _INTERP:
                self.interp = self.interp or _Segment(*fields)  # the kernel takes the first one
        if not (self.interp or self.dynamic or self.damage):
            return None
        interpreter = "".join(self.take("interpreter", self.interpreter()))
        for tag, value in self.take("dynamic section", self.entries()):
            if tag == _NEEDED:
                self.libraries.append(value)
            else:
                self.tags[tag] = value  # the linker takes the last one
        for table in self.take("string table", self.string_table()):
            self.strings = table
        if not self.strings:
            if self.kept_apart(interpreter):
                return None
            self.libraries, self.tags = [], {}  # without it nothing has a name
        return Dynamic(
            interpreter=interpreter,
            soname="".join(self.take("own name", self.named(_SONAME, NAME))),
            needed=self.take("needed libraries", self.needed()),
            runpath=self.take("search path", self.runpath()),
            required=tuple(dict.fromkeys(self.take("needed versions", self.required()))),
            defined=self.take("defined versions", self.defined()),
            damage="; ".join(self.damage),  # at the end: the others add to it
        )

    def take(self, part: str, values: Iterable[_T]) -> tuple[_T, ...]:
        found: list[_T] = []
        try:
            found.extend(values)  # those before a failure stay
        except _DamagedError as error:
            self.damage.append(f"{part}: {error}")
        except struct.error:  # behind the end
            self.damage.append(f"{part}: cut short")
        return tuple(found)

    def segments(self) -> Iterator[tuple[int, ...]]:
        start, _, size, count, _, _ = self.layout.header.unpack_from(self.view)
        if count and size != self.layout.segment.size:
            raise _DamagedError(f"{size} bytes each, not {self.layout.segment.size}")
        yield from _records(self.layout.segment, self.view[start:], min(count, SEGMENTS))
        if count > SEGMENTS:
            raise _DamagedError(f"{count} of them, more than {SEGMENTS}")
        if count and start + count * size > len(self.view):
            raise _DamagedError("cut short")

    def interpreter(self) -> Iterator[str]:
        if not self.interp:
            return
        size = self.interp.filled
        if not 2 <= size <= NAME:  # the kernel's own limits, as is the zero at the end
            raise _DamagedError(f"a path of {size} bytes")
        path = bytes(self.view[self.interp.offset :][:size])
        if len(path) < size or path[-1]:
            raise _DamagedError("a path without end")
        if not path[0]:
            raise _DamagedError("an empty path")
        yield _decode(path.partition(b"\0")[0])

    def entries(self) -> Iterator[tuple[int, int]]:
        if not self.dynamic:
            return
        for tag, value in _records(self.layout.entry, self.at(self.dynamic.address), ENTRIES):
            if tag == _NULL:
                return
            yield tag, value
        raise _DamagedError(f"without end in the file or within {ENTRIES} entries")

    def string_table(self) -> Iterator[memoryview]:
        if _STRTAB not in self.tags and (self.libraries or _NAMED & self.tags.keys()):
            raise _DamagedError("not in the dynamic section")
        yield from self.table(_STRTAB)

    def kept_apart(self, interpreter: str) -> bool:
        """Whether this is debug information for a debugger: a program's headers without what they lead to.

        No linker could use such a file, so nothing hides here. GNU's and LLVM's tools write that the dynamic section
        has no bytes in the file. elfutils leaves the program headers as they were: only a section header tells.
        """
        if not self.dynamic or "/" in interpreter:
            return False
        if not self.dynamic.filled:
            return True
        _, start, _, _, size, count = self.layout.header.unpack_from(self.view)
        section = (_NOBITS, self.dynamic.address, self.dynamic.mapped)
        return size == self.layout.section.size and section in _records(self.layout.section, self.view[start:], count)

    def needed(self) -> Iterator[str]:
        yield from map(self.text, self.libraries[:LIBRARIES])
        if len(self.libraries) > LIBRARIES:
            raise _DamagedError(f"{len(self.libraries)} of them, more than {LIBRARIES}")

    def runpath(self) -> Iterator[str]:
        for path in self.named(_RUNPATH if _RUNPATH in self.tags else _RPATH, PATH):
            yield from path.split(":") if path else ()

    def required(self) -> Iterator[tuple[str, str]]:
        for view in self.table(_VERNEED):
            for place, (form, name, versions) in self.chain(self.layout.library, view, 0):
                _check(form)
                library = self.text(name)
                for _, (flags, version) in self.chain(self.layout.version, view, place + versions):
                    if not flags & _WEAK:
                        yield library, self.text(version)

    def defined(self) -> Iterator[str]:
        for view in self.table(_VERDEF):
            for place, (form, flags, names) in self.chain(self.layout.definition, view, 0):
                _check(form)
                if not flags & _BASE:  # the first name is the version's, the others those of versions before it
                    yield self.text(*self.layout.name.unpack_from(view, place + names))

    def chain(self, record: Struct, view: memoryview, place: int) -> Iterator[tuple[int, list[int]]]:
        """Records that each say how far it is to the next one: always forward, as that number has no sign."""
        step = 1
        while step:
            *fields, step = record.unpack_from(view, place)
            self.versions_left -= 1
            if self.versions_left < 0:
                raise _DamagedError(f"more than {VERSIONS}")
            yield place, fields
            place += step

    def table(self, tag: int) -> Iterator[memoryview]:
        if tag in self.tags:
            yield self.at(self.tags[tag])

    def at(self, address: int) -> memoryview:
        """What the file holds for an address and behind it, up to the end of the segment."""
        for offset, start, filled, mapped in self.loads:
            if start <= address < start + max(filled, mapped):
                if found := self.view[offset + address - start : offset + filled]:
                    return found
                break  # memory that begins as zeros, or the file is cut short
        raise _DamagedError(f"no bytes of the file are at address {address:#x}")

    def named(self, tag: int, limit: int) -> Iterator[str]:
        if tag in self.tags:
            yield self.text(self.tags[tag], limit)

    def text(self, place: int, limit: int = NAME) -> str:
        raw, end, _ = bytes(self.strings[place:][:64]).partition(b"\0")  # nearly all are short
        if not end:
            raw, end, _ = bytes(self.strings[place:][: limit + 1]).partition(b"\0")
        if not end:
            raise _DamagedError(f"string {place:#x} without end in the file or within {limit} bytes")
        self.text_left -= len(raw)
        if self.text_left < 0:
            raise _DamagedError(f"more than {TEXT} bytes of strings")
        return self.texts.setdefault(raw, _decode(raw))  # equal ones are one object


def _records(record: Struct, view: memoryview, count: int) -> Iterator[tuple[int, ...]]:
    """The records that are there as a whole, at most ``count``."""
    return record.iter_unpack(view[: min(count, len(view) // record.size) * record.size])


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _check(form: int) -> None:
    if form != 1:
        raise _DamagedError(f"form {form} is not known")
