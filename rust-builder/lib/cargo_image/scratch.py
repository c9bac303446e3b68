"""A stand-in for the user's files, in which Cargo may write.

It is made of links to everything, with folders of its own only on the way to the files that are to be changed. So
nothing is copied, paths such as ``../library`` and Cargo's configuration in parent folders are where they were, and
what Cargo writes replaces a file of the stand-in.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Scratch:
    """The stand-in of the whole file system."""

    root: Path

    def __call__(self, path: Path) -> Path:
        """Where a file or folder of the user is in the stand-in."""
        return self.root / path.relative_to("/")


@contextmanager
def scratch(files: Iterable[Path]) -> Iterator[Scratch]:
    """A stand-in in which these files, given by their real paths, are copies that may be changed."""
    with tempfile.TemporaryDirectory(prefix="cargo-image-") as folder:
        made = Scratch(root=Path(folder) / "root")
        own = set(files)
        ways = {parent for file in own for parent in file.parents}
        for way in sorted(ways):
            made(way).mkdir(parents=True)
            for entry in _entries(way):
                if entry not in ways and entry not in own:
                    made(entry).symlink_to(entry)
        for file in own:
            made(file).write_bytes(file.read_bytes())
        yield made


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except PermissionError:
        return []  # A parent folder that may be crossed only; Cargo could not look into it either.
