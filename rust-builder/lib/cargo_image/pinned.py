"""Which source of OpenSSL is built in: the version that rust-builder names, so that all images have the same one."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cargo_image.cargo import run_cargo
from cargo_image.errors import CargoImageError
from cargo_image.openssl import SRC
from cargo_image.signs import NO_FIT

VERSION, SHA256 = "OPENSSL_SRC_VERSION", "OPENSSL_SRC_SHA256"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """A version of the crate openssl-src, and the sum of its archive."""

    version: str
    sha256: str


def read_pin(environment: Mapping[str, str]) -> Pin | None:
    """The version that rust-builder names.

    :raises CargoImageError: it names only one of version and sum
    """
    version, sha256 = environment.get(VERSION, ""), environment.get(SHA256, "")
    if bool(version) != bool(sha256):
        raise CargoImageError(f"{VERSION} and {SHA256} belong together", hint="set both, or none for the newest")
    return Pin(version=version, sha256=sha256) if version else None


def lock_pinned(pin: Pin | None, own: bytes, lock: Path) -> None:
    """Have the lock that Cargo wrote name the pinned version, if openssl-src has just come into it.

    :param own: the user's lock, which counts if it names openssl-src already
    :raises CargoImageError: the registry has another archive under this version, or none
    """
    decided = _source(lock.read_bytes())
    if pin is None or _source(own) or not decided.get("checksum"):
        return  # Without a sum it is a folder or a git repository that the user put into its place.
    try:
        run_cargo(["update", "--package", SRC, "--precise", pin.version], lock.parent)
    except CargoImageError as failed:
        if failed.what != NO_FIT.format(crate=SRC):
            raise
        print(
            f"cargo-image: note: openssl-sys does not take {SRC} {pin.version}, so it is {decided.get('version')}",
            file=sys.stderr, flush=True,
        )  # fmt: skip
        return
    if (found := _source(lock.read_bytes()).get("checksum", "")) != pin.sha256:
        raise CargoImageError(
            f"{SRC} {pin.version} is not the archive that rust-builder names", where=lock,
            why=f"the sum is {found or 'missing'}, and {SHA256} is {pin.sha256}",
            hint="a mirror gives out another archive, or the sum was not changed together with the version",
        )  # fmt: skip


def _source(lock: bytes) -> Mapping[str, str]:
    packages = tomllib.loads(lock.decode("utf-8")).get("package", [])
    return next((package for package in packages if package.get("name") == SRC), {})
