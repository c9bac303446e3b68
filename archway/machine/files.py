"""The files of this machine, as far as they can be read. Tests give another root folder than ``/``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Files:
    """Beneath a root folder, named by the paths that they have on the machine."""

    root: Path = Path("/")

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def text(self, path: str) -> str:
        """What a file holds; empty if it cannot be read, or vanished since it was listed."""
        try:
            return self.at(path).read_text(errors="replace")
        except OSError:
            return ""

    def absent(self, path: str) -> bool:
        """Whether there is certainly nothing: what this user may not see might be there, and is never written."""
        try:
            self.at(path).lstat()
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:
            return False
        return False

    def names(self, folder: str) -> Iterator[str]:
        """The names in a folder, in its own order; none if it cannot be read."""
        try:
            yield from [path.name for path in self.at(folder).iterdir()]
        except OSError:
            return
