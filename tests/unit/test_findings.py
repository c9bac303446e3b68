"""Facts about the proof of architecture."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archway.errors import VerifyError
from archway.platforms import Platform
from archway.verify import Allowed, Finding, Report, check_archive
from archway.verify.findings import report_of
from tests.unit.archives import (
    AMD64,
    ARM,
    ARM64,
    BPF,
    Made,
    block,
    docker,
    elf,
    entry,
    folder,
    hard_link,
    oci,
    oci_list,
    removed,
    sha256,
    symlink,
    tar,
)  # fmt: skip

AMD64_PLATFORM, ARM64_PLATFORM, ARM_PLATFORM = (Platform.parse(word) for word in ("amd64", "arm64", "arm/v7"))
RIGHT = tar(folder("bin"), entry("bin/sh", elf(ARM64)), entry("bin/script", b"#!/bin/sh\n"), entry("bin/x.o", elf(BPF)))
DATA = tar(entry("data", b"text"))
WRONG = tar(entry("opt/exporter", elf(AMD64, kind=2)))


def check(data: bytes, platform: Platform = ARM64_PLATFORM, *allow: Allowed) -> Report:
    return check_archive(io.BytesIO(data), platform, allow=allow)


def image(*layers: bytes, platform: str = "linux/arm64") -> bytes:
    return oci(Made(layers=layers, platform=platform))


@pytest.mark.parametrize("write", [oci, oci_list, docker])
def test_right(write: Callable[[Made], bytes]) -> None:
    """An image whose configuration and ELF files are the platform's has no findings, and its files are counted."""
    report = check(write(Made(layers=[RIGHT], platform="linux/arm64", described="linux/arm64")))

    assert report.ok
    assert (report.files, report.elf_files) == (3, 2)
    assert report.text() == "archive is linux/arm64 (2 ELF of 3 files)"


@pytest.mark.parametrize("write", [oci, oci_list, docker])
def test_foreign_program(write: Callable[[Made], bytes]) -> None:
    """An arm64 image that ships an amd64 program is refused: path, found, expected and layer are said (B7)."""
    report = check(write(Made(layers=[RIGHT, WRONG], platform="linux/arm64", pack=bytes)))
    (finding,) = report.findings

    assert (finding.rule, finding.path) == ("elf-machine", "/opt/exporter")
    assert finding.found == "64-bit little-endian x86-64 program"
    assert finding.expected == "64-bit little-endian AArch64"
    assert finding.layer in (sha256(WRONG), f"{sha256(WRONG)[7:19]}/layer.tar")
    assert report.text().splitlines() == [
        "archive is not linux/arm64: 1 finding (3 ELF of 4 files)",
        f"  elf-machine: /opt/exporter: found {finding.found}, expected {finding.expected}",
        f"    in layer {finding.layer}",
    ]


def test_foreign_program_that_is_gone() -> None:
    """A foreign file that an upper layer removes or replaces is none of the image."""
    assert check(image(RIGHT, WRONG, tar(removed("opt")))).ok
    assert check(image(WRONG, tar(entry("opt/exporter", elf(ARM64))))).ok


def test_all_names_of_a_file() -> None:
    """A foreign file with two names is found under both."""
    report = check(image(tar(entry("a", elf(AMD64)), hard_link("b", "a"))))

    assert [finding.path for finding in report.findings] == ["/a", "/b"]


def test_cut_short() -> None:
    """An ELF file that ends before its machine is a finding."""
    (finding,) = check(image(tar(entry("a", elf(ARM64, size=10))))).findings

    assert (finding.rule, finding.found) == ("elf-truncated", "ELF file cut short after 10 bytes")


def test_lost_link() -> None:
    """A hard link to nothing is a finding: what it is cannot be proven."""
    (finding,) = check(image(tar(hard_link("a", "b")))).findings

    assert (finding.rule, finding.found) == ("link-lost", "a hard link to /b, which cannot be followed")


@pytest.mark.parametrize(
    "layers", [[], [tar()], [tar(folder("bin"), symlink("sh", "bin"))], [DATA, tar(removed("data"))]]
)
def test_no_files(layers: list[bytes]) -> None:
    """An image without a single file is a finding that no exception silences: nothing of it was proven."""
    report = check(image(*layers), ARM64_PLATFORM, Allowed(path="**", reason="all"))
    (finding,) = report.findings

    assert str(finding) == "empty: image: found no file, expected files to prove"
    assert report.files == 0


def test_one_file() -> None:
    """A single file on nothing is an image that can be proven."""
    assert check(image(DATA)).ok


def test_no_files_of_two() -> None:
    """Of two images for one platform, each must have files."""
    empty, fine = (Made(layers=layers, platform="linux/arm64") for layers in ([], [DATA]))

    assert [it.rule for it in check(oci(fine, empty)).findings] == ["empty"]


# --------------------------------------------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    ("written", "platform"),
    [
        ("linux/arm64", ARM64_PLATFORM),
        ("linux/arm64/v8", ARM64_PLATFORM),
        ("linux/arm/v7", ARM_PLATFORM),
        ("linux/arm", ARM_PLATFORM),
        ("linux/amd64", AMD64_PLATFORM),
    ],
)
def test_same_platforms(written: str, platform: Platform) -> None:
    """Variants that name one platform are one platform."""
    assert check(image(DATA, platform=written), platform).ok


@pytest.mark.parametrize(
    "written",
    ["linux/amd64", "linux/arm64/v9", "linux/arm/v7", "windows/arm64", "linux/ARM64", "linux/aarch64", "arm64", ""],
)
def test_other_platforms(written: str) -> None:
    """A configuration that names another platform, or none, is a finding that no exception silences."""
    report = check(image(RIGHT, platform=written), ARM64_PLATFORM, Allowed(path="**", reason="all"))
    (finding,) = report.findings

    assert (finding.rule, finding.path, finding.expected) == ("config-platform", "", "linux/arm64")
    assert finding.found.endswith(" in its configuration")


def test_index_of_other_platform() -> None:
    """An index entry that says another platform than the configuration is a finding from either side."""
    amd64 = Made(layers=[DATA], platform="linux/amd64", described="linux/arm64")
    arm64 = Made(layers=[RIGHT], platform="linux/arm64", described="linux/riscv64")
    data = oci_list(amd64, arm64)

    assert [it.found for it in check(data).findings] == [
        "linux/amd64 in its configuration",
        "linux/riscv64 in its index",
    ]


def test_image_of_several() -> None:
    """Of a list, the image for the platform is checked and no other."""
    amd64 = Made(layers=[WRONG], platform="linux/amd64", described="linux/amd64")
    arm64 = Made(layers=[RIGHT], platform="linux/arm64", described="linux/arm64")
    data = oci_list(amd64, arm64)

    assert (check(data).ok, check(data).files) == (True, 3)
    assert (check(data, AMD64_PLATFORM).ok, check(data, AMD64_PLATFORM).files) == (True, 1)


def test_no_image_of_several() -> None:
    """A list without an image for the platform is a finding that names what is there, and what was never pulled."""
    amd64, riscv = (Made(platform=it, described=it) for it in ("linux/amd64", "linux/riscv64"))
    absent = Made(platform="linux/arm64", described="linux/arm64", layers=[RIGHT])
    (finding,) = check(oci_list(amd64, riscv, absent=[absent])).findings

    assert finding.found == (
        "images for linux/amd64, linux/riscv64; named by the index, but not in the archive: linux/arm64"
    )  # fmt: skip


def test_nothing_but_attestations() -> None:
    """An archive without a single image is a finding: nothing was proven."""
    (finding,) = check(oci(Made(layers=[RIGHT], described="unknown/unknown"))).findings

    assert (finding.rule, finding.found) == ("config-platform", "no image")


# ------------------------------------------------------------------------------------------------------ exceptions


def test_allowed() -> None:
    """An exception silences what it names, is counted, and its reason is in the report."""
    allowed = Allowed(path="/opt/*", reason="for Windows")
    report = check(image(RIGHT, WRONG, tar(entry("opt/b", elf(ARM, bits=32)))), ARM64_PLATFORM, allowed)

    assert report.ok
    assert report.used == ((allowed, 2),)
    assert report.unused == ()
    assert "  allowed: /opt/*: 2 findings (for Windows)" in report.text().splitlines()


def test_allowed_for_nothing() -> None:
    """An exception that silences nothing is told apart, also if it matches a file that is right; the text is silent."""
    allowed = Allowed(path="/bin/sh", reason="once needed")
    report = check(image(RIGHT), ARM64_PLATFORM, allowed)

    assert report.ok
    assert report.unused == (allowed,)
    assert report.used == ()
    assert "allowed" not in report.text()


def test_allowed_for_another_platform() -> None:
    """An exception for other platforms silences nothing, and is none that was not needed."""
    allowed = Allowed(path="/opt/*", reason="for Windows", platforms=(AMD64_PLATFORM, ARM_PLATFORM))
    report = check(image(RIGHT, WRONG), ARM64_PLATFORM, allowed)

    assert [finding.path for finding in report.findings] == ["/opt/exporter"]
    assert (report.used, report.unused) == ((), ())


def test_allowed_for_another_rule() -> None:
    """An exception for one rule silences no other."""
    other, right = (Allowed(path="/opt/*", reason="why", rule=rule) for rule in ("elf-needed", "elf-machine"))
    report = check(image(RIGHT, WRONG), ARM64_PLATFORM, other, right)

    assert report.ok
    assert (report.used, report.unused) == (((right, 1),), (other,))


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("/a/b", "/a/b", True),
        ("a/b", "/a/b", True),
        ("/a", "/a/b", False),
        ("/a/*", "/a/b", True),
        ("/a/*", "/a/b/c", False),
        ("/a/**", "/a/b/c", True),
        ("/**/c", "/a/b/c", True),
        ("/a/?", "/a/b", True),
        ("/a?b", "/a/b", False),
        ("/a.b", "/axb", False),
        ("/[ab]", "/a", False),
        ("/[ab]", "/[ab]", True),
        ("/a*", "/a\nb", True),
        ("/a", "/a\n", False),
    ],
)
def test_patterns(pattern: str, path: str, *, matches: bool) -> None:
    """A star stays in its folder, two stars do not, and no other character has a meaning."""
    assert Allowed(path=pattern, reason="").matches(path) == matches


def test_names_without_text() -> None:
    """A name that is no text is printed escaped, and an exception is written with that spelling."""
    layer = block(b"a\xff\x1b[1m", size=64) + elf(AMD64).ljust(512, b"\0") + bytes(1024)
    (finding,) = check(image(layer)).findings

    assert finding.path == "/a\\xff\\x1b[1m"
    assert check(image(layer), ARM64_PLATFORM, Allowed(path=finding.path, reason="odd")).ok


# ------------------------------------------------------------------------------------------------------------ text


def test_many_findings() -> None:
    """The text has the first twenty findings and the number of the others."""
    report = check(image(tar(*(entry(f"bin/{number}", elf(AMD64)) for number in range(123)))))
    lines = report.text().splitlines()

    assert len(report.findings) == 123
    assert sum("elf-machine" in line for line in lines) == 20
    assert lines[0] == "archive is not linux/arm64: 123 findings (123 ELF of 123 files)"
    assert lines[-1] == "  and 103 more"


def test_finding_of_the_image() -> None:
    """A finding without a path is said of the image."""
    finding = Finding(rule="config-platform", path="", found="a", expected="b", layer="")

    assert str(finding) == "config-platform: image: found a, expected b"


def test_path(tmp_path: Path) -> None:
    """An archive can be given as a path, and the report names it."""
    path = tmp_path / "image.tar"
    path.write_bytes(image(RIGHT))

    assert check_archive(path, ARM64_PLATFORM).text().startswith(f"{path} is linux/arm64")


def test_name() -> None:
    """The report calls the image what the caller does."""
    report = check_archive(io.BytesIO(image(RIGHT)), ARM64_PLATFORM, name="hive:4.0.1")

    assert report.text().startswith("hive:4.0.1 is linux/arm64")


def test_data() -> None:
    """The report as data is plain JSON: counts, findings and exceptions; and it can be read back."""
    used = Allowed(path="/opt/*", reason="why", rule="elf-machine", platforms=(ARM64_PLATFORM,), source="x/image.toml")
    unused = Allowed(path="/x", reason="gone")
    report = check(image(WRONG, tar(entry("a", elf(AMD64)))), ARM64_PLATFORM, used, unused)

    assert json.loads(json.dumps(report.as_data())) == {
        "name": "archive",
        "subject": "image",
        "source": "",
        "platform": "linux/arm64",
        "ok": False,
        "files": 2,
        "elf_files": 2,
        "archives": 0,
        "bundled": 0,
        "size": 128,
        "findings": [
            {
                "rule": "elf-machine",
                "path": "/a",
                "found": "64-bit little-endian x86-64 shared object",
                "expected": "64-bit little-endian AArch64",
                "layer": report.findings[0].layer,
                "source": "",
                "line": None,
            }
        ],
        "used": [
            {
                "path": "/opt/*",
                "reason": "why",
                "rule": "elf-machine",
                "platforms": ["linux/arm64"],
                "source": "x/image.toml",
                "findings": 1,
            }
        ],
        "unused": [{"path": "/x", "reason": "gone", "rule": "", "platforms": [], "source": ""}],
        "digests": list(report.digests),
        "layers": list(report.layers),
    }
    assert (len(report.digests), len(report.layers)) == (1, 2)
    assert report_of(json.loads(json.dumps(report.as_data()))) == report


@pytest.mark.parametrize("data", ["{}", "[]", "null", "1", '"ok"', '{"ok": true, "findings": [{}]}'])
def test_data_of_something_else(data: str) -> None:
    """What is no report's data is refused."""
    with pytest.raises(ValueError, match=r"."):
        report_of(json.loads(data))


# --------------------------------------------------------------------------------------------------------- fuzzing


@pytest.mark.parametrize("write", [oci_list, docker])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_archives(write: Callable[[Made], bytes], data: st.DataObject) -> None:
    """An archive with any bytes changed is refused, or has the same report: nothing changed passes for right."""
    fine = Made(layers=[RIGHT, tar(removed("bin/script"))], platform="linux/arm64", described="linux/arm64")
    archive = bytearray(write(fine))
    for at in data.draw(st.lists(st.integers(min_value=0, max_value=len(archive) - 1), min_size=1, max_size=4)):
        archive[at] ^= data.draw(st.integers(min_value=1, max_value=255))
    try:
        report = check(bytes(archive))
    except VerifyError:
        return

    assert (report.files, report.elf_files) in ((2, 2), (0, 0))
    assert report.files or report.findings


def test_two_images_for_one_platform() -> None:
    """A list with two images for one platform is a finding: each engine would choose."""
    one, two = (
        Made(layers=[tar(entry(name, b"x"))], platform="linux/arm64", described="linux/arm64") for name in "ab"
    )  # fmt: skip
    report = check(oci_list(one, two))

    assert [it.found for it in report.findings] == ["2 images for it in one list"]


def test_image_under_another_platform() -> None:
    """A list whose entry for arm64 is an amd64 image is refused for arm64, and says so of amd64 (B7)."""
    made = Made(layers=[tar(entry("a", elf(AMD64)))], platform="linux/amd64", described="linux/arm64")

    assert [it.rule for it in check(oci_list(made)).findings] == ["config-platform", "elf-machine"]
    assert [it.rule for it in check(oci_list(made), AMD64_PLATFORM).findings] == ["config-platform"]
