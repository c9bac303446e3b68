"""``inv manifest``: joins members that a registry, or the engine, already holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from archway import log
from archway.distribution import Repository, Stored
from archway.errors import ListError
from archway.lists import Member, Wanted, is_list_of
from archway.manifests import write_list
from archway.members import check_origin, check_proof, read_member
from archway.references import Reference
from archway.remote import repository_of
from archway.settings import Settings


class Standing(StrEnum):
    """How a tag stands, compared with what it should name."""

    ALREADY = "already so"
    TO_WRITE = "to be written"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """A tag, how it stood before, and the list that it names (or would)."""

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
    current: Stored | None

    @property
    def done(self) -> bool:
        """Whether the tag names exactly this list already."""
        return self.current is not None and is_list_of(self.current.manifest, self.members)


def find_members(settings: Settings, wanted: Wanted, *, foreign: bool = False) -> Joinable:
    """Read and check all members of a list.

    :raises ListError: a member is missing, for another platform, stale, foreign or not what it should be; all are told
    """
    repository = repository_of(settings, wanted.reference)
    members, wrong = [], []
    for step in wanted.steps:
        try:
            member = read_member(repository, step.reference, step.target.platform)
            check_origin(step.reference, member, wanted, foreign=foreign)
            check_proof(settings, repository, member, wanted.image)
        except ListError as refused:
            wrong.append(str(refused))
        else:
            members.append(member)
    if wrong:
        raise ListError(f"{wanted.reference} cannot be made", why="\n".join(wrong), hint="nothing was written")
    return joinable(settings, wanted, members)


def joinable(settings: Settings, wanted: Wanted, members: Sequence[Member]) -> Joinable:
    """A list of members that were checked, and what its tag names now."""
    repository = repository_of(settings, wanted.reference)
    return Joinable(
        wanted=wanted, repository=repository, members=tuple(members), current=repository.get(wanted.reference.tag)
    )


def join(lists: Sequence[Joinable]) -> list[Tagged]:
    """Write the lists that are not there yet, then move the floating tags.

    :raises RegistryError: one could not be written; those before it were, and running it again goes on
    """
    done, written = [], []
    for one in lists:
        stored, tagged = write(one)
        done.append(tagged)
        written.append(replace(one, current=stored))
    # After all lists: who takes "latest" of two products gets both or neither.
    for one in written:
        done += move_tags(one)
    return done


def write(one: Joinable) -> tuple[Stored, Tagged]:
    """Write a list, unless its tag names it already.

    :raises RegistryError: it could not be written
    """
    reference = one.wanted.reference
    if one.current and one.done:
        log.done(f"{reference}: already so")
        return one.current, Tagged(reference=reference, standing=Standing.ALREADY, digest=one.current.digest)
    with log.step(f"{reference}: writing"):
        insecure = one.repository.registry.is_plain_http
        stored = write_list(one.repository, reference, one.members, insecure=insecure)
    log.done(f"{reference}: written, {stored.digest}")
    return stored, Tagged(reference=reference, standing=Standing.TO_WRITE, digest=stored.digest)


def move_tags(one: Joinable) -> list[Tagged]:
    """Let the floating tags name a list that was written."""
    return [move_tag(one.repository, tag, one.current) for tag in one.wanted.floating if one.current]


def move_tag(repository: Repository, tag: Reference, stored: Stored) -> Tagged:
    """Let a tag name a list that its repository holds."""
    if repository.digest(tag.tag) == stored.digest:
        return Tagged(reference=tag, standing=Standing.ALREADY, digest=stored.digest)
    repository.put(tag.tag, stored)
    log.done(f"{tag}: now {stored.digest}")
    return Tagged(reference=tag, standing=Standing.TO_WRITE, digest=stored.digest)


def rehearse(settings: Settings, lists: Sequence[Wanted], *, foreign: bool = False) -> list[Tagged]:
    """What :func:`join` would do: nothing is written.

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
        digest = one.current.digest if one.current and one.done else ""
        standing = Standing.ALREADY if digest else Standing.TO_WRITE
        found.append(Tagged(reference=wanted.reference, standing=standing, digest=digest))
        for tag in wanted.floating:
            so = bool(digest) and one.repository.digest(tag.tag) == digest
            found.append(Tagged(reference=tag, standing=Standing.ALREADY if so else Standing.TO_WRITE, digest=digest))
    return found
