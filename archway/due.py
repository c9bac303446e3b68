"""Decides which steps of a plan must really be built, from what the engine has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from archway.engine import LocalImage
from archway.labels import INPUT_DIGEST, REVISION, STRATEGY, recorded_parents
from archway.targets import Step, Target

Images = Mapping[Target, LocalImage | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What a user may want beside the images themselves.

    :ivar cache: False builds what was asked for without BuildKit's cache, also when it is up to date
    :ivar refresh: build everything that the images stand on anew as well, from today's packages
    :ivar same_strategy: what was built with another strategy is not up to date
    :ivar verbose: show all that BuildKit says
    """

    cache: bool = True
    refresh: bool = False
    same_strategy: bool = False
    verbose: bool = False

    def anew(self, step: Step) -> bool:
        """Whether a step is built without looking at what is there."""
        return self.refresh or (step.requested and not self.cache)


class State(Enum):
    """What the engine has of a target."""

    FRESH = auto()
    MISSING = auto()
    STALE = auto()


def due_steps(steps: Sequence[Step], images: Images, wishes: Wishes, *, commit: str) -> tuple[Step, ...]:
    """Those asked for that are not up to date, and what these need.

    A parent that is only missing makes nothing stale: a child that is up to date does not need it any more.

    :param steps: a plan, parents first
    :param images: what the engine has under the name of each
    :param commit: the checkout's revision, as labels have it
    """
    states: dict[Target, State] = {}
    for step in steps:
        states[step.target] = _state(step, images, wishes, states, commit)
    wanted = {step.target for step in steps if step.requested}
    due: list[Step] = []
    for step in reversed(steps):
        if step.target in wanted and states[step.target] is not State.FRESH:
            due.insert(0, step)
            wanted.update(step.all_parents)
    return tuple(due)


def _state(step: Step, images: Images, wishes: Wishes, states: Mapping[Target, State], commit: str) -> State:
    if wishes.anew(step) or any(states[parent] is State.STALE for parent in step.all_parents):
        return State.STALE
    image = images[step.target]
    if image is None:
        return State.MISSING
    recorded = recorded_parents(image)
    parents = [(str(parent), found.repo_digest) for parent in step.all_parents if (found := images[parent])]
    fresh = (
        image.platform == step.target.platform
        and image.labels.get(INPUT_DIGEST) == step.input_digest
        and (not (wishes.same_strategy and step.requested) or image.labels.get(STRATEGY) == step.strategy)
        # Built before its inputs were committed: only the label would be wrong.
        and (not image.labels.get(REVISION, "").endswith("-dirty") or commit.endswith("-dirty"))
        and all(recorded.get(parent, digest) == digest for parent, digest in parents if digest)
    )
    return State.FRESH if fresh else State.STALE
