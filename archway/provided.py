"""The folders that archway hands over to a Dockerfile beside images: what they are made of, and how they are made."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from archway.cargo_folders import project_files, wishes, write_manifests, write_source
from archway.catalog import Catalog, Image
from archway.dockerfile import Dockerfile
from archway.inputs import context_digest, digest
from archway.metadata import Release
from archway.metadata_cargo import Cargo, Source
from archway.published import LOCK, read, render
from archway.scratch import scratch
from archway.settings import Settings
from archway.sources import identity
from archway.sources.folder import find_folder
from archway.sources.place import Place
from archway.targets import MANIFESTS, PUBLISHED, SOURCE, Step

RUST_BUILDER = "rust-builder"
"""The image that has cargo."""
OWN_FOLDER = Source(path=".")
"""Where a Cargo project is, if image.toml does not say."""


def source_of(release: Release) -> Source:
    """Where the Cargo project of a release comes from."""
    return release.source or OWN_FOLDER


def cargo_of(image: Image) -> Cargo:
    """What is built of it."""
    return image.metadata.cargo or Cargo()


def shown_source(image: Image, release: Release) -> str:
    """Where the Cargo project of a release comes from, as messages show it."""
    match source_of(release):
        case Source(path=str(path)):
            return os.path.normpath(f"{image.shown(image.folder)}/{path}")
        case Source(git=str(git)):
            return git
        case source:
            return f"crate {source.crate} {source.version}"


def products_of(catalog: Catalog) -> frozenset[str]:
    """The names of the products: what the folder ``published`` tells of."""
    return frozenset(image.name for image in catalog if image.kind == "product")


def files_digest(image: Image, release: Release, folders: frozenset[str], products: frozenset[str]) -> str:
    """The identity of all files of a release: those of its own folder, and those that are handed over.

    :param products: see :func:`products_of`
    :raises MetadataError: the source is a folder that is not fit
    :raises OSError: something cannot be read
    """
    if not folders:
        return context_digest(image.folder)
    found: list[object] = [_own_files(image, folders)]
    if folders & {SOURCE, MANIFESTS}:
        found += [_identity(image, release), dict(wishes(cargo_of(image)))]
    if PUBLISHED in folders:
        found.append(published_products(image.root, products))
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def _own_files(image: Image, folders: frozenset[str]) -> str:
    """The identity of the image's own folder: all that BuildKit would copy, caches too, if the Dockerfile copies of it.

    A Rust program's Dockerfile need not: what is handed over to it has an identity of its own.
    """
    if folders & {SOURCE, MANIFESTS} and not takes_context(image.dockerfile):
        return digest((path.name, path) for path in (image.dockerfile_path, image.metadata_path))
    return context_digest(image.folder)


def takes_context(dockerfile: Dockerfile) -> bool:
    """Whether a build may see files of the folder that the Dockerfile is in. In doubt it does."""
    for instruction in dockerfile.instructions:
        if instruction.keyword == "ONBUILD":
            return True
        if instruction.keyword in ("ADD", "COPY") and not instruction.flag("from"):
            return True
        if any(not _OTHER_MOUNT.search(mount) for mount in instruction.flag("mount")):
            return True
    return False


_OTHER_MOUNT = re.compile(r"(^|,)(from=|type=(cache|secret|ssh|tmpfs)(,|$))")
"""A mount of a RUN that is none of the build's context."""


def _identity(image: Image, release: Release) -> list[str]:
    source = source_of(release)
    if source.path is None:
        return identity(source, image)
    folder = find_folder(Place(image=image, source=source), source.path)
    without = _only_tested(image, folder)
    found = project_files(folder, ours=True).items()
    return ["path", digest((str(name), path) for name, path in found if name not in without)]


def _only_tested(image: Image, folder: Path) -> frozenset[PurePosixPath]:
    """The files of a project that only a test of the image reads; a change in them does not compile it again."""
    if (tested := image.metadata.kubernetes) is None:
        return frozenset()
    top = Path(os.path.realpath(folder))
    paths = [Path(os.path.realpath(image.folder / name)) for name in (tested.resources, tested.expect)]
    inside = [path.relative_to(top) for path in paths if path.is_relative_to(top)]
    return frozenset(PurePosixPath(path.as_posix()) for path in inside)


@contextmanager
def provided(
    settings: Settings, step: Step, fetch: Callable[[Source], Path], *, products: frozenset[str], anew: bool = False
) -> Iterator[dict[str, str]]:
    """The folders that a step needs, by the names that its Dockerfile has for them, while it is built.

    :param products: see :func:`products_of`
    :param anew: dependencies are compiled again, though BuildKit's cache mounts have them
    :param fetch: brings a source to this machine
    :raises ArchwayError: it cannot
    """
    if not step.folders:
        yield {}
        return
    with scratch(settings.state, "provided") as place:
        made = {name: place / name for name in sorted(step.folders)}
        source, cargo = source_of(step.release), cargo_of(step.image)
        project, ours = fetch(source) if step.folders & {SOURCE, MANIFESTS} else Path(), source.path is not None
        without = _only_tested(step.image, project) if ours else frozenset()
        makers: Mapping[str, Callable[[Path], None]] = {
            SOURCE: lambda out: write_source(project, out, ours=ours, without=without),
            MANIFESTS: lambda out: write_manifests(project, out, cargo, ours=ours, anew=anew),
            PUBLISHED: lambda out: _write(out / LOCK, published_products(settings.root, products)),
        }
        for name, folder in made.items():
            folder.mkdir()
            makers[name](folder)
        yield {name: str(folder) for name, folder in made.items()}


def published_products(root: Path, products: frozenset[str]) -> str:
    """``images.lock.toml``, of it only the products: what an operator starts, and none that it stands on itself.

    One that held an operator's own entry would be out of date once it is published.

    :raises MetadataError: the file is broken
    """
    return render(entry for entry in read(root) if entry.name in products)


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
