"""Prints results: data on stdout (tables, or JSON for scripts), the verdict as an error where there is one."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from archway import log
from archway.build import Outcome
from archway.targets import Step


def print_plan(steps: Sequence[Step], due: Sequence[Step], *, json: bool) -> None:
    """What would be built, how, and which lines of a Dockerfile make a target need emulation."""
    building = {step.target for step in due}
    if json:
        log.print_json([_step_data(step) | {"due": step.target in building} for step in steps])
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
        log.print_json(
            [_step_data(o.step) | {"built": o.built, "seconds": round(o.seconds, 2), "bytes": o.size} for o in outcomes]
        )
        return
    for outcome in outcomes:
        if outcome.step.requested:
            log.data.print(Text(str(outcome.step.reference)))


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
