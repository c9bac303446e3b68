"""What a plan consists of: targets, and the steps that build them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from archway.catalog import Image
from archway.dockerfile import ImageUse, Line
from archway.metadata import Release
from archway.platforms import Platform
from archway.references import Reference

ROOTFS = "rootfs"
"""The image name that stands for the first root file system; archway provides it."""
SOURCE, MANIFESTS, PUBLISHED = "source", "manifests", "published"
"""Names of folders that archway hands over: the Cargo project of a release, its manifests with empty programs, and
``images.lock.toml``."""
FOLDERS = frozenset({SOURCE, MANIFESTS, PUBLISHED})
PROVIDED = FOLDERS | {ROOTFS}
"""All names that mean neither an image of the monorepo nor one from outside."""


class Strategy(StrEnum):
    """How a target is built on this machine."""

    NATIVE = "native"
    CROSS = "cross"
    EMULATED = "emulated"


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One release of an image for one platform: the unit that is planned, built, verified and tested."""

    image: str
    version: str
    platform: Platform

    def __str__(self) -> str:
        return f"{self.image} {self.version} {self.platform.tag}"

    @property
    def slug(self) -> str:
        """The target as a file name."""
        return f"{self.image}-{self.version}-{self.platform.tag}"


@dataclass(frozen=True, kw_only=True)
class Step:
    """A target with all that its build needs."""

    target: Target
    image: Image
    release: Release
    reference: Reference
    strategy: Strategy
    foreign_runs: tuple[Line, ...]
    parents: Mapping[str, tuple[Target, ...]]
    """The targets that it stands on, by the name that the Dockerfile gives them; several where it uses one image for
    the target's platform and for the machine's."""
    base: Target | None
    """The target that its final stage starts from."""
    rootfs: frozenset[Platform]
    """The platforms for which it needs the first root file system."""
    folders: frozenset[str]
    """The folders of :data:`FOLDERS` that it needs."""
    outside: tuple[ImageUse, ...]
    """The images that it needs and this monorepo does not make."""
    arguments: Mapping[str, str]
    context: str
    """The identity of the image's folder, and of the folders that are handed over, when this was planned."""
    input_digest: str
    requested: bool
    doubts: tuple[str, ...]
    """Images from outside whose names are nearly those of the monorepo's."""

    @property
    def all_parents(self) -> tuple[Target, ...]:
        return tuple(target for targets in self.parents.values() for target in targets)
