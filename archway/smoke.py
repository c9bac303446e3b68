"""Runs the smoke test of an image, as its ``image.toml`` tells it."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from archway import log
from archway.engine import Engine, last_lines
from archway.errors import MachineError, SmokeTestError
from archway.metadata import Smoke
from archway.plan import Step
from archway.references import tag
from archway.settings import Settings

QEMU_CRASH = {132: "SIGILL", 134: "SIGABRT", 135: "SIGBUS", 139: "SIGSEGV"}


@dataclass(frozen=True, kw_only=True, slots=True)
class SmokeResult:
    """How a smoke test went."""

    step: Step
    seconds: float
    ready: float | None
    """Seconds until the output held ``ready``; None where the metadata names no such text, or it never came."""
    failure: SmokeTestError | None


@dataclass(slots=True)
class _Output:
    """What the test prints, and when the texts it waits for came."""

    smoke: Smoke
    started: float = field(default_factory=time.monotonic)
    lines: list[str] = field(default_factory=list)
    ready: float | None = None

    def hear(self, line: str) -> None:
        self.lines.append(line)
        if self.ready is None and self.smoke.ready and self.smoke.ready in line:
            self.ready = self.seconds

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


def smoke_tests(engine: Engine, settings: Settings, steps: Iterable[Step]) -> Iterator[SmokeResult]:
    """Run the smoke tests of the images that were asked for, one after the other; a failing one stops none.

    :raises MachineError: an image is not built, or its platform cannot be run here
    """
    for step in steps:
        if not step.requested:
            continue
        if step.image.metadata.smoke is None:
            log.warn(f"{step.target}: {step.image.shown(step.image.metadata_path)} has no [smoke], nothing was tested")
            continue
        yield smoke_test(engine, settings, step, step.image.metadata.smoke)


def smoke_test(engine: Engine, settings: Settings, step: Step, smoke: Smoke) -> SmokeResult:
    """Run a smoke test in a built image on its platform; a foreign one runs under QEMU.

    :raises MachineError: the image is not built, or its platform cannot be run here
    """
    reference = str(step.reference)
    if engine.image(reference) is None:
        raise MachineError(
            f"{step.target} is not built",
            hint=f"run: inv build --image {step.target.image}={step.target.version} --arch {step.target.platform.tag}",
        )
    name = f"archway-smoke-{tag(step.target.slug)}-{uuid.uuid4().hex[:8]}"
    output = _Output(smoke)
    timer = threading.Timer(smoke.timeout, lambda: engine.kill(name))
    timer.start()
    try:
        with log.step(f"{step.target}: smoke test") as progress:

            def heard(line: str) -> None:
                output.hear(line)
                progress(line)

            exit_code = engine.run(
                reference, smoke.command, name=name, platform=step.target.platform,
                labels={"dev.archway.smoke": str(step.target)}, heard=heard,
            )  # fmt: skip
    finally:
        timer.cancel()
        _keep_log(settings, step, output)
    emulated = step.target.platform != engine.platform
    problem = judge(smoke, exit_code, output.lines, seconds=output.seconds, emulated=emulated)
    failure = (
        SmokeTestError(f"{step.target}: {problem}", why=last_lines("\n".join(output.lines), 25)) if problem else None
    )
    return SmokeResult(step=step, seconds=output.seconds, ready=output.ready, failure=failure)


def judge(smoke: Smoke, exit_code: int, lines: list[str], *, seconds: float, emulated: bool) -> str:
    """Why a smoke test failed, or an empty text when it passed."""
    text = "\n".join(lines)
    if exit_code != 0 and seconds >= smoke.timeout:
        return f"the smoke test took longer than its {smoke.timeout} s"
    if emulated and (exit_code in QEMU_CRASH or "qemu: uncaught target signal" in text):
        return (
            f"the program crashed under QEMU ({QEMU_CRASH.get(exit_code, 'a signal')}), which does not mean that it"
            " would on its own platform: try a newer QEMU (10 in Debian 13), or a machine of that platform"
        )
    if "exec format error" in text:
        return "a program is of another platform, or no emulator is registered (inv setup)"
    if exit_code != 0:
        return f"the smoke test ended with exit code {exit_code}"
    for wanted in filter(None, (smoke.ready, smoke.expect)):
        if wanted not in text:
            return f"the smoke test did not print {wanted!r}"
    return ""


def _keep_log(settings: Settings, step: Step, output: _Output) -> None:
    path = settings.state / "logs" / f"{step.target.slug}.smoke.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in output.lines))
