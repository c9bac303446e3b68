"""Runs the smoke test of an image, as its ``image.toml`` tells it."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from archway import log
from archway.docker import last_lines
from archway.engine import Engine
from archway.errors import MachineError, SmokeTestError, UsageError
from archway.machine.guard import require_emulation
from archway.metadata import Smoke
from archway.references import tag
from archway.settings import Settings
from archway.targets import Step

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


def smoke_tests(
    engine: Engine, settings: Settings, steps: Iterable[Step], *, everything: bool = False
) -> Iterator[SmokeResult]:
    """Run the smoke tests of the images that were asked for, one after the other; a failing one stops none.

    :param everything: all images were asked for, so one without a smoke test is no mistake
    :raises UsageError: an image that was asked for has no smoke test; nothing was run
    :raises MachineError: an image is not built, or a platform cannot be run here; nothing was run
    """
    requested = [step for step in steps if step.requested]
    tested = [(step, smoke) for step in requested if (smoke := step.image.metadata.smoke)]
    _check_smoke(requested, tested=len(tested), everything=everything)
    _check_built(engine, settings, [step for step, _ in tested])
    require_emulation([step.target.platform for step, _ in tested])
    for step, smoke in tested:
        yield smoke_test(engine, settings, step, smoke)


def _check_smoke(requested: Iterable[Step], *, tested: int, everything: bool) -> None:
    without = dict.fromkeys(
        step.image.shown(step.image.metadata_path) for step in requested if step.image.metadata.smoke is None
    )
    if without and not (everything and tested):
        raise UsageError(
            f"no [smoke] in {', '.join(without)}: nothing was tested",
            hint="docs/image-toml.md shows one; inv verify proves an image without running it",
        )
    for path in without:
        log.note(f"{path} has no [smoke]: not tested")


def _check_built(engine: Engine, settings: Settings, steps: Iterable[Step]) -> None:
    missing = [step.target for step in steps if engine.image(str(step.reference)) is None]
    if missing:
        raise MachineError(
            f"not built: {', '.join(map(str, missing))}",
            hint="\n".join(
                f"run: inv build --image {target.image}={target.version} --arch {target.platform.tag}{settings.given}"
                for target in missing
            ),
        )


def smoke_test(
    engine: Engine, settings: Settings, step: Step, smoke: Smoke, *, image: str | None = None
) -> SmokeResult:
    """Run a smoke test in a built image on its platform; a foreign one runs under QEMU.

    :param image: what to run instead of what the step's name stands for now: another name, an id, or a name by digest
    :raises MachineError: its platform cannot be run here
    """
    name = f"archway-smoke-{tag(step.target.slug)}-{uuid.uuid4().hex[:8]}"
    output = _Output(smoke)
    try:
        with log.step(f"{step.target}: smoke test") as progress, _limit(smoke.timeout, lambda: engine.kill(name)):

            def heard(line: str) -> None:
                output.hear(line)
                progress(line)

            exit_code = engine.run(
                image or str(step.reference), smoke.command, name=name, platform=step.target.platform,
                labels={"dev.archway.smoke": str(step.target)}, heard=heard,
            )  # fmt: skip
    finally:
        _keep_log(settings, step, output)
    emulated = step.target.platform != engine.platform
    problem = judge(smoke, exit_code, output.lines, seconds=output.seconds, emulated=emulated)
    failure = (
        SmokeTestError(f"{step.target}: {problem}", why=last_lines("\n".join(output.lines), 25)) if problem else None
    )
    return SmokeResult(step=step, seconds=output.seconds, ready=output.ready, failure=failure)


@contextmanager
def _limit(seconds: float, end: Callable[[], None], *, again: float = 1.0) -> Iterator[None]:
    """Call ``end`` when that many seconds have passed, again and again until what is done here has ended.

    Once is not enough: a container that is still being made cannot be killed.
    """
    ended = threading.Event()

    def watch() -> None:
        if ended.wait(seconds):
            return
        end()
        while not ended.wait(again):
            end()

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()


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
    path.write_text("".join(f"{line}\n" for line in output.lines), encoding="utf-8")
