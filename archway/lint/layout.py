"""The stages of a Dockerfile as builds for different platforms see them.

No build arguments are known here, and a lint has to say something of a Dockerfile that :func:`resolve` refuses. So
names and platforms are looked at in several worlds, each with another target and another machine: what is the
target's platform in all of them is the target's, what never changes is constant.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from archway.dockerfile import Dockerfile, Instruction, Stage, global_arguments, split_stages
from archway.dockerfile.scope import automatic_arguments
from archway.dockerfile.words import WordError, expand
from archway.platforms import TABLE, Platform

_LONGEST = 1_000  # characters; no image and no platform has a longer name
_AMD64, _ARM64 = (Platform.parse(word) for word in ("amd64", "arm64"))
_TARGETS = (_ARM64, *(platform for names in TABLE if (platform := Platform.parse(names.oci)) != _ARM64))

AUTOMATIC = frozenset(automatic_arguments(_ARM64, _AMD64))
"""The arguments that FROM sees without an ARG."""


class Kind(Enum):
    """Whose platform a stage has. ``MIXED`` is one that depends on the target's name, or cannot be told."""

    TARGET = auto()
    BUILD = auto()
    CONSTANT = auto()
    MIXED = auto()


@dataclass(frozen=True, slots=True)
class World:
    """One build. ``bases`` are indices of stages, or None; ``needed`` are the stages that the last one takes from."""

    target: Platform
    build: Platform
    bases: tuple[int | None, ...]
    platforms: tuple[Platform | str | None, ...]
    needed: frozenset[int]

    def root(self, index: int) -> int:
        """The stage of this file that a stage stands on, in the end."""
        while (base := self.bases[index]) is not None:
            index = base
        return index


@dataclass(frozen=True, slots=True)
class Layout:
    """What the rules look at. ``selected`` are stages for one platform that others choose by the platform's name."""

    dockerfile: Dockerfile
    source: str
    builder: bool
    declared: frozenset[str]
    stages: tuple[Stage, ...]
    worlds: tuple[World, ...]
    kinds: tuple[Kind, ...]
    selected: frozenset[int]
    arguments: tuple[Instruction, ...] = field(default=())

    @classmethod
    def of(cls, dockerfile: Dockerfile, *, source: str, builder: bool, declared: frozenset[str]) -> Layout:
        stages = split_stages(dockerfile)
        references = _References(stages)
        worlds = tuple(_world(dockerfile, references, target) for target in _TARGETS)
        return cls(
            dockerfile=dockerfile,
            source=source,
            builder=builder,
            declared=declared,
            stages=stages,
            worlds=worlds,
            kinds=tuple(_kind(worlds, stage.index) for stage in stages),
            selected=frozenset(_selected(worlds, len(stages))),
            arguments=global_arguments(dockerfile),
        )

    @property
    def final(self) -> frozenset[int]:
        """The last stage, and those that it stands on, whatever the platform."""
        return frozenset(index for world in self.worlds for index in _chain(world, len(self.stages) - 1))

    def ships(self, index: int) -> bool:
        """Whether the last stage needs the stage for the target's platform."""
        return any(index in world.needed and world.platforms[index] == world.target for world in self.worlds)

    def bases(self, index: int) -> frozenset[int]:
        """The stages that a stage may stand on."""
        return frozenset(base for world in self.worlds if (base := world.bases[index]) is not None)


def _chain(world: World, index: int | None) -> Iterator[int]:
    while index is not None:
        yield index
        index = world.bases[index]


def _kind(worlds: tuple[World, ...], index: int) -> Kind:
    found = [world.platforms[index] for world in worlds]
    if None in found:
        return Kind.MIXED
    if found == [world.target for world in worlds]:
        return Kind.TARGET
    if found == [world.build for world in worlds]:
        return Kind.BUILD
    return Kind.CONSTANT if len(set(found)) == 1 else Kind.MIXED


def _selected(worlds: tuple[World, ...], count: int) -> Iterator[int]:
    """FROM tool-amd64 in one world and tool-arm64 in another: all stages down from there are for one platform."""
    for index in range(count):
        if len({world.bases[index] for world in worlds}) > 1:
            for world in worlds:
                yield from _chain(world, world.bases[index])


def _world(dockerfile: Dockerfile, references: _References, target: Platform) -> World:
    build = _ARM64 if target == _AMD64 else _AMD64
    values = automatic_arguments(target, build)
    for instruction in global_arguments(dockerfile):
        for name, default in instruction.assignments:
            if name not in AUTOMATIC and default is not None:
                values[name] = _expanded(default, values, dockerfile.escape)
    bases: list[int | None] = []
    platforms: list[Platform | str | None] = []
    earlier: dict[str, int] = {}
    known: dict[str, str] = {}
    for stage in references.stages:
        for word in (stage.base, stage.platform or ""):
            if word not in known:
                known[word] = _expanded(word, values, dockerfile.escape)
        base = earlier.get(known[stage.base])
        bases.append(base)
        if base is not None:
            platforms.append(platforms[base])
        elif stage.platform is None or known[stage.base] == "scratch":
            platforms.append(target)
        else:
            word = known[stage.platform].rstrip("/")
            platforms.append(Platform.known(word) or word or None)
        if stage.name:
            earlier[stage.name] = stage.index
    return World(target, build, tuple(bases), tuple(platforms), references.needed(bases))


def _expanded(word: str, values: Mapping[str, str], escape: str) -> str:
    """The meaning of a word, and nothing where it has none."""
    try:
        return expand(word, values, escape=escape).text[:_LONGEST]
    except WordError:
        return ""


class _References:
    """Which stages the instructions of each stage take files from, apart from the one that it stands on."""

    def __init__(self, stages: tuple[Stage, ...]) -> None:
        self.stages = stages
        self._names = {stage.name: stage.index for stage in stages if stage.name}
        self._own = [frozenset(self._places(stage.instructions)) for stage in stages]
        self._left = [frozenset(self._places(t for i in stage.instructions if (t := i.trigger))) for stage in stages]

    def needed(self, bases: list[int | None]) -> frozenset[int]:
        """The stages that the last one needs. References that point forwards are mistakes, and lead nowhere."""
        wanted = {len(bases) - 1}
        seen: set[int] = set()
        for index in range(len(bases) - 1, -1, -1):
            if index not in wanted:
                continue
            wanted |= self._own[index]
            base = bases[index]
            if base is not None:
                wanted.add(base)
                if base not in seen:  # what ONBUILD left is the same for every stage that stands on it
                    seen.add(base)
                    wanted |= self._left[base]
        return frozenset(wanted)

    def _places(self, instructions: Iterator[Instruction] | tuple[Instruction, ...]) -> Iterator[int]:
        for instruction in instructions:
            if instruction.keyword == "COPY":
                for word in instruction.flag("from"):
                    place = int(word) if word.isascii() and word.isdecimal() and len(word) < 9 else None
                    place = self._names.get(word.lower()) if place is None else place
                    if place is not None and place < len(self.stages):
                        yield place
            elif instruction.keyword == "RUN":
                yield from (self._names[word] for word in mount_sources(instruction) if word in self._names)


def mount_sources(instruction: Instruction) -> Iterator[str]:
    """The names that the ``from`` of RUN --mount has, in lower case."""
    for mount in instruction.flag("mount"):
        try:
            fields = next(csv.reader([mount], strict=True), [])
        except csv.Error:
            continue
        for one in fields:
            key, _, value = one.partition("=")
            if key.lower() == "from":
                yield value.lower()
