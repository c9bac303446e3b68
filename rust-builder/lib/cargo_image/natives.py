"""Looks at crates with C and C++ code before Cargo starts: what they need, and what cannot be compiled for a target."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cargo_image.errors import CargoImageError
from cargo_image.native_crates import TABLE, Native, Place
from cargo_image.toolchain import gnu_triplet
from cargo_image.tree import Node, Tree
from cargo_image.variables import Variable, for_target


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """A native crate that a program stands on.

    :param chain: from the program to the crate
    :param lacks: tools and packages that are not there
    """

    node: Node
    native: Native
    chain: tuple[str, ...]
    lacks: tuple[str, ...] = ()

    def __str__(self) -> str:
        native = self.native
        words = [*native.tools, *([f"{native.headers} of the target"] if native.headers else [])]
        text = f"{self.node} needs {', '.join(words) or 'a C compiler'} ({' > '.join(self.chain)})"
        return f"{text}; the image must ship {native.runtime} ({native.library})" if native.runtime else text


def check(
    tree: Tree, target: str, build_target: str, *,
    build_tree: Tree | None = None, installed: Callable[[str], bool] | None = None,
) -> list[Need]:  # fmt: skip
    """What native crates of a program need.

    :param tree: what gets into the program
    :param build_tree: the same with build dependencies, whose tools are then looked for as well
    :param installed: whether a command, or with a ``/`` a file, is there; asked of this machine if not given
    :raises CargoImageError: one cannot be compiled for the target here; all that is wrong is told together
    """
    is_there = installed or _installed
    needs = [_need(tree, node, target, is_there) for node in _of(tree, Place.PROGRAM)]
    if build_tree is not None:
        needs += [_need(build_tree, node, target, is_there) for node in _of(build_tree, Place.BUILD)]
    found = [need for need in needs if need is not None]
    cross = target != build_target
    problems = [text for need in found if (text := _problem(need, cross=cross))]
    if problems:
        raise CargoImageError(
            f"native crates cannot be compiled for {target} here", why="\n".join(problems),
            hint="install what is missing in the stage that compiles" if any(need.lacks for need in found) else "",
        )  # fmt: skip
    return found


def environment(target: str, build_target: str, known: Mapping[str, Variable]) -> dict[str, str]:
    """Variables for build scripts, for all crates of the table: nothing else reads them.

    :param known: what the user has set; that stays, with the target before its name or without
    """
    made: dict[str, str] = {}
    prefix = target.upper().replace("-", "_")
    for native in TABLE:
        plain = {**native.variables, **(native.cross_variables if target != build_target else {})}
        own = native.target_variables.get(target.partition("-")[0], {})
        made |= {name: value for name, value in plain.items() if for_target(name, target, known) is None}
        made |= {f"{prefix}_{name}": value for name, value in own.items() if for_target(name, target, known) is None}
    return made


def _of(tree: Tree, place: Place) -> Iterable[Node]:
    names = {native.crate for native in TABLE if native.place is place}
    return (node for node in tree.needs if node.name in names)


def _need(tree: Tree, node: Node, target: str, installed: Callable[[str], bool]) -> Need | None:
    native = next((row for row in TABLE if row.crate == node.name and row.fits(node.features)), None)
    if native is None:
        return None
    lacks = [tool for tool in native.tools if not installed(tool)]
    if native.pkg_config and not _has_library(native, target, installed):
        lacks.append(f"{native.headers} of the target")
    return Need(node=node, native=native, chain=tree.chain(node), lacks=tuple(lacks))


def _has_library(native: Native, target: str, installed: Callable[[str], bool]) -> bool:
    folders = (f"/usr/lib/{gnu_triplet(target)}/pkgconfig", "/usr/share/pkgconfig")
    return any(installed(f"{folder}/{native.pkg_config}.pc") for folder in folders)


def _problem(need: Need, *, cross: bool) -> str:
    chain = " > ".join(need.chain)
    if cross and need.native.refusal:
        return f"{need.native.refusal} ({chain}): {need.native.way_out}"
    if need.native.newest and _numbers(need.node.version.partition("+")[2]) > _numbers(need.native.newest):
        return (
            f"{need.node} wants a {need.native.headers} of its own version or a newer one, and Debian's is "
            f"{need.native.newest} ({chain})"
        )
    if need.lacks and not need.native.sometimes:
        way_out = f": {need.native.way_out}" if need.native.way_out else ""
        return f"{need.node} needs {', '.join(need.lacks)} ({chain}){way_out}"
    return ""


def _numbers(version: str) -> list[int]:
    return [int(word) for word in version.split(".") if word.isdigit()]


def _installed(name: str) -> bool:
    return Path(name).exists() if "/" in name else shutil.which(name) is not None
