"""Reads from BuildKit's output why a build failed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archway.docker import FREE_SPACE, NO_SPACE, EngineGoneError
from archway.errors import BuildError, ChecksumError, MachineError, NoSpaceError, PackageSourceError


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """Words that name a cause, and what to tell and do about it."""

    pattern: str
    error: type[BuildError | MachineError]
    what: str
    hint: str


# What BuildKit's client prints of a connection that ended; after "failed to solve: " may stand any text of a step.
ENGINE_GONE = re.compile(
    r"^(?!ERROR: failed to solve: ).*(Cannot connect to the Docker daemon|error during connect|closing transport|"
    r"failed to receive status|code = Unavailable)|"
    r"^ERROR: failed to solve: (rpc error: code = )?(Unavailable|Canceled)\b"
)

# The first that fits wins: the more certain stand first.
SIGNS = (
    Sign(
        pattern=NO_SPACE.pattern,
        error=NoSpaceError,
        what="the disk is full",
        hint=FREE_SPACE,
    ),
    Sign(
        pattern=r"CHECKSUM MISMATCH|Hash Sum mismatch|computed checksum did NOT match|Checksum validation failed|"
        r"digest mismatch",
        error=ChecksumError,
        what="a download is not the file that the repository names",
        hint="if upstream really changed it, find out why, and only then change the checksum",
    ),
    Sign(
        pattern=r"exec format error",
        error=MachineError,
        what="a foreign program was started, and no emulator is registered for it",
        hint="run: inv setup",
    ),
    Sign(
        pattern=r"Temporary failure resolving|Could not resolve|Unknown host|Name or service not known|"
        r"Temporary failure in name resolution|UnresolvedAddress|Connection timed out|Connection refused|"
        r"Network is unreachable|Failed to fetch|Could not connect to|Could not transfer|no such host|i/o timeout|"
        r"PKIX path building failed|certificate verify failed|No address associated with hostname",
        error=PackageSourceError,
        what="a package registry could not be reached",
        hint="check the network and proxy; for a company's certificate authority or mirror see docs/settings.md",
    ),
    Sign(
        pattern=r"qemu: uncaught target signal|exit code: 139|Segmentation fault.*qemu",
        error=BuildError,
        what="a program crashed under QEMU",
        hint="QEMU 10 (Debian 13) crashes less; better, move the step to a $BUILDPLATFORM stage and build it as cross",
    ),
    Sign(
        pattern=r"exit code: 137|signal: killed|Killed\b",
        error=BuildError,
        what="a step was killed, most likely for want of memory",
        hint="give the engine more memory, or build less at once",
    ),
)


def explain(
    target: str,
    output: Sequence[str],
    *,
    dockerfile: str,
    log: str,
    engine_gone: bool = False,
    places: Mapping[str, str] | None = None,
) -> BuildError | MachineError:
    """The error that a failed build should end with.

    :param output: what BuildKit printed
    :param dockerfile: the Dockerfile, as messages show it
    :param log: where all of the output stands
    :param engine_gone: the engine did not answer afterwards, whatever its last words were
    :param places: folders of the container and what they are to the user, for messages of the command ``cargo-image``
    """
    last = next((line for line in reversed(output) if line.startswith("ERROR")), output[-1] if output else "")
    said = _said_by_failing_step(output)
    shown = "\n".join(said[-25:] or [line for line in output[-12:] if line.strip()])
    line = _line("\n".join(output))
    where = f"{dockerfile}:{line}" if line else dockerfile
    if engine_gone or ENGINE_GONE.search(last):
        hint = "run: inv setup --check"
        return EngineGoneError("the Docker engine went away during the build", where=where, why=shown, hint=hint)
    # The command stands in the title and in the last line; its words are no sign of anything.
    text = "\n".join([*said[1:][-60:], re.sub(r'process ".*" did not', "process did not", last)])
    sign = next((sign for sign in SIGNS if re.search(sign.pattern, text, re.IGNORECASE)), None)
    if told := _told_by_cargo_image(said):
        return _passed_on(told, sign, places or {}, target=target, where=where, log=log)
    if sign:
        hint = f"{sign.hint}\nall output: {log}"
        return sign.error(f"{target}: {sign.what}", where=where, why=shown, hint=hint)
    return BuildError(f"{target}: a step failed", where=where, why=shown, hint=f"all output: {log}")


def _said_by_failing_step(output: Sequence[str]) -> list[str]:
    """What the step that failed printed, without BuildKit's marks; its title comes first."""
    failed = next((found[1] for line in reversed(output) if (found := re.match(r"#(\d+) ERROR: ", line))), None)
    if failed is None:
        return []
    mark = f"#{failed} "
    lines = [line.removeprefix(mark) for line in output if line.startswith(mark)]
    said = [re.sub(r"^\d+\.\d+ ", "", line) for line in lines if re.match(r"\d+\.\d+ ", line)]
    # Of a RUN it says only that it failed; of anything else it is the reason.
    reason = [line for line in lines if line.startswith("ERROR: ") and not line.startswith("ERROR: process ")]
    return [*lines[:1], *said, *reason]


def _told_by_cargo_image(said: Sequence[str]) -> list[str]:
    """The error that the command ``cargo-image`` of rust-builder ended with: it has said already what to do."""
    mark = "cargo-image: error: "
    for number, line in enumerate(said):
        if line.startswith(mark):
            return [line.removeprefix(mark), *(part.removeprefix("  ") for part in said[number + 1 :])]
    return []


def _passed_on(
    told: Sequence[str], sign: Sign | None, places: Mapping[str, str], *, target: str, where: str, log: str
) -> BuildError | MachineError:
    """An error of ``cargo-image``, with the files that it names where the user has them."""
    # It knows its causes itself. Of others, only those are certain that Cargo's own words are no part of.
    error = sign.error if sign and sign.error in (NoSpaceError, ChecksumError, PackageSourceError) else BuildError
    words = "\n".join(told)
    found = None
    for place, shown in places.items():
        literally = shown.replace("\\", r"\\")
        words = re.sub(rf"(?<![\w./-]){re.escape(place)}(?=[/:\s`'\",)]|$)", literally, words)
        found = found or re.match(rf"({re.escape(shown)}(?:/[^\s:]+)?(?::\d+)*): (?=\S)", words)
    if found:
        where, words = found[1], words[found.end() :]
    what, *why = words.split("\n")
    return error(f"{target}: {what}", where=where, why="\n".join(why), hint=f"all output: {log}")


def _line(text: str) -> int | None:
    """The line of the Dockerfile that BuildKit points at: the one it marks, or the first of what it shows."""
    found = (
        re.search(r"^ +(\d+) \| >>> ", text, re.MULTILINE)
        or re.search(r"^Dockerfile:(\d+)$", text, re.MULTILINE)
        or re.search(r"dockerfile parse error on line (\d+)", text)
    )
    return int(found[1]) if found else None
