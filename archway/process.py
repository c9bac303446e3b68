"""The one place that runs commands other than Docker's."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from archway.errors import MachineError


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a command gave back."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        return self.exit_code == 0


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
    must_finish: bool = False,
) -> Result:
    """Run a command and keep what it prints. A program that does not exist has exit code 127, as in shells.

    Its messages are English, so that they can be read by programs. When we are interrupted, it ends with all that it
    started.

    :param timeout: seconds; a command that takes longer is killed and has exit code 124, as with timeout(1)
    :param must_finish: it hears nothing of an interruption, neither of ours nor of the terminal's, and is waited for
    """
    try:
        child = subprocess.Popen(
            list(command), cwd=cwd, env={**(env if env is not None else os.environ), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.PIPE if stdin is not None else None, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, errors="replace", process_group=0 if must_finish else None,
        )  # fmt: skip
    except (FileNotFoundError, NotADirectoryError) as missing:
        return Result(exit_code=127, stdout="", stderr=f"{missing}")
    except OSError as denied:  # no rights, a program of another architecture, too many arguments
        return Result(exit_code=126, stdout="", stderr=f"{denied}")
    with child:
        try:
            stdout, stderr = child.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            end(descendants(child.pid))
            return Result(exit_code=124, stdout="", stderr=f"no answer within {timeout:g} s")
        except BaseException:
            if must_finish:
                _wait_for(child)
            else:
                end(descendants(child.pid))
            raise
    return Result(exit_code=child.returncode, stdout=stdout, stderr=stderr)


def _wait_for(child: subprocess.Popen[str]) -> None:
    """Wait until a command has ended by itself, however often we are interrupted."""
    while True:
        with contextlib.suppress(KeyboardInterrupt, SystemExit):
            child.communicate()
            return


def descendants(pid: int) -> list[psutil.Process]:
    """A process and all that it started, as far as they still run."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def end(processes: Iterable[psutil.Process]) -> None:
    """Ask processes to end, and kill those that do not within five seconds."""
    running = list(processes)
    for process in running:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    for process in psutil.wait_procs(running, timeout=5)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def call(
    command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, stdin: str | None = None
) -> str:
    """Run a command that must succeed, and return its stdout.

    :raises MachineError: it failed; the message has the command and its last lines
    """
    result = run(command, cwd=cwd, env=env, stdin=stdin)
    if not result.ok:
        tail = "\n".join((result.stderr.strip() or result.stdout.strip()).splitlines()[-12:])
        raise MachineError(f"exit code {result.exit_code}: {shlex.join(command)}", why=tail)
    return result.stdout
