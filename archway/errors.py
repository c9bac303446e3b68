"""What can go wrong, one class a cause.

    ArchwayError                 1
    ├── UsageError               2   an option, a name, a version or a platform that does not exist
    ├── MetadataError            3   an image.toml, a Dockerfile or a setting is wrong
    ├── MachineError             4   this machine cannot do it yet (no engine, no QEMU, no rights)
    ├── BuildError               5   a step of a Dockerfile failed
    │   ├── ChecksumError        6   a download is not the file that the repository names
    │   ├── PackageSourceError   7   a package registry could not be reached
    │   └── NoSpaceError         8   the disk is full
    ├── VerifyError              9   an image is not what its label says
    ├── SmokeTestError          10   an image was run and did not do its work
    ├── RegistryError           11   a registry of images did not do what it was asked
    │   └── AccessError         12   not logged in there, or without the rights
    └── ListError               13   a manifest list would be incomplete, stale or mixed; it was not written

The number is the exit code of the command. 130 is Ctrl-C, as shells have it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar, TypeVar

Thing = TypeVar("Thing")
Made = TypeVar("Made")


class ArchwayError(Exception):
    """Something that the user can mend, told in up to four parts.

    :param what: what failed, in one sentence
    :param where: the file, and the line where that is known
    :param why: the reason, as far as it is known
    :param hint: what to do about it
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: Location | Path | str | None = None, why: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = str(where) if where is not None else ""
        self.why = why
        self.hint = hint

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return "\n".join([head, *(f"  {line}" for part in (self.why, self.hint) for line in part.splitlines())])


class UsageError(ArchwayError):
    """An option, a name, a version or a platform that does not exist."""

    exit_code = 2


class MetadataError(ArchwayError):
    """An image.toml, a Dockerfile or a setting is wrong."""

    exit_code = 3


class MachineError(ArchwayError):
    """This machine cannot do it yet: no engine, no QEMU registration, no rights."""

    exit_code = 4


class BuildError(ArchwayError):
    """A step of a Dockerfile failed."""

    exit_code = 5


class ChecksumError(BuildError):
    """A download is not the file that the repository names."""

    exit_code = 6


class PackageSourceError(BuildError):
    """A package registry could not be reached."""

    exit_code = 7


class NoSpaceError(BuildError):
    """The disk is full."""

    exit_code = 8


class VerifyError(ArchwayError):
    """An image is not what its label says."""

    exit_code = 9


class SmokeTestError(ArchwayError):
    """An image was run and did not do its work."""

    exit_code = 10


class RegistryError(ArchwayError):
    """A registry of images did not do what it was asked.

    :ivar passing: the same request may succeed a little later
    """

    exit_code = 11

    def __init__(
        self, what: str, *, where: Location | Path | str | None = None, why: str = "", hint: str = "",
        passing: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(what, where=where, why=why, hint=hint)
        self.passing = passing


class AccessError(RegistryError):
    """Not logged in to a registry, or without the rights."""

    exit_code = 12


class ListError(ArchwayError):
    """A manifest list would be incomplete, stale or mixed; it was not written."""

    exit_code = 13


class Location:
    """A line of a file, written as editors and terminals link it: ``products/hive/Dockerfile:12``."""

    def __init__(self, path: Path | str, line: int | None = None) -> None:
        self.path = path
        self.line = line

    def __str__(self) -> str:
        return str(self.path) if self.line is None else f"{self.path}:{self.line}"


class Mistakes:
    """Collects the mistakes of one file, so that they are reported together.

    Call :meth:`add` for each, then :meth:`check`.
    """

    def __init__(self) -> None:
        self._mistakes: list[str] = []

    def add(self, what: str, *, where: Location | Path | str, hint: str = "") -> None:
        self._mistakes.append(str(MetadataError(what, where=where, hint=hint)))

    def check(self) -> None:
        """Raise one :class:`MetadataError` that holds all mistakes, or return if there are none."""
        if self._mistakes:
            raise MetadataError("\n".join(self._mistakes))


def try_each(things: Iterable[Thing], work: Callable[[Thing], Made]) -> tuple[list[Made], list[ListError]]:
    """Do a piece of work for each; what was made, and all refusals, so that they are told together."""
    made: list[Made] = []
    refused: list[ListError] = []
    for thing in things:
        try:
            made.append(work(thing))
        except ListError as refusal:
            refused.append(refusal)
    return made, refused


def told(errors: Iterable[ArchwayError]) -> str:
    """Errors as one text."""
    return "\n".join(map(str, errors))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a word that does not exist: the nearest known ones, or all of them when none is near."""
    names = sorted(known)
    if near := difflib.get_close_matches(word, names, n=3, cutoff=0.6):
        return f"did you mean {' or '.join(near)}?"
    return f"there is: {', '.join(names)}" if names else ""
