"""Tells from how a smoke test ended whether it passed, and if not, whose fault that is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from archway.metadata import Smoke

CRASHES = {132: "SIGILL", 133: "SIGTRAP", 134: "SIGABRT", 135: "SIGBUS", 136: "SIGFPE", 139: "SIGSEGV"}
"""Exit codes of programs that crashed. The numbers are Linux's, not those of the system that asks."""
CANNOT_RUN, NOT_FOUND, KILLED = 126, 127, 137
STOP, STOP_EMULATED = 60, 300
"""Seconds within which a server must end after SIGTERM, on its own platform and under QEMU."""
STOPPED = {0, 143}
"""How servers end that were asked to: by themselves, or by the signal."""
JVM_CRASH = "A fatal error has been detected by the Java Runtime Environment"
_QEMU_CRASH = re.compile(
    rf"qemu: uncaught target signal \d+|{JVM_CRASH}|^(.*: )?(Segmentation fault|Illegal instruction|Bus error)\b",
    re.MULTILINE,
)
_FOREIGN = re.compile("exec format error", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How the container of a smoke test ended."""

    exit_code: int
    lines: Sequence[str]
    seconds: float
    emulated: bool
    lacking: str = ""
    """What the checks from outside found wrong last; empty when they found all right, or there were none."""


def patience(emulated: bool) -> int:
    """Seconds within which a server must end after SIGTERM."""
    return STOP_EMULATED if emulated else STOP


def missing_text(smoke: Smoke, lines: Sequence[str]) -> str:
    """The text that a smoke test should have printed and did not, as a message; else empty."""
    text = "\n".join(lines)
    wanted = next((wanted for wanted in (smoke.ready, smoke.expect) if wanted not in text), "")
    return f"it did not print {wanted!r}" if wanted else ""


def judge(smoke: Smoke, ending: Ending) -> str:
    """Why a smoke test failed, or an empty text when it passed."""
    lacking = ending.lacking if smoke.served else missing_text(smoke, ending.lines)
    if not lacking and smoke.probe:
        return _stopped(smoke, ending)
    if not lacking and (smoke.served or ending.exit_code == 0):
        return ""
    return (
        _crash(ending)
        or _killed(smoke, ending)
        or _not_run(ending)
        or (_ended(ending) if smoke.served or ending.exit_code else lacking)
    )


def _stopped(smoke: Smoke, ending: Ending) -> str:
    if ending.exit_code in STOPPED:
        return ""
    if ending.exit_code == KILLED and ending.seconds >= smoke.timeout:
        return f"it did its work, and had not ended after SIGTERM when its {smoke.timeout} s were over"
    if ending.exit_code == KILLED:
        seconds = patience(ending.emulated)
        return f"it did its work, and still ran {seconds} s after SIGTERM: does the signal reach it (tini, exec)?"
    return f"it did its work, and ended with exit code {ending.exit_code} after SIGTERM"


def _crash(ending: Ending) -> str:
    """What crashed. A first process that crashes under QEMU never ends, so its last words count before the time."""
    signal = CRASHES.get(ending.exit_code, "")
    text = "\n".join(ending.lines)
    java = ", as the Java virtual machine says" if JVM_CRASH in text else ""
    if ending.emulated and (signal or _QEMU_CRASH.search(text)):
        return (
            f"the program crashed under QEMU ({signal or 'a signal'}{java}), which does not mean that it would on its"
            " own platform: try a newer QEMU (10 in Debian 13), or a machine of that platform"
        )
    if signal or (java and ending.exit_code):
        return f"the program crashed ({signal or 'a signal'}{java}) on its own platform"
    return ""


def _killed(smoke: Smoke, ending: Ending) -> str:
    if ending.exit_code != KILLED:
        return ""
    if ending.seconds >= smoke.timeout:
        return f"it took longer than its {smoke.timeout} s" + (f"; {ending.lacking}" if ending.lacking else "")
    return "it was killed (SIGKILL) and not by archway: out of memory?"


def _not_run(ending: Ending) -> str:
    if any(_FOREIGN.search(line) for line in ending.lines):
        emulator = ", or no emulator is registered (inv setup)" if ending.emulated else ""
        return f"a program is of another platform{emulator}"
    match ending.exit_code:
        case 126:
            return "its command, or one that it calls, cannot be run (exit code 126): a mode without x, or a folder?"
        case 127:
            return "its command, or one that it calls, is not there (exit code 127)"
    return ""


def _ended(ending: Ending) -> str:
    return f"it ended with exit code {ending.exit_code}" + (f"; {ending.lacking}" if ending.lacking else "")
