"""Carry out remedies: the only part of the set-up that changes this machine."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from archway import log, process
from archway.errors import MachineError
from archway.machine import apt
from archway.machine.commands import DETACHED, Command, Remedy, for_user, script

PATIENCE = 60.0
"""Seconds until something that was started must answer."""

TAIL = 12


def carry_out(remedy: Remedy, *, root: bool, sudo: bool, log_file: Path) -> None:
    """Run the commands of a remedy; their output goes to the log file.

    :raises MachineError: a command failed, or this user may not run them
    """
    commands = for_user(remedy.commands, root=root, sudo=sudo)
    afterwards = for_user(remedy.afterwards, root=root, sudo=sudo)
    if commands is None or afterwards is None:
        raise MachineError(
            f"cannot {remedy.title}",
            why="that needs the rights of root, and there is no sudo",
            hint=f"run these as root, then inv setup again:\n{script(remedy.all)}",
        )
    if any(command.argv[0] == "sudo" for command in commands):
        _ask_for_password()
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log.step(remedy.title) as progress:
        try:
            _run(remedy, commands, log_file, progress)
        finally:
            for command in afterwards:
                _remember(log_file, command, process.run(command.argv, must_finish=True))
    log.done(remedy.title)


def _run(remedy: Remedy, commands: Iterable[Command], log_file: Path, progress: log.Progress) -> None:
    said: list[str] = []
    for command in commands:
        progress(command.shell.splitlines()[0])
        result = process.run(command.argv, stdin=command.stdin or "", must_finish=command.must_finish)
        said.append(result.stdout + result.stderr)
        _remember(log_file, command, result)
        if not result.ok and not command.may_fail:
            raise _failure(remedy, command, said, log_file)
        if command.until and not _wait(command, result.stdout):
            raise _failure(remedy, command, [*said, f"no answer to: {' '.join(command.until)}"], log_file)


def _ask_for_password() -> None:
    """Before anything moves on the terminal, so that the question can be seen."""
    if not process.run(("sudo", "-n", "true")).ok and not (asked := process.run(("sudo", "-v"))).ok:
        raise MachineError(
            "sudo does not let this user in",
            why=asked.stderr.strip(),
            hint="run inv setup as root, or in a terminal where sudo can ask for the password",
        )


def _remember(log_file: Path, command: Command, result: process.Result) -> None:
    with log_file.open("a", encoding="utf-8") as file:
        file.write(f"$ {command.shell}\n{(result.stdout + result.stderr).rstrip()}\n")


def _wait(command: Command, stdout: str) -> bool:
    """Ask until the answer is yes; no longer when the process that was started is gone."""
    last = (stdout.split() or [""])[-1]
    started = Path(f"/proc/{last}") if last.isdigit() and DETACHED in command.argv[-1] else None
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if process.run(command.until, timeout=PATIENCE).ok:
            return True
        if started and not started.exists():
            return False
        time.sleep(0.2)
    return False


def _failure(remedy: Remedy, command: Command, said: Iterable[str], log_file: Path) -> MachineError:
    output = "\n".join(said)
    reason = process.run(command.reason, timeout=10).stdout if command.reason else ""
    why, hint = apt.explain(output)
    tail = "\n".join((reason.strip() or output.strip()).splitlines()[-TAIL:])
    return MachineError(
        f"could not {remedy.title}",
        where=log_file,
        why="\n".join(filter(None, (why, f"after: {command.shell.splitlines()[0]}", tail))),
        hint=hint,
    )
