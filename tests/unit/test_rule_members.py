"""Facts about the rules on the members of a list."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archway.platforms import Platform
from archway.verify import Budget, Limits
from archway.verify.members import Member, compare
from archway.verify.scan import scan
from tests.unit.archives import AMD64, ARM64, BPF, NO_MACHINE, FakeLayer, elf, entry, folder, removed, symlink, tar
from tests.unit.proofs import AMD64_PLATFORM, ARM64_PLATFORM, RISCV64_PLATFORM, Found

CUDA = 190
PROGRAMS = tar(entry("opt/tool", elf(AMD64)))
DATA = tar(entry("opt/data", b"text"))


def member(platform: Platform, *layers: bytes) -> Member:
    budget = Budget(Limits(), where="test")
    made = [FakeLayer(name=f"layer {number}", data=data, budget=budget) for number, data in enumerate(layers)]
    digests = [f"sha256:{hash(data)}" for data in layers]
    return Member(platform=platform, layers=digests, scans=[scan(layer, budget) for layer in made])


def differences(*members: Member) -> list[Found]:
    return [(it.rule, it.path, it.found, it.expected) for _, it in compare(members)]


def between(amd64: bytes, arm64: bytes) -> list[Found]:
    return differences(member(AMD64_PLATFORM, amd64), member(ARM64_PLATFORM, arm64))


def only(path: str, platform: Platform = AMD64_PLATFORM) -> Found:
    return "list-files", path, f"only for {platform}", "in every member"


def test_file_of_one_member_is_found() -> None:
    """A file that the other member lacks is found, on either side; links are no files."""
    one, other = tar(entry("opt/a"), entry("opt/tool"), symlink("opt/l", "a")), tar(entry("opt/a"), entry("opt/b"))

    assert between(one, other) == [only("/opt/tool"), only("/opt/b", ARM64_PLATFORM)]


@pytest.mark.parametrize(
    ("amd64", "arm64"),
    [
        ("usr/lib/x86_64-linux-gnu/libz.so.1", "usr/lib/aarch64-linux-gnu/libz.so.1"),
        ("bin/tool-amd64", "bin/tool-arm64"),
        ("lib/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1"),
        ("lib/ld-musl-x86_64.so.1", "lib/ld-musl-aarch64.so.1"),
        ("x/linux-x64/x.node", "x/linux-arm64/x.node"),
        ("lib/x-linux-x86_64.jar", "lib/x-linux-aarch_64.jar"),
        ("var/lib/dpkg/info/libc6:amd64.list", "var/lib/dpkg/info/libc6:arm64.list"),
        ("x/x.cpython-311-x86_64-linux-gnu.so", "x/x.cpython-311-aarch64-linux-gnu.so"),
    ],
)
def test_words_of_architectures_are_alike(amd64: str, arm64: str) -> None:
    """Paths that differ in the words of architectures only are one file."""
    assert between(tar(entry(amd64)), tar(entry(arm64))) == []


@pytest.mark.parametrize(("amd64", "arm64"), [("opt/xamd64", "opt/xarm64"), ("opt/farm", "opt/arm")])
def test_parts_of_words_are_not_alike(amd64: str, arm64: str) -> None:
    """A word that only contains one of an architecture's is a name like any other."""
    assert between(tar(entry(amd64)), tar(entry(arm64))) == [only(f"/{amd64}"), only(f"/{arm64}", ARM64_PLATFORM)]


def test_what_containers_see_is_compared() -> None:
    """Folders and deleted files are none, and what a file holds may differ."""
    amd64 = member(AMD64_PLATFORM, tar(entry("a", b"1"), entry("b"), folder("c")), tar(removed("b")))

    assert differences(amd64, member(ARM64_PLATFORM, tar(entry("a", b"22")))) == []


def test_file_of_some_members_is_fine() -> None:
    """A file that is missing in one of three is no file of one member."""
    both, one = tar(entry("a"), entry("b")), tar(entry("a"))
    amd64, arm64 = member(AMD64_PLATFORM, both), member(ARM64_PLATFORM, both)

    assert differences(amd64, arm64, member(RISCV64_PLATFORM, one)) == []


def test_many_files_of_one_member() -> None:
    """Of very many files the first are named, and the others counted."""
    many = tar(entry("a"), *(entry(f"opt/{number:03}") for number in range(205)))
    findings = between(many, tar(entry("a")))

    assert findings[:200] == [only(f"/opt/{number:03}") for number in range(200)]
    assert findings[200:] == [
        ("list-files", "", "5 files more that are only for linux/amd64", "the same files in every member")
    ]


def test_shared_layer_is_found() -> None:
    """One layer with programs in the images of two platforms is found, by its digest: one of them is mixed (B3)."""
    amd64, arm64 = member(AMD64_PLATFORM, DATA, PROGRAMS), member(ARM64_PLATFORM, PROGRAMS, DATA)
    ((_, finding),) = compare([amd64, arm64])

    assert (finding.rule, finding.path, finding.layer) == ("list-shared-layer", "", amd64.layers[1])
    assert (finding.found, finding.expected) == (
        "one layer in the images for linux/amd64 and linux/arm64",
        "a layer for each",
    )


def test_shared_layer_without_programs_is_fine() -> None:
    """Layers of data are often the same, and a layer may stand twice in one image."""
    other = tar(entry("opt/tool", elf(AMD64)), entry("opt/data", b"other"))

    assert differences(member(AMD64_PLATFORM, DATA), member(ARM64_PLATFORM, DATA)) == []
    assert differences(member(AMD64_PLATFORM, PROGRAMS, PROGRAMS, DATA), member(ARM64_PLATFORM, other)) == []


@pytest.mark.parametrize("data", [elf(BPF), elf(CUDA), elf(NO_MACHINE), elf(ARM64, size=10)])
def test_shared_layer_that_no_processor_runs_is_fine(data: bytes) -> None:
    """Code for the kernel's machine or a graphics card, data in the form of a program, and half a program are none."""
    assert between(tar(entry("opt/x", data)), tar(entry("opt/x", data))) == []


def test_shared_bundle_is_fine() -> None:
    """A layer with programs of each of the two is fine (npm's prebuilds); to a third it is not."""
    bundle = tar(entry("x/linux-x64/x.node", elf(AMD64)), entry("x/linux-arm64/x.node", elf(ARM64)))
    three = [member(it, bundle) for it in (AMD64_PLATFORM, ARM64_PLATFORM, RISCV64_PLATFORM)]

    assert differences(*three[:2]) == []
    assert differences(*three) == [
        ("list-shared-layer", "", "one layer in the images for linux/amd64 and linux/riscv64", "a layer for each")
    ]


def test_shared_files_in_two_layers_are_found() -> None:
    """The same programs are found also if each member has its own layer of them: compressed in another way."""
    amd64, arm64 = member(AMD64_PLATFORM, PROGRAMS), replace(member(ARM64_PLATFORM, PROGRAMS), layers=["sha256:x"])
    found = "two layers of the same files in the images for linux/amd64 and linux/arm64"

    assert differences(amd64, arm64) == [("list-shared-layer", "", found, "a layer for each")]
    assert differences(amd64, member(ARM64_PLATFORM, tar(entry("opt/tool", elf(ARM64))))) == []


def test_one_member() -> None:
    """A list of one member, or of none, has nothing to be compared."""
    assert differences() == []
    assert differences(member(AMD64_PLATFORM, PROGRAMS)) == []
