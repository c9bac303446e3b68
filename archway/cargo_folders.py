"""The folders that archway hands over to the Dockerfile of a Rust program, as BuildKit's named contexts.

``source`` is the Cargo project without what does not belong into a program. ``manifests`` holds its ``Cargo.toml``
files, the lock and Cargo's configuration, with an empty program in place of every real one: Cargo wants to see them,
and a layer that is made of this folder only changes when a dependency does.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import toml

from archway.inputs import files
from archway.metadata_cargo import Cargo

WISHES = ".cargo-image.toml"
"""What is wanted of the project: the table [cargo], for the command ``cargo-image`` of rust-builder."""
_NOT_SOURCE = frozenset({WISHES, "Dockerfile", "image.toml", ".git", ".gitignore", ".dockerignore"})
_MANIFESTS = frozenset({"Cargo.toml", "Cargo.lock", "rust-toolchain", "rust-toolchain.toml"})
# Where Cargo looks for programs and libraries by itself (The Cargo Book, "Package Layout").
_FOUND_BY_CARGO = re.compile(
    r"(^|/)(build\.rs|src/(main|lib)\.rs|(src/bin|examples|tests|benches)/([^/]+\.rs|[^/]+/main\.rs))$"
)
_NAMED = re.compile(r'^\s*(?:path|build)\s*=\s*"([^"]+\.rs)"', re.MULTILINE)
EMPTY_PROGRAM = "fn main() {}\n"


def project_files(folder: Path) -> dict[PurePosixPath, Path]:
    """The files of a Cargo project, by their names in it."""
    named = ((PurePosixPath(path.relative_to(folder).as_posix()), path) for path in files(folder))
    return {name: path for name, path in named if name.parts[0] not in _NOT_SOURCE}


def write_source(folder: Path, out: Path) -> None:
    """Copy a Cargo project, without the image's own files and without caches such as ``target``."""
    for name, path in project_files(folder).items():
        target = out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)


def write_manifests(folder: Path, out: Path, cargo: Cargo, *, anew: bool = False) -> None:
    """Write what Cargo needs to know of a project to fetch and compile all that it stands on.

    :param anew: nothing that was compiled before is taken
    """
    found = project_files(folder)
    programs = set(_declared(found))
    for name, path in found.items():
        target = out / name
        if name.name in _MANIFESTS or name.parent.name == ".cargo":
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)
        elif name in programs or _FOUND_BY_CARGO.search(str(name)):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(EMPTY_PROGRAM)
    out.mkdir(parents=True, exist_ok=True)
    (out / WISHES).write_text(toml.dumps({**wishes(cargo), **({"anew": True} if anew else {})}))


def wishes(cargo: Cargo) -> Mapping[str, object]:
    """The table [cargo] with its defaults, without what is not said."""
    return cargo.model_dump(by_alias=True, exclude_none=True)


def _declared(found: Mapping[PurePosixPath, Path]) -> Iterator[PurePosixPath]:
    """The programs that manifests name with paths of their own."""
    for name, path in found.items():
        if name.name == "Cargo.toml":
            for declared in _NAMED.findall(path.read_text(encoding="utf-8", errors="replace")):
                yield _joined(name.parent, declared)


def _joined(folder: PurePosixPath, path: str) -> PurePosixPath:
    parts: list[str] = list(folder.parts)
    for part in PurePosixPath(path).parts:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return PurePosixPath(*parts)
