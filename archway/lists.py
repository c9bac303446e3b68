"""What a manifest list should be, and whether one is that. Nothing is asked here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from archway.catalog import Image
from archway.distribution import Descriptor, Manifest
from archway.metadata import Release
from archway.platforms import Platform
from archway.references import Reference
from archway.targets import Step


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The list that one release should have: exactly one member for each of its platforms.

    :ivar floating: the tags that follow it (``4.0``, ``latest``)
    :ivar plan: all steps that its members need
    :ivar inputs: the input digests that a member may have; several, as they depend on which machine builds
    """

    image: Image
    release: Release
    reference: Reference
    floating: tuple[Reference, ...]
    plan: tuple[Step, ...]
    inputs: Mapping[Platform, frozenset[str]]

    def __str__(self) -> str:
        return f"{self.image.name} {self.release.version}"

    @property
    def steps(self) -> tuple[Step, ...]:
        """Those of the members."""
        return tuple(step for step in self.plan if step.requested)

    @property
    def platforms(self) -> tuple[Platform, ...]:
        return tuple(step.target.platform for step in self.steps)


@dataclass(frozen=True, kw_only=True)
class Member:
    """The image of one platform, as a list names it.

    :ivar source: the digest to join it by: its own, or that of the index that also holds its attestations
    """

    platform: Platform
    descriptor: Descriptor
    source: str
    attestations: tuple[Descriptor, ...]
    labels: Mapping[str, str]

    @property
    def digest(self) -> str:
        return self.descriptor.digest


def images_of(manifest: Manifest) -> tuple[Descriptor, ...]:
    """The images that a list names, without attestations."""
    return tuple(entry for entry in manifest.manifests or () if not entry.is_attestation)


def attestations_of(manifest: Manifest, digest: str) -> tuple[Descriptor, ...]:
    """The attestations that a list has of one of its images."""
    return tuple(entry for entry in manifest.manifests or () if entry.attests == digest)


def platform_faults(manifest: Manifest, platforms: Sequence[Platform], *, strict: bool = True) -> Iterator[str]:
    """What is wrong with the platforms of a list, compared with those that are wanted.

    :param strict: others than the wanted ones are wrong as well
    """
    named = [(entry.platform and entry.platform.known) or str(entry.platform or "") or "no platform"
             for entry in images_of(manifest)]  # fmt: skip
    for platform in platforms:
        if platform not in named:
            yield f"lacks {platform}"
    for word in dict.fromkeys(named):
        if (count := named.count(word)) > 1:
            yield f"holds {word} {'twice' if count == 2 else f'{count} times'}"
        if strict and word not in platforms:
            yield f"holds {word}, which is not wanted"


def pairs(manifest: Manifest) -> list[tuple[str, str]]:
    """The platforms and digests that a list names, in order, to compare it by."""
    return sorted((str((entry.platform and entry.platform.known) or ""), entry.digest) for entry in images_of(manifest))


def is_list_of(manifest: Manifest, members: Sequence[Member]) -> bool:
    """Whether a list names exactly these members, with their attestations."""
    if manifest.manifests is None:
        return False
    attesting = sorted(entry.digest for entry in manifest.manifests if entry.is_attestation)
    return (
        pairs(manifest) == sorted((str(member.platform), member.digest) for member in members)
        and attesting == sorted(one.digest for member in members for one in member.attestations)
        and all(entry.size == member.descriptor.size
                for entry in images_of(manifest) for member in members if member.digest == entry.digest)
    )  # fmt: skip
