"""``inv setup``."""

from __future__ import annotations

from invoke.context import Context

from archway.errors import UsageError
from archway.tasks.common import task


@task(
    help={
        "check": "only look: what is there, what is missing, what for, and what mends it",
        "dry-run": "print the commands that would run",
        "json": "with --check: print the findings as JSON",
    }
)
def setup(context: Context, check: bool = False, dry_run: bool = False, json: bool = False) -> None:
    """Make this machine ready to build: engine, buildx, QEMU, Debian tools, loopback registry.

    What is there already is left as it is. Example: inv setup --check
    """
    from archway.machine import setup as machine
    from archway.tasks.workplace import Workplace

    if json and not check:
        raise UsageError("--json goes with --check", hint="run: inv setup --check --json")
    settings = Workplace.of(context).settings
    if check:
        machine.doctor(settings, json=json)
    else:
        machine.make_ready(settings, dry_run=dry_run)
