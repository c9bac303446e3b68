"""Commands as data: what is printed is what is run."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from archway.machine.facts import Facts

DETACHED = "echo $!"
"""Prints the process id of a program that was started to go on by itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """One command that changes this machine.

    :ivar stdin: the text that it is given: for a file that is written, its contents
    :ivar root: needs the rights of root
    :ivar must_finish: is not interrupted half way
    :ivar may_fail: go on when it fails; the next command fails with a better reason if it mattered
    :ivar until: a command that succeeds once this one has had its effect; it is asked until then
    :ivar reason: a command that prints why this one failed
    """

    argv: tuple[str, ...]
    stdin: str | None = None
    root: bool = True
    must_finish: bool = False
    may_fail: bool = False
    until: tuple[str, ...] = ()
    reason: tuple[str, ...] = ()

    @property
    def shell(self) -> str:
        """The command as lines for a shell."""
        text = shlex.join(self.argv)
        if self.may_fail:
            text += " || true"
        if self.stdin is not None:
            text += f" <<'END'\n{self.stdin.rstrip()}\nEND"
        if self.until:
            text += f"\nuntil {shlex.join(self.until)} >/dev/null 2>&1; do sleep 1; done"
        return text


@dataclass(frozen=True, kw_only=True, slots=True)
class Remedy:
    """Commands that mend something, and the facts that are expected afterwards (a dry run goes on from those).

    :ivar afterwards: commands that clean up, run however the others ended
    """

    title: str
    commands: tuple[Command, ...]
    expected: Facts
    afterwards: tuple[Command, ...] = ()

    @property
    def all(self) -> tuple[Command, ...]:
        return self.commands + self.afterwards


def script(commands: Iterable[Command]) -> str:
    return "\n".join(command.shell for command in commands)


def write(path: str, text: str, *, mode: str = "644", root: bool = True) -> Command:
    """Write a file, and make its folders. A command like the others, so that ``sudo`` works for it as well."""
    return Command(argv=("install", "-D", "-m", mode, "/dev/stdin", path), stdin=text, root=root)


def tell_kernel(path: str, text: str) -> Command:
    """Write to a file of /proc, which takes one write as one order."""
    return Command(argv=("tee", path), stdin=text + "\n")


def detached(
    argv: Sequence[str], *, log: str, pid_file: str = "", root: bool = True, until: tuple[str, ...] = ()
) -> Command:
    """Start a program that goes on when this one ends: own session, no terminal, output to a file; prints its pid."""
    remember = f"{DETACHED} | tee {shlex.quote(pid_file)}" if pid_file else DETACHED
    # sudo hangs up on what still belongs to its terminal when the shell ends: leave setsid the time.
    line = f"setsid {shlex.join(argv)} </dev/null >>{shlex.quote(log)} 2>&1 & {remember}; sleep 0.3"
    return Command(argv=("sh", "-c", line), root=root, until=until, reason=("tail", "-n", "12", log))


def for_user(commands: Iterable[Command], *, root: bool, sudo: bool) -> tuple[Command, ...] | None:
    """The commands as this user can run them: as they are for root, else with ``sudo``. None if there is no way."""
    made = tuple(commands)
    if root or not any(command.root for command in made):
        return made
    if not sudo:
        return None
    return tuple(_sudo(command) if command.root else command for command in made)


def _sudo(command: Command) -> Command:
    # `until` as well: somebody who is not (yet) in the group docker would never get an answer.
    until = ("sudo", *command.until) if command.until else ()
    reason = ("sudo", *command.reason) if command.reason else ()
    return replace(command, argv=("sudo", *command.argv), until=until, reason=reason)
