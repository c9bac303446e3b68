"""The first bytes of an ELF file: which processor it is for.

Twenty bytes tell class, byte order and machine, so a file is judged without reading the rest of it.
Numbers: the System V ABI's registry of ``e_machine``, as Linux's ``elf-em.h`` has them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

from archway.platforms import Platform

MAGIC = b"\x7fELF"
HEADER_SIZE = 20

KINDS = {1: "object file", 2: "program", 3: "shared object", 4: "core dump"}

MACHINES = {
    0: "no machine", 2: "SPARC", 3: "x86", 4: "68k", 8: "MIPS", 15: "PA-RISC", 18: "SPARC32+", 20: "PowerPC",
    21: "PowerPC64", 22: "S/390", 40: "ARM", 42: "SuperH", 43: "SPARC V9", 50: "IA-64", 62: "x86-64", 94: "Xtensa",
    183: "AArch64", 190: "CUDA", 205: "Intel GPU", 224: "AMD GPU", 243: "RISC-V", 247: "BPF", 258: "LoongArch",
}  # fmt: skip

_ORDERS: dict[int, Literal["little", "big"]] = {1: "little", 2: "big"}
_BITS = {1: 32, 2: 64}

# Files that no CPU runs, so that they belong to every platform: code for the kernel's own virtual machine or for a
# graphics card, and data kept in the ELF format (Guile's compiled modules say "no machine"). The kernel starts
# no program that says so: a foreign one cannot hide here.
_GRAPHICS = frozenset({190, 205, 224})
_BPF = 247
_NONE = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class ElfHeader:
    """What an ELF file says of itself. ``bits`` is 0 and ``order`` is empty where the file's value has no meaning."""

    bits: int
    order: Literal["little", "big", ""]
    machine: int
    kind: int

    def __str__(self) -> str:
        """As ``64-bit little-endian AArch64 program``."""
        bits = f"{self.bits}-bit" if self.bits else "unknown class"
        order = f"{self.order}-endian" if self.order else "unknown byte order"
        return f"{bits} {order} {machine_name(self.machine)} {KINDS.get(self.kind, f'type {self.kind}')}"


@dataclass(frozen=True, kw_only=True, slots=True)
class CutShort:
    """A file that begins as ELF and ends before it says for which machine.

    A value and no exception: the type checker then makes every caller decide what it means to them.
    """

    size: int

    def __str__(self) -> str:
        return f"ELF file cut short after {self.size} bytes"


def machine_name(machine: int) -> str:
    """The machine's name for messages; its number where it has none."""
    return MACHINES.get(machine, f"machine {machine}")


def read_header(data: bytes) -> ElfHeader | CutShort | None:
    """Read the header from the first bytes of a file (20 are enough); None is: no ELF file."""
    if not data.startswith(MAGIC):
        return None
    if len(data) < HEADER_SIZE:
        return CutShort(size=len(data))
    # Linux starts a program without looking at its byte order: a senseless one is read as most machines would.
    order = _ORDERS.get(data[5])
    kind, machine = struct.unpack_from(">HH" if order == "big" else "<HH", data, 16)
    return ElfHeader(bits=_BITS.get(data[4], 0), order=order or "", machine=machine, kind=kind)


def fits(header: ElfHeader, platform: Platform) -> bool:
    """Whether a file may be part of a platform's image: class, byte order and machine are the platform's."""
    bits, order, machine = platform.names.elf
    if header.machine in _GRAPHICS:
        return True
    if header.machine == _BPF:  # compiled for a byte order: an object of the other one does not load
        return header.order == order
    return (header.bits, header.order) == (bits, order) and header.machine in (_NONE, machine)


def expected(platform: Platform) -> str:
    """The platform's own values, as messages say them: ``64-bit little-endian AArch64``."""
    bits, order, machine = platform.names.elf
    return f"{bits}-bit {order}-endian {machine_name(machine)}"
