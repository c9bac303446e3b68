"""``inv images``: what is built here, what is published, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from archway import log
from archway.distribution import Repository, Stored
from archway.engine import Engine
from archway.errors import RegistryError
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
    OTHER = "another one"
    YES = "published, not built here"
    MEMBER = "member only"
    NO = "missing"
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
    here = engine.answers
    items: list[Item] = []
    silent: set[str] = set()
    for wanted in lists:
        repository = repository_of(settings, wanted.reference)
        stored: Stored | None = None
        # A registry that does not answer is asked once.
        if wanted.reference.registry not in silent:
            try:
                stored = repository.get(wanted.reference.tag)
            except RegistryError as failed:
                log.warn(str(failed))
                silent.add(wanted.reference.registry)
        known = wanted.reference.registry not in silent
        items += [
            _item(engine if here else None, repository if known else None, wanted, step, stored)
            for step in wanted.steps
        ]
    return items


def _item(
    engine: Engine | None, repository: Repository | None, wanted: Wanted, step: Step, stored: Stored | None
) -> Item:
    platform = step.target.platform
    built, local = Built.UNKNOWN, ""
    if engine:
        image = engine.image(str(step.reference))
        fresh = image is not None and image.labels.get(INPUT_DIGEST) in wanted.inputs[platform]
        built = Built.NO if image is None else Built.YES if fresh else Built.STALE
        local = (image and image.repo_digest) or ""
    if repository is None:
        return Item(step=step, built=built, published=Published.UNKNOWN, list_state="no answer")
    named = [
        entry.digest for entry in (images_of(stored.manifest) if stored else ())
        if entry.platform and entry.platform.known == platform
    ]  # fmt: skip
    if named:
        published = Published.SAME if local in named else Published.OTHER if local else Published.YES
    else:
        published = Published.MEMBER if repository.digest(step.reference.tag) else Published.NO
    return Item(step=step, built=built, published=published, list_state=_list_state(wanted, stored))


def _list_state(wanted: Wanted, stored: Stored | None) -> str:
    if stored is None:
        return "missing"
    if not stored.is_list:
        return "is one image"
    return ", ".join(platform_faults(stored.manifest, wanted.platforms)) or "whole"
