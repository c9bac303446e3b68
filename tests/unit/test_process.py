"""Running commands."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from archway.errors import MachineError
from archway.process import call, run


def test_output_and_exit_code_are_kept() -> None:
    """What a command prints and how it ends come back."""
    result = run(["sh", "-c", "cat; echo bad >&2; exit 3"], stdin="good")

    assert (result.exit_code, result.stdout, result.stderr) == (3, "good", "bad\n")


def test_missing_program_is_127(tmp_path: Path) -> None:
    """A program that is not there has the exit code that shells give it."""
    assert run([str(tmp_path / "nothing")]).exit_code == 127


def test_program_of_another_architecture_is_126(tmp_path: Path) -> None:
    """A program that this machine cannot execute is no traceback."""
    program = tmp_path / "foreign"
    program.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(60))
    program.chmod(0o755)

    result = run([str(program)])

    assert result.exit_code == 126
    assert "Exec format error" in result.stderr


def test_messages_are_english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages are read by programs, so the user's language does not matter."""
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")

    assert run(["sh", "-c", "echo $LC_ALL"]).stdout == "C.UTF-8\n"


def test_timeout_ends_all_that_was_started(tmp_path: Path) -> None:
    """A command that takes too long is ended with its children, and has timeout(1)'s exit code."""
    pid = tmp_path / "pid"

    result = run(["sh", "-c", f"sleep 60 & echo $! > {pid}; wait"], timeout=1)

    assert result.exit_code == 124
    assert not psutil.pid_exists(int(pid.read_text()))


def test_interruption_ends_all_that_was_started(tmp_path: Path) -> None:
    """Ctrl-C ends a command and what it started, and nothing lives on."""
    pid = tmp_path / "pid"
    code = f"from archway.process import run\nrun(['sh', '-c', 'sleep 60 & echo $! > {pid}; wait'])"
    running = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not (pid.exists() and pid.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    running.wait(timeout=20)

    assert not psutil.pid_exists(int(pid.read_text()))


def test_failing_call_shows_the_command_and_its_last_lines() -> None:
    """A command that must succeed and does not is told with what it said."""
    with pytest.raises(MachineError, match="exit code 2: sh -c") as caught:
        call(["sh", "-c", "echo reason >&2; exit 2"])

    assert "reason" in str(caught.value)
