"""How the first root file system is made, and why making it failed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from archway.bootstrap import SUITE, cause, mmdebstrap
from archway.errors import ArchwayError, MachineError, NoSpaceError, PackageSourceError
from archway.platforms import Platform

ARM = Platform.parse("linux/arm/v7")
ARCHIVE = Path("/monorepo/.archway/rootfs.tar")
LOG = ".archway/logs/rootfs-armv7.log"


def test_debian_name_of_the_platform_is_used() -> None:
    """mmdebstrap is told the platform by Debian's name, the suite and where to write."""
    command = mmdebstrap(ARCHIVE, ARM, {})

    assert "--architectures=armhf" in command
    assert [SUITE, str(ARCHIVE)] == command[-2:]


def test_mirror_stands_last() -> None:
    """A sources.list of one's own takes the place of mmdebstrap's default."""
    command = mmdebstrap(ARCHIVE, ARM, {"apt-sources": Path("/etc/mirror.list")})

    assert [str(ARCHIVE), "/etc/mirror.list"] == command[-2:]


def test_certificate_authorities_are_told_to_apt() -> None:
    """mmdebstrap's apt hears nothing of the machine's configuration, so it is told whom to trust."""
    command = mmdebstrap(ARCHIVE, ARM, {"ca": Path("/etc/company.pem")})

    assert '--aptopt=Acquire::https::CAInfo "/etc/company.pem"' in command
    assert not any(word.startswith("--aptopt") for word in mmdebstrap(ARCHIVE, ARM, {}))


def test_nothing_of_the_machine_is_left(tmp_path: Path) -> None:
    """The hook replaces the mirror by Debian's own sources, and removes the options that were given to apt."""
    for name in ("sources.list", "sources.list.d/0000mirror.list", "apt.conf.d/99mmdebstrap", "apt.conf.d/70debconf"):
        (tmp_path / "etc/apt" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "etc/apt" / name).write_text("of this machine")
    examples = tmp_path / "usr/share/doc/apt/examples"
    examples.mkdir(parents=True)
    (examples / "debian.sources").write_text("of Debian")
    (hook,) = [
        word.removeprefix("--customize-hook=") for word in mmdebstrap(ARCHIVE, ARM, {}) if "customize-hook" in word
    ]

    # As mmdebstrap runs it.
    subprocess.run(["sh", "-c", hook, "exec", str(tmp_path)], check=True)

    left = {
        path.relative_to(tmp_path / "etc/apt").as_posix(): path.read_text()
        for path in (tmp_path / "etc/apt").rglob("*")
        if path.is_file()
    }
    assert left == {"sources.list.d/debian.sources": "of Debian", "apt.conf.d/70debconf": "of this machine"}


@pytest.mark.parametrize(
    ("said", "kind", "what"),
    [
        ("E: Failed to fetch http://mirror.invalid/dists/trixie/InRelease", PackageSourceError, "could not be fetched"),
        ("Temporary failure resolving 'mirror.invalid'", PackageSourceError, "could not be fetched"),
        ("Could not connect to localhost:9 (127.0.0.1)", PackageSourceError, "could not be fetched"),
        ("Err:1 Write error - write (28: No space left on device)", NoSpaceError, "the disk is full"),
        ("E: Failed to fetch x  Write error - write (28: No space left on device)", NoSpaceError, "the disk is full"),
        ("dpkg: error processing archive: Disk quota exceeded", NoSpaceError, "the disk is full"),
        ("E: unable to pick chroot mode automatically", MachineError, "failed with exit code 25"),
    ],
)
def test_cause_is_told_apart(said: str, kind: type[ArchwayError], what: str) -> None:
    """A network, a full disk and everything else end differently; each names the platform and the whole output."""
    found = cause(ARM, 25, f"I: automatically chosen\n{said}\nE: mmdebstrap failed to run\n", log=LOG)

    assert type(found) is kind
    assert what in found.what
    assert "rootfs armv7" in found.what
    assert said in found.why
    assert LOG in found.hint


@pytest.mark.parametrize(
    ("exit_code", "output"),
    [(127, "[Errno 2] No such file or directory: 'fakeroot'"), (1, "/usr/bin/fakeroot: 178: mmdebstrap: not found")],
)
def test_missing_tool_is_a_matter_of_setup(exit_code: int, output: str) -> None:
    """Without fakeroot or mmdebstrap the message says what installs them, and what makes them needless."""
    found = cause(ARM, exit_code, output, log=LOG)

    assert type(found) is MachineError
    assert "inv setup" in found.hint
    assert "debian:trixie-slim" in found.hint


def test_last_lines_of_a_long_output_are_enough() -> None:
    """The message holds the end of the output; the log has it all."""
    found = cause(ARM, 25, "\n\n".join(f"line {number}" for number in range(40)), log=LOG)

    assert [f"line {number}" for number in range(28, 40)] == found.why.splitlines()
