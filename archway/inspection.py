"""``inv inspect``: what a reference names, in a registry or in the engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, Protocol

from archway import log, tags
from archway.catalog import Catalog, Image
from archway.distribution import Config, Stored
from archway.distribution.layout import open_layout
from archway.distribution.trouble import printable
from archway.engine import Engine
from archway.errors import ListError, RegistryError, UsageError
from archway.labels import OCI
from archway.lists import attestations_of, images_of, platform_faults
from archway.platforms import Platform
from archway.references import Reference, is_registry, member
from archway.remote import repository_of
from archway.scratch import scratch
from archway.settings import Settings


class Source(Protocol):
    """What manifests are read from: a repository, or an archive of the engine's."""

    def get(self, reference: str, /) -> Stored | None: ...
    def config(self, stored: Stored, /) -> Config: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One image. ``size`` is in bytes as it is stored, compressed; ``attestations`` are counted."""

    platform: str
    digest: str
    size: int
    created: str
    base: str
    version: str
    attestations: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What a reference names, and what is wrong with it."""

    reference: Reference
    where: str
    digest: str
    is_list: bool
    rows: tuple[Row, ...]
    faults: tuple[str, ...]


def resolve(catalog: Catalog, text: str) -> Reference:
    """What ``inv inspect`` was given: ``hive``, ``hive=4.0.1``, ``hive:TAG``, or a whole name.

    :raises UsageError: there is no such image, or it is no name
    """
    settings = catalog.settings
    if is_registry(text.partition("/")[0]) and "/" in text:
        return Reference.parse(text)
    if ":" in text or "@" in text or "/" in text:
        return Reference.parse(f"{settings.registry}/{settings.organization}/{text}")
    name, equals, version = text.partition("=")
    image = catalog.image(name)
    if equals and not version:
        raise UsageError(
            f"{text!r} has no version after =", hint=f"say {name} or {name}={image.release().version}"
        )  # fmt: skip
    return tags.list_of(image, image.release(version or None), settings)


def inspect(engine: Engine, settings: Settings, catalog: Catalog, reference: Reference, *, local: bool) -> Inspection:
    """Read what a reference names: in its registry, else in the engine.

    :param local: ask the engine only
    :raises ListError: neither has it
    :raises RegistryError: the registry cannot be asked, and the engine does not have it
    :raises MachineError: no engine answers, and nothing else is to be asked
    """
    expected = expectation(catalog, reference)
    trouble: RegistryError | None = None
    if not local:
        repository = repository_of(settings, reference)
        try:
            if stored := repository.get(reference.tag):
                return _read(repository, stored, reference, "registry", expected)
        except RegistryError as failed:
            trouble = failed
    # With --local there is nothing else to ask, so that an engine that is not there is the error.
    asked = local or engine.answers
    if asked and engine.image(str(reference)):
        if trouble:
            log.warn(str(trouble))
        with _saved(engine, settings, reference) as (layout, stored):
            return _read(layout, stored, reference, "engine", expected)
    if trouble:
        raise trouble
    if local:
        raise ListError(f"{reference} is not there", why="the engine does not have it")
    near = repository_of(settings, reference).nearest_tag(reference.tag)
    place = "neither the registry nor the engine has it" if asked else (
        "the registry does not have it, and no engine answers"
    )  # fmt: skip
    raise ListError(f"{reference} is not there", why=place, hint=near)


@contextmanager
def _saved(engine: Engine, settings: Settings, reference: Reference) -> Iterator[tuple[Source, Stored]]:
    with scratch(settings.state, "inspect") as folder:
        archive = folder / "image.tar"
        engine.save(str(reference), archive)
        with open_layout(archive) as layout:
            stored = layout.get(layout.top)
            if stored is None:
                raise RegistryError(f"the engine's archive of {reference} lacks {layout.top}")
            yield layout, stored


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What the metadata says of a name; nothing where it is not one of this monorepo's.

    :ivar platforms: those that a list has, or the one that a member is for
    :ivar kind: what the tag belongs to; empty where a list and one image are both fine
    """

    platforms: tuple[Platform, ...] = ()
    kind: Literal["list", "member", ""] = ""


def expectation(catalog: Catalog, reference: Reference) -> Expected:
    """What a name should stand for. Only names of the settings' registry and organization are this monorepo's."""
    settings = catalog.settings
    place = f"{settings.registry}/{settings.organization}/"
    name = reference.repository.removeprefix(place)
    if name == reference.repository or name not in catalog:
        return Expected()
    image = catalog.image(name)
    platforms = tuple(image.metadata.platforms or settings.platforms)
    for release in image.releases:
        if reference in (tags.list_of(image, release, settings), *tags.floating(image, release, settings)):
            return Expected(platforms=platforms, kind="list")
        if found := [p for p in platforms if _member(image, release.version, settings, p) == reference]:
            return Expected(platforms=tuple(found), kind="member")
    return Expected(platforms=platforms)


def _member(image: Image, version: str, settings: Settings, platform: Platform) -> Reference:
    return member(
        registry=settings.registry, organization=settings.organization, image=image.name, version=version,
        release=settings.release, platform=platform,
    )  # fmt: skip


def _read(source: Source, stored: Stored, reference: Reference, where: str, expected: Expected) -> Inspection:
    rows, faults = _list(source, stored, expected) if stored.is_list else _image(source, stored, expected)
    return Inspection(
        reference=reference, where=where, digest=stored.digest, is_list=stored.is_list, rows=tuple(rows),
        faults=tuple(faults),
    )  # fmt: skip


def _list(source: Source, stored: Stored, expected: Expected) -> tuple[list[Row], list[str]]:
    rows = []
    faults = list(platform_faults(stored.manifest, expected.platforms, strict=bool(expected.platforms)))
    for entry in images_of(stored.manifest):
        image = source.get(entry.digest)
        if image is None:
            faults.append(f"names {entry.digest} ({entry.platform}), which is not there")
            continue
        row = _row(source, image, attestations=len(attestations_of(stored.manifest, entry.digest)))
        rows.append(row)
        said = entry.platform
        if said and str(said) and said.known != Platform.known(row.platform):
            faults.append(f"calls {entry.digest} {said}, but it is {row.platform}")
    return rows, faults


def _image(source: Source, stored: Stored, expected: Expected) -> tuple[list[Row], list[str]]:
    row = _row(source, stored, attestations=0)
    words = ", ".join(map(str, expected.platforms))
    if expected.kind == "list":
        return [row], [f"is one image ({row.platform}), and should be a list of {words}"]
    if expected.kind == "member" and Platform.known(row.platform) not in expected.platforms:
        return [row], [f"is for {row.platform}, and should be for {words}"]
    return [row], []


def _row(source: Source, image: Stored, *, attestations: int) -> Row:
    config = source.config(image)
    manifest = image.manifest
    blobs = [*manifest.layers, *([manifest.config] if manifest.config else ())]
    return Row(
        platform=str(config) or "unknown",
        digest=image.digest,
        size=len(image.data) + sum(blob.size for blob in blobs),
        created=printable(config.labels.get(f"{OCI}created") or config.created),
        base=printable(config.labels.get(f"{OCI}base.name", "")),
        version=printable(config.labels.get(f"{OCI}version", "")),
        attestations=attestations,
    )


def judge(found: Inspection) -> None:
    """:raises ListError: something is wrong with it"""
    if found.faults:
        raise ListError(f"{found.reference} is not what it should be", why="\n".join(found.faults))
