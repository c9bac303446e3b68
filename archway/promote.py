"""``inv promote``: copies lists, with all members and attestations, to another organization or registry, unchanged.

By digest, and by archway's own client of registries instead of ``docker buildx imagetools``: no engine is needed, a cut
download goes on where it stopped, and each thing that can go wrong has a message of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from archway import log, tags
from archway.distribution import Repository, Stored
from archway.errors import ListError, UsageError, told, try_each
from archway.joining import Standing, Tagged, move_tags, rehearse_list
from archway.lists import images_of, platform_faults
from archway.manifests import put
from archway.members import age_of, check_member, check_proof, check_whole
from archway.platforms import Platform
from archway.references import Reference, is_registry
from archway.remote import repository_of
from archway.selection import Request
from archway.settings import Settings


def places(settings: Settings, source: str, target: str) -> tuple[Settings, Settings]:
    """The settings of the two places, ``--from`` and ``--to``.

    :raises UsageError: one is missing or no place, or both are the same
    """
    for option, text in (("from", source), ("to", target)):
        if not text:
            raise UsageError(f"--{option} is missing", hint="say: inv promote --from ORGANIZATION --to ORGANIZATION")
    found = _place(settings, source), _place(settings, target)
    if (found[0].registry, found[0].organization) == (found[1].registry, found[1].organization):
        raise UsageError(f"--from and --to are the same place, {found[0].registry}/{found[0].organization}")
    return found


def _place(settings: Settings, text: str) -> Settings:
    """``ORGANIZATION`` or ``REGISTRY/ORGANIZATION``."""
    first, _, rest = text.partition("/")
    if is_registry(first):
        if not rest:
            raise UsageError(f"{text!r} names a registry, but no organization in it", hint=f"say {first}/ORGANIZATION")
        return settings.with_options(registry=first, organization=rest)
    return settings.with_options(organization=text)


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """One list, and where it goes."""

    source: Reference
    target: Reference
    floating: tuple[Reference, ...]
    stored: Stored


def find_all(source: Settings, target: Settings, requests: Sequence[Request], *, foreign: bool) -> list[Promotion]:
    """Read and check all lists that are to be promoted.

    :raises ListError: one cannot be; all that are wrong are told
    """
    found, refused = try_each(requests, lambda request: find(source, target, request, foreign=foreign))
    if refused:
        raise ListError(
            f"{len(refused)} of {len(requests)} cannot be promoted", why=told(refused), hint="nothing was written"
        )
    return found


def find(source: Settings, target: Settings, request: Request, *, foreign: bool = False) -> Promotion:
    """Read and check a list that is to be promoted.

    :param foreign: members that archway did not build are taken
    :raises ListError: it is missing, not complete, or a member is not what it should be
    """
    image, release = request.image, request.release
    reference = tags.list_of(image, release, source)
    repository = repository_of(source, reference)
    publish = f"run: inv publish --image {image.name}={release.version}{source.given}"
    stored = repository.get(reference.tag)
    if stored is None:
        near = repository.nearest_tag(reference.tag)
        raise ListError(f"{reference} is not there", hint="\n".join(filter(None, (near, publish))))
    if not stored.is_list:
        raise ListError(f"{reference} is one image, and no manifest list", hint=publish)
    if faults := list(platform_faults(stored.manifest, request.platforms)):
        raise ListError(f"{reference} is not complete", why="\n".join(faults), hint=publish)
    for entry in images_of(stored.manifest):
        platform = Platform.parse(str(entry.platform))
        member = check_member(repository, entry.digest, platform, version=release.version, foreign=foreign)
        check_whole(repository, member)
        check_proof(source, repository, member, image)
    return Promotion(
        source=reference, target=tags.list_of(image, release, target), stored=stored,
        floating=tags.floating(image, release, target),
    )  # fmt: skip


def promote_all(
    source: Settings, target: Settings, requests: Sequence[Request], *, foreign: bool = False, back: bool = False
) -> list[Tagged]:
    """Copy what is not there yet, then let the tags name it: lists first, floating tags when all lists are there.

    :param back: floating tags may move to something older
    :raises ListError: a list cannot be promoted; nothing was written
    :raises RegistryError: something could not be copied; no tag names anything that is not whole
    """
    found = find_all(source, target, requests, foreign=foreign)
    for one in found:
        repository_of(target, one.target).check_push()
    done = [_copy(source, target, one) for one in found]
    for one in found:
        done += move_tags(repository_of(target, one.target), one.target, one.stored, one.floating, back=back)
    return done


def rehearse(
    source: Settings, target: Settings, requests: Sequence[Request], *, foreign: bool = False, back: bool = False
) -> list[Tagged]:
    """What promoting would do; nothing is written."""
    found: list[Tagged] = []
    for request in requests:
        try:
            one = find(source, target, request, foreign=foreign)
        except ListError as refused:
            goal = tags.list_of(request.image, request.release, target)
            found.append(Tagged(reference=goal, standing=Standing.MISSING, why=str(refused)))
        else:
            repository, digest = repository_of(target, one.target), one.stored.digest
            ours = None if back else age_of(request.release.version, source.release)
            found += rehearse_list(repository, one.target, one.floating, digest, ours=ours)
    return found


def _copy(source: Settings, target: Settings, one: Promotion) -> Tagged:
    origin, goal = repository_of(source, one.source), repository_of(target, one.target)
    if goal.digest(one.target.tag) == one.stored.digest:
        log.done(f"{one.target}: already so")
        return Tagged(reference=one.target, standing=Standing.ALREADY, digest=one.stored.digest)
    entries = one.stored.manifest.manifests or ()
    with log.step(f"{one.target}: copying") as progress:
        for number, entry in enumerate(entries, start=1):
            progress(f"{number} of {len(entries)}")
            _copy_image(origin, goal, entry.digest)
        put(goal, one.target, one.stored)
    log.done(f"{one.target}: {one.stored.digest}, as in {one.source}")
    return Tagged(reference=one.target, standing=Standing.WRITTEN, digest=one.stored.digest)


def _copy_image(origin: Repository, goal: Repository, digest: str) -> None:
    """Copy an image or an attestation: its layers first, so that its manifest never names what is not there."""
    stored = origin.get(digest)
    if stored is None or stored.is_list:
        raise ListError(f"{origin}@{digest} is not there any more, or no image", hint="run it again")
    for blob in stored.manifest.blobs:
        goal.copy_blob(origin, blob)
    if goal.digest(digest) != digest:
        goal.put(digest, stored)
