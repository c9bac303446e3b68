"""What is built of a Cargo project."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cargo_image.errors import CargoImageError

WISHES = ".cargo-image.toml"
"""The file in which archway hands over the table [cargo] of an image.toml; it may be missing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A folder with a Cargo.toml, and what is wanted of it."""

    folder: Path
    package: str = ""
    """Empty for the only package with binaries."""
    features: tuple[str, ...] = ()
    default_features: bool = True
    binaries: tuple[str, ...] = ()
    """All of the package's, if empty."""

    @property
    def selection(self) -> list[str]:
        """The package and features, as options of ``cargo build``, ``cargo tree`` …"""
        return [
            *(["--package", self.package] if self.package else []),
            *(["--features", ",".join(self.features)] if self.features else []),
            *([] if self.default_features else ["--no-default-features"]),
        ]

    @property
    def options(self) -> list[str]:
        """The same with the binaries, as options of ``cargo build``."""
        named = [word for name in self.binaries for word in ("--bin", name)]
        return [*self.selection, *(named or ["--bins"])]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """A project, and how it gets OpenSSL: ``vendored`` (made from source, in the program) or ``system`` (Debian's)."""

    project: Project
    openssl: str = "vendored"
    opt_level: str = ""
    """How much rustc optimizes; empty leaves it to the project's profile."""
    anew: bool = False
    """Nothing that was fetched or compiled before is taken."""


def read_wishes(folder: Path) -> Wishes:
    """What the file ``.cargo-image.toml`` of a project asks for.

    :raises CargoImageError: it is broken
    """
    path = folder / WISHES
    try:
        table: Mapping[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        table = {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as broken:
        raise CargoImageError(f"is no valid TOML: {broken}", where=WISHES) from None
    openssl = str(table.get("openssl", "vendored"))
    if openssl not in ("vendored", "system"):
        raise CargoImageError(f'openssl = "{openssl}" is neither "vendored" nor "system"', where=WISHES)
    project = Project(
        folder=folder,
        package=str(table.get("package", "")),
        features=_words(table.get("features")),
        default_features=bool(table.get("default-features", True)),
        binaries=_words(table.get("binaries")),
    )
    return Wishes(
        project=project, openssl=openssl, opt_level=str(table.get("opt-level", "")), anew=table.get("anew") is True
    )


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(word) for word in value) if isinstance(value, list) else ()
