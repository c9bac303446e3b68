"""What is found about one need of the monorepo, and how findings are told."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from archway.errors import MachineError
from archway.machine.commands import Command, Remedy


class Status(StrEnum):
    """How it stands with one need."""

    OK = "ok"
    MISSING = "missing"
    BROKEN = "broken"
    OPTIONAL_MISSING = "optional-missing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One need of the monorepo, and how this machine meets it.

    :ivar needed_for: what does not work without it
    :ivar found: the version or the state
    :ivar blocks: ``inv build`` would fail
    :ivar advice: what a human does
    :ivar mend: what ``inv setup`` does; None if it leaves that to the human
    """

    name: str
    needed_for: str
    status: Status
    found: str
    blocks: bool = False
    advice: str = ""
    mend: Remedy | None = None

    @property
    def ok(self) -> bool:
        return self.status is Status.OK

    @property
    def needs_mending(self) -> bool:
        return self.status in (Status.MISSING, Status.BROKEN)

    @property
    def remedy(self) -> tuple[Command, ...]:
        return self.mend.all if self.mend else ()


def judge(found: Iterable[Finding]) -> None:
    """Return if a build can start.

    :raises MachineError: it would fail; the message says why, and whether ``inv setup`` would mend it
    """
    if blocking := [finding for finding in found if finding.blocks and not finding.ok]:
        raise unready("a build would fail on this machine", blocking)


def unready(what: str, missing: Iterable[Finding], *, again: bool = True) -> MachineError:
    """The error that names what is missing.

    :param again: ``inv setup`` may mend what it has a remedy for; False when it has tried
    """
    missing = tuple(missing)
    by_setup = again and any(finding.mend for finding in missing)
    hints = dict.fromkeys(finding.advice for finding in missing if finding.advice and not (again and finding.mend))
    return MachineError(
        what,
        why="\n".join(f"{finding.name}: {finding.found} (needed for {finding.needed_for})" for finding in missing),
        hint="\n".join([*hints, *(["run: inv setup"] if by_setup else [])]),
    )


def as_json(found: Iterable[Finding]) -> str:
    """The findings for programs: a list of objects, their remedies as lines for a shell."""
    return json.dumps(
        [
            {
                "name": finding.name,
                "needed_for": finding.needed_for,
                "status": finding.status,
                "found": finding.found,
                "blocks": finding.blocks,
                "advice": finding.advice,
                "remedy": [command.shell for command in finding.remedy],
            }
            for finding in found
        ],
        indent=2,
    )
