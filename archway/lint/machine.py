"""The rule uname: asking the machine that builds for the platform that the image is for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archway.lint.layout import Kind, Layout
from archway.lint.shell import read_run
from archway.verify.findings import Finding

_SHORT = re.compile(r"-[a-z]*[mpi][a-z]*", re.ASCII)
_LONG = ("--machine", "--processor", "--hardware-platform")


def check(layout: Layout) -> Iterator[Finding]:
    """Only what runs in $BUILDPLATFORM stages is wrong: under emulation these commands tell the target's platform."""
    if layout.builder:
        return
    for stage in layout.stages:
        if layout.kinds[stage.index] is not Kind.BUILD:
            continue
        for instruction in stage.instructions:
            found = instruction.trigger or instruction
            if found.keyword != "RUN":
                continue
            for command in read_run(found).commands:
                if _asks(command.call):
                    yield Finding(
                        rule="uname",
                        found=f"{' '.join(command.call)[:80]} in {stage.title}, a stage of the machine that builds",
                        expected="TARGETARCH, TARGET_UNAME …; for a tool of that machine BUILDARCH, BUILD_UNAME …",
                        source=layout.source,
                        line=instruction.line,
                    )
                    break


def _asks(call: tuple[str, ...]) -> bool:
    match call:
        case ("uname", *options):
            return any(option in _LONG or _SHORT.fullmatch(option) for option in options)
        case ("arch",) | ("dpkg", "--print-architecture", *_) | ("apk", "--print-arch", *_):
            return True
        case ("rpm", "--eval" | "-E", word, *_):
            return word in ("%{_arch}", "%_arch")
    return False
