"""``inv inspect``: what a reference names, in a registry or in the engine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from archway import log, tags
from archway.catalog import Catalog
from archway.distribution import Config, Stored
from archway.distribution.layout import open_layout
from archway.engine import Engine
from archway.errors import ListError, RegistryError
from archway.labels import OCI
from archway.lists import attestations_of, images_of, platform_faults
from archway.platforms import Platform
from archway.references import Reference, is_registry
from archway.remote import repository_of
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
    name, _, version = text.partition("=")
    image = catalog.image(name)
    return tags.list_of(image, image.release(version or None), settings)


def inspect(engine: Engine, settings: Settings, catalog: Catalog, reference: Reference, *, local: bool) -> Inspection:
    """Read what a reference names: in its registry, else in the engine.

    :param local: ask the engine only
    :raises ListError: neither has it
    :raises RegistryError: the registry cannot be asked, and the engine does not have it
    """
    wanted = _wanted(catalog, reference)
    trouble: RegistryError | None = None
    if not local:
        repository = repository_of(settings, reference)
        try:
            if stored := repository.get(reference.tag):
                return _read(repository, stored, reference, "registry", wanted)
        except RegistryError as failed:
            trouble = failed
    if engine.answers and engine.image(str(reference)):
        if trouble:
            log.warn(str(trouble))
        with _saved(engine, settings, reference) as (layout, stored):
            return _read(layout, stored, reference, "engine", wanted)
    if trouble:
        raise trouble
    near = "" if local else repository_of(settings, reference).nearest_tag(reference.tag)
    place = "the engine does not have it" if local else "neither the registry nor the engine has it"
    raise ListError(f"{reference} is not there", why=place, hint=near)


@contextmanager
def _saved(engine: Engine, settings: Settings, reference: Reference) -> Iterator[tuple[Source, Stored]]:
    settings.state.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.state, prefix="inspect-") as folder:
        archive = Path(folder) / "image.tar"
        engine.save(str(reference), archive)
        with open_layout(archive) as layout:
            stored = layout.get(layout.top)
            if stored is None:
                raise RegistryError(f"the engine's archive of {reference} lacks {layout.top}")
            yield layout, stored


def _wanted(catalog: Catalog, reference: Reference) -> Sequence[Platform]:
    """The platforms that the metadata wants of a list; none where the name is not one of this monorepo's."""
    name = reference.repository.rpartition("/")[2]
    if name not in catalog:
        return ()
    return catalog.image(name).metadata.platforms or catalog.settings.platforms


def _read(source: Source, stored: Stored, reference: Reference, where: str, wanted: Sequence[Platform]) -> Inspection:
    rows, faults = [], []
    if stored.is_list:
        faults += list(platform_faults(stored.manifest, wanted, strict=bool(wanted)))
        for entry in images_of(stored.manifest):
            image = source.get(entry.digest)
            if image is None:
                faults.append(f"names {entry.digest} ({entry.platform}), which is not there")
                continue
            row = _row(source, image, attestations=len(attestations_of(stored.manifest, entry.digest)))
            rows.append(row)
            if entry.platform and entry.platform.known != (Platform.known(row.platform)):
                faults.append(f"calls {entry.digest} {entry.platform}, but it is {row.platform}")
    else:
        rows.append(_row(source, stored, attestations=0))
    return Inspection(
        reference=reference, where=where, digest=stored.digest, is_list=stored.is_list, rows=tuple(rows),
        faults=tuple(faults),
    )  # fmt: skip


def _row(source: Source, image: Stored, *, attestations: int) -> Row:
    config = source.config(image)
    manifest = image.manifest
    blobs = [*manifest.layers, *([manifest.config] if manifest.config else ())]
    return Row(
        platform=str(config) or "unknown",
        digest=image.digest,
        size=len(image.data) + sum(blob.size for blob in blobs),
        created=config.labels.get(f"{OCI}created") or config.created,
        base=config.labels.get(f"{OCI}base.name", ""),
        version=config.labels.get(f"{OCI}version", ""),
        attestations=attestations,
    )


def judge(found: Inspection) -> None:
    """:raises ListError: something is wrong with it"""
    if found.faults:
        raise ListError(f"{found.reference} is not what it should be", why="\n".join(found.faults))
