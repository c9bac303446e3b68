"""Finding files in an image, as its loader and its kernel do: by path, through symbolic links."""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Iterable, Mapping, Sequence

from archway.platforms import Platform
from archway.verify.findings import Finding
from archway.verify.rootfs import File
from archway.verify.tar import printable

_MOST_LINKS = 40  # MAXSYMLINKS of Linux
_DEEPEST = 200
_NOWHERE = ("", _MOST_LINKS)
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Root:
    """All files of one image, and what its configuration says of its environment.

    ``files`` are the regular ones, also those that engines might not show; ``env`` are the variables of the
    configuration.
    """

    def __init__(self, files: Iterable[File], platform: Platform, env: Sequence[str] = ()) -> None:
        self.platform = platform
        self.files: list[File] = []
        self._by_path: dict[str, File] = {}
        self._links: dict[str, str] = {}
        self._followed: dict[str, tuple[str, int]] = {}
        for file in files:
            if file.target:
                self._links.setdefault(file.path, file.target)
            else:
                self.files.append(file)
                self._by_path.setdefault(file.path, file)
        self.env: Mapping[str, str] = dict(variable.split("=", 1) for variable in env if "=" in variable)

    @property
    def links(self) -> Mapping[str, str]:
        """The symbolic links: their path, and what they say."""
        return self._links

    @property
    def search_path(self) -> list[str]:
        """The folders of PATH."""
        return [folder for folder in self.env.get("PATH", _DEFAULT_PATH).split(":") if folder.startswith("/")]

    def find(self, path: str) -> File | None:
        """The file of an absolute path, as the kernel finds it; None where there is none, or links lead in a circle."""
        return self._by_path.get(path) or self._by_path.get(self.resolve(path))

    def find_in(self, folder: str, name: str) -> File | None:
        """The same as :meth:`find` of both together, quicker where ``folder`` has no symbolic link in it."""
        path = posixpath.join(folder, name)
        return self.find(path) if path in self._links or "/" in name else self._by_path.get(path)

    def resolve(self, path: str) -> str:
        """An absolute path with every symbolic link in it replaced; empty where links lead in a circle."""
        return self._walk("/", path, 0)[0]

    def _walk(self, done: str, path: str, depth: int) -> tuple[str, int]:
        """Where a path leads from a folder, and through how many links. Each link is followed once: a million hostile
        ones that lead to each other would take hours."""
        links = 0
        for part in path.split("/"):
            if part == "..":
                done = posixpath.dirname(done)
            elif part not in ("", "."):
                here = posixpath.join(done, part)
                target = self._links.get(here)
                if target is None:
                    done = here
                    continue
                if here not in self._followed:
                    self._followed[here] = _NOWHERE  # until it is known, so that a circle ends
                    start = "/" if target.startswith("/") else done
                    self._followed[here] = self._walk(start, target, depth + 1) if depth < _DEEPEST else _NOWHERE
                done, more = self._followed[here]
                links += 1 + more
                if links > _MOST_LINKS:
                    return _NOWHERE
        return done, links


def at(file: File, rule: str, found: str, expected: str, *, inside: str = "") -> Finding:
    """A finding about a file, or about what lies inside it."""
    # Most findings say the same of other paths: a hundred thousand of them share their texts.
    found, expected, layer = (sys.intern(printable(text)) for text in (found, expected, file.layer))
    path = printable(file.path) + (f"!/{inside}" if inside else "")
    return Finding(rule=rule, path=path, found=found, expected=expected, layer=layer)
