"""What rust-builder knows of platforms."""

from __future__ import annotations

import csv
import subprocess
import tomllib
from pathlib import Path

import pytest

from archway.platforms import TABLE
from cargo_image.errors import CargoImageError
from cargo_image.program import MACHINES
from cargo_image.toolchain import Toolchain, configuration, of_platform, read

FOLDER = Path(__file__).parents[2] / "rust-builder"
NAMES = FOLDER / "lib/cargo_image/platforms.tsv"


def test_names_are_those_of_the_one_table() -> None:
    """rust-builder has archway's names of the platforms, and no others."""
    with NAMES.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))

    assert rows == [{"oci": n.oci, "debian": n.debian, "rust": n.rust, "gnu": n.gnu} for n in TABLE]


def test_every_platform_has_its_linker_and_compilers() -> None:
    """A target without CC_… would be compiled by the build machine's compiler, for the wrong processor."""
    said = tomllib.loads(configuration(read(NAMES)))

    for names in TABLE:
        triple = names.rust.replace("-", "_")
        assert said["target"][names.rust]["linker"] == f"{names.gnu}-gcc"
        assert said["env"][f"CC_{triple}"] == f"{names.gnu}-gcc"
        assert said["env"][f"CXX_{triple}"] == f"{names.gnu}-g++"
        assert said["env"][f"AR_{triple}"] == f"{names.gnu}-ar"
        assert said["env"][f"PKG_CONFIG_LIBDIR_{triple}"].startswith(f"/usr/lib/{names.gnu}/")


def test_git_is_the_program() -> None:
    """Cargo's own git needs gigabytes under QEMU (rust-lang/cargo#10583)."""
    assert tomllib.loads(configuration(read(NAMES)))["net"]["git-fetch-with-cli"] is True


def test_c_code_names_no_folder_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """``__FILE__`` in crates from the registry is what the same crates' Rust code shows."""
    monkeypatch.setenv("CARGO_HOME", "/elsewhere")
    said = tomllib.loads(configuration(read(NAMES)))

    for names in TABLE:
        triple = names.rust.replace("-", "_")
        assert said["env"][f"CFLAGS_{triple}"] == "-ffile-prefix-map=/elsewhere=/cargo"
        assert said["env"][f"CXXFLAGS_{triple}"] == "-ffile-prefix-map=/elsewhere=/cargo"


def test_every_platform_has_its_processor() -> None:
    """A program is compared with what readelf calls the processor."""
    assert {names.rust.partition("-")[0] for names in TABLE} == MACHINES.keys()


def test_the_wrapper_lets_rustc_name_no_folder_of_this_machine() -> None:
    """It calls rustc as Cargo would, with one more argument at the end."""
    said = subprocess.run(
        [FOLDER / "bin" / "rustc-remapped", "echo", "a b", "-vV"], capture_output=True, text=True, check=True,
        env={"CARGO_HOME": "/home of/cargo", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip

    assert said.stdout == "a b -vV --remap-path-prefix=/home of/cargo=/cargo\n"


def test_platform_without_tool_chain_is_told_with_what_to_add(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before cargo starts, with the word that TOOLCHAINS needs."""
    monkeypatch.setattr(Toolchain, "lack", property(lambda self: f"there is no {self.linker}"))
    with pytest.raises(CargoImageError) as raised:
        of_platform("linux/s390x", NAMES)

    assert "there is no s390x-linux-gnu-gcc" in str(raised.value)
    assert "add s390x to TOOLCHAINS in rust-builder/image.toml" in str(raised.value)


@pytest.mark.parametrize(
    ("platform", "words"),
    [
        ("", "ARG TARGETPLATFORM"),
        ("windows/amd64", "there is no tool chain for windows/amd64"),
        ("linux/mips", "linux/"),
    ],
)
def test_unknown_platform_is_told(platform: str, words: str) -> None:
    """A stage that forgot ARG TARGETPLATFORM hears so."""
    with pytest.raises(CargoImageError, match=words):
        of_platform(platform, NAMES)


@pytest.mark.parametrize("platform", ["linux/arm64", "linux/arm64/v8"])
def test_arm64_has_one_tool_chain(platform: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without variant it is one platform."""
    monkeypatch.setattr(Toolchain, "lack", property(lambda self: ""))

    assert of_platform(platform, NAMES).rust == "aarch64-unknown-linux-gnu"
