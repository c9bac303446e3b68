"""What a build of one stage for one platform needs: stages, images from elsewhere, and what runs foreign code.

Which variables BuildKit knows where: FROM and its --platform see the arguments declared before the first FROM and the
automatic ones, nothing of any stage. COPY --from and the from of RUN --mount know no variables at all. So the graph
of stages depends on the arguments before the first FROM only.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from archway.dockerfile.instructions import Instruction
from archway.dockerfile.scope import GlobalScope, global_arguments
from archway.dockerfile.stages import ImageUse, Line, Resolution, ResolvedStage, Stage, split_stages
from archway.dockerfile.syntax import Dockerfile, FirstMistakes
from archway.dockerfile.words import Expanded
from archway.errors import MetadataError, did_you_mean
from archway.platforms import Platform

MAX_TRIGGERS = 100_000
_PATH = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    r"(?:(?:localhost|(?=[^/]*[.:A-Z])(?:[\w.-]+|\[[0-9a-fA-F:]+\])(?::\d+)?)/)?"  # registry
    rf"{_PATH}(?:/{_PATH})*(?::\w[\w.-]*)?(?:@[a-z0-9+._-]+:[0-9a-fA-F]{{32,}})?",
    re.ASCII,
)
_NUMBER = re.compile(r"[+-]?\d{1,9}", re.ASCII)


def resolve(
    dockerfile: Dockerfile,
    *,
    arguments: Mapping[str, str],
    target: Platform,
    build: Platform,
    stage: str | None = None,
) -> Resolution:
    """What a build of ``stage`` (or of the last stage) for ``target`` on a machine of platform ``build`` needs.

    :raises MetadataError: what is wrong with the references between stages, all of it
    """
    return _Resolver(dockerfile, arguments, target, build).resolve(stage)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Source:
    """Where an instruction takes files from: a stage, or an image."""

    place: int | str
    line: int
    instruction: str


class _Resolver:
    def __init__(self, dockerfile: Dockerfile, arguments: Mapping[str, str], target: Platform, build: Platform) -> None:
        self._dockerfile = dockerfile
        self._target = target
        self._build = build
        self._mistakes = FirstMistakes()
        self._stages = split_stages(dockerfile)
        self._names = {stage.name: stage.index for stage in self._stages if stage.name}
        self._scope = GlobalScope(dockerfile, arguments, target=target, build=build, mistakes=self._mistakes)
        self._bases: list[int | str | None] = []
        self._platforms: list[Expanded | None] = []

    def resolve(self, name: str | None) -> Resolution:
        self._read_stages()
        sources = [[s for i in stage.instructions for s in self._sources(i, stage)] for stage in self._stages]
        needed = self._needed(self._find(name), sources)
        order = sorted(needed)
        stages = self._resolve_stages(order)
        images = tuple(use for index in order for use in self._images(stages[index], sources[index]))
        self._mistakes.check()
        return Resolution(
            stages=tuple(stages.values()),
            images=images,
            foreign_runs=tuple(line for index in order for line in self._foreign_runs(stages[index], needed[index])),
            declared_arguments=frozenset(
                name
                for instruction in (*global_arguments(self._dockerfile), *(i for index in order for i in needed[index]))
                if instruction.keyword == "ARG"
                for name, _ in instruction.assignments
            ),
        )

    def _needed(self, final: int, sources: list[list[_Source]]) -> dict[int, tuple[Instruction, ...]]:
        """The stages that ``final`` needs, with what runs in each; what ONBUILD adds to the sources is added."""
        needed: dict[int, tuple[Instruction, ...]] = {}
        wanted = {final}
        triggers = 0
        for index in range(final, -1, -1):  # references only point back, so one way through finds everything
            if index not in wanted:
                continue
            base = self._bases[index]
            inherited = self._triggers(base)
            triggers += len(inherited)
            if triggers > MAX_TRIGGERS:
                raise MetadataError(f"more than {MAX_TRIGGERS:,} ONBUILD instructions run", where=self._dockerfile.path)
            sources[index][:0] = [s for i in inherited for s in self._sources(i, self._stages[index])]
            self._check_order(sources[index], self._stages[index])
            needed[index] = (*inherited, *self._stages[index].instructions)
            wanted.update(place for place in (base, *(s.place for s in sources[index])) if isinstance(place, int))
        return needed

    def _mistake(self, what: str, line: int, hint: str = "") -> None:
        self._mistakes.add(what, where=self._dockerfile.at(line), hint=hint)

    def _read_stages(self) -> None:
        earlier: dict[str, int] = {}
        for stage in self._stages:
            self._bases.append(self._base(stage, earlier))
            self._platforms.append(self._scope.platform_word(stage.platform, stage.line) if stage.platform else None)
            self._scope.check_stage(stage.instructions)
            if stage.name:
                earlier[stage.name] = stage.index

    def _resolve_stages(self, order: list[int]) -> dict[int, ResolvedStage]:
        """The stages that are needed, with their platforms. Others may be for platforms that archway does not know."""
        resolved: dict[int, ResolvedStage] = {}
        for index in order:
            stage, base, word = self._stages[index], self._bases[index], self._platforms[index]
            platform = self._scope.platform(word, stage.line) if word else None
            # Whatever --platform says: BuildKit takes the platform of the stage below, and the target's for scratch.
            if isinstance(base, int):
                platform = resolved[base].platform
            elif base is None or platform is None:
                platform = self._target
            resolved[index] = ResolvedStage(stage=stage, platform=platform, base=base)
        return resolved

    def _base(self, stage: Stage, earlier: Mapping[str, int]) -> int | str | None:
        found = self._scope.expand(stage.base, stage.line)
        if found is None:
            return None
        name = found.text
        if name in earlier:
            return earlier[name]
        if name.lower() in earlier:
            self._mistake(
                f"FROM {name} finds no stage", stage.line, f"write FROM {name.lower()}: FROM knows lower-case names"
            )
        elif not _IMAGE.fullmatch(name):
            shown = f"FROM {stage.base[:80]} names no image" + (f", but {name[:80]}" if name else "")
            self._mistake(shown, stage.line, self._scope.advice(found))
        return None if name == "scratch" else name

    def _find(self, name: str | None) -> int:
        if name is None:
            return len(self._stages) - 1
        if (index := self._names.get(name.lower())) is None:
            self._mistakes.check()
            hint = did_you_mean(name, self._names) or "no stage has a name"
            raise MetadataError(f"there is no stage {name}", where=self._dockerfile.path, hint=hint)
        return index

    def _triggers(self, base: int | str | None) -> tuple[Instruction, ...]:
        """What the ONBUILD of the stage below adds here. It goes one stage far, not further."""
        if not isinstance(base, int):
            return ()
        return tuple(trigger for i in self._stages[base].instructions if (trigger := i.trigger))

    def _sources(self, instruction: Instruction, stage: Stage) -> Iterator[_Source]:
        """The stages and images that COPY --from and RUN --mount name. scratch is neither."""
        if instruction.keyword == "COPY":
            words = [("COPY --from", word) for word in instruction.flag("from")]
        elif instruction.keyword == "RUN":
            words = [("RUN --mount", word) for word in self._mounts(instruction)]
        else:
            return
        for shown, word in words:
            place = self._place(shown, word, instruction.line, stage)
            if place not in (None, "scratch"):
                yield _Source(place=place, line=instruction.line, instruction=shown)

    def _mounts(self, instruction: Instruction) -> Iterator[str]:
        for mount in instruction.flag("mount"):
            try:
                fields = next(csv.reader([mount], strict=True), [])
            except csv.Error as error:
                self._mistake(f"--mount={mount[:80]} cannot be read: {error}", instruction.line)
                continue
            options = {key.lower(): value for key, _, value in (field.partition("=") for field in fields)}
            if options.get("from"):
                yield options["from"]

    def _place(self, shown: str, word: str, line: int, stage: Stage) -> int | str | None:
        if "$" in word:
            hint = f"give the image a stage: FROM {word} AS name, with ARG before the first FROM; then use the name"
            self._mistake(f"{shown} knows no variables: {word[:80]}", line, hint)
            return None
        index = self._names.get(word.lower())
        if _NUMBER.fullmatch(word):
            index = int(word)
            if shown == "RUN --mount":  # BuildKit looks for an image of that name
                self._mistake("RUN --mount finds stages by name only", line, f"give stage {word} a name with AS")
                return None
        if index is None:
            if not _IMAGE.fullmatch(word):
                self._mistake(f"{shown} names no image, but {word[:80]}", line)
            return word
        if index not in range(len(self._stages)):
            self._mistake(
                f"{shown} refers to stage {word}", line, f"the last stage has the number {len(self._stages) - 1}"
            )
            return None
        if index == stage.index:
            self._mistake(f"{shown} refers to its own stage", line, "a stage can use the stages before it")
            return None
        return index

    def _check_order(self, sources: list[_Source], stage: Stage) -> None:
        for source in sources:
            if isinstance(source.place, int) and source.place > stage.index:
                other = self._stages[source.place]
                what = f"{other.title}, which begins later, on line {other.line}"
                hint = "a stage can use the stages before it; of two with one name, the last counts"
                self._mistake(f"{source.instruction} refers to {what}", source.line, hint)

    def _images(self, resolved: ResolvedStage, sources: list[_Source]) -> Iterator[ImageUse]:
        if isinstance(resolved.base, str):
            line = resolved.stage.line
            yield ImageUse(name=resolved.base, platform=resolved.platform, line=line, instruction="FROM")
        for source in sources:
            # BuildKit makes a stage without --platform of such an image: it is the target's, even in a stage of
            # the build platform. Another platform takes a stage, FROM --platform=… image AS name.
            if isinstance(source.place, str):
                yield ImageUse(
                    name=source.place, platform=self._target, line=source.line, instruction=source.instruction
                )

    def _foreign_runs(self, resolved: ResolvedStage, instructions: tuple[Instruction, ...]) -> Iterator[Line]:
        if resolved.platform != self._build:
            for found in instructions:
                if found.keyword == "RUN":
                    yield Line(number=found.line, text=found.summary, stage=resolved.stage.title)
