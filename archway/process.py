"""The one place that runs commands other than Docker's."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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
) -> Result:
    """Run a command and keep what it prints. A program that does not exist has exit code 127, as in shells.

    :param timeout: seconds; a command that takes longer is killed and has exit code 124, as with timeout(1)
    """
    try:
        done = subprocess.run(
            list(command), cwd=cwd, env=env, input=stdin, capture_output=True, text=True, errors="replace",
            timeout=timeout, check=False,
        )  # fmt: skip
    except (FileNotFoundError, NotADirectoryError) as missing:
        return Result(exit_code=127, stdout="", stderr=f"{missing}")
    except PermissionError as denied:
        return Result(exit_code=126, stdout="", stderr=f"{denied}")
    except subprocess.TimeoutExpired:
        return Result(exit_code=124, stdout="", stderr=f"no answer within {timeout:g} s")
    return Result(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)


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
