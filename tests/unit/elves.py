"""Writes whole ELF files for tests: what the dynamic linker reads of them, right or wrong."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from archway.verify.dynamic import Dynamic

Order = Literal["little", "big"]

BASE = 0x40_0000
"""Where the first segment is mapped; the second one, the dynamic section, is behind a gap."""
GAP = 0x1000_0000

NULL, NEEDED, STRTAB, SONAME, RPATH, RUNPATH, VERDEF, VERNEED = 0, 1, 5, 14, 15, 29, 0x6FFFFFFC, 0x6FFFFFFE
LOAD, DYNAMIC, INTERP = 1, 2, 3

WHOLE = Dynamic(
    interpreter="/lib/ld.so",
    soname="libown.so.1",
    needed=("libc.so.6", "libm.so.6"),
    runpath=("$ORIGIN/../lib", "/opt/lib"),
    required=(("libc.so.6", "GLIBC_2.2.5"), ("libc.so.6", "GLIBC_2.34"), ("libm.so.6", "GLIBC_2.29")),
    defined=("OWN_1.0", "OWN_1.1"),
)


@dataclass(kw_only=True)
class Elf:
    """An ELF file to write: what of it the dynamic linker reads, and what is wrong with it."""

    bits: int = 64
    order: Order = "little"
    kind: int = 3
    machine: int = 62
    is_: Dynamic = WHOLE
    weak: Sequence[tuple[str, str]] = ()
    rpath: str = ""
    more: Sequence[tuple[int, int]] = ()
    """Further entries of the dynamic section, behind the right ones."""
    segments: Sequence[tuple[int, int, int, int, int]] = ()
    """Further program headers: kind, offset, address, size in the file and in memory."""
    section: tuple[int, int, int] | None = None
    """One section header: type, address and size."""

    def word(self, *values: int, form: str) -> bytes:
        return struct.pack((">" if self.order == "big" else "<") + form, *values)

    def segment(self, kind: int, offset: int, address: int, filled: int, mapped: int) -> bytes:
        if self.bits == 64:
            return self.word(kind, 0, offset, address, 0, filled, mapped, 1, form="IIQQQQQQ")
        return self.word(kind, offset, address, 0, filled, mapped, 0, 1, form="IIIIIIII")

    def write(self) -> tuple[bytes, dict[str, int]]:
        """The file, and the offset of each part of it."""
        wide = self.bits == 64
        strings = _Strings()
        needs, defs = self.needs(strings), self.definitions(strings)
        tags = [(NEEDED, strings.add(name)) for name in self.is_.needed]
        tags += [(SONAME, strings.add(self.is_.soname))] if self.is_.soname else []
        tags += [(RUNPATH, strings.add(":".join(self.is_.runpath)))] if self.is_.runpath else []
        tags += [(RPATH, strings.add(self.rpath))] if self.rpath else []
        interp = self.is_.interpreter.encode() + b"\0"
        count = 3 + bool(self.is_.interpreter) + len(self.segments)
        at = {"segments": 64 if wide else 52}
        at["interpreter"] = at["segments"] + count * (56 if wide else 32)
        at["dynamic"] = at["interpreter"] + len(interp) + -len(interp) % 8
        tail = 1 + bool(needs) + bool(defs) + len(self.more) + 1
        size = (len(tags) + tail) * (16 if wide else 8)
        at["strings"] = at["dynamic"] + size
        at["needs"] = at["strings"] + len(strings.data) + -len(strings.data) % 8
        at["definitions"] = at["needs"] + len(needs)
        at["sections"] = at["definitions"] + len(defs)
        tags += [(STRTAB, BASE + at["strings"])]
        tags += [(VERNEED, BASE + at["needs"])] if needs else []
        tags += [(VERDEF, BASE + at["definitions"])] if defs else []
        tags += [*self.more, (NULL, 0)]
        segments = [(INTERP, at["interpreter"], 0, len(interp), len(interp))] if self.is_.interpreter else []
        segments += [
            (LOAD, 0, BASE, at["sections"], at["sections"]),
            (LOAD, at["dynamic"], BASE + GAP, size, size),
            (DYNAMIC, at["dynamic"], BASE + GAP, size, size),
            *self.segments,
        ]
        parts = {
            "segments": b"".join(self.segment(*it) for it in segments),
            "interpreter": interp,
            "dynamic": b"".join(self.word(*it, form="QQ" if wide else "II") for it in tags),
            "strings": bytes(strings.data),
            "needs": needs,
            "definitions": defs,
            "sections": self.sections(),
        }
        data = self.header(at, count)
        for name, part in parts.items():
            data = data.ljust(at[name], b"\0") + part
        return data, at

    def header(self, at: dict[str, int], count: int) -> bytes:
        ident = b"\x7fELF" + bytes([self.bits // 32, 2 if self.order == "big" else 1, 1]) + bytes(9)
        sizes = (64, 56, count, 64) if self.bits == 64 else (52, 32, count, 40)
        start = self.word(
            self.kind,
            self.machine,
            1,
            0,
            at["segments"],
            at["sections"] if self.section else 0,
            form="HHIQQQ" if self.bits == 64 else "HHIIII",
        )
        return ident + start + self.word(0, *sizes, 1 if self.section else 0, 0, form="IHHHHHH")

    def sections(self) -> bytes:
        if not self.section:
            return b""
        kind, address, size = self.section
        return self.word(
            0, kind, 0, address, 0, size, 0, 0, 0, 0, form="IIQQQQIIQQ" if self.bits == 64 else "IIIIIIIIII"
        )

    def needs(self, strings: _Strings) -> bytes:
        libraries: dict[str, list[tuple[int, str]]] = {}
        for flags, wanted in ((0, self.is_.required), (2, self.weak)):
            for library, version in wanted:
                libraries.setdefault(library, []).append((flags, version))
        data = bytearray()
        for library, versions in libraries.items():
            follows = 16 + 16 * len(versions) if library != list(libraries)[-1] else 0
            data += self.word(1, len(versions) & 0xFFFF, strings.add(library), 16, follows, form="HHIII")
            for number, (flags, version) in enumerate(versions, 1):
                data += self.word(0, flags, 2, strings.add(version), 16 * (number < len(versions)), form="IHHII")
        return bytes(data)

    def definitions(self, strings: _Strings) -> bytes:
        versions = [(1, self.is_.soname), *((0, it) for it in self.is_.defined)] if self.is_.defined else []
        data = bytearray()
        for number, (flags, version) in enumerate(versions, 1):
            data += self.word(1, flags, number & 0x7FFF, 2, 0, 20, 36 * (number < len(versions)), form="HHHHIII")
            data += self.word(strings.add(version), 8, strings.add("parent"), 0, form="IIII")
        return bytes(data)


class _Strings:
    def __init__(self) -> None:
        self.data = bytearray(1)

    def add(self, text: str) -> int:
        place = len(self.data)
        self.data += text.encode("utf-8", "surrogateescape") + b"\0"
        return place


def written(elf: Elf) -> bytes:
    return elf.write()[0]


def put(data: bytes, place: int, part: bytes) -> bytes:
    return data[:place] + part + data[place + len(part) :]
