"""Finding files in an image, as its loader and its kernel do: by path, through symbolic links."""

from __future__ import annotations

import posixpath
import sys
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence

from archway.platforms import Platform
from archway.verify.findings import Finding
from archway.verify.rootfs import File
from archway.verify.tar import printable

_MOST_LINKS = 40  # MAXSYMLINKS of Linux
_NOWHERE = ("", _MOST_LINKS)
_Walk = Generator[str, None, tuple[str, int]]
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
        return self._follow(self._walk("/", path))[0]

    def _follow(self, walk: _Walk) -> tuple[str, int]:
        """Where a walk leads, and through how many links. Each link is followed once and without recursion: a million
        hostile ones that lead to each other would take hours. What is kept of a link holds wherever it is met."""
        walks = deque([("", walk)])
        result, lost = _NOWHERE, False
        while walks:
            link, walk = walks[-1]
            try:
                wanted = next(walk)
            except StopIteration as end:
                walks.pop()
                result = end.value
                if link:
                    self._followed[link] = result
                continue
            self._followed[wanted] = _NOWHERE  # until it is known, so that a circle ends: all of it leads nowhere
            walks.append((wanted, self._walk(posixpath.dirname(wanted), self._links[wanted])))
            if len(walks) > _MOST_LINKS + 2:  # the first one is through too many: it stays nowhere, the others go on
                walks.popleft()
                lost = True
        return _NOWHERE if lost else result

    def _walk(self, done: str, path: str) -> _Walk:
        """Follow a path from a folder. Gives the links that are not known yet, and goes on when they are."""
        links = 0
        done = "/" if path.startswith("/") else done
        for part in path.split("/"):
            if part == "..":
                done = posixpath.dirname(done)
            elif part not in ("", "."):
                here = posixpath.join(done, part)
                if here not in self._links:
                    done = here
                    continue
                if here not in self._followed:
                    yield here
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
