"""The root file system of an image: its layers laid over each other, nothing unpacked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from archway.verify.tar import FOLDER, HARD_LINK, Budget, Member, Source, members, normal_path


class Layer(Protocol):
    """A layer of an image, as a tar archive."""

    @property
    def name(self) -> str: ...
    def open(self) -> Source: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A regular file of the flattened root file system. ``path`` begins with a slash; bytes that are no UTF-8 are
    kept as surrogates (:func:`printable`). ``lost`` is the target of a hard link that no layer holds: what the file
    is cannot be told."""

    path: str
    layer: str
    size: int
    mode: int
    head: bytes
    lost: str = ""


class _Content(NamedTuple):
    """What one layer does: the last entry of every path, and the paths that it removes or empties.

    Entries have their normal path; a hard link to a file of the same layer is that file, any other leads below.
    """

    entries: dict[str, Member]
    closed: set[str]

    def overtaken(self, path: str) -> bool:
        """Whether something that is no folder has later taken the place of a folder above."""
        offset = self.entries[path].offset
        return any(
            (above := self.entries.get(parent)) and above.kind != FOLDER and above.offset > offset
            for parent in _parents(path)
        )  # fmt: skip


class _Cover:
    """What the layers above hide: a path they have, and everything below a path where no folder shines through."""

    def __init__(self) -> None:
        self._paths: set[str] = set()
        self._closed: set[str] = set()

    def hides(self, path: str) -> bool:
        return path in self._paths or path in self._closed or any(parent in self._closed for parent in _parents(path))

    def add(self, content: _Content, budget: Budget) -> None:
        self._closed |= content.closed
        for path, entry in content.entries.items():
            if entry.kind != FOLDER:
                self._closed.add(path)
            self._paths.add(path)
            for parent in _parents(path):
                if parent in self._paths:
                    break
                budget.spend(entries=1, names=len(parent))
                self._paths.add(parent)


def flatten(layers: Sequence[Layer], budget: Budget) -> Iterator[File]:
    """Every regular file that a container would see, once, from the uppermost layer down to the first.

    Paths are literal, as overlay file systems take them: ``/lib/x`` of one layer is not ``/usr/lib/x`` of another,
    whatever ``/lib`` links to. Where engines differ, the file is given: better one too many than one unseen.

    :param layers: the lowest first, as manifests have them
    :raises VerifyError: a layer cannot be read, or asks for more than the limits
    """
    cover = _Cover()
    wanted: dict[str, list[str]] = {}  # hard links that lead to lower layers, by their target
    for layer in reversed(layers):
        content = _read(layer, budget)
        for target in wanted.keys() & content.entries.keys():
            links, entry = wanted.pop(target), content.entries[target]
            if entry.kind == HARD_LINK:
                wanted.setdefault(entry.link, []).extend(links)
            elif entry.is_file:
                yield from (_file(link, layer.name, entry) for link in links)
        for path, entry in content.entries.items():
            if cover.hides(path) or content.overtaken(path):
                continue
            if entry.kind == HARD_LINK:
                wanted.setdefault(entry.link, []).append(path)
            elif entry.is_file:
                yield _file(path, layer.name, entry)
        cover.add(content, budget)
    for target, links in wanted.items():
        yield from (File(path=link, layer="", size=0, mode=0, head=b"", lost=target) for link in links)


def _file(path: str, layer: str, entry: Member) -> File:
    return File(path=path, layer=layer, size=entry.size, mode=entry.mode, head=entry.head)


def _read(layer: Layer, budget: Budget) -> _Content:
    entries: dict[str, Member] = {}
    closed: set[str] = set()
    for member in members(layer.open()):
        path = normal_path(member.path, layer.name)
        budget.spend(entries=1, names=len(path) + len(member.link))
        folder, _, name = path.rpartition("/")
        if name == ".wh..wh..opq":
            closed.add(folder or "/")
        elif name.startswith(".wh."):
            # The rest of .wh..wh.* is an old engine's own bookkeeping; nothing, "." and ".." would be the folder.
            if not name.startswith(".wh..wh.") and name[4:] not in ("", ".", ".."):
                closed.add(f"{folder}/{name[4:]}")
        elif path != "/":
            entry = member
            if member.kind == HARD_LINK:
                target = normal_path(member.link, layer.name)
                entry = entries.get(target) or member._replace(link=target)
            entries[path] = entry._replace(path=path, offset=member.offset)
    return _Content(entries, closed)


def _parents(path: str) -> Iterator[str]:
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        yield path
