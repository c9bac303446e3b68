"""The root file system of an image: its layers laid over each other, nothing unpacked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from archway.verify.content import NOTHING, Content
from archway.verify.scan import Entry, Scan
from archway.verify.tar import Budget, weight

_HARD_LINK, _SYMLINK, _FOLDER = "1", "2", "5"
_WITHOUT_DATA = "123456"
_LOST = "lost"  # the kind of a hard link that leads through something that is no folder


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A regular file or symbolic link of the flattened root file system. ``path`` begins with a slash; bytes that are
    no UTF-8 are kept as surrogates (:func:`printable`). ``target`` is a symbolic link's. ``lost`` is the target of a
    hard link that cannot be followed: no layer holds it, or a folder on the way to it was replaced. What the file is
    cannot be told."""

    path: str
    layer: str
    size: int = 0
    mode: int = 0
    content: Content = NOTHING
    target: str = ""
    lost: str = ""


class _Placed(NamedTuple):
    """An entry, and its number in the layer: a hard link to a file of the same layer is that file, in its own place."""

    path: str
    entry: Entry
    number: int

    @property
    def kind(self) -> str:
        return self.entry.kind


class _Content(NamedTuple):
    """What one layer does: the last entry of every path, and the paths that it removes or empties.

    A hard link to a file of the same layer is that file, any other leads below.
    ``astray`` are the entries whose path leads through something of the layer that is no folder: an engine follows a
    link there, so that no later entry and no upper layer is known to hide them.
    """

    scan: Scan
    entries: dict[str, _Placed]
    closed: set[str]
    astray: list[_Placed]

    def overtaken(self, path: str) -> bool:
        """Whether something that is no folder has later taken the place of a folder above."""
        number = self.entries[path].number
        return any(
            (above := self.entries.get(parent)) and above.kind != _FOLDER and above.number > number
            for parent in _parents(path)
        )  # fmt: skip

    def leads_astray(self, path: str) -> bool:
        """Whether something above is no folder, as far as the layer has been read."""
        return any((above := self.entries.get(parent)) and above.kind != _FOLDER for parent in _parents(path))


class _Cover:
    """What the layers above hide: a path they have, and everything below a path where no folder shines through."""

    def __init__(self) -> None:
        self._paths: set[str] = set()
        self._closed: dict[str, int] = {}  # the number of the lowest layer that does it

    def hides(self, path: str) -> bool:
        return path in self._paths or path in self._closed or any(parent in self._closed for parent in _parents(path))

    def cuts(self, path: str, above: int) -> bool:
        """Whether a folder above ``path`` is removed or replaced in the layer ``above`` or in one below it."""
        return any(self._closed.get(parent, above + 1) <= above for parent in _parents(path))

    def add(self, content: _Content, number: int, budget: Budget) -> None:
        self._closed |= dict.fromkeys(content.closed, number)
        for path, placed in content.entries.items():
            if placed.kind != _FOLDER:
                self._closed[path] = number
            self._paths.add(path)
            for parent in _parents(path):
                if parent in self._paths:
                    break
                budget.spend(entries=1, names=weight(parent))
                self._paths.add(parent)


class _Links:
    """Hard links that lead to lower layers, by their target, each with the number of the layer that names it."""

    def __init__(self) -> None:
        self._wanted: dict[str, list[tuple[str, int]]] = {}

    def give(self, path: str, entry: Entry, number: int, scan: Scan) -> Iterator[File]:
        """The file that an entry is, now or as soon as its link is followed."""
        if entry.kind == _HARD_LINK:
            self._wanted.setdefault(entry.link, []).append((path, number))
        elif entry.kind == _LOST:
            yield _lost(path, entry.link)
        elif entry.kind == _SYMLINK:
            yield File(path=path, layer=scan.name, target=entry.link)
        elif entry.kind not in _WITHOUT_DATA:
            content = scan.contents[entry.content]
            yield File(path=path, layer=scan.name, size=entry.size, mode=entry.mode, content=content)

    def follow(self, content: _Content, cover: _Cover, number: int) -> Iterator[File]:
        """The links whose target this layer has. Where a folder on the way is another one by now, or a link, engines
        find another file than the one of that path, or none."""
        # Taken out before any is followed: what leads on from here leads below this layer, never to it.
        found = {target: self._wanted.pop(target) for target in self._wanted.keys() & content.entries.keys()}
        for target, links in found.items():
            for path, above in links:
                if content.overtaken(target) or cover.cuts(target, above):
                    yield _lost(path, target)
                else:
                    yield from self.give(path, content.entries[target].entry, number, content.scan)

    def rest(self) -> Iterator[File]:
        for target, links in self._wanted.items():
            yield from (_lost(path, target) for path, _ in links)


def flatten(scans: Sequence[Scan], budget: Budget) -> Iterator[File]:
    """Every regular file and symbolic link that a container would see, once, from the uppermost layer down.

    Paths are literal, as overlay file systems take them: ``/lib/x`` of one layer is not ``/usr/lib/x`` of another,
    whatever ``/lib`` links to. Where engines differ, the file is given: better one too many than one unseen.

    :param scans: of the layers, the lowest first, as manifests have them
    :raises VerifyError: there are more folders than the limits allow
    """
    cover, links = _Cover(), _Links()
    for number in reversed(range(len(scans))):
        content = _read(scans[number])
        yield from links.follow(content, cover, number)
        for path, placed in content.entries.items():
            if not cover.hides(path) and not content.overtaken(path):
                yield from links.give(path, placed.entry, number, content.scan)
        for placed in content.astray:
            yield from links.give(placed.path, placed.entry, number, content.scan)
        cover.add(content, number, budget)
    yield from links.rest()


def _lost(path: str, target: str) -> File:
    return File(path=path, layer="", lost=target)


def _read(scan: Scan) -> _Content:
    content = _Content(scan, {}, set(), [])
    for number, entry in enumerate(scan.entries):
        path = entry.path
        folder, _, name = path.rpartition("/")
        if name == ".wh..wh..opq":
            if folder:  # of a layer's root, containerd sets the mark as well, and overlay file systems ignore it
                content.closed.add(folder)
        elif name.startswith(".wh."):
            # The rest of .wh..wh.* is an old engine's own bookkeeping; nothing, "." and ".." would be the folder.
            if not name.startswith(".wh..wh.") and name[4:] not in ("", ".", ".."):
                content.closed.add(f"{folder}/{name[4:]}")
        elif path != "/":
            placed = _Placed(path, _linked(entry, content) if entry.kind == _HARD_LINK else entry, number)
            if content.leads_astray(path):
                content.astray.append(placed)
            else:
                content.entries[path] = placed
    return content


def _linked(entry: Entry, content: _Content) -> Entry:
    """The file of this layer that a hard link is; else the link, if a lower layer may have its target."""
    if content.leads_astray(entry.link):
        return entry._replace(kind=_LOST)
    there = content.entries.get(entry.link)
    return there.entry if there else entry


def _parents(path: str) -> Iterator[str]:
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        yield path
