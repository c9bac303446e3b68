"""``inv images``: what is built here, what is published, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from archway import log
from archway.distribution import Repository, Stored
from archway.engine import Engine
from archway.errors import AccessError, RegistryError
from archway.labels import INPUT_DIGEST
from archway.lists import Wanted, images_of, platform_faults
from archway.remote import repository_of
from archway.settings import Settings
from archway.targets import Step


class Built(StrEnum):
    """What the engine has of a target."""

    YES = "built"
    STALE = "stale"
    NO = "missing"
    UNKNOWN = "no engine"


class Published(StrEnum):
    """What the registry has of a target."""

    SAME = "published"
    STALE = "published, stale"
    OTHER = "another one"
    YES = "published, not built here"
    MEMBER = "member only"
    NO = "missing"
    NO_RIGHTS = "no rights"
    UNREADABLE = "unreadable"
    UNKNOWN = "no answer"


@dataclass(frozen=True, kw_only=True)
class Item:
    """A target, here and in the registry."""

    step: Step
    built: Built
    published: Published
    list_state: str


def inventory(engine: Engine, settings: Settings, lists: Sequence[Wanted]) -> list[Item]:
    """Each target of the lists. Where no engine or no registry answers, what is there is not known."""
    here = engine if engine.answers else None
    items: list[Item] = []
    silent: set[str] = set()
    for wanted in lists:
        host = wanted.reference.registry
        if host in silent:
            items += _items(here, Published.UNKNOWN, wanted)
            continue
        repository = repository_of(settings, wanted.reference)
        try:
            items += _items(here, repository, wanted)
        except RegistryError as failed:
            log.warn(str(failed))
            trouble = _trouble(repository, failed)
            # A registry that does not answer is asked once; other trouble is this one repository's.
            if trouble is Published.UNKNOWN:
                silent.add(host)
            items += _items(here, trouble, wanted)
    return items


def _trouble(repository: Repository, failed: RegistryError) -> Published:
    if isinstance(failed, AccessError):
        return Published.NO_RIGHTS
    if failed.passing or not repository.registry.answers:
        return Published.UNKNOWN
    return Published.UNREADABLE


def _items(engine: Engine | None, there: Repository | Published, wanted: Wanted) -> list[Item]:
    """:raises RegistryError: the registry does not say what is there"""
    stored = there.get(wanted.reference.tag) if isinstance(there, Repository) else None
    return [_item(engine, there, wanted, step, stored) for step in wanted.steps]


def _item(
    engine: Engine | None, there: Repository | Published, wanted: Wanted, step: Step, stored: Stored | None
) -> Item:
    built, local = _built(engine, wanted, step) if engine else (Built.UNKNOWN, "")
    if isinstance(there, Published):
        return Item(step=step, built=built, published=there, list_state=there)
    named = [
        entry.digest for entry in (images_of(stored.manifest) if stored else ())
        if entry.platform and entry.platform.known == step.target.platform
    ]  # fmt: skip
    if named:
        published = Published.SAME if local in named else Published.OTHER if local else Published.YES
        if published is Published.SAME and built is Built.STALE:
            published = Published.STALE
    else:
        published = Published.MEMBER if there.digest(step.reference.tag) else Published.NO
    return Item(step=step, built=built, published=published, list_state=_list_state(wanted, stored))


def _built(engine: Engine, wanted: Wanted, step: Step) -> tuple[Built, str]:
    """What the engine has of a target, and the digest of that."""
    image, platform = engine.image(str(step.reference)), step.target.platform
    if image is None:
        return Built.NO, ""
    fresh = image.platform == platform and image.labels.get(INPUT_DIGEST) in wanted.inputs[platform]
    return Built.YES if fresh else Built.STALE, image.repo_digest or ""


def _list_state(wanted: Wanted, stored: Stored | None) -> str:
    if stored is None:
        return "missing"
    if not stored.is_list:
        return "is one image"
    return ", ".join(platform_faults(stored.manifest, wanted.platforms)) or "whole"
