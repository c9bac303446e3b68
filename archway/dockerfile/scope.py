"""The arguments that FROM and its --platform see: those before the first FROM, and the automatic ones."""

from __future__ import annotations

from collections.abc import Mapping

from archway.dockerfile.instructions import Instruction
from archway.dockerfile.syntax import Dockerfile, FirstMistakes
from archway.dockerfile.words import Expanded, WordError, expand
from archway.errors import UsageError, did_you_mean
from archway.platforms import Platform


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
        self._values = {name: arguments.get(name, value) for name, value in _automatic(target, build).items()}
        for instruction in global_arguments(dockerfile):
            for name, default in instruction.assignments:
                if name in arguments:
                    self._values[name] = arguments[name]
                elif default is not None and (found := self.expand(default, instruction.line)):
                    self._values[name] = found.text

    def expand(self, word: str, line: int) -> Expanded | None:
        """The meaning of ``word``; nothing where it has none, which is noted as a mistake."""
        try:
            return expand(word, self._values, escape=self._dockerfile.escape)
        except WordError as error:
            self._mistakes.add(f"{word[:80]} has no meaning: {error}", where=self._dockerfile.at(line))
            return None

    def platform(self, word: str, line: int) -> Platform | None:
        """The platform that ``--platform`` means; nothing where it means none, which is noted as a mistake."""
        if not (found := self.expand(word, line)):
            return None
        try:
            return Platform.parse(found.text)
        except UsageError as error:
            what, hint = f"{found.text[:80]!r} is no platform that archway knows", error.hint
        if not found.text:
            what, hint = f"--platform={word[:80]} is empty", ""
        hints = "\n".join(filter(None, (self.advice(found), hint)))
        self._mistakes.add(what, where=self._dockerfile.at(line), hint=hints)
        return None

    def advice(self, found: Expanded) -> str:
        """What to do about the variables of a word that came out wrong."""
        lines: list[str] = []
        for name in found.unset:
            near = did_you_mean(name, self._values)
            lines.append(f"{name[:80]} is not set here" + (f"; {near}" if near.startswith("did you mean") else ""))
        return "\n".join([*lines, "declare it with ARG before the first FROM"] if lines else [])


def _automatic(target: Platform, build: Platform) -> dict[str, str]:
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
