"""What the options of ``inv patch-openssl`` ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from archway.build import Building
from archway.cargo_folders import read_manifest
from archway.catalog import Catalog, Image
from archway.engine import Engine
from archway.errors import BuildError, UsageError
from archway.metadata_cargo import Cargo
from archway.openssl import Answer, Subject, ask
from archway.plan import plan_image
from archway.platforms import parse_platforms
from archway.provided import RUST_BUILDER, cargo_of, shown_source, source_of
from archway.selection import Request, Selection
from archway.settings import Settings
from archway.sources import fetch


@dataclass(frozen=True, kw_only=True, slots=True)
class OpensslRequest:
    """The options, and what they mean together."""

    operators: tuple[str, ...] = ()
    path: str = ""
    package: str = ""
    arch: str = "all"
    check: bool = False
    diff: bool = False
    write: bool = False
    undo: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        named = [name for name in ("check", "diff", "write") if getattr(self, name)]
        if len(named) > 1:
            raise UsageError(f"--{named[0]} and --{named[1]} exclude each other", hint="leave one of them out")
        if self.path and self.operators:
            raise UsageError("--path is for a folder that is no image of the monorepo", hint="leave --operator out")
        if self.package and not self.path:
            raise UsageError(
                "--package goes with --path", hint="for an operator it stands in image.toml: [cargo] package"
            )
        if self.write and not (self.path or self.operators):
            raise UsageError("--write does not say where", hint="say --operator NAME, or --path DIR")
        if self.undo and not (self.diff or self.write):
            raise UsageError("--undo changes nothing by itself", hint="say --undo --diff, or --undo --write")

    def answers(self, engine: Engine, settings: Settings, catalog: Catalog) -> list[Answer]:
        """What cargo says of each project that is asked for; rust-builder is built first where that is due.

        :raises ArchwayError: an option is wrong, a project is not fit, or rust-builder cannot be built
        """
        requests = [] if self.path else self._requests(engine, catalog)
        if not (self.path or requests):
            raise UsageError("there is no Cargo project in this monorepo", hint="say --path DIR")
        own = self._folder(engine, settings) if self.path else None
        builder = rust_builder(engine, settings, catalog)
        subjects = [own] if own else self._subjects(engine, settings, requests, builder)
        try:
            return [ask(engine, settings, subject, builder=builder, undo=self.undo) for subject in subjects]
        except BuildError as failed:
            # A folder has no image.toml in which a package could be named.
            why = failed.why.replace("[cargo] package in image.toml", "--package NAME") if self.path else failed.why
            raise type(failed)(failed.what, where=failed.where or None, why=why, hint=failed.hint) from None

    def _requests(self, engine: Engine, catalog: Catalog) -> Sequence[Request]:
        all_rust = () if self.operators else tuple(image.name for image in catalog if is_rust(image))
        if not (self.operators or all_rust):
            return ()
        selection = Selection(operators=self.operators, images=all_rust, arch=self.arch)
        requests = selection.requests(catalog, native=lambda: engine.platform)
        for request in requests:
            if not is_rust(request.image):
                raise UsageError(
                    f"{request.image.name} is no Rust program", why="it has no Cargo.toml and no source in image.toml",
                    hint="say --path DIR for a folder that has one",
                )  # fmt: skip
        return requests

    def _subjects(
        self, engine: Engine, settings: Settings, requests: Sequence[Request], builder: str
    ) -> Iterator[Subject]:
        for request in requests:
            source = source_of(request.release)
            yield Subject(
                name=f"{request.image.name} {request.release.version}",
                folder=fetch(engine, settings, source, request.image, builder=builder),
                cargo=cargo_of(request.image),
                platforms=request.platforms,
                ours=source.path is not None,
                shown=shown_source(request.image, request.release),
            )

    def _folder(self, engine: Engine, settings: Settings) -> Subject:
        folder = Path(self.path).resolve()
        if not (folder / "Cargo.toml").is_file():
            raise UsageError(f"--path {self.path}: there is no Cargo.toml", hint="name the folder of the Cargo project")
        root = find_workspace(folder)
        if not (root / "Cargo.lock").is_file():
            raise UsageError(
                f"--path {self.path}: there is no Cargo.lock, and no workspace above it that has one",
                hint="run `cargo generate-lockfile` there, or name the folder of the workspace",
            )
        package = self.package or ("" if root == folder else package_of(folder))
        platforms = parse_platforms(self.arch, default=settings.platforms, native=lambda: engine.platform)
        try:
            cargo = Cargo.model_validate({"package": package} if package else {})
        except ValidationError:
            raise UsageError(
                f"{package!r} is no name of a package", hint="it stands in its Cargo.toml: [package] name"
            ) from None
        shown = self.path if root == folder else str(root)
        return Subject(name=self.path, folder=root, cargo=cargo, platforms=platforms, ours=True, shown=shown)


def find_workspace(folder: Path) -> Path:
    """The folder with the Cargo.lock of a project: its own, or that of the workspace that it is a member of.

    As Cargo has it: ``package.workspace`` names it, or it is the nearest above that does not exclude the member. One
    without a lock is passed over, and a project with its own lock stays alone unless a workspace names it.
    """
    manifest = read_manifest(folder / "Cargo.toml")
    if "workspace" in manifest:
        return folder
    if isinstance(named := _table(manifest, "package").get("workspace"), str):
        return (folder / named).resolve()
    alone = (folder / "Cargo.lock").is_file()
    for above in folder.parents:
        workspace = read_manifest(above / "Cargo.toml").get("workspace")
        if not isinstance(workspace, dict) or not (above / "Cargo.lock").is_file():
            continue
        member = folder.relative_to(above)
        excluded = any(member.is_relative_to(name) for name in _names(workspace, "exclude"))
        if _is_member(member, workspace) or not (alone or excluded):
            return above
    return folder


def _is_member(member: Path, workspace: Mapping[str, Any]) -> bool:
    globs = [Path(os.path.normpath(name)) for name in _names(workspace, "members")]
    return any(len(glob.parts) == len(member.parts) and member.match(str(glob)) for glob in globs)


def _names(table: Mapping[str, Any], key: str) -> list[str]:
    found = table.get(key)
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def _table(manifest: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = manifest.get(key)
    return found if isinstance(found, dict) else {}


def package_of(folder: Path) -> str:
    """The name of the package in a folder; empty, if its Cargo.toml has none."""
    name = _table(read_manifest(folder / "Cargo.toml"), "package").get("name")
    return name if isinstance(name, str) else ""


def is_rust(image: Image) -> bool:
    """Whether an image is made of a Cargo project."""
    return (image.folder / "Cargo.toml").is_file() or any(release.source for release in image.releases)


def rust_builder(engine: Engine, settings: Settings, catalog: Catalog) -> str:
    """The name of the image that has cargo; it is built if that is due.

    :raises UsageError: the monorepo has none
    """
    if RUST_BUILDER not in catalog:
        raise UsageError(
            f"there is no image {RUST_BUILDER} in this monorepo", hint="docs/operators.md tells what it is"
        )
    steps = plan_image(catalog, RUST_BUILDER, engine.platform)
    Building(engine=engine, settings=settings).run(steps)
    return str(steps[-1].reference)
