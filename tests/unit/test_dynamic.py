"""Facts about reading what the dynamic linker reads."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from datetime import timedelta
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection
from elftools.elf.segments import InterpSegment
from hypothesis import given, settings
from hypothesis import strategies as st

from archway.verify import dynamic
from archway.verify.dynamic import Dynamic, read_dynamic
from tests.unit.elves import BASE, GAP, WHOLE, Elf, Order, put, written

CORPUS = Path(__file__).parents[1] / "corpus" / "elf"
FORMS: list[tuple[int, Order]] = [(64, "little"), (64, "big"), (32, "little"), (32, "big")]

# --------------------------------------------------------------------------------------------------- whole files


@pytest.mark.parametrize(("bits", "order"), FORMS)
def test_whole(bits: int, order: Order) -> None:
    """In each class and byte order all is read, from addresses that are no file offsets."""
    assert read_dynamic(written(Elf(bits=bits, order=order))) == WHOLE


@pytest.mark.parametrize(("bits", "order"), FORMS)
def test_builder(bits: int, order: Order, tmp_path: Path) -> None:
    """The files that these tests write are ELF files to others too."""
    path = tmp_path / "written.elf"
    path.write_bytes(written(Elf(bits=bits, order=order, is_=replace(WHOLE, required=(), defined=()))))

    assert replace(WHOLE, required=(), defined=()) == oracle(path)


@pytest.mark.parametrize(
    "is_",
    [
        Dynamic(interpreter="/lib/ld-musl-x86_64.so.1", needed=("libc.so",)),
        Dynamic(soname="libown.so.1", defined=("OWN_1.0",)),
        Dynamic(),  # a static program at no fixed address
        Dynamic(interpreter="/lib/ld.so", soname="libc.so.6", needed=("ld.so",), defined=("GLIBC_2.34",)),
        Dynamic(runpath=("", "/lib", "")),
        Dynamic(needed=("n" * dynamic.NAME,), runpath=("/" + "long" * 5000,)),
    ],
)
def test_parts(is_: Dynamic) -> None:
    """Each part may be absent, names may be as long as the limit, and a library may have an interpreter."""
    assert is_ == read_dynamic(written(Elf(is_=is_)))


def test_not_for_the_linker() -> None:
    """No ELF file, an object file, a core dump, and a static program say nothing to the linker."""
    static = Elf(kind=2, is_=Dynamic()).write()[0]
    loads_only = put(static, 64 + 2 * 56, struct.pack("<I", 4))

    assert read_dynamic(b"#!/bin/sh\n") is None
    assert read_dynamic(written(Elf(kind=1))) is None
    assert read_dynamic(written(Elf(kind=4))) is None
    assert read_dynamic(loads_only) is None
    assert read_dynamic(written(Elf(kind=2))) == WHOLE


def test_rpath() -> None:
    """The older search path counts only where the newer one is absent."""
    older = Elf(is_=replace(WHOLE, runpath=()), rpath="/old:/older")

    assert replace(WHOLE, runpath=("/old", "/older")) == read_dynamic(written(older))
    assert read_dynamic(written(Elf(rpath="/old"))) == WHOLE


def test_weak() -> None:
    """A version that may be missing is not required."""
    weak = [("libc.so.6", "GLIBC_2.99"), ("libz.so.1", "ZLIB_9")]

    assert read_dynamic(written(Elf(weak=weak))) == WHOLE


def test_not_utf_8() -> None:
    """Bytes that are no UTF-8 are kept, so that they still name the file they name."""
    read = read_dynamic(written(Elf(is_=Dynamic(needed=("lib\udcff.so",)))))

    assert Dynamic(needed=("lib\udcff.so",)) == read


def test_kinds_of_memory(tmp_path: Path) -> None:
    """A view of memory and a mapped file are read as bytes are, and the file can be closed afterwards."""
    data = written(Elf())
    for content, expected in ((data, WHOLE), (data[:-20], replace(WHOLE, defined=("OWN_1.0",)))):
        path = tmp_path / "mapped.elf"
        path.write_bytes(content)
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
            read = read_dynamic(mapped)
        mapped.close()

        assert read == read_dynamic(content) == read_dynamic(memoryview(content))
        assert read is not None
        assert expected == replace(read, damage="")


# ------------------------------------------------------------------------------------------- this machine's files


def oracle(path: Path) -> Dynamic | None:
    """The same facts by pyelftools, which finds the versions by sections."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        segments = list(elf.iter_segments())
        entries = [it for it in segments if isinstance(it, DynamicSegment)]
        interpreters = [it.get_interp_name() for it in segments if isinstance(it, InterpSegment) and it["p_filesz"]]
        if elf["e_type"] not in ("ET_EXEC", "ET_DYN") or not (entries or interpreters):
            return None
        if entries and not entries[0]["p_filesz"]:
            return None  # debug information
        tags = [tag for it in entries for tag in it.iter_tags()]

        def named(kind: str) -> list[str]:
            return [getattr(tag, kind) for tag in tags if tag.entry.d_tag == f"DT_{kind.upper()}"]

        paths = named("runpath") or named("rpath")
        sections = list(elf.iter_sections())
        needs = [it.iter_versions() for it in sections if isinstance(it, GNUVerNeedSection)]
        definitions = [it.iter_versions() for it in sections if isinstance(it, GNUVerDefSection)]
        return Dynamic(
            interpreter="".join(interpreters),
            soname="".join(named("soname")),
            needed=tuple(named("needed")),
            runpath=tuple(paths[0].split(":")) if paths and paths[0] else (),
            required=tuple(
                (str(library.name), version.name)
                for found in needs
                for library, versions in found
                for version in versions
                if not version.entry.vna_flags & 2
            ),
            defined=tuple(
                next(iter(names)).name
                for found in definitions
                for version, names in found
                if not version.entry.vd_flags & 1
            ),
        )


def machine_files() -> list[Path]:
    """A few hundred ELF files of this machine, always the same ones, and no huge ones."""
    found = []
    for pattern in ("bin/*", "lib/*", "lib64/*", "lib/*/*", "lib/debug/.build-id/*/*"):
        for path in sorted(Path("/usr").glob(pattern)):
            if path.is_file() and os.access(path, os.R_OK) and path.stat().st_size < 4 << 20:
                with path.open("rb") as file:
                    found += [path] if file.read(4) == b"\x7fELF" else []
    return found[:: len(found) // 300 + 1]


def test_machine_files() -> None:
    """ELF files of this machine are read as pyelftools reads them, and none is damaged."""
    paths = machine_files()
    if not paths:
        pytest.skip("this machine has no ELF files in /usr/bin and /usr/lib")
    expected = {str(path): oracle(path) for path in paths}

    assert expected == {str(path): read_dynamic(path.read_bytes()) for path in paths}
    assert any(expected.values())


# --------------------------------------------------------------------------------------------- debug information


def test_kept_apart() -> None:
    """Debug information kept apart from its program is nothing for the linker, however it was made."""
    size = 8 * 16
    gnu, at = Elf(is_=Dynamic(soname="libown.so.1")).write()
    for segment in (1, 2):  # the data and the dynamic section: zeros in memory, nothing in the file
        gnu = put(gnu, at["segments"] + segment * 56 + 32, bytes(8))
    elfutils, at = Elf(section=(8, BASE + GAP, size)).write()
    elfutils = put(elfutils, at["interpreter"], b"\0" * (at["sections"] - at["interpreter"]))
    debris = put(elfutils, at["dynamic"], b"debris, " * 16)

    assert read_dynamic(gnu) is None
    assert read_dynamic(elfutils) is None
    assert read_dynamic(debris) is None


def test_nothing_hides_as_debug_information() -> None:
    """What the linker can read is read, whatever the file says of itself; and what the kernel would start is told."""
    empty, at = Elf().write()
    empty = put(empty, at["segments"] + 3 * 56 + 32, bytes(8))  # the linker looks at the address alone
    debris, at = Elf(section=(8, BASE + GAP, 8 * 16)).write()
    debris = put(debris, at["dynamic"], b"debris, " * 16)

    assert read_dynamic(empty) == WHOLE
    assert read_dynamic(written(Elf(section=(8, BASE + GAP, 8 * 16)))) == WHOLE
    assert Dynamic(
        interpreter=WHOLE.interpreter,
        damage="dynamic section: without end in the file or within 65536 entries",
    ) == read_dynamic(debris)


# -------------------------------------------------------------------------------------------------- hostile files


ENDLESS = "dynamic section: without end in the file or within 65536 entries"
UNMAPPED = "dynamic section: no bytes of the file are at address 0x10400000"
SAMPLES: dict[str, Dynamic | None] = {
    "class-unknown": Dynamic(damage="class 3 is neither 32 nor 64 bits"),
    "cut-in-definitions": replace(WHOLE, defined=(), damage="defined versions: cut short"),
    "cut-in-definitions-32-big": replace(WHOLE, defined=(), damage="defined versions: cut short"),
    "cut-in-dynamic": Dynamic(interpreter="/lib/ld.so", damage=f"{ENDLESS}; string table: not in the dynamic section"),
    "cut-in-header": Dynamic(damage="program headers: cut short"),
    "cut-in-header-32": Dynamic(damage="program headers: cut short"),
    "cut-in-ident": Dynamic(damage="ELF file cut short after 10 bytes"),
    "cut-in-interpreter": Dynamic(
        damage="interpreter: a path without end; dynamic section: no bytes of the file are at address 0x10400000"
    ),
    "cut-in-needs": replace(
        WHOLE,
        required=(),
        defined=(),
        damage="needed versions: cut short; defined versions: no bytes of the file are at address 0x4002a0",
    ),
    "cut-in-segments": Dynamic(damage="program headers: cut short; interpreter: a path without end"),
    "cut-in-segments-all": Dynamic(damage="program headers: cut short"),
    "cut-in-strings": Dynamic(
        interpreter="/lib/ld.so",
        needed=("libc.so.6",),
        damage=(
            "own name: string 0x7c without end in the file or within 4096 bytes; "
            "needed libraries: string 0x72 without end in the file or within 4096 bytes; "
            "search path: string 0x88 without end in the file or within 65536 bytes; "
            "needed versions: no bytes of the file are at address 0x400250; "
            "defined versions: no bytes of the file are at address 0x4002a0"
        ),
    ),
    "definitions-cyclic": replace(WHOLE, defined=("OWN_1.0",), damage="defined versions: cut short"),
    "definitions-form": replace(WHOLE, defined=(), damage="defined versions: form 0 is not known"),
    "definitions-name-far": replace(WHOLE, defined=(), damage="defined versions: cut short"),
    "definitions-nowhere": replace(
        WHOLE, defined=(), damage="defined versions: no bytes of the file are at address 0xffffffffffffffff"
    ),
    "definitions-onto-needs": replace(
        WHOLE, defined=(), damage="defined versions: string 0x10001 without end in the file or within 4096 bytes"
    ),
    "definitions-overlap": replace(WHOLE, defined=("OWN_1.0",), damage="defined versions: form 2 is not known"),
    "dynamic-endless": replace(WHOLE, damage=ENDLESS),
    "dynamic-in-zeros": Dynamic(interpreter="/lib/ld.so", damage=UNMAPPED),
    "dynamic-nowhere": Dynamic(
        interpreter="/lib/ld.so", damage="dynamic section: no bytes of the file are at address 0xfffffffffffffff8"
    ),
    "dynamic-two": Dynamic(interpreter="/lib/ld.so"),
    "interpreter-empty": replace(WHOLE, interpreter="", damage="interpreter: an empty path"),
    "interpreter-far": replace(WHOLE, interpreter="", damage="interpreter: a path without end"),
    "interpreter-huge": replace(WHOLE, interpreter="", damage="interpreter: a path of 18446744073709551615 bytes"),
    "interpreter-long": replace(WHOLE, interpreter="", damage="interpreter: a path of 4097 bytes"),
    "interpreter-nothing": replace(WHOLE, interpreter="", damage="interpreter: a path of 0 bytes"),
    "interpreter-open": replace(WHOLE, interpreter="", damage="interpreter: a path without end"),
    "interpreter-two": WHOLE,
    "load-huge": WHOLE,
    "load-none": Dynamic(interpreter="/lib/ld.so", damage=UNMAPPED),
    "load-overlap": Dynamic(interpreter="/lib/ld.so", damage=ENDLESS),
    "load-overlap-zeros": Dynamic(interpreter="/lib/ld.so", damage=UNMAPPED),
    "load-wraps": Dynamic(
        interpreter="/lib/ld.so", damage="string table: no bytes of the file are at address 0x4001b0"
    ),
    "name-far": replace(
        WHOLE,
        needed=("libc.so.6",),
        damage="needed libraries: string 0xffffffffffffffff without end in the file or within 4096 bytes",
    ),
    "name-long": Dynamic(
        soname="s", damage="needed libraries: string 0x1 without end in the file or within 4096 bytes"
    ),
    "needs-cyclic": replace(
        WHOLE, required=(("libc.so.6", "GLIBC_2.2.5"), ("libc.so.6", "GLIBC_2.34")), damage="needed versions: cut short"
    ),
    "needs-form": replace(WHOLE, required=(), damage="needed versions: form 2 is not known"),
    "needs-itself": replace(
        WHOLE,
        required=(("libc.so.6", "GLIBC_2.2.5"), ("libc.so.6", "GLIBC_2.34")),
        damage="needed versions: form 512 is not known",
    ),
    "needs-library-far": replace(
        WHOLE, required=(), damage="needed versions: string 0xffffffff without end in the file or within 4096 bytes"
    ),
    "needs-nowhere": replace(
        WHOLE, required=(), damage="needed versions: no bytes of the file are at address 0x10000000000"
    ),
    "needs-version-cyclic": replace(
        WHOLE, required=(("libc.so.6", "GLIBC_2.2.5"),), damage="needed versions: cut short"
    ),
    "needs-version-overlap": replace(WHOLE, required=(("libc.so.6", ""), ("libm.so.6", "GLIBC_2.29"))),
    "order-swapped": None,
    "order-unknown": WHOLE,
    "segments-far": Dynamic(damage="program headers: cut short"),
    "segments-many": replace(WHOLE, damage="program headers: 65535 of them, more than 512"),
    "segments-none": None,
    "segments-onto-header": None,
    "segments-size": Dynamic(damage="program headers: 57 bytes each, not 56"),
    "segments-size-zero": Dynamic(damage="program headers: 0 bytes each, not 56"),
    "strings-none": Dynamic(interpreter="/lib/ld.so", damage="string table: not in the dynamic section"),
    "strings-nowhere": Dynamic(
        interpreter="/lib/ld.so", damage="string table: no bytes of the file are at address 0x7"
    ),
    "strings-twice": Dynamic(
        interpreter="/lib/ld.so",
        needed=("\x0b", ""),
        required=(("ELF\x02\x01\x01", ""), ("", "")),
        defined=("", ""),
    ),
}


def samples() -> list[str]:
    return sorted(path.stem for path in CORPUS.glob("*.elf"))


def test_samples() -> None:
    """Of each kept file it is stated what is read of it."""
    assert sorted(SAMPLES) == samples()


@pytest.mark.parametrize("name", samples())
def test_sample(name: str) -> None:
    """Of a hostile file is read what can be, and the rest is told."""
    assert SAMPLES[name] == read_dynamic((CORPUS / f"{name}.elf").read_bytes())


@pytest.mark.parametrize(("bits", "order"), FORMS)
def test_cut_anywhere(bits: int, order: Order) -> None:
    """A file cut short anywhere gives a beginning of each part, and says that it is damaged."""
    data = written(Elf(bits=bits, order=order))
    unread = 12  # behind the last version's name: that of its parent
    for size in range(4, len(data) - unread):
        read = read_dynamic(data[:size])

        assert read is not None
        assert read.damage
        assert WHOLE.interpreter.startswith(read.interpreter)
        assert WHOLE.soname.startswith(read.soname)
        for name in ("needed", "runpath", "required", "defined"):
            assert getattr(read, name) == getattr(WHOLE, name)[: len(getattr(read, name))]


def test_limits() -> None:
    """Of more than any file has, as much as the limit is read."""
    libraries = Elf(is_=Dynamic(needed=("lib",) * (dynamic.LIBRARIES + 1)))
    entries = Elf(is_=Dynamic(), more=[(77, 0)] * dynamic.ENTRIES)
    versions = Elf(is_=Dynamic(soname="own", defined=("v",) * dynamic.VERSIONS))
    wanted = Elf(is_=Dynamic(required=tuple(("lib", str(number)) for number in range(dynamic.VERSIONS))))
    path = Elf(is_=Dynamic(runpath=("p" * (dynamic.PATH + 1),)))

    assert Dynamic(needed=("lib",) * 4096, damage="needed libraries: 4097 of them, more than 4096") == read_dynamic(
        written(libraries)
    )
    assert Dynamic(damage=ENDLESS) == read_dynamic(written(entries))
    assert Dynamic(soname="own", defined=("v",) * 65535, damage="defined versions: more than 65536") == read_dynamic(
        written(versions)
    )
    assert Dynamic(required=wanted.is_.required[:65535], damage="needed versions: more than 65536") == read_dynamic(
        written(wanted)
    )
    assert Dynamic(damage="search path: string 0x1 without end in the file or within 65536 bytes") == read_dynamic(
        written(path)
    )


def test_overlapping_names() -> None:
    """Names that share their bytes cannot make a small file fill the memory."""
    data, at = Elf(is_=Dynamic(needed=("n" * 4000,) + ("",) * 4000)).write()
    for number in range(4001):
        data = put(data, at["dynamic"] + number * 16 + 8, struct.pack("<Q", number % 1000))
    read = read_dynamic(data)

    assert read is not None
    assert read.damage == "needed libraries: more than 4194304 bytes of strings"
    assert sum(map(len, read.needed)) <= dynamic.TEXT


def test_equal_texts() -> None:
    """A version that is wanted twice is one, and equal texts of a file are one object."""
    pairs = (("libx.so", "X_1"), ("libx.so", "X_2"), ("libx.so", "X_1"), ("liby.so", "X_1"))
    read = read_dynamic(written(Elf(is_=Dynamic(needed=("libx.so", "liby.so"), required=pairs))))

    assert read is not None
    assert read.required == (pairs[0], pairs[1], pairs[3])
    assert read.required[0][0] is read.required[1][0] is read.needed[0]
    assert read.required[0][1] is read.required[2][1]


# --------------------------------------------------------------------------------------------------------- fuzzing


WHOLE_FILES = [Elf(bits=bits, order=order).write() for bits, order in FORMS]
NUMBERS = [0, 1, 2, 15, 16, 0x7FFF, 0xFFFF, BASE, BASE + GAP, 1 << 31, (1 << 32) - 16, (1 << 32) - 1, (1 << 64) - 1]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A right file with bytes flipped, numbers replaced where numbers are, and the end cut off."""
    data, at = draw(st.sampled_from(WHOLE_FILES))
    for place in draw(st.lists(st.integers(0, len(data) - 1), max_size=4)):
        data = put(data, place, draw(st.binary(min_size=1, max_size=1)))
    for part in draw(st.lists(st.sampled_from(sorted(at.values())), max_size=4)):
        width = draw(st.sampled_from([2, 4, 8]))
        number = draw(st.sampled_from(NUMBERS)) % (1 << 8 * width)
        place = part + width * draw(st.integers(0, 40))
        data = put(data, place, number.to_bytes(width, draw(st.sampled_from(["little", "big"]))))[: len(data)]
    return data[: draw(st.just(len(data)) | st.integers(0, len(data)))]


def check_bounds(data: bytes) -> None:
    read = read_dynamic(data)
    if read is None:
        return
    texts = [read.interpreter, read.soname, *read.needed, *read.runpath, *read.defined]
    texts += [text for pair in read.required for text in pair]
    assert len(read.needed) <= dynamic.LIBRARIES
    assert len(read.defined) + len(read.required) <= dynamic.VERSIONS
    assert all(len(text.encode("utf-8", "surrogateescape")) <= dynamic.PATH for text in texts)
    assert all("\0" not in text for text in texts)
    assert read.damage.isascii()
    assert read.damage.isprintable()
    assert len(read.damage) < 1000


@settings(deadline=timedelta(seconds=1))
@given(st.binary(max_size=2000) | st.binary(max_size=2000).map(lambda tail: WHOLE_FILES[0][0][:64] + tail))
def test_any_bytes(data: bytes) -> None:
    """No bytes make the reader fail, nor read without bounds."""
    check_bounds(data)


@settings(deadline=timedelta(seconds=1), max_examples=500)
@given(mutated())
def test_mutated(data: bytes) -> None:
    """Nor do files that are right but for a few bytes, or cut short."""
    check_bounds(data)
