"""``inv registry``."""

from __future__ import annotations

from invoke.context import Context

from archway.tasks.common import task


@task(
    positional=["action"],
    help={"action": "up, down or status", "json": "with status: print it as JSON"},
)
def registry(context: Context, action: str, json: bool = False) -> None:
    """Start, stop or show the registry on this machine's loopback address: inv registry up.

    down stops only what archway started, and keeps its data. Example: inv registry status --json
    """
    from archway.machine import loopback
    from archway.tasks.workplace import Workplace

    loopback.act(action, Workplace.of(context).settings, json=json)
