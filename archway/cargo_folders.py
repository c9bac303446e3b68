"""The folders that archway hands over to the Dockerfile of a Rust program, as BuildKit's named contexts.

``source`` is the Cargo project without what does not belong into a program. ``manifests`` holds its ``Cargo.toml``
files, the lock and Cargo's configuration, with an empty program in place of every real one: Cargo wants to see them,
and a layer that is made of this folder only changes when a dependency does.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import toml

from archway.errors import MetadataError
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
# Where people keep passwords and tokens beside a project.
_SECRET = re.compile(r"(^|/)(\.cargo/credentials(\.toml)?|\.env[^/]*)$")
_LARGEST_MANIFEST = 1 << 22
EMPTY_PROGRAM = "// archway: an empty program in the place of the real one\nfn main() {}\n"
"""``cargo-image build`` refuses it, should the source never have come."""


def project_files(folder: Path, *, ours: bool) -> dict[PurePosixPath, Path]:
    """The files of a Cargo project that are handed over, by their names in it: no credentials, and not the image's own.

    :param ours: somebody works in it, so folders that are marked as caches (``target``) are left out; what was fetched
        is taken as its authors have it
    :raises MetadataError: it holds links that lead out of it, or what is no file
    """
    listed = files(folder, skip_caches=ours)
    named = ((PurePosixPath(path.relative_to(folder).as_posix()), path) for path in listed)
    found = {
        name: path for name, path in named if name.parts[0] not in _NOT_SOURCE and not _SECRET.search(str(name))
    }  # fmt: skip
    top = os.path.realpath(folder)
    if wrong := [f"{str(name)!r} {why}" for name, path in found.items() if (why := _oddity(path, top))]:
        more = [f"… and {len(wrong) - 10} more"] if len(wrong) > 10 else []
        raise MetadataError(
            "a Cargo project is made of files, and of links between them", where=folder,
            why="\n".join(wrong[:10] + more), hint="remove them, or put files in their place",
        )  # fmt: skip
    return found


def _oddity(path: Path, top: str) -> str:
    """Why a file cannot be handed over."""
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):
        return ""
    if not stat.S_ISLNK(mode):
        return "is neither a file, a folder nor a link"
    leads = path.readlink()
    inside = not leads.is_absolute() and Path(os.path.realpath(path)).is_relative_to(top)
    return "" if inside else f"is a link to {str(leads)!r}, which the build would not find in the project"


def write_source(folder: Path, out: Path, *, ours: bool, without: frozenset[PurePosixPath] = frozenset()) -> None:
    """Copy a Cargo project, without the image's own files.

    :param ours: see :func:`project_files`
    :param without: files that the program is not made of
    :raises MetadataError: it is not fit
    """
    for name, path in project_files(folder, ours=ours).items():
        if name not in without:
            _copy(path, out / name)


def write_manifests(folder: Path, out: Path, cargo: Cargo, *, ours: bool, anew: bool = False) -> None:
    """Write what Cargo needs to know of a project to fetch and compile all that it stands on.

    :param ours: see :func:`project_files`
    :param anew: nothing that was compiled before is taken
    :raises MetadataError: it is not fit
    """
    found = project_files(folder, ours=ours)
    programs = set(_declared(found))
    for name, path in found.items():
        target = out / name
        if name.name in _MANIFESTS or name.parent.name == ".cargo":
            _copy(path, target)
        elif name in programs or _FOUND_BY_CARGO.search(str(name)):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(EMPTY_PROGRAM)
    out.mkdir(parents=True, exist_ok=True)
    (out / WISHES).write_text(toml.dumps({**wishes(cargo), **({"anew": True} if anew else {})}))


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(path, target, follow_symlinks=False)


def wishes(cargo: Cargo) -> Mapping[str, object]:
    """The table [cargo] with its defaults, without what is not said."""
    return cargo.model_dump(by_alias=True, exclude_none=True)


def read_manifest(path: Path) -> Mapping[str, Any]:
    """A Cargo.toml; nothing, if it is none: Cargo tells that better."""
    if not path.is_file() or path.stat().st_size > _LARGEST_MANIFEST:
        return {}
    try:
        return tomllib.loads(path.read_bytes().decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        return {}


def _declared(found: Mapping[PurePosixPath, Path]) -> Iterator[PurePosixPath]:
    """The programs that manifests name with paths of their own."""
    for name, path in found.items():
        if name.name == "Cargo.toml":
            for declared in _paths(read_manifest(path)):
                yield _joined(name.parent, declared)


def _paths(manifest: Mapping[str, Any]) -> Iterator[str]:
    several = (manifest.get(kind) for kind in ("bin", "example", "test", "bench"))
    tables = [manifest.get("lib"), *(table for found in several if isinstance(found, list) for table in found)]
    named = [table.get("path") for table in tables if isinstance(table, dict)]
    if isinstance(package := manifest.get("package"), dict):
        build = package.get("build")  # false and true name no file
        named += build if isinstance(build, list) else [build]
    return (path for path in named if isinstance(path, str))


def _joined(folder: PurePosixPath, path: str) -> PurePosixPath:
    parts: list[str] = list(folder.parts)
    for part in PurePosixPath(path).parts:
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return PurePosixPath(*parts)
