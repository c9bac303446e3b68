"""Make this machine ready to build, or say what it lacks: probe, mend, probe again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from rich.text import Text

from archway import log
from archway.errors import MachineError
from archway.machine import checks
from archway.machine.carry import carry_out
from archway.machine.commands import Command, Remedy, for_user, script
from archway.machine.facts import Facts, Wanted
from archway.machine.finding import Finding, Status, as_json, judge, unready
from archway.machine.probe import probe

MARKS = {Status.OK: "✓", Status.MISSING: "✗", Status.BROKEN: "✗", Status.OPTIONAL_MISSING: "-"}

Act = Callable[[Remedy, Facts], Facts]
"""Applies a remedy to a machine with these facts, and returns the facts afterwards."""


def make_ready(wanted: Wanted, *, dry_run: bool = False) -> tuple[Finding, ...]:
    """Run what is needed until this machine is ready. A dry run prints the commands on stdout and runs nothing.

    :raises MachineError: something could not be mended, or only by the user
    """
    before = probe(wanted)
    if dry_run:
        facts = _rehearse(before, wanted)
        return checks.findings(facts, wanted)

    def act(remedy: Remedy, facts: Facts) -> Facts:
        log_file = wanted.root / ".archway" / "logs" / "setup.log"
        carry_out(remedy, root=facts.root, sudo=facts.sudo, log_file=log_file)
        return probe(wanted)

    facts, failures = mend(before, wanted, act)
    found = checks.findings(facts, wanted)
    for failure in failures:
        log.warn(str(failure))
    for finding in found:
        if finding.status is Status.OPTIONAL_MISSING:
            log.note(f"without {finding.name}, which only {finding.needed_for} would need: {finding.advice}")
    if missing := [finding for finding in found if finding.needs_mending]:
        works = "" if any(finding.blocks for finding in missing) else ", though it can build"
        raise unready(f"this machine is not ready{works}", missing, again=False)
    log.done("this machine is ready" if facts is not before else "this machine is ready, nothing was to be done")
    return found


def mend(facts: Facts, wanted: Wanted, act: Act) -> tuple[Facts, tuple[MachineError, ...]]:
    """Apply the first remedy that a finding asks for, look again, and so on; none twice.

    Also returns the failures of remedies without which this machine can build.

    :raises MachineError: a remedy failed without which it cannot
    """
    failures: list[MachineError] = []
    tried: set[tuple[Command, ...]] = set()
    while remedy := next_remedy(found := checks.findings(facts, wanted), tried):
        tried.add(remedy.all)
        try:
            facts = act(remedy, facts)
        except MachineError as failure:
            if any(finding.blocks for finding in found if finding.remedy == remedy.all):
                raise
            failures.append(failure)
    return facts, tuple(failures)


def next_remedy(found: Iterable[Finding], tried: set[tuple[Command, ...]]) -> Remedy | None:
    return next((finding.mend for finding in found if finding.mend and finding.remedy not in tried), None)


def rehearsal(facts: Facts, wanted: Wanted) -> tuple[tuple[Remedy, ...], Facts]:
    """All remedies in the order in which they would be applied, each to the facts expected after the one before."""
    applied: list[Remedy] = []

    def act(remedy: Remedy, _facts: Facts) -> Facts:
        applied.append(remedy)
        return remedy.expected

    after, _ = mend(facts, wanted, act)
    return tuple(applied), after


def _rehearse(facts: Facts, wanted: Wanted) -> Facts:
    applied, after = rehearsal(facts, wanted)
    if not applied:
        log.done("nothing is to be done")
    elif len(applied) > 1:
        log.note("would run these; each step expects that the one before did its work, and is decided anew after it:")
    for remedy in applied:
        commands = for_user(remedy.all, root=facts.root, sudo=facts.sudo)
        rights = " (as root)" if commands is None else ""
        lines = script(remedy.all if commands is None else commands)
        log.data.print(Text(f"# {remedy.title}{rights}\n{lines}\n"))
    for finding in checks.findings(after, wanted):
        if finding.needs_mending:
            log.warn(f"would still be missing: {finding.name}: {finding.found}; {finding.advice}")
    return after


def check(wanted: Wanted) -> tuple[Finding, ...]:
    """Look, change nothing."""
    return checks.findings(probe(wanted), wanted)


def doctor(wanted: Wanted, *, json: bool = False) -> None:
    """Show on stdout how this machine stands; changes nothing.

    :raises MachineError: a build would fail
    """
    found = check(wanted)
    if json:
        log.data.print(Text(as_json(found)))
    else:
        show(found)
    judge(found)


def show(found: Iterable[Finding]) -> None:
    """Print findings as a table, and below it what to do."""
    found = tuple(found)
    rows = [[MARKS[finding.status], finding.name, finding.found, finding.needed_for] for finding in found]
    log.data.print(log.table("", ["", "what", "found", "needed for"], rows))
    for finding in found:
        if finding.advice:
            by_setup = "inv setup, or " if finding.mend else ""
            log.data.print(Text(f"{MARKS[finding.status]} {finding.name}: {by_setup}{finding.advice}"))
