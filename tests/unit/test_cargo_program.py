"""A program that was made is looked at before it gets into an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from cargo_image import program
from cargo_image.errors import CargoImageError
from cargo_image.toolchain import Toolchain

ARM = Toolchain(oci="linux/arm64", debian="arm64", rust="aarch64-unknown-linux-gnu", gnu="aarch64-linux-gnu")
SAID = """\
ELF Header:
  Class:                             ELF64
  Machine:                           AArch64
Section Headers:
  [16] .dep-v0           PROGBITS
Dynamic section at offset 0x1 contains 3 entries:
 0x0000000000000001 (NEEDED)             Shared library: [libc.so.6]
 0x0000000000000001 (NEEDED)             Shared library: [libm.so.6]
"""


@pytest.fixture
def readelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A readelf that says what a test wants."""
    made = tmp_path / "bin" / "aarch64-linux-gnu-readelf"
    made.parent.mkdir()
    monkeypatch.setenv("PATH", str(made.parent), prepend=":")
    say(made, SAID)
    return made


def say(readelf: Path, said: str) -> None:
    readelf.write_text(f"#!/bin/sh\ncat <<'END'\n{said}END\n")
    readelf.chmod(0o755)


def check() -> tuple[str, ...]:
    return program.check(Path("/out/operator"), ARM, vendored=True)


def test_needs_are_told(readelf: Path) -> None:
    """The shared libraries that the image must have."""
    assert check() == ("libc.so.6", "libm.so.6")


def test_a_program_for_another_processor_is_refused(readelf: Path) -> None:
    """A project's configuration of Cargo can name another target or linker."""
    say(readelf, SAID.replace("AArch64", "Advanced Micro Devices X86-64"))

    with pytest.raises(CargoImageError, match="operator is for Advanced Micro Devices X86-64, and linux/arm64 is AA"):
        check()


def test_openssl_of_debian_is_refused(readelf: Path) -> None:
    """It should be in the program."""
    say(readelf, SAID.replace("libm.so.6", "libssl.so.3"))

    with pytest.raises(CargoImageError, match=r"operator needs libssl\.so\.3"):
        check()


def test_a_program_without_its_crates_is_refused(readelf: Path) -> None:
    """Scanners read the list."""
    say(readelf, SAID.replace(".dep-v0", ".text"))

    with pytest.raises(CargoImageError, match="does not hold the list of its crates"):
        check()


def test_what_readelf_refuses_is_told(readelf: Path) -> None:
    """A file that is no program makes no traceback."""
    readelf.write_text("#!/bin/sh\necho 'Error: Not an ELF file' >&2\nexit 1\n")

    with pytest.raises(CargoImageError, match="no program that can be read\n  Error: Not an ELF file"):
        check()


def test_no_readelf_is_told(readelf: Path) -> None:
    """Neither does a tool chain without readelf."""
    readelf.unlink()

    with pytest.raises(CargoImageError, match="install binutils for arm64"):
        check()
