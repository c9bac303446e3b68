"""Judging a smoke test by what it printed and how it ended."""

from __future__ import annotations

import pytest

from archway.metadata import Smoke
from archway.smoke import judge

SMOKE = Smoke(command=["/smoke"], expect="stopped", ready="ready", timeout=60)


def judged(exit_code: int = 0, text: str = "ready\nstopped", *, seconds: float = 1, emulated: bool = False) -> str:
    return judge(SMOKE, exit_code, text.splitlines(), seconds=seconds, emulated=emulated)


def test_good_end_with_the_expected_text_passes() -> None:
    """Exit code 0 and both texts: passed."""
    assert judged() == ""


@pytest.mark.parametrize(
    ("exit_code", "text", "seconds", "emulated", "words"),
    [
        (0, "ready", 1, False, "did not print 'stopped'"),
        (0, "stopped", 1, False, "did not print 'ready'"),
        (0, "", 1, False, "did not print"),
        (3, "ready\nstopped", 1, False, "exit code 3"),
        (137, "", 61, False, "longer than its 60 s"),
        (139, "", 1, True, "crashed under QEMU (SIGSEGV)"),
        (139, "", 1, False, "exit code 139"),
        (1, "qemu: uncaught target signal 11 (Segmentation fault)", 1, True, "crashed under QEMU"),
        (1, "exec /smoke: exec format error", 0.1, True, "no emulator is registered"),
    ],
)
def test_failures_are_told_apart(exit_code: int, text: str, seconds: float, emulated: bool, words: str) -> None:
    """A crash of QEMU, a timeout, a wrong answer and a failing product are different things."""
    assert words in judged(exit_code, text, seconds=seconds, emulated=emulated)


def test_slow_success_is_a_success() -> None:
    """A test that ended well in the moment of its timeout has passed."""
    assert judged(seconds=61) == ""
