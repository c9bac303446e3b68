"""Decides, for each target, whether OpenSSL must be built from source into the program.

The crate openssl-sys looks for OpenSSL of the target; with its feature ``vendored`` it compiles the source that comes
in the crate openssl-src. It is the one place through which Rust programs come to OpenSSL, and Cargo lets no two
versions of it be linked into one program (``links = "openssl"``).

From the source of openssl-sys 0.9.118 (``build/main.rs``): a variable is looked up with the target before its name,
then without; OPENSSL_NO_VENDOR switches the feature off unless it is ``0``; with the features ``aws-lc``,
``aws-lc-fips`` and ``unstable_boringssl`` no OpenSSL is looked for.

From the manifests of its versions: up to 0.9.92 it asks for openssl-src 111, which is OpenSSL 1.1.1, and from 0.9.93 on
for openssl-src 300, which is OpenSSL 3. The former has had no fixes in public since September 2023, so it is not built
into programs here; Debian's OpenSSL 3 can be linked instead.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cargo_image.cargo import Package, metadata, resolve
from cargo_image.errors import CargoImageError
from cargo_image.project import Project
from cargo_image.tree import BUILD, PROGRAM, Node, Tree, dependency_tree
from cargo_image.variables import Variable, for_target, known_variables

SYS = "openssl-sys"
SRC = "openssl-src"
OPENSSL_3 = 300
"""The first number of openssl-src's versions from OpenSSL 3 on."""
VENDORED = "vendored"
NO_VENDOR = "OPENSSL_NO_VENDOR"
OTHER_LIBRARIES = {"aws-lc": "AWS-LC", "aws-lc-fips": "AWS-LC", "unstable_boringssl": "BoringSSL"}
"""Features of openssl-sys with which another library takes OpenSSL's place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Where openssl-sys may be found although the program does not need it, and what that means."""

    means: str
    edges: str = PROGRAM
    platform: str = ""
    all_features: bool = False


REASONS = (
    Reason(means="only build scripts and procedural macros need it, and those run on the build machine", edges=BUILD),
    Reason(means="only tests and examples need it", edges="normal,dev"),
    Reason(means="only features that are off need it", all_features=True),
    Reason(means="only other platforms need it", platform="all"),
)


class State(StrEnum):
    """What is to be done about OpenSSL."""

    NOT_NEEDED = "not needed"
    NEEDED = "needed"
    ALREADY = "already"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What is to be done about OpenSSL for one target.

    :param target: a triple
    :param why: one sentence
    :param chain: the packages from the program to openssl-sys, or to what only the build machine needs
    :param version: of openssl-sys
    """

    target: str
    state: State
    why: str
    chain: tuple[str, ...] = ()
    version: str = ""


def decide(project: Project, targets: Sequence[str], environment: Mapping[str, str]) -> list[Verdict]:
    """What is to be done about OpenSSL, for each target.

    :param environment: the variables that the build will have
    :raises CargoImageError: the project or its lock is not fit
    """
    project = resolve(project)
    variables = known_variables(project.folder, environment)
    verdicts = [_decide(project, target, variables) for target in targets]
    # Afterwards, because what one target has fetched tells the reason for another.
    return [_with_reason(project, verdict) if _lacks_reason(verdict) else verdict for verdict in verdicts]


def _lacks_reason(verdict: Verdict) -> bool:
    return verdict.state is State.NOT_NEEDED and not verdict.version


def _decide(project: Project, target: str, variables: Mapping[str, Variable]) -> Verdict:
    tree = dependency_tree(project, target)
    verdict = judge(tree, target, variables)
    if verdict.state is State.NEEDED:
        packages = metadata(project, [target]).packages
        sys = next(package for package in packages if (package.name, package.version) == (SYS, verdict.version))
        if why := hindrance(sys):
            return dataclasses.replace(verdict, state=State.IMPOSSIBLE, why=why)
    return verdict


def judge(tree: Tree, target: str, variables: Mapping[str, Variable]) -> Verdict:
    """The verdict on what the program stands on, before it is known whether openssl-sys can be vendored."""
    found = tree.find(SYS)
    # Cargo allows one in a program; should it ever be several, the one that lacks OpenSSL counts.
    node = next((node for node in found if _is_plain(node)), found[0] if found else None)
    if node is None:
        return Verdict(target=target, state=State.NOT_NEEDED, why="nothing in the program needs openssl-sys")
    state, why = _state(node, for_target(NO_VENDOR, target, variables))
    return Verdict(target=target, state=state, why=why, chain=tree.chain(node), version=node.version)


def _is_plain(node: Node) -> bool:
    return VENDORED not in node.features and node.features.isdisjoint(OTHER_LIBRARIES)


def _state(node: Node, no_vendor: Variable | None) -> tuple[State, str]:
    if other := next((OTHER_LIBRARIES[feature] for feature in sorted(node.features & set(OTHER_LIBRARIES))), ""):
        return State.NOT_NEEDED, f"{node} is built with {other} in OpenSSL's place"
    if no_vendor is not None and no_vendor.value != "0":
        return State.IMPOSSIBLE, f"{no_vendor} switches vendoring off"
    if VENDORED in node.features:
        return State.ALREADY, f"{node} has its feature vendored on"
    return State.NEEDED, f"{node} looks for OpenSSL of the target"


def hindrance(sys: Package) -> str:
    """Why this openssl-sys cannot be vendored, or should not be; empty if it can."""
    if VENDORED not in sys.features:
        return f"{SYS} {sys.version} is too old to have the feature vendored: `cargo update -p {SYS}`"
    wanted = next((entry.requirement for entry in sys.dependencies if entry.package == SRC), "")
    major = re.search(r"\d+", wanted)
    if major and int(major[0]) < OPENSSL_3:
        return f"{SYS} {sys.version} would build OpenSSL 1.1.1 in, which gets no more fixes: `cargo update -p {SYS}`"
    return ""


def _with_reason(project: Project, verdict: Verdict) -> Verdict:
    """Say why the program does not need what Cargo.lock may name. Nothing is fetched for that."""
    for reason in REASONS:
        try:
            tree = dependency_tree(
                project, reason.platform or verdict.target, edges=reason.edges, all_features=reason.all_features,
                offline=True,
            )  # fmt: skip
        except CargoImageError:
            continue  # What other platforms and tests need may not have been fetched, and need not be.
        if found := tree.find(SYS):
            return Verdict(target=verdict.target, state=verdict.state, why=reason.means, chain=tree.chain(found[0]))
    return verdict
