"""Prints results: data on stdout (tables, or JSON for scripts), the verdict as an error where there is one."""

from __future__ import annotations

import json as jsonlib
from collections.abc import Iterable, Sequence

from rich.text import Text

from archway import log
from archway.build import Outcome
from archway.errors import SmokeTestError, VerifyError
from archway.smoke import SmokeResult
from archway.targets import Step
from archway.verify import Report


def print_plan(steps: Sequence[Step], due: Sequence[Step], *, json: bool) -> None:
    """What would be built, how, and which lines of a Dockerfile make a target need emulation."""
    building = {step.target for step in due}
    if json:
        _print_json([_step_data(step) | {"due": step.target in building} for step in steps])
        return
    rows = []
    for step in steps:
        state = "to build" if step.target in building else "up to date" if step.requested else "need not be built"
        dockerfile = step.image.shown(step.image.dockerfile_path)
        runs = "\n".join(f"{dockerfile}:{run.number}: {run.text}" for run in step.foreign_runs)
        rows.append([str(step.target), step.strategy, state, runs])
    log.data.print(log.table("", ["target", "strategy", "state", "lines that need emulation"], rows))


def print_outcomes(outcomes: Sequence[Outcome], *, json: bool) -> None:
    """The names of the images, one a line, as a script wants them; what happened was told while it did."""
    if json:
        _print_json(
            [_step_data(o.step) | {"built": o.built, "seconds": round(o.seconds, 2), "bytes": o.size} for o in outcomes]
        )
        return
    for outcome in outcomes:
        if outcome.step.requested:
            log.data.print(Text(str(outcome.step.reference)))


def print_smoke_results(results: Iterable[SmokeResult], *, json: bool) -> None:
    """A line as each test ends, then all of them, also when something else ends the run before the last.

    :raises SmokeTestError: a test failed
    """
    seen: list[SmokeResult] = []
    try:
        for result in results:
            seen.append(result)
            ready = f", ready after {result.ready:.1f} s" if result.ready is not None else ""
            if result.failure:
                log.error(str(result.failure))
            else:
                log.done(f"{result.step.target}: passed in {result.seconds:.1f} s{ready}")
    finally:
        if seen:
            _print_smoke(seen, json=json)
    if failed := [str(result.step.target) for result in seen if result.failure]:
        raise SmokeTestError(f"{len(failed)} of {len(seen)} smoke tests failed: {', '.join(failed)}")


def _print_smoke(results: Sequence[SmokeResult], *, json: bool) -> None:
    if json:
        _print_json([_smoke_data(result) for result in results])
        return
    rows = [
        [str(r.step.target), "failed" if r.failure else "passed", "" if r.ready is None else f"{r.ready:.1f}",
         f"{r.seconds:.1f}"]
        for r in results
    ]  # fmt: skip
    log.data.print(log.table("", ["target", "smoke test", "s to ready", "s"], rows))


def _smoke_data(result: SmokeResult) -> dict[str, object]:
    return {
        "target": str(result.step.target),
        "passed": result.failure is None,
        "failure": str(result.failure) if result.failure else None,
        "seconds": round(result.seconds, 2),
        "ready": None if result.ready is None else round(result.ready, 2),
    }


def print_reports(reports: Iterable[Report], *, json: bool) -> None:
    """Each report as it comes.

    :raises VerifyError: there are findings
    """
    seen = []
    for report in reports:
        seen.append(report)
        if not json:
            log.data.print(Text(report.text()))
    if json:
        _print_json([report.as_data() for report in seen])
    if wrong := [report for report in seen if not report.ok]:
        raise VerifyError(f"{len(wrong)} of {len(seen)} images are not what their labels say")


def _step_data(step: Step) -> dict[str, object]:
    return {
        "target": str(step.target),
        "image": step.target.image,
        "version": step.target.version,
        "platform": str(step.target.platform),
        "reference": str(step.reference),
        "strategy": step.strategy,
        "input-digest": step.input_digest,
        "requested": step.requested,
        "foreign-runs": [run.number for run in step.foreign_runs],
    }


def _print_json(data: object) -> None:
    log.data.print(Text(jsonlib.dumps(data, indent=2)))
