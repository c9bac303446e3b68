"""How docker commands are ended."""

from __future__ import annotations

import subprocess
import sys
import time

from archway.docker import limit

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


def test_command_over_the_limit_is_ended() -> None:
    """A command that takes longer than its limit is ended, whoever waits for it."""
    started = time.monotonic()
    with limit(0.3):
        ended = subprocess.run(SLEEP, check=False).returncode

    assert ended < 0
    assert time.monotonic() - started < 30


def test_command_within_the_limit_is_left_alone() -> None:
    """What was done in time is not ended by the limit later, and neither is what was started before."""
    before = subprocess.Popen(SLEEP)
    try:
        with limit(0.2):
            pass
        time.sleep(0.5)
        with limit(0.2):
            time.sleep(0.5)

        assert before.poll() is None
    finally:
        before.kill()
        before.wait()
