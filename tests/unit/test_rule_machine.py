"""Facts about the rules on labels, files and the machine that programs are for."""

from __future__ import annotations

import io

import pytest

from archway.verify import Allowed, check_archive
from tests.unit.archives import (
    AMD64,
    ARM64,
    BPF,
    NO_MACHINE,
    Entry,
    Made,
    elf,
    entry,
    hard_link,
    oci,
    removed,
    symlink,
    tar,
)
from tests.unit.proofs import AMD64_PLATFORM, ARM64_PLATFORM, Found, found, linked, report

X86, AARCH64 = "64-bit little-endian x86-64", "64-bit little-endian AArch64"
FINE = tar(entry("bin/sh", elf(ARM64)))


def foreign(path: str) -> Found:
    return "elf-machine", path, f"{X86} shared object", AARCH64


# ----------------------------------------------------------------------------------------------- the image as a whole


def test_wrong_label_is_found() -> None:
    """An image that says it is for another platform is found, and the reasons for other findings do not excuse it."""
    amd64 = oci(Made(layers=[FINE], platform="linux/amd64"))
    (finding,) = check_archive(io.BytesIO(amd64), ARM64_PLATFORM, allow=[Allowed(path="**", reason="no")]).findings

    assert (finding.rule, finding.path) == ("config-platform", "")
    assert (finding.found, finding.expected) == ("linux/amd64 in its configuration", "linux/arm64")


def test_label_with_variant_is_fine() -> None:
    """arm64/v8 is arm64."""
    arm64 = oci(Made(layers=[FINE], platform="linux/arm64/v8"))

    assert check_archive(io.BytesIO(arm64), ARM64_PLATFORM).ok


def test_empty_image_is_found() -> None:
    """An image without a file is found, also when a link or an emptied folder is left; one file is enough."""
    expected = [("empty", "", "no file", "files to prove")]

    assert found() == expected
    assert found(tar(symlink("a", "b"))) == expected
    assert found(FINE, tar(removed("bin"))) == expected
    assert found(tar(entry("a"))) == []


def test_lost_link_is_found() -> None:
    """A hard link to a file that no layer has is found; to one of a lower layer it is that file."""
    link = tar(hard_link("a", "bin/sh"))

    assert found(tar(entry("x")), link) == [
        ("link-lost", "/a", "a hard link to /bin/sh, which cannot be followed", "a file")
    ]
    assert found(FINE, link) == []


# --------------------------------------------------------------------------------------------------- single programs


def test_foreign_program_is_found() -> None:
    """An x86-64 program in an arm64 image is found, wherever it lies and whatever it is called (B7)."""
    assert found(FINE, tar(entry("opt/exporter.txt", elf(AMD64)))) == [foreign("/opt/exporter.txt")]


@pytest.mark.parametrize(
    "data", [elf(ARM64), elf(BPF), elf(NO_MACHINE), b"\x7fELG" + elf(AMD64)[4:], b" " + elf(AMD64)]
)
def test_other_files_are_fine(data: bytes) -> None:
    """The platform's own programs, code that no processor runs, and what only looks like a program are fine."""
    assert found(tar(entry("opt/x", data))) == []


def test_truncated_program_is_found() -> None:
    """The first bytes of a library alone are found: it does not say which machine it is for."""
    assert found(tar(entry("lib/libx.so", elf(ARM64, size=19)))) == [
        ("elf-truncated", "/lib/libx.so", "ELF file cut short after 19 bytes", AARCH64)
    ]
    assert found(tar(entry("lib/libx.so", elf(ARM64, size=3)))) == []


def test_half_a_program_is_found() -> None:
    """A library that ends after its header is found by what is missing; a whole one is fine, as is an object file."""
    whole = linked(soname="libx.so", needed=["libx.so"])

    assert found(tar(entry("lib/libx.so", whole))) == []
    assert found(tar(entry("lib/x.o", elf(ARM64, kind=1, size=40)))) == []
    assert found(tar(entry("lib/libx.so", whole[:40]))) == [
        ("elf-truncated", "/lib/libx.so", "program headers: cut short", "a whole file")
    ]
    for size in range(20, whole.rindex(b"libx.so") + 7):
        assert {it[:2] for it in found(tar(entry("lib/libx.so", whole[:size])))} == {("elf-truncated", "/lib/libx.so")}


# ----------------------------------------------------------------------------- programs of several platforms, bundled


def beside(theirs: str, ours: str, own: bytes | None = None) -> tuple[list[Found], int]:
    made = report(tar(entry(theirs, elf(AMD64)), entry(ours, elf(ARM64) if own is None else own)))
    return [(it.rule, it.path, it.found, it.expected) for it in made.findings], made.bundled


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (
            "app/node_modules/x/prebuilds/linux-x64/node.napi.node",
            "app/node_modules/x/prebuilds/linux-arm64/node.napi.node",
        ),
        ("usr/lib/trino/bin/linux-amd64/launcher", "opt/x"),
        ("opt/trino/bin/linux-amd64/launcher", "opt/trino/bin/linux-arm64/launcher"),
        ("opt/tool_x86_64", "opt/tool_aarch64"),
        ("opt/x86_64/x.so", "opt/arm64/x.so"),
        ("usr/lib/node_modules/x/prebuilds/linux-x64/x.node", "usr/lib/node_modules/x/prebuilds/linux-arm64/x.node"),
        ("app/@img/sharp-linux-x64/lib/sharp-linux-x64.node", "app/@img/sharp-linux-arm64/lib/sharp-linux-arm64.node"),
        ("opt/linux-amd64/tool-amd64", "opt/linux-arm64/tool-arm64"),
        ("opt/linux-x86_64/tool-x86_64", "opt/linux-aarch64/tool-aarch64"),
        ("opt/linux-x86_64/tool-amd64", "opt/linux-aarch64/tool-arm64"),
        ("usr/share/x/tool-amd64", "usr/share/x/tool-arm64"),
        ("usr/local/go/pkg/tool/linux_amd64/vet", "usr/local/go/pkg/tool/linux_arm64/vet"),
        ("usr/lib64/python3.12/site-packages/x/x64/x.so", "usr/lib64/python3.12/site-packages/x/arm64/x.so"),
        ("usr/lib64/node_modules/x/linux-x64/x.node", "usr/lib64/node_modules/x/linux-arm64/x.node"),
        (
            "usr/local/go/src/runtime/race/internal/amd64v1/race_linux.syso",
            "usr/local/go/src/runtime/race/race_linux_arm64.syso",
        ),
        ("go/src/x/race_freebsd_amd64.syso", "go/src/x/race_linux_arm64.syso"),
    ],
)
def test_bundled_program_is_fine(theirs: str, ours: str) -> None:
    """A foreign program in a folder named for its platform is fine beside one for this: npm, Trino's launcher."""
    expected: tuple[list[Found], int] = ([], 1) if ours != "opt/x" else ([foreign("/" + theirs)], 0)

    assert beside(theirs, ours) == expected


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("opt/linux-x64/a.node", "opt/linux-arm64/b.node"),
        ("opt/linux-x64/a.node", "srv/linux-arm64/a.node"),
        ("opt/xx64/a.node", "opt/xarm64/a.node"),
        ("opt/win64/a.node", "opt/arm64/a.node"),
        ("usr/lib/x86_64-linux-gnu/libx.so", "usr/lib/aarch64-linux-gnu/libx.so"),
        ("lib/x86_64-linux-gnu/libx.so", "lib/aarch64-linux-gnu/libx.so"),
        ("usr/local/bin/tool-amd64", "usr/local/bin/tool-arm64"),
        ("usr/local/lib/x86_64/libx.so", "usr/local/lib/aarch64/libx.so"),
        ("bin/tool-amd64", "bin/tool-arm64"),
        ("go/src/x/race_linux_amd64.syso", "go/src/y/race_linux_arm64.syso"),
        ("go/x/race_freebsd_amd64.syso", "go/x/race_linux_arm64.syso"),
        ("usr/lib64/x64/x.so", "usr/lib64/arm64/x.so"),
    ],
)
def test_unlike_program_is_found(theirs: str, ours: str) -> None:
    """It is found beside a file of another name or folder, and always in the folders of the system."""
    assert beside(theirs, ours) == ([foreign("/" + theirs)], 0)


def test_bundled_sibling_must_fit() -> None:
    """The file beside it must be a program for this platform: no text, no half a program, no second foreign one."""
    theirs, ours = "opt/linux-x64/x.node", "opt/linux-arm64/x.node"

    assert beside(theirs, ours, b"text") == ([foreign("/" + theirs)], 0)
    assert foreign("/" + theirs) in beside(theirs, ours, elf(ARM64, size=10))[0]
    assert beside(theirs, ours, elf(AMD64)) == ([foreign("/" + theirs), foreign("/" + ours)], 0)


def test_bundled_sibling_behind_a_link() -> None:
    """The one for this platform may lie behind a link."""
    layer: list[Entry] = [
        entry("opt/amd64/x", elf(AMD64)),
        symlink("opt/arm64", "real"),
        entry("opt/real/x", elf(ARM64)),
    ]

    assert found(tar(*layer)) == []
    assert found(tar(*layer), platform=AMD64_PLATFORM) == [
        ("elf-machine", "/opt/real/x", f"{AARCH64} shared object", X86)
    ]


# ----------------------------------------------------------------------------------------------------- static libraries


def library(*members: tuple[str, bytes], magic: bytes = b"!<arch>\n") -> bytes:
    """A static library."""
    data = magic
    for name, content in members:
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{644:<8}{len(content):<10}`\n"
        data += head.encode() + content + b"\n" * (len(content) % 2)
    return data


FOREIGN_OBJECT = (
    "elf-machine", "/usr/lib/libx.a", f"an archive of objects with a {X86} object file", AARCH64
)  # fmt: skip


@pytest.mark.parametrize(
    "members",
    [
        [("x.o/", elf(AMD64, kind=1))],
        [("/", b"\0\0\0\0"), ("//", b"a-very-long-name.o/\n"), ("/0", elf(AMD64, kind=1))],
        [("a.o/", elf(ARM64, kind=1)), ("text/", b"odd"), ("x.o/", elf(AMD64, kind=1)), ("y.o/", elf(AMD64, kind=1))],
        [("#1/20", b"a-very-long-name.o\0\0" + elf(AMD64, kind=1))],
    ],
)
def test_foreign_object_in_a_library_is_found(members: list[tuple[str, bytes]]) -> None:
    """A static library with an object of another machine is found, whatever its members are called."""
    layer = tar(entry("usr/lib/libx.a", library(*members)))

    assert found(layer) == [FOREIGN_OBJECT]


@pytest.mark.parametrize(
    "data",
    [
        library(),
        library(("x.o/", elf(ARM64, kind=1))),
        library(("debian-binary", b"2.0\n"), ("control.tar.xz", b"\xfd7zXZ")),
        library(("x.o/", elf(AMD64)[:19])),
        library(("x.o/", b""))[:-3],
        library(("x.o/", b""))[:-60] + b"x" * 60,
        library(("#1/99999999", elf(AMD64))),
        library(("x.o/", elf(AMD64)), magic=b"!<thin>\n"),
    ],
)
def test_library_that_is_fine(data: bytes) -> None:
    """A library of this machine, a package of Debian, a damaged library and one without data have no foreign object."""
    assert found(tar(entry("usr/lib/libx.a", data))) == []


def test_library_of_very_many_objects() -> None:
    """Of very many members and headers a bounded number is looked at and kept."""
    headers = [("x.o/", elf(machine, kind=1)) for machine in range(1000)]
    many = library(("x", b"")) + library(("x", b""))[8:] * 300_000

    assert [it[0] for it in found(tar(entry("usr/lib/libx.a", library(*headers))))] == ["elf-machine"]
    assert found(tar(entry("usr/lib/libx.a", many + library(("x.o/", elf(AMD64)))[8:]))) == []


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("opt/linux-amd64/tool-amd64", "opt/linux-arm64/tool-arm64"),
        ("opt/linux-x64/tool-x86_64", "opt/linux-arm64/tool-aarch64"),
        ("go/src/race/internal/amd64v1/race_linux.syso", "go/src/race/race_linux_arm64.syso"),
    ],
)
def test_bundle_is_fine_on_each_of_its_platforms(theirs: str, ours: str) -> None:
    """A bundle is one for each of its platforms."""
    layer = tar(entry(theirs, elf(AMD64)), entry(ours, elf(ARM64)))

    assert [found(layer, platform=it) for it in (AMD64_PLATFORM, ARM64_PLATFORM)] == [[], []]


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("opt/x/libx.so", "linux-amd64/libx.so"),
        ("opt/x/current", "linux-amd64"),
        ("opt/x/linux-arm64-v8", "linux-amd64"),
        ("usr/lib/libx.so", "/opt/x/latest/libx.so"),
    ],
)
def test_foreign_program_behind_a_plain_link_is_found(link: str, target: str) -> None:
    """A foreign program that a link without its platform's word leads to is what would be loaded, and is found."""
    layer = [entry("opt/x/linux-amd64/libx.so", elf(AMD64)), entry("opt/x/linux-arm64/libx.so", elf(ARM64))]
    links = [symlink("opt/x/latest", "linux-amd64"), symlink(link, target)] if "latest" in target else []

    assert found(tar(*layer, *(links or [symlink(link, target)]))) == [foreign("/opt/x/linux-amd64/libx.so")]


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("opt/x/current", "linux-arm64"),
        ("opt/x/x64", "linux-amd64"),
        ("opt/y", "x"),
        ("opt/x/lib.so", "none"),
        ("usr/lib/.build-id/ab/cdef", "/opt/x/linux-amd64/libx.so"),
    ],
)
def test_bundle_behind_other_links_is_fine(link: str, target: str) -> None:
    """Links to this platform's own, to a folder above the platforms' or with the right word make no difference."""
    layer = [entry("opt/x/linux-amd64/libx.so", elf(AMD64)), entry("opt/x/linux-arm64/libx.so", elf(ARM64))]

    assert found(tar(*layer, symlink(link, target))) == []
