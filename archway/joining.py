"""``inv manifest``: joins members that a registry already holds. Writing lists, and moving tags, for all who do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeGuard

from packaging.version import Version

from archway import log
from archway.distribution import Repository, Stored
from archway.errors import ListError, told, try_each
from archway.lists import Member, Wanted, images_of, is_list_of
from archway.manifests import put, write_list
from archway.members import age, age_of, check_origin, check_proof, check_whole, read_member
from archway.references import Reference
from archway.remote import repository_of
from archway.settings import Settings
from archway.targets import Step


class Standing(StrEnum):
    """How a tag stands, compared with what it should name."""

    ALREADY = "already so"
    TO_WRITE = "to be written"
    MISSING = "missing"
    WRITTEN = "written"
    KEPT = "kept: it names something newer"
    FAILED = "not published"


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """A tag, how it stands, and the digest that it names (or would)."""

    reference: Reference
    standing: Standing
    digest: str = ""
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Joinable:
    """A list whose members are all there and right."""

    wanted: Wanted
    repository: Repository
    members: tuple[Member, ...]

    def tagged(self) -> Stored | None:
        """What its tag names now."""
        return self.repository.get(self.wanted.reference.tag)

    def is_made(self, stored: Stored | None) -> TypeGuard[Stored]:
        """Whether that is this very list."""
        return stored is not None and is_list_of(stored.manifest, self.members)


def find_members(settings: Settings, wanted: Wanted, *, foreign: bool = False) -> Joinable:
    """Read and check all members of a list.

    :raises ListError: a member is missing, for another platform, stale, foreign or not what it should be; all are told
    """
    repository = repository_of(settings, wanted.reference)

    def find(step: Step) -> Member:
        member = read_member(repository, step.reference, step.target.platform)
        check_origin(step.reference, member, wanted, foreign=foreign)
        check_whole(repository, member)
        check_proof(settings, repository, member, wanted.image)
        return member

    members, refused = try_each(wanted.steps, find)
    if refused:
        raise ListError(f"{wanted.reference} cannot be made", why=told(refused), hint="nothing was written")
    return Joinable(wanted=wanted, repository=repository, members=tuple(members))


def join_all(settings: Settings, lists: Sequence[Wanted], *, foreign: bool = False, back: bool = False) -> list[Tagged]:
    """Make the lists whose members are in the registry: all of them, or none.

    :param foreign: also of members that archway did not build
    :param back: floating tags may move to something older
    :raises ListError: one cannot be made; all that are wrong are told, and nothing was written
    :raises RegistryError: one could not be written; those before it were, and running it again goes on
    """
    found, refused = try_each(lists, lambda wanted: find_members(settings, wanted, foreign=foreign))
    if refused:
        raise ListError(f"{len(refused)} of {len(lists)} lists cannot be made", why=told(refused))
    for one in found:
        one.repository.check_push()
    return join(settings, found, back=back)


def join(settings: Settings, lists: Sequence[Joinable], *, back: bool = False) -> list[Tagged]:
    """Write the lists that are not there yet, then move the floating tags.

    :raises RegistryError: one could not be written; those before it were, and running it again goes on
    """
    written = [(one, *write(settings, one)) for one in lists]
    done = [tagged for _, _, tagged in written]
    # After all lists: who takes "latest" of two products gets both or neither.
    for one, stored, _ in written:
        done += move_tags(one.repository, one.wanted.reference, stored, one.wanted.floating, back=back)
    return done


def write(settings: Settings, one: Joinable) -> tuple[Stored, Tagged]:
    """Write a list, unless its tag names it already.

    :raises RegistryError: it could not be written
    """
    reference = one.wanted.reference
    if one.is_made(current := one.tagged()):
        log.done(f"{reference}: already so")
        return current, Tagged(reference=reference, standing=Standing.ALREADY, digest=current.digest)
    _tell_lost(one, current)
    with log.step(f"{reference}: writing"):
        insecure = one.repository.registry.is_plain_http
        stored = write_list(settings.state, one.repository, reference, one.members, insecure=insecure)
    log.done(f"{reference}: written, {stored.digest}")
    return stored, Tagged(reference=reference, standing=Standing.WRITTEN, digest=stored.digest)


def _tell_lost(one: Joinable, before: Stored | None) -> None:
    """Platforms that a public list had before, and will not have."""
    named = {str(entry.platform) for entry in images_of(before.manifest)} if before and before.is_list else set()
    if lost := sorted(named - {str(member.descriptor.platform) for member in one.members}):
        log.warn(f"{one.wanted.reference} held {', '.join(lost)}, which the metadata does not want any more")


def move_tags(
    repository: Repository, of: Reference, stored: Stored, floating: Sequence[Reference], *, back: bool
) -> list[Tagged]:
    """Let floating tags name a list (:func:`move_tag`)."""
    return [move_tag(repository, of, stored, tag, back=back) for tag in floating]


def move_tag(repository: Repository, of: Reference, stored: Stored, tag: Reference, *, back: bool) -> Tagged:
    """Let a floating tag name a list, as long as the list's own tag does.

    :param of: the list's own tag
    :param back: also where the tag names something newer now
    :raises ListError: another run has written another list meanwhile
    """
    _require_tag(repository, of, stored)
    if (digest := repository.digest(tag.tag)) == stored.digest:
        return Tagged(reference=tag, standing=Standing.ALREADY, digest=stored.digest)
    if digest and not back and _is_newer(repository, tag, age(repository, stored)):
        log.warn(f"{tag} names something newer and was not moved; --back moves it")
        return Tagged(reference=tag, standing=Standing.KEPT, digest=digest)
    put(repository, tag, stored)
    _require_tag(repository, of, stored)
    log.done(f"{tag}: now {stored.digest}")
    return Tagged(reference=tag, standing=Standing.WRITTEN, digest=stored.digest)


def _require_tag(repository: Repository, of: Reference, stored: Stored) -> None:
    if (found := repository.digest(of.tag)) != stored.digest:
        raise ListError(
            f"{of} was changed by another run", why=f"it names {found or 'nothing'}, not {stored.digest}",
            hint="run it again, and let one run at a time publish an image",
        )  # fmt: skip


def _is_newer(repository: Repository, tag: Reference, ours: tuple[Version, Version] | None) -> bool:
    """Whether a tag names a newer version than ours, or a newer release of the same one."""
    current = repository.get(tag.tag)
    there = current and age(repository, current)
    return bool(there and ours and there > ours)


def rehearse(settings: Settings, lists: Sequence[Wanted], *, foreign: bool = False, back: bool = False) -> list[Tagged]:
    """What :func:`join_all` would do: nothing is written.

    :raises RegistryError: the registry does not answer, or not to us
    """
    found = []
    for wanted in lists:
        try:
            one = find_members(settings, wanted, foreign=foreign)
        except ListError as refused:
            tags = (wanted.reference, *wanted.floating)
            found += [Tagged(reference=tag, standing=Standing.MISSING, why=str(refused)) for tag in tags]
            continue
        digest = current.digest if one.is_made(current := one.tagged()) else ""
        ours = None if back else age_of(wanted.release.version, settings.release)
        found += rehearse_list(one.repository, wanted.reference, wanted.floating, digest, ours=ours)
    return found


def rehearse_list(
    repository: Repository, of: Reference, floating: Sequence[Reference], digest: str, *,
    ours: tuple[Version, Version] | None,
) -> list[Tagged]:  # fmt: skip
    """How a list's own tag and its floating ones stand, compared with the list that they should name.

    :param digest: empty for a list that is not there yet
    :param ours: the list's age; floating tags do not move to something older
    """
    return [
        rehearse_tag(repository, of, digest),
        *(rehearse_tag(repository, tag, digest, ours=ours) for tag in floating),
    ]


def rehearse_tag(
    repository: Repository, tag: Reference, digest: str, *, ours: tuple[Version, Version] | None = None
) -> Tagged:
    """How one tag stands (:func:`rehearse_list`)."""
    current = repository.digest(tag.tag)
    if digest and current == digest:
        return Tagged(reference=tag, standing=Standing.ALREADY, digest=digest)
    if current and ours and _is_newer(repository, tag, ours):
        return Tagged(reference=tag, standing=Standing.KEPT, digest=current)
    return Tagged(reference=tag, standing=Standing.TO_WRITE, digest=digest)
