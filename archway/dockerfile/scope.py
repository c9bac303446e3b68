"""The arguments that FROM and its --platform see: those before the first FROM, and the automatic ones."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from archway.dockerfile.instructions import Instruction
from archway.dockerfile.syntax import Dockerfile, FirstMistakes
from archway.dockerfile.words import Expanded, WordError, expand
from archway.errors import UsageError, did_you_mean
from archway.platforms import Platform

_HIDES = "the default of {} wins over the platform that BuildKit builds for"


def global_arguments(dockerfile: Dockerfile) -> tuple[Instruction, ...]:
    """The ARG instructions before the first FROM."""
    count = next(index for index, found in enumerate(dockerfile.instructions) if found.keyword == "FROM")
    return dockerfile.instructions[:count]


class GlobalScope:
    """The values of the global arguments in one build.

    A build argument wins over a default. The automatic arguments are there undeclared, and a build argument wins over
    them as well: ``BUILDPLATFORM=linux/arm64`` is how a build is made to run under emulation.
    """

    def __init__(
        self,
        dockerfile: Dockerfile,
        arguments: Mapping[str, str],
        *,
        target: Platform,
        build: Platform,
        mistakes: FirstMistakes,
    ) -> None:
        self._dockerfile = dockerfile
        self._mistakes = mistakes
        self._values = {name: arguments.get(name, value) for name, value in automatic_arguments(target, build).items()}
        self._automatic = frozenset(self._values)
        given: set[str] = set()
        for instruction in global_arguments(dockerfile):
            for name, default in instruction.assignments:
                self._check_global(name, default, instruction.line, given)
                if name in arguments:
                    self._values[name] = arguments[name]
                elif default is not None and (found := self.expand(default, instruction.line)):
                    self._values[name] = found.text
                if default is not None:
                    given.add(name)

    def check_stage(self, instructions: Iterable[Instruction]) -> None:
        """Note the ARGs of a stage, also those in ONBUILD, whose default hides what BuildKit says of the platform."""
        for instruction in instructions:
            found = instruction.trigger or instruction
            for name, default in found.assignments if found.keyword == "ARG" else ():
                if name in self._automatic and default is not None:
                    self._mistake(_HIDES.format(name), found.line, f"write ARG {name}, without a default")

    def _check_global(self, name: str, default: str | None, line: int, given: Container[str]) -> None:
        """Note what means something else to each BuildKit, or is never meant: all of it was tried, with 0.13."""
        remove = "remove this line: BuildKit sets it by itself"
        if name in self._automatic:
            empties = "ARG {} without a default, before the first FROM, makes it empty in BuildKit up to 0.14"
            self._mistake((empties if default is None else _HIDES).format(name), line, remove)
        elif default is None and name in given:
            what = f"ARG {name[:80]} without a default, after one with: BuildKit 0.13 makes it empty, newer ones do not"
            self._mistake(what, line, "remove this line: the default stays")

    def _mistake(self, what: str, line: int, hint: str = "") -> None:
        self._mistakes.add(what, where=self._dockerfile.at(line), hint=hint)

    def expand(self, word: str, line: int) -> Expanded | None:
        """The meaning of ``word``; nothing where it has none, which is noted as a mistake."""
        try:
            return expand(word, self._values, escape=self._dockerfile.escape)
        except WordError as error:
            self._mistake(f"{word[:80]} has no meaning: {error}", line)
            return None

    def platform_word(self, word: str, line: int) -> Expanded | None:
        """The meaning of a ``--platform``. It must have one even where the stage is not needed: BuildKit wants it."""
        found = self.expand(word, line)
        if found and not found.text:
            self._mistake(f"--platform={word[:80]} is empty", line, self.advice(found))
            return None
        return found

    def platform(self, found: Expanded, line: int) -> Platform | None:
        """The platform of that name; nothing where archway knows none, which is noted as a mistake."""
        try:
            return Platform.parse(found.text)
        except UsageError as error:
            hint = "\n".join(filter(None, (self.advice(found), error.hint)))
            self._mistake(f"{found.text[:80]!r} is no platform that archway knows", line, hint)
            return None

    def advice(self, found: Expanded) -> str:
        """What to do about the variables of a word that came out wrong."""
        lines: list[str] = []
        for name in found.unset:
            near = did_you_mean(name, self._values)
            lines.append(f"{name[:80]} is not set here" + (f"; {near}" if near.startswith("did you mean") else ""))
        return "\n".join([*lines, "declare it with ARG before the first FROM"] if lines else [])


def automatic_arguments(target: Platform, build: Platform) -> dict[str, str]:
    """The arguments that FROM sees without an ARG, in a build for a target on a machine."""
    return {
        f"{prefix}{name}": value
        for prefix, platform in (("TARGET", target), ("BUILD", build))
        for name, value in (
            ("PLATFORM", str(platform)),
            ("OS", platform.os),
            ("ARCH", platform.architecture),
            ("VARIANT", platform.variant),
        )
    }
