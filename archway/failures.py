"""Reads from BuildKit's output why a build failed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from archway.engine import EngineGoneError, is_gone
from archway.errors import BuildError, ChecksumError, MachineError, NoSpaceError, PackageSourceError


@dataclass(frozen=True, kw_only=True, slots=True)
class Sign:
    """Words that name a cause, and what to tell and do about it."""

    pattern: str
    error: type[BuildError | MachineError]
    what: str
    hint: str


# The first that fits wins: the more certain stand first.
SIGNS = (
    Sign(
        pattern=r"no space left on device|disk quota exceeded",
        error=NoSpaceError,
        what="the disk is full",
        hint="docker system df shows what takes the room; docker buildx prune frees the build cache",
    ),
    Sign(
        pattern=r"CHECKSUM MISMATCH|computed checksum did NOT match|Checksum validation failed|digest mismatch",
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
        r"Network is unreachable|Failed to fetch|Could not connect to|Could not transfer|"
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


def explain(target: str, output: Sequence[str], *, dockerfile: str, log: str) -> BuildError | MachineError:
    """The error that a failed build should end with.

    :param output: what BuildKit printed
    :param dockerfile: the Dockerfile, as messages show it
    :param log: where all of the output stands
    """
    text = "\n".join(output)
    excerpt = _excerpt(output)
    where = f"{dockerfile}:{line}" if (line := _line(text)) else dockerfile
    if is_gone(_last_error(output)):
        return EngineGoneError(
            "the Docker engine went away during the build", where=where, why=excerpt, hint="run: inv setup --check"
        )
    for sign in SIGNS:
        if re.search(sign.pattern, text):
            return sign.error(
                f"{target}: {sign.what}", where=where, why=excerpt, hint=f"{sign.hint}\nall output: {log}"
            )
    return BuildError(f"{target}: a step failed", where=where, why=excerpt, hint=f"all output: {log}")


def _excerpt(output: Sequence[str]) -> str:
    """The last lines of the failing step, as BuildKit repeats them between two rules at the end."""
    rules = [number for number, line in enumerate(output) if line == "------"]
    if len(rules) >= 2:
        return "\n".join(output[rules[-2] + 1 : rules[-1]])
    return "\n".join(line for line in output[-12:] if line.strip())


def _last_error(output: Sequence[str]) -> str:
    return next((line for line in reversed(output) if line.startswith("ERROR")), output[-1] if output else "")


def _line(text: str) -> int | None:
    """The line of the Dockerfile that BuildKit points at."""
    found = re.search(r"^Dockerfile:(\d+)$", text, re.MULTILINE) or re.search(
        r"dockerfile parse error on line (\d+)", text
    )
    return int(found[1]) if found else None
