"""The stages of a Dockerfile, as it tells them and as one build needs them (:mod:`resolver` finds out)."""

from __future__ import annotations

from dataclasses import dataclass

from archway.dockerfile.instructions import Instruction
from archway.dockerfile.syntax import Dockerfile
from archway.platforms import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """A stage as the Dockerfile tells it. ``base`` and ``platform`` are words whose variables are not replaced."""

    index: int
    name: str | None
    line: int
    base: str
    platform: str | None
    instructions: tuple[Instruction, ...]

    @property
    def title(self) -> str:
        """The name, or the one that BuildKit shows for a stage without one."""
        return self.name or f"stage-{self.index}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolvedStage:
    """A stage for one build. ``base`` is the index of an earlier stage, the name of an image, or None for scratch."""

    stage: Stage
    platform: Platform
    base: int | str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageUse:
    """An image from elsewhere. ``instruction`` is ``FROM``, ``COPY --from`` or ``RUN --mount``."""

    name: str
    platform: Platform
    line: int
    instruction: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A RUN of a foreign platform: its line, the begin of its command, and the stage it runs in."""

    number: int
    text: str
    stage: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolution:
    """What a build needs. ``stages`` stand in the order of the Dockerfile; the last one is what is built."""

    stages: tuple[ResolvedStage, ...]
    images: tuple[ImageUse, ...]
    foreign_runs: tuple[Line, ...]
    declared_arguments: frozenset[str]

    @property
    def final(self) -> ResolvedStage:
        return self.stages[-1]

    @property
    def onbuild(self) -> tuple[Instruction, ...]:
        """The ONBUILD instructions of the stage that is built."""
        return tuple(i for i in self.final.stage.instructions if i.keyword == "ONBUILD")


def split_stages(dockerfile: Dockerfile) -> tuple[Stage, ...]:
    """The stages in their order."""
    starts = [index for index, found in enumerate(dockerfile.instructions) if found.keyword == "FROM"]
    stages: list[Stage] = []
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        first, *others = dockerfile.instructions[start:end]
        stages.append(
            Stage(
                index=len(stages),
                name=first.words[2].lower() if len(first.words) == 3 else None,
                line=first.line,
                base=first.words[0],
                platform=next(iter(first.flag("platform")), None),
                instructions=tuple(others),
            )
        )
    return tuple(stages)
