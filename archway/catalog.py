"""The images of the monorepo: folders with a ``Dockerfile`` and an ``image.toml``.

An image's metadata is read when it is asked for, so a colleague's broken ``image.toml`` does not stop your build.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from packaging.version import InvalidVersion, Version

from archway.dockerfile import Dockerfile
from archway.errors import Location, MetadataError, UsageError, did_you_mean
from archway.metadata import Metadata, Release, read_metadata
from archway.references import check_repository
from archway.settings import Settings


@dataclass(frozen=True)
class Image:
    """A folder with a Dockerfile and an image.toml."""

    name: str
    kind: str
    folder: Path
    root: Path

    @property
    def metadata_path(self) -> Path:
        return self.folder / "image.toml"

    @property
    def dockerfile_path(self) -> Path:
        return self.folder / "Dockerfile"

    def shown(self, path: Path) -> str:
        """A path as messages show it: from the monorepo's root."""
        return path.relative_to(self.root).as_posix()

    @cached_property
    def metadata(self) -> Metadata:
        """:raises MetadataError: the file is missing, no TOML, or has mistakes (all of them are told)"""
        return read_metadata(self.metadata_path, shown=self.shown(self.metadata_path))

    @cached_property
    def dockerfile(self) -> Dockerfile:
        """:raises MetadataError: the file is missing or cannot be parsed"""
        return Dockerfile.read(self.dockerfile_path, shown=self.shown(self.dockerfile_path))

    @property
    def releases(self) -> Sequence[Release]:
        return self.metadata.release

    def release(self, version: str | None = None) -> Release:
        """The release of a version; without one, the default or else the newest.

        :raises UsageError: there is no such version
        """
        if version is None:
            marked = [release for release in self.releases if release.default]
            return marked[0] if marked else max(self.releases, key=lambda release: _age(release.version))
        for release in self.releases:
            if release.version == version:
                return release
        raise UsageError(
            f"{self.name} has no version {version!r}",
            where=self.shown(self.metadata_path),
            hint=did_you_mean(version, [release.version for release in self.releases]),
        )


def _age(version: str) -> tuple[Version, str]:
    try:
        return Version(version), version
    except InvalidVersion:
        return Version("0"), version


class Catalog:
    """All images of a monorepo, by name.

    The folder gives the name: ``products/hive`` is ``hive``, ``java-base`` is ``java-base``, and ``operators/kafka``
    is ``kafka-operator``, so that a product and its operator do not collide.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._images = {image.name: image for image in _find(settings)}

    def __iter__(self) -> Iterator[Image]:
        return iter(self._images.values())

    def __contains__(self, name: object) -> bool:
        return name in self._images

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._images)

    def image(self, name: str, *, kind: str | None = None) -> Image:
        """The image of a name.

        :param kind: ``product`` or ``operator``, whose names are their folders'; or any
        :raises UsageError: there is none
        """
        known = {image.folder.name if kind else image.name: image for image in self if kind in (None, image.kind)}
        if found := known.get(name):
            return found
        for image in self:
            if name in (image.name, image.folder.name):
                shown = image.name if image.kind == "image" else image.folder.name
                what = "a shared image" if image.kind == "image" else f"a {image.kind}".replace("a o", "an o")
                raise UsageError(f"{name} is {what}: say --{image.kind} {shown}")
        for folder in _folders(self.settings):
            if folder.name == name and (folder / "Dockerfile").is_file():
                where = f"{folder.relative_to(self.settings.root)}/image.toml"
                raise MetadataError("there is no image.toml", where=where, hint="docs/image-toml.md shows a small one")
        raise UsageError(f"there is no {kind or 'image'} {name!r}", hint=did_you_mean(name, known) or _none_yet(kind))


def _none_yet(kind: str | None) -> str:
    return f"this monorepo has no {kind or 'image'} yet: a folder with a Dockerfile and an image.toml makes one"


_KINDS = {"products": "product", "operators": "operator"}


def _find(settings: Settings) -> Iterator[Image]:
    seen: dict[str, Path] = {}
    for folder in _folders(settings):
        if not (folder / "image.toml").is_file():
            continue
        kind = _KINDS.get(folder.parent.name, "image") if folder.parent != settings.root else "image"
        name = f"{folder.name}-operator" if kind == "operator" else folder.name
        place = Location(folder.relative_to(settings.root).as_posix())
        check_repository(name, where=place)
        if name in seen:
            raise MetadataError(
                f"two images have the name {name!r}",
                where=place,
                why=f"the other is {seen[name].relative_to(settings.root)}",
                hint="rename one of the folders",
            )
        seen[name] = folder
        yield Image(name=name, kind=kind, folder=folder, root=settings.root)


def _folders(settings: Settings) -> list[Path]:
    """The folders in which images may be, without hidden ones."""
    found = (folder for glob in settings.images for folder in settings.root.glob(glob) if folder.is_dir())
    return sorted({folder for folder in found if not folder.name.startswith(".")})
