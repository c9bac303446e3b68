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
_MOST_STEPS = 1024  # no real path has so many parts; a million hostile links would take hours
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

    def resolve(self, path: str) -> str:
        """An absolute path with every symbolic link in it replaced; empty where links lead in a circle."""
        links = steps = 0
        done = "/"
        left = [part for part in path.split("/") if part not in ("", ".")][::-1]
        while left:
            steps += 1
            if steps > _MOST_STEPS:
                return ""
            part = left.pop()
            if part == "..":
                done = posixpath.dirname(done)
                continue
            here = posixpath.join(done, part)
            target = self._links.get(here)
            if target is None:
                done = here
                continue
            links += 1
            if links > _MOST_LINKS:
                return ""
            done = "/" if target.startswith("/") else done
            left += [piece for piece in target.split("/") if piece not in ("", ".")][::-1]
        return done


def at(file: File, rule: str, found: str, expected: str, *, inside: str = "") -> Finding:
    """A finding about a file, or about what lies inside it."""
    # Most findings say the same of other paths: a hundred thousand of them share their texts.
    found, expected, layer = (sys.intern(printable(text)) for text in (found, expected, file.layer))
    path = printable(file.path) + (f"!/{inside}" if inside else "")
    return Finding(rule=rule, path=path, found=found, expected=expected, layer=layer)
