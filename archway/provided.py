"""The folders that archway hands over to a Dockerfile beside images: what they are made of, and how they are made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from archway.cargo_folders import wishes, write_manifests, write_source
from archway.catalog import Image
from archway.inputs import context_digest
from archway.metadata import Release
from archway.metadata_cargo import Cargo, Source
from archway.published import LOCK, read, render
from archway.scratch import scratch
from archway.settings import Settings
from archway.sources import identity
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


def files_digest(image: Image, release: Release, folders: frozenset[str]) -> str:
    """The identity of all files of a release: those of its own folder, and those that are handed over.

    :raises MetadataError: the source is a folder that is not fit
    """
    own = context_digest(image.folder)
    if not folders:
        return own
    found: list[object] = [own]
    if folders & {SOURCE, MANIFESTS}:
        found += [identity(source_of(release), image), dict(wishes(cargo_of(image)))]
    if PUBLISHED in folders:
        found.append(published_products(image.root))
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


@contextmanager
def provided(
    settings: Settings, step: Step, fetch: Callable[[Source], Path], *, anew: bool = False
) -> Iterator[dict[str, str]]:
    """The folders that a step needs, by the names that its Dockerfile has for them, while it is built.

    :param anew: dependencies are compiled again, though BuildKit's cache mounts have them
    :param fetch: brings a source to this machine
    :raises ArchwayError: it cannot
    """
    if not step.folders:
        yield {}
        return
    with scratch(settings.state, "provided") as place:
        made = {name: place / name for name in sorted(step.folders)}
        project = fetch(source_of(step.release)) if step.folders & {SOURCE, MANIFESTS} else Path()
        makers: Mapping[str, Callable[[Path], None]] = {
            SOURCE: lambda out: write_source(project, out),
            MANIFESTS: lambda out: write_manifests(project, out, cargo_of(step.image), anew=anew),
            PUBLISHED: lambda out: _write(out / LOCK, published_products(settings.root)),
        }
        for name, folder in made.items():
            folder.mkdir()
            makers[name](folder)
        yield {name: str(folder) for name, folder in made.items()}


def published_products(root: Path) -> str:
    """``images.lock.toml`` without operators: one that held its own entry would be out of date once it is published.

    :raises MetadataError: the file is broken
    """
    return render(entry for entry in read(root) if not entry.name.endswith("-operator"))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
