"""Facts about reading ELF headers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archway.platforms import TABLE, Platform
from archway.verify.elf import CutShort, ElfHeader, expected, fits, machine_name, read_header
from tests.unit.archives import AMD64, ARM, ARM64, BPF, CUDA, NO_MACHINE, S390, elf

GRAPHICS = (190, 205, 224)  # CUDA, Intel's and AMD's
AMD64_PLATFORM, ARM64_PLATFORM = Platform.parse("amd64"), Platform.parse("arm64")
S390_PLATFORM = Platform.parse("s390x")


def header(data: bytes) -> ElfHeader:
    read = read_header(data)
    assert isinstance(read, ElfHeader)
    return read


@pytest.mark.parametrize("names", TABLE, ids=lambda names: names.oci)
def test_every_platform(names: object) -> None:
    """A header with the values of a platform's row is read as these values, and fits that platform only."""
    platform = Platform.parse(names.oci)  # type: ignore[attr-defined]
    bits, order, machine = platform.names.elf
    read = header(elf(machine, bits=bits, order=order))

    assert (bits, order, machine) == (read.bits, read.order, read.machine)
    assert [platform.names.oci] == [row.oci for row in TABLE if fits(read, Platform.parse(row.oci))]
    assert not machine_name(machine).startswith("machine ")


@pytest.mark.skipif(sys.platform != "linux", reason="the interpreter is an ELF file on Linux only")
def test_own_interpreter() -> None:
    """The interpreter that runs this test is of the machine's own platform."""
    with Path("/proc/self/exe").open("rb") as file:
        read = header(file.read(20))

    assert fits(read, Platform.native())


@pytest.mark.parametrize("data", [b"", b"\x7f", b"\x7fEL", b"#!/bin/sh\n", b"\x7fElf" + bytes(60), b"MZ" + bytes(60)])
def test_other_files(data: bytes) -> None:
    """What does not begin with the whole magic is no ELF file."""
    assert read_header(data) is None


@pytest.mark.parametrize("size", [4, 5, 16, 19])
def test_cut_short(size: int) -> None:
    """An ELF file that ends before its machine is said so, with its size."""
    cut = read_header(elf(size=size))

    assert CutShort(size=size) == cut
    assert f"ELF file cut short after {size} bytes" == str(cut)


def test_twenty_bytes() -> None:
    """Twenty bytes are enough."""
    assert header(elf(ARM64)) == header(elf(ARM64, size=20))


def test_big_endian() -> None:
    """The machine is read in the byte order that the file declares."""
    assert header(elf(S390, order="big")).machine == S390
    assert header(elf(S390, order="little")).machine == S390


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (elf(ARM64, kind=2), "64-bit little-endian AArch64 program"),
        (elf(ARM, bits=32, kind=1), "32-bit little-endian ARM object file"),
        (elf(S390, order="big"), "64-bit big-endian S/390 shared object"),
        (elf(60000, kind=77), "64-bit little-endian machine 60000 type 77"),
        (elf(AMD64, bits=96), "unknown class little-endian x86-64 shared object"),
        (b"\x7fELF\x02\x00" + elf(AMD64)[6:], "64-bit unknown byte order x86-64 shared object"),
    ],
)
def test_words(data: bytes, text: str) -> None:
    """A header is described in words, with numbers for what has no name."""
    assert text == str(header(data))


@pytest.mark.parametrize(
    "data",
    [
        elf(ARM64),
        elf(AMD64, bits=32),  # x32
        elf(AMD64, order="big"),
        elf(AMD64, bits=96),
        b"\x7fELF\x02\x00" + elf(AMD64)[6:],  # Linux would start it
    ],
)
def test_foreign(data: bytes) -> None:
    """Class, byte order and machine must all be the platform's."""
    assert not fits(header(data), AMD64_PLATFORM)


@pytest.mark.parametrize("names", TABLE, ids=lambda names: names.oci)
def test_all_machines(names: object) -> None:
    """Of all machines that a header can name, exactly the platform's own, BPF, the graphics cards and none fit."""
    platform = Platform.parse(names.oci)  # type: ignore[attr-defined]
    bits, _, machine = platform.names.elf
    order: Literal["little", "big"] = "big" if platform.names.elf[1] == "big" else "little"
    other: Literal["little", "big"] = "little" if order == "big" else "big"

    assert fitting(range(1 << 16), bits=bits, order=order, platform=platform) == {NO_MACHINE, machine, BPF, *GRAPHICS}
    assert fitting(range(512), bits=96 - bits, order=order, platform=platform) == {BPF, *GRAPHICS}
    assert fitting(range(512), bits=bits, order=other, platform=platform) == set(GRAPHICS)


def fitting(machines: range, *, bits: int, order: Literal["little", "big"], platform: Platform) -> set[int]:
    return {it for it in machines if fits(ElfHeader(bits=bits, order=order, machine=it, kind=2), platform)}


def test_for_no_processor() -> None:
    """What no CPU runs belongs to every platform, as far as its byte order and class do."""
    assert all(fits(header(elf(machine)), ARM64_PLATFORM) for machine in (NO_MACHINE, CUDA, BPF))
    assert fits(header(elf(CUDA)), S390_PLATFORM)
    assert fits(header(elf(BPF, order="big")), S390_PLATFORM)
    assert not fits(header(elf(BPF)), S390_PLATFORM)
    assert not fits(header(elf(NO_MACHINE)), S390_PLATFORM)


def test_expected() -> None:
    """The platform's own values are said in the same words."""
    assert expected(ARM64_PLATFORM) == "64-bit little-endian AArch64"
    assert expected(S390_PLATFORM) == "64-bit big-endian S/390"


@given(st.binary(max_size=80) | st.binary(max_size=80).map(lambda tail: b"\x7fELF" + tail))
def test_any_bytes(data: bytes) -> None:
    """No bytes make the reader fail, and what it reads can be said and judged."""
    read = read_header(data)

    assert (read is None) == (not data.startswith(b"\x7fELF"))
    assert isinstance(read, CutShort) == (data.startswith(b"\x7fELF") and len(data) < 20)
    assert str(read).isprintable()
    if isinstance(read, ElfHeader):
        assert fits(read, AMD64_PLATFORM) in (True, False)
