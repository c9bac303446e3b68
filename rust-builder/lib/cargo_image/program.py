"""Looks at a program that was made: its platform, the libraries that it asks for, the list of its crates."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from cargo_image.errors import CargoImageError
from cargo_image.toolchain import Toolchain

MACHINES = {
    "x86_64": "Advanced Micro Devices X86-64",
    "aarch64": "AArch64",
    "armv7": "ARM",
    "powerpc64le": "PowerPC64",
    "s390x": "IBM S/390",
    "riscv64gc": "RISC-V",
}
"""What readelf calls the processors, by the first word of Rust's triples."""
_OPENSSL = re.compile(r"lib(ssl|crypto)\.so")


def check(path: Path, toolchain: Toolchain, *, vendored: bool) -> tuple[str, ...]:
    """The shared libraries that a program needs.

    :param vendored: OpenSSL must be in the program itself
    :raises CargoImageError: it is for another processor, needs Debian's OpenSSL though it should not, or does not say
        what it was made of
    """
    said = _readelf(toolchain, path)
    machine = next(iter(re.findall(r"^\s*Machine:\s+(.+?)\s*$", said, re.MULTILINE)), "nothing")
    if machine != (wanted := MACHINES[toolchain.rust.partition("-")[0]]):
        raise CargoImageError(
            f"{path.name} is for {machine}, and {toolchain.oci} is {wanted}",
            why="Cargo was told to use another linker or target",
            hint="look for [build] and [target] in the project's .cargo/config.toml, and for CARGO_… variables",
        )  # fmt: skip
    needed = tuple(re.findall(r"\(NEEDED\).*\[(.+)\]", said))
    if vendored and (asked := [name for name in needed if _OPENSSL.match(name)]):
        raise CargoImageError(
            f"{path.name} needs {', '.join(asked)}, though OpenSSL should be in it",
            why="openssl-sys found Debian's library",
            hint='look for OPENSSL_NO_VENDOR, or say [cargo] openssl = "system" in image.toml and ship libssl3t64',
        )
    if ".dep-v0" not in said:
        raise CargoImageError(
            f"{path.name} does not hold the list of its crates", why="cargo auditable writes it, and something lost it",
            hint="do not strip sections in the project's profile",
        )  # fmt: skip
    return needed


def _readelf(toolchain: Toolchain, path: Path) -> str:
    command = [f"{toolchain.gnu}-readelf", "--file-header", "--dynamic", "--section-headers", "--wide", str(path)]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=False,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    except OSError as failed:
        raise CargoImageError(
            f"{path.name} cannot be looked at", why=str(failed), hint=f"install binutils for {toolchain.debian}"
        ) from None
    if done.returncode:
        raise CargoImageError(f"{path.name} is no program that can be read", why=done.stderr.strip())
    return done.stdout
