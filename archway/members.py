"""Reads the members of a list from a registry, and refuses those that would make it wrong."""

from __future__ import annotations

from archway.catalog import Image
from archway.distribution import Descriptor, PlatformWords, Repository, Stored
from archway.errors import ListError, RegistryError
from archway.labels import INPUT_DIGEST, OCI, REVISION
from archway.lists import Member, Wanted, attestations_of, images_of
from archway.platforms import Platform
from archway.proof import allowed, prove_stored
from archway.records import Proofs
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
                raise RegistryError(f"{reference} names {only.digest}, which is no image there")
            return image, attestations_of(stored.manifest, only.digest)
        case several:
            found = ", ".join(str(entry.platform or "no platform") for entry in several) or "no image"
            raise ListError(
                f"{reference} is a manifest list ({found}), and a member is one image",
                hint="build it for one platform, without attestations: inv build, or docker buildx build"
                " --provenance=false\nor join lists as they are: docker buildx imagetools create",
            )


def check_member(repository: Repository, digest: str, platform: Platform, *, version: str) -> Member:
    """An image that a list names, which must be what the list says of it.

    :raises ListError: it is not
    """
    reference = Reference(repository=str(repository), tag=digest)
    member = read_member(repository, reference, platform)
    if (found := member.labels.get(f"{OCI}version", version)) != version:
        raise ListError(f"{reference} says that it is version {found}, not {version}")
    return member


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
    if (version := labels.get(f"{OCI}version")) != wanted.release.version:
        raise ListError(f"{reference} says that it is version {version}, not {wanted.release.version}")


def check_proof(settings: Settings, repository: Repository, member: Member, of: Image) -> None:
    """Prove what a member holds, unless that was done before.

    :raises ListError: it holds something that is not of its platform
    """
    allow = allowed(of)
    if Proofs(settings.state).holds(member.digest, member.platform, allow):
        return
    image = repository.get(member.digest)
    if image is None:
        raise ListError(f"{repository}@{member.digest} is not there any more", hint="run it again")
    report = prove_stored(settings, repository, image, member.platform, allow)
    if not report.ok:
        raise ListError(f"{of.name} for {member.platform} is not what it should be", why=report.text())
