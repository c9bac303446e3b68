"""Looks at a program that was made: its platform, the libraries that it asks for, the list of its crates."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from cargo_image.errors import CargoImageError
from cargo_image.toolchain import Toolchain

_OPENSSL = re.compile(r"lib(ssl|crypto)\.so")


def check(path: Path, toolchain: Toolchain, *, vendored: bool) -> tuple[str, ...]:
    """The shared libraries that a program needs.

    :param vendored: OpenSSL must be in the program itself
    :raises CargoImageError: it needs Debian's OpenSSL though it should not, or does not say what it was made of
    """
    said = _readelf(toolchain, "--dynamic", "--section-headers", "--wide", str(path))
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


def _readelf(toolchain: Toolchain, *words: str) -> str:
    done = subprocess.run([f"{toolchain.gnu}-readelf", *words], capture_output=True, text=True, check=True)
    return done.stdout
