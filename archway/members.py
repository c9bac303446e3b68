"""Reads the members of a list from a registry, and refuses those that would make it wrong."""

from __future__ import annotations

from packaging.version import InvalidVersion, Version

from archway.catalog import Image
from archway.distribution import Descriptor, PlatformWords, Repository, Stored
from archway.errors import ListError
from archway.labels import INPUT_DIGEST, OCI, RELEASE, REVISION
from archway.lists import Member, Wanted, attestations_of, images_of
from archway.platforms import Platform
from archway.proof import allowed, prove_stored
from archway.references import Reference
from archway.settings import Settings


def read_member(repository: Repository, reference: Reference, platform: Platform, *, patience: float = 0.0) -> Member:
    """The member of a platform that a tag or digest names. What counts is the image's configuration.

    :param patience: seconds to wait for what was pushed just now
    :raises ListError: there is none, it is for another platform, or it is a list of several
    """
    stored = repository.get(reference.tag, patience=patience)
    if stored is None:
        raise ListError(
            f"{reference} is not there", hint="\n".join(filter(None, (
                repository.nearest_tag(reference.tag), "inv publish builds, proves and pushes what a list needs",
            ))),
        )  # fmt: skip
    image, attestations = _unwrap(repository, reference, stored)
    config = repository.config(image)
    if config.known != platform:
        raise ListError(
            f"{reference} holds an image for {str(config) or 'no platform'}, not for {platform}",
            why=f"its configuration ({image.digest}) says so", hint="build it again: inv build; then inv publish",
        )  # fmt: skip
    words = PlatformWords(os=config.os, architecture=config.architecture, variant=config.variant)
    descriptor = Descriptor(media_type=image.media_type, digest=image.digest, size=len(image.data), platform=words)
    return Member(
        platform=platform, descriptor=descriptor, source=stored.digest, attestations=attestations, labels=config.labels
    )


def _unwrap(repository: Repository, reference: Reference, stored: Stored) -> tuple[Stored, tuple[Descriptor, ...]]:
    """An image, also where it stands in an index beside attestations of it."""
    if not stored.is_list:
        return stored, ()
    match images_of(stored.manifest):
        case [only]:
            image = repository.get(only.digest)
            if image is None or image.is_list:
                raise ListError(f"{reference} names {only.digest}, which is no image there")
            attestations = attestations_of(stored.manifest, only.digest)
            if len(attestations) + 1 != len(stored.manifest.manifests or ()):
                raise ListError(f"{reference} has attestations that belong to no image of it", hint="push it again")
            return image, attestations
        case several:
            found = ", ".join(str(entry.platform or "no platform") for entry in several) or "no image"
            raise ListError(
                f"{reference} is a manifest list ({found}), and a member is one image",
                hint="build it for one platform, without attestations: inv build, or docker buildx build"
                " --provenance=false\nor join lists as they are: docker buildx imagetools create",
            )


def check_member(
    repository: Repository, digest: str, platform: Platform, *, version: str, foreign: bool = False
) -> Member:
    """An image that a list names, which must be what the list says of it.

    :param foreign: one that archway did not build is taken
    :raises ListError: it is not
    """
    reference = Reference(repository=str(repository), tag=digest)
    member = read_member(repository, reference, platform)
    if member.source != member.digest:
        raise ListError(f"{reference} is a list inside of a list, and should be an image", hint="inv publish makes one")
    if INPUT_DIGEST not in member.labels and foreign:
        return member
    if INPUT_DIGEST not in member.labels:
        raise ListError(
            f"{reference} was not built by archway", why=f"it has no label {INPUT_DIGEST}",
            hint="inv publish makes the list of archway's own; or take it as it is: --foreign",
        )  # fmt: skip
    _check_version(reference, member, version)
    return member


def _check_version(reference: Reference, member: Member, version: str) -> None:
    if (found := member.labels.get(f"{OCI}version")) != version:
        raise ListError(f"{reference} says that it is version {found}, not {version}")


def check_whole(repository: Repository, member: Member) -> None:
    """Refuse a member of which the registry has lost layers, as a registry that was cleaned wrongly has.

    :raises ListError: they are gone
    """
    stored = repository.get(member.digest)
    if stored is None or (missing := repository.missing_blobs(stored)):
        gone = "its manifest" if stored is None else ", ".join(missing)
        raise ListError(
            f"{repository}@{member.digest} is not whole", why=f"gone: {gone}", hint="push it again: inv publish"
        )


def age(repository: Repository, stored: Stored) -> tuple[Version, Version] | None:
    """Version and monorepo's release of what a list holds, to compare; None where they cannot be.

    :raises RegistryError: it cannot be read
    """
    entries = images_of(stored.manifest) if stored.is_list else ()
    image = repository.get(entries[0].digest) if entries else stored
    if image is None or image.is_list:
        return None
    labels = repository.config(image).labels
    return age_of(labels.get(f"{OCI}version", ""), labels.get(RELEASE, ""))


def age_of(version: str, release: str) -> tuple[Version, Version] | None:
    """A version and the monorepo's release, to compare; None where Python's order of versions does not have them."""
    try:
        return Version(version), Version(release)
    except InvalidVersion:
        return None


def check_origin(reference: Reference, member: Member, wanted: Wanted, *, foreign: bool) -> None:
    """Refuse a member that this checkout would not build.

    :param foreign: one that archway did not build at all is taken
    :raises ListError: it is stale, of another version, or not archway's
    """
    labels = member.labels
    if (made_of := labels.get(INPUT_DIGEST)) is None:
        if foreign:
            return
        attested = ", and carries attestations" if member.attestations else ""
        raise ListError(
            f"{reference} was not built by archway{attested}",
            why=f"it has no label {INPUT_DIGEST}, so nobody can tell what it was made of",
            hint="build and push it from this checkout: inv publish\nor take it as it is (its contents are proven all"
            " the same, and attestations are kept): --foreign",
        )
    if made_of not in wanted.inputs[member.platform]:
        raise ListError(
            f"{reference} is stale: it was built from other files than this checkout has",
            why=f"built at revision {labels.get(REVISION, 'unknown')}, from inputs {made_of[:12]}",
            hint=f"run: inv publish --image {wanted.image.name}={wanted.release.version}",
        )
    _check_version(reference, member, wanted.release.version)


def check_proof(settings: Settings, repository: Repository, member: Member, of: Image) -> None:
    """Prove what a member holds, unless that was done before.

    :raises ListError: it holds something that is not of its platform
    """
    image = repository.get(member.digest)
    if image is None:
        raise ListError(f"{repository}@{member.digest} is not there any more", hint="run it again")
    source = of.shown(of.dockerfile_path)
    report = prove_stored(settings, repository, image, member.platform, allowed(settings, of), source=source)
    if not report.ok:
        raise ListError(f"{repository}@{member.digest} is not what it should be", why=report.text())
