"""Names of images, as the OCI distribution specification and Docker's reference grammar allow them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv6Address

from archway.errors import Location, MetadataError, UsageError
from archway.platforms import Platform

# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests
_REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
# https://pkg.go.dev/github.com/distribution/reference: a host, with a port; IPv6 in brackets
_REGISTRY = re.compile(r"(\[(?P<ipv6>[0-9a-fA-F:]+)\]|[a-zA-Z0-9]+((\.|-+)[a-zA-Z0-9]+)*)(:(?P<port>[0-9]{1,5}))?")
# Of registry and repository together: the specification says that many clients take no more.
_LONGEST_NAME = 255


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """An image in a repository, by tag (or by digest, as some commands take it)."""

    repository: str
    tag: str

    def __str__(self) -> str:
        return f"{self.repository}{'@' if ':' in self.tag else ':'}{self.tag}"

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read ``REGISTRY/REPOSITORY:TAG`` or ``REGISTRY/REPOSITORY@DIGEST``, whose tag then is the digest.

        Where there are both, the digest counts, as with Docker. ``docker.io/debian`` is ``docker.io/library/debian``.

        :raises UsageError: it is no such name
        """
        name, at, digest = text.partition("@")
        registry, slash, path = name.partition("/")
        last = path.rpartition("/")[2]
        repository, tag = path.rpartition(":")[::2] if ":" in last else (path, "latest")
        if registry == "docker.io" and repository and "/" not in repository:
            repository = f"library/{repository}"
        name = f"{registry}/{repository}"
        fits = _TAG.fullmatch(tag) and (not at or _DIGEST.fullmatch(digest)) and len(name) <= _LONGEST_NAME
        if not slash or not is_registry(registry) or not _REPOSITORY.fullmatch(repository) or not fits:
            shown = text if len(text) <= 2 * _LONGEST_NAME else f"{text[:_LONGEST_NAME]}…"
            raise UsageError(
                f"{shown!r} is no name of an image",
                hint="REGISTRY/REPOSITORY:TAG or REGISTRY/REPOSITORY@sha256:DIGEST",
            )
        return cls(repository=name, tag=digest if at else tag)

    @property
    def registry(self) -> str:
        """The host, with its port."""
        return self.repository.partition("/")[0]

    @property
    def path(self) -> str:
        """The repository inside of its registry."""
        return self.repository.partition("/")[2]

    def at(self, digest: str) -> str:
        """The same repository, by digest."""
        return f"{self.repository}@{digest}"


def member(
    *, registry: str, organization: str, image: str, version: str, release: str, platform: Platform
) -> Reference:
    """Where the image of one target stands: ``REGISTRY/ORG/IMAGE:VERSION-RELEASE-ARCH``.

    :raises MetadataError: version and release together are too long for a tag
    """
    there = list_reference(registry=registry, organization=organization, image=image, version=version, release=release)
    found = f"{there.tag}-{platform.tag}"
    check_tag(found, where=Location(f"{image} {version}"))
    return replace(there, tag=found)


def list_reference(*, registry: str, organization: str, image: str, version: str, release: str) -> Reference:
    """Where the list that joins the members of one release stands: ``REGISTRY/ORG/IMAGE:VERSION-RELEASE``.

    :raises MetadataError: version and release together are too long for a tag
    """
    found = f"{tag(version)}-{tag(release)}"
    check_tag(found, where=Location(f"{image} {version}"))
    return Reference(repository=f"{registry}/{organization}/{image}", tag=found)


def tag(version: str) -> str:
    """A version as part of a tag, which may not hold ``+``."""
    return version.replace("+", "-")


def is_registry(text: str) -> bool:
    """Whether the first word of an image's name is a registry: without dot or colon, Docker takes it for a path."""
    found = _REGISTRY.fullmatch(text)
    if not found or not (set(".:") & set(text) or text == "localhost"):
        return False
    try:
        IPv6Address(found["ipv6"] or "::")
    except AddressValueError:
        return False
    return 0 < int(found["port"] or 443) < 1 << 16


def check_registry(text: str, *, where: Location) -> None:
    """:raises MetadataError: the text is no host with an optional port"""
    if not is_registry(text):
        raise MetadataError(
            f"{text!r} is no registry",
            where=where,
            hint="a host with an optional port: registry.example.org, localhost:5000",
        )


def check_repository(text: str, *, where: Location) -> None:
    """:raises MetadataError: the text cannot be a repository or a part of one"""
    if not _REPOSITORY.fullmatch(text):
        raise MetadataError(
            f"{text!r} cannot be a repository's name",
            where=where,
            hint="lower-case letters and digits, separated by . _ __ - or /",
        )


def check_tag(text: str, *, where: Location) -> None:
    """:raises MetadataError: the text cannot be a tag, even after + became -"""
    if not _TAG.fullmatch(tag(text)):
        raise MetadataError(
            f"{text!r} cannot be a tag",
            where=where,
            hint="letters, digits, . _ - and +, not starting with . or -, at most 128",
        )
