"""The tool chains of rust-builder: what a platform is called, and Cargo's configuration for all of them.

The names come from ``platforms.tsv``, which is archway's table of platforms.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cargo_image.errors import CargoImageError

TABLE = Path(__file__).with_name("platforms.tsv")


@dataclass(frozen=True, kw_only=True, slots=True)
class Toolchain:
    """The words for one platform."""

    oci: str
    debian: str
    rust: str
    gnu: str

    @property
    def linker(self) -> str:
        return f"{self.gnu}-gcc"

    @property
    def lack(self) -> str:
        """What of it is not installed; empty if it is whole."""
        if shutil.which(self.linker) is None:
            return f"there is no {self.linker}"
        where = subprocess.run(
            ["rustc", "--print", "target-libdir", "--target", self.rust], capture_output=True, text=True, check=False
        )
        if where.returncode or not list(Path(where.stdout.strip()).glob("libstd-*")):
            return f"there is no standard library for {self.rust}"
        return ""


def read(table: Path = TABLE) -> tuple[Toolchain, ...]:
    """All platforms that have names."""
    with table.open(newline="") as file:
        return tuple(Toolchain(**row) for row in csv.DictReader(file, delimiter="\t"))


def gnu_triplet(triple: str, table: Path = TABLE) -> str:
    """GNU's name of a target, which Debian's folders of libraries have: ``aarch64-linux-gnu``."""
    return next(toolchain.gnu for toolchain in read(table) if toolchain.rust == triple)


def of_platform(platform: str, table: Path = TABLE) -> Toolchain:
    """The tool chain for an OCI platform (``TARGETPLATFORM``).

    :raises CargoImageError: none is installed
    """
    known = {toolchain.oci: toolchain for toolchain in read(table)}
    found = known.get(platform.removesuffix("/v8") if platform.startswith("linux/arm64") else platform)
    if not platform:
        raise CargoImageError(
            "no platform is named", why="TARGETPLATFORM is empty", hint="declare it in the stage: ARG TARGETPLATFORM"
        )
    if found is None:
        raise CargoImageError(f"there is no tool chain for {platform}", hint=f"there is one for {', '.join(known)}")
    if lack := found.lack:
        raise CargoImageError(
            f"there is no tool chain for {platform} in this rust-builder", why=lack,
            hint=f"add {found.debian} to TOOLCHAINS in rust-builder/image.toml",
        )  # fmt: skip
    return found


def configuration(toolchains: Iterable[Toolchain]) -> str:
    """Cargo's ``config.toml`` for cross-compiling: linkers, and for build scripts what the crates cc, pkg-config, cmake
    and bindgen read, each under the name of its target.

    ``target.TRIPLE.linker`` and ``env`` are documented in The Cargo Book, "Configuration": a variable that is set wins
    over ``env``. Git is the program, since Cargo's own needs gigabytes under QEMU (rust-lang/cargo#10583).
    """
    home = os.environ.get("CARGO_HOME", "/usr/local/cargo")
    lines = ["[net]", "git-fetch-with-cli = true", "", "[env]", 'PKG_CONFIG_ALLOW_CROSS = "1"']
    for toolchain in toolchains:
        triple = toolchain.rust.replace("-", "_")
        values = {
            f"CC_{triple}": toolchain.linker,
            f"CXX_{triple}": f"{toolchain.gnu}-g++",
            f"AR_{triple}": f"{toolchain.gnu}-ar",
            f"RANLIB_{triple}": f"{toolchain.gnu}-ranlib",
            # What rustc-remapped does for Rust: __FILE__ names no folder of this machine.
            f"CFLAGS_{triple}": f"-ffile-prefix-map={home}=/cargo",
            f"CXXFLAGS_{triple}": f"-ffile-prefix-map={home}=/cargo",
            # Debian's -dev packages of this platform, and nothing of the build machine's.
            f"PKG_CONFIG_LIBDIR_{triple}": f"/usr/lib/{toolchain.gnu}/pkgconfig:/usr/share/pkgconfig",
            f"BINDGEN_EXTRA_CLANG_ARGS_{triple}": f"--target={toolchain.gnu}",
        }
        lines += [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    for toolchain in toolchains:
        lines += ["", f"[target.{toolchain.rust}]", f'linker = "{toolchain.linker}"']
    return "\n".join(lines) + "\n"
