"""What a project stands on, on one platform, as ``cargo tree`` sees it.

``cargo tree`` resolves features as ``cargo build`` does, for the platform and the selection of packages that it is
given. Cargo.lock and ``cargo metadata`` do not: they name everything that any platform, test or feature may need.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from cargo_image.cargo import run_cargo
from cargo_image.project import Project

PROGRAM = "normal,no-proc-macro"
"""Edges to what gets into the program. Build dependencies and procedural macros run on the build machine."""
BUILD = "normal,build"
"""Edges to what is compiled, for whichever machine."""

_LINE = re.compile(
    r"(?P<depth>\d+)(?P<name>[^\s\d]\S*) v(?P<version>\S+)(?: \((?:proc-macro)\))?(?: \((?P<place>.*)\))?"
    r"\t(?P<features>\S*)(?: \(\*\))?"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A package with the features that it is built with. ``place`` is empty for one of the crate registry."""

    name: str
    version: str
    place: str = ""
    features: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """A graph of packages; ``needs`` holds the direct dependencies of each."""

    roots: tuple[Node, ...]
    needs: Mapping[Node, tuple[Node, ...]]

    def find(self, name: str) -> tuple[Node, ...]:
        """All packages of a name, in the order in which Cargo tells them."""
        return tuple(node for node in self.needs if node.name == name)

    def chain(self, wanted: Node) -> tuple[str, ...]:
        """The shortest way from a root to a package, both included; empty if it is not reached."""
        before: dict[Node, Node | None] = dict.fromkeys(self.roots)
        waiting = deque(self.roots)
        while waiting:
            node = waiting.popleft()
            if node == wanted:
                return _way(node, before)
            for need in self.needs[node]:
                if need not in before:
                    before[need] = node
                    waiting.append(need)
        return ()


def _way(node: Node | None, before: Mapping[Node, Node | None]) -> tuple[str, ...]:
    way: list[str] = []
    while node is not None:
        way.append(str(node))
        node = before[node]
    return tuple(reversed(way))


def dependency_tree(
    project: Project, target: str, *, edges: str = PROGRAM, all_features: bool = False, offline: bool = False
) -> Tree:
    """What the project needs on a platform, with its selection of packages and features.

    :param target: a triple, or ``all``
    :param edges: kinds of dependencies that are followed
    :param all_features: with all features of the package instead
    :param offline: with what was fetched before
    :raises CargoImageError: the project or its lock is not fit
    """
    words = ["tree", "--locked", "--target", target, "-e", edges, "--prefix", "depth", "-f", "{p}\t{f}"]
    words += [*project.selection, *(["--all-features"] if all_features else [])]
    return parse_tree(run_cargo(words, project.folder, offline=offline))


def parse_tree(printed: str) -> Tree:
    """Read what ``cargo tree --prefix depth -f '{p}<tab>{f}'`` prints.

    A package that was told before is marked ``(*)`` and told without what it needs.
    """
    roots: list[Node] = []
    needs: dict[Node, list[Node]] = {}
    way: list[Node] = []
    for line in printed.splitlines():
        if (found := _LINE.fullmatch(line)) is None:
            continue
        depth = int(found["depth"])
        node = Node(
            name=found["name"], version=found["version"], place=found["place"] or "",
            features=frozenset(filter(None, found["features"].split(","))),
        )  # fmt: skip
        needs.setdefault(node, [])
        del way[depth:]
        if way:
            if node not in needs[way[-1]]:
                needs[way[-1]].append(node)
        else:
            roots.append(node)
        way.append(node)
    return Tree(roots=tuple(roots), needs={node: tuple(below) for node, below in needs.items()})
