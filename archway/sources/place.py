"""The place in image.toml that names a source, for messages."""

from __future__ import annotations

from dataclasses import dataclass

from archway.catalog import Image
from archway.errors import Location
from archway.metadata import find_line
from archway.metadata_cargo import Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A source of an image."""

    image: Image
    source: Source

    def __str__(self) -> str:
        match self.source:
            case Source(path=str(path)):
                return path
            case Source(git=str(git)):
                return f"{git} {self.source.tag or (self.source.commit or '')[:12]}"
            case _:
                return f"{self.source.crate} {self.source.version}"

    def line(self, key: str) -> Location:
        """The line of a key of the source, or of the nearest table around it."""
        path = self.image.metadata_path
        shown = self.image.shown(path)
        # A source that nobody wrote down, such as the image's own folder, has no line.
        number = next((n for n, release in enumerate(self.image.releases) if release.source == self.source), None)
        if number is None:
            return Location(shown)
        return Location(shown, find_line(path.read_text(encoding="utf-8"), ("release", number, "source", key)))
