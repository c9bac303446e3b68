"""What the options of ``inv patch-openssl`` ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from archway.build import Building
from archway.catalog import Catalog, Image
from archway.engine import Engine
from archway.errors import UsageError
from archway.metadata import Release
from archway.metadata_cargo import Cargo
from archway.openssl import Answer, Subject, ask
from archway.plan import make_plan
from archway.platforms import Platform, parse_platforms
from archway.provided import RUST_BUILDER, cargo_of, source_of
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
        return [ask(engine, settings, subject, builder=builder, undo=self.undo) for subject in subjects]

    def _requests(self, engine: Engine, catalog: Catalog) -> Sequence[Request]:
        names = self.operators or tuple(image.folder.name for image in catalog if is_rust(image))
        if not names:
            return ()
        selection = Selection(operators=names, arch=self.arch) if self.operators else Selection(
            images=tuple(image.name for image in catalog if is_rust(image)), arch=self.arch
        )  # fmt: skip
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
            )

    def _folder(self, engine: Engine, settings: Settings) -> Subject:
        folder = Path(self.path)
        if not (folder / "Cargo.toml").is_file():
            raise UsageError(f"--path {self.path}: there is no Cargo.toml", hint="name the folder of the Cargo project")
        platforms = parse_platforms(self.arch, default=settings.platforms, native=lambda: engine.platform)
        cargo = Cargo.model_validate({"package": self.package} if self.package else {})
        return Subject(name=self.path, folder=folder.resolve(), cargo=cargo, platforms=platforms, ours=True)


def is_rust(image: Image) -> bool:
    """Whether an image is made of a Cargo project."""
    return (image.folder / "Cargo.toml").is_file() or any(map(_has_source, image.releases))


def _has_source(release: Release) -> bool:
    return release.source is not None


def rust_builder(engine: Engine, settings: Settings, catalog: Catalog) -> str:
    """The name of the image that has cargo; it is built if that is due.

    :raises UsageError: the monorepo has none
    """
    if RUST_BUILDER not in catalog:
        raise UsageError(
            f"there is no image {RUST_BUILDER} in this monorepo", hint="docs/operators.md tells what it is"
        )
    image = catalog.image(RUST_BUILDER)
    here: Platform = engine.platform
    request = Request(image=image, release=image.release(), platforms=(here,))
    steps = make_plan(catalog, [request], build_platform=here)
    Building(engine=engine, settings=settings).run(steps)
    return str(steps[-1].reference)
