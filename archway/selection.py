"""What the options of a task ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from archway.catalog import Catalog, Image
from archway.errors import UsageError
from archway.metadata import Release
from archway.platforms import Platform, parse_platforms


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A release that somebody asked for, and for which platforms."""

    image: Image
    release: Release
    platforms: tuple[Platform, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The options that select images: ``--product hive=4.0.1 --image base --all --arch all``."""

    products: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    everything: bool = False
    arch: str = "native"

    @classmethod
    def of(
        cls,
        product: Sequence[str],
        operator: Sequence[str],
        image: Sequence[str],
        *,
        everything: bool,
        arch: str = "all",
    ) -> Selection:
        """The images that a task's options name."""
        return cls(
            products=tuple(product), operators=tuple(operator), images=tuple(image), everything=everything, arch=arch
        )

    def requests(self, catalog: Catalog, *, native: Callable[[], Platform]) -> tuple[Request, ...]:
        """What is asked for. Without a version it is the default release; ``all`` are the platforms of each image.

        :param native: asked for the engine's platform, when that is needed and the rest is right
        :raises UsageError: an image, version or platform does not exist, or nothing is asked for
        """
        found = {}
        for image, release in [*self._named(catalog), *(self._shipped(catalog) if self.everything else ())]:
            supported = tuple(image.metadata.platforms or catalog.settings.platforms)
            platforms = parse_platforms(self.arch, default=supported, native=native)
            found[image.name, release.version] = Request(image=image, release=release, platforms=platforms)
        if not found:
            products = ", ".join(sorted(image.folder.name for image in catalog if image.kind == "product"))
            raise UsageError(
                "nothing to do",
                hint=f"say --product NAME, --operator NAME, --image NAME or --all\nproducts: {products or 'none yet'}",
            )
        return tuple(found.values())

    def _named(self, catalog: Catalog) -> Iterator[tuple[Image, Release]]:
        for kind, entries in (("product", self.products), ("operator", self.operators), (None, self.images)):
            for word in (part.strip() for entry in entries for part in entry.split(",")):
                name, equals, version = word.partition("=")
                if not word:
                    continue
                image = catalog.image(name, kind=kind)
                if equals and not version:
                    hint = f"say {name} or {name}={image.release().version}"
                    raise UsageError(f"{word!r} has no version after =", hint=hint)
                yield image, image.release(version or None)

    def _shipped(self, catalog: Catalog) -> Iterator[tuple[Image, Release]]:
        return ((image, image.release()) for image in catalog if not image.metadata.builder)
