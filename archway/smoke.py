"""Runs the smoke tests of images as their ``image.toml`` tells them: their own, and those of what they stand on."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from archway import log
from archway.docker import last_lines
from archway.engine import Engine
from archway.errors import MachineError, SmokeTestError, UsageError
from archway.machine.guard import require_emulation
from archway.metadata import Smoke
from archway.references import tag
from archway.settings import Settings
from archway.smoke_checks import Visit, asked, is_here, probed, visiting
from archway.smoke_verdict import Ending, judge, missing_text, patience
from archway.targets import Step, Target


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageTest:
    """One test that is run in one image."""

    step: Step
    of: str
    """The image whose test it is: the step's own, or one that it stands on."""

    @property
    def inherited(self) -> bool:
        return self.of != self.step.target.image


@dataclass(frozen=True, kw_only=True, slots=True)
class SmokeTest(ImageTest):
    """A test as ``[smoke]`` tells it."""

    smoke: Smoke

    def __str__(self) -> str:
        whose = f"{self.of}'s " if self.inherited else ""
        return f"{self.step.target}: {whose}smoke test"


@dataclass(frozen=True, kw_only=True, slots=True)
class SmokeResult:
    """How a smoke test went."""

    test: ImageTest
    digest: str
    """What was run: the digest of the image's manifest, or its id where the engine knows no digest."""
    seconds: float
    ready: float | None
    """Seconds until the output held ``ready``; None where the metadata names no such text, or it never came."""
    exit_code: int | None
    """None where the container was ended because it had answered as wanted."""
    failure: SmokeTestError | None

    @property
    def step(self) -> Step:
        return self.test.step


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


def smoke_tests_of(steps: Iterable[Step], step: Step) -> tuple[SmokeTest, ...]:
    """The smoke tests that a target has to pass: those of what its final stage starts from, the lowest first, then its
    own.

    Only commands are inherited: a check from outside without one asks what the image runs by itself, and a child runs
    something else.

    :param steps: the plan, with all that the target stands on
    """
    known = {known.target: known for known in steps}
    chain = [step]
    while (base := chain[-1].base) in known:
        chain.append(known[base])
    return tuple(
        SmokeTest(step=step, of=one.image.name, smoke=smoke)
        for one in reversed(chain)
        if (smoke := one.image.metadata.smoke) and (one is step or smoke.command)
    )


def smoke_tests(
    engine: Engine,
    settings: Settings,
    steps: Sequence[Step],
    *,
    everything: bool = False,
    others: Collection[Target] = (),
) -> Iterator[SmokeResult]:
    """Run the smoke tests of the images that were asked for, one after the other; a failing one stops none.

    What is run are the images that the names stand for now: a build in the middle changes nothing.

    :param steps: the plan, with all that the images stand on
    :param everything: all images were asked for, so one without a smoke test is no mistake
    :param others: have a test of another kind, so that they need none of this one
    :raises UsageError: an image that was asked for has no smoke test; nothing was run
    :raises MachineError: an image is not built, or a platform cannot be run here; nothing was run
    """
    requested = [step for step in steps if step.requested]
    tests = [test for step in requested for test in smoke_tests_of(steps, step)]
    _check_smoke([step for step in requested if step.target not in others], tests, everything=everything)
    tested = list({test.step.target: test.step for test in tests}.values())
    images = resolve_images(engine, settings, tested)
    require_emulation([step.target.platform for step in tested])
    for test in tests:
        _check_reach(engine, test)
    for test in tests:
        yield smoke_test(
            engine, settings, test.step, test.smoke, of=test.of, image=images[test.step.target] or None
        )  # fmt: skip


def _check_smoke(requested: Sequence[Step], tests: Sequence[SmokeTest], *, everything: bool) -> None:
    own = {
        step.target: step.image.shown(step.image.metadata_path) for step in requested if not step.image.metadata.smoke
    }
    tested = {test.step.target for test in tests}
    untested = dict.fromkeys(path for target, path in own.items() if target not in tested)
    if untested and not (everything and tested):
        raise UsageError(
            f"no [smoke] in {', '.join(untested)}: nothing was tested",
            hint="docs/image-toml.md shows one; inv verify proves an image without running it",
        )
    for path in untested:
        log.note(f"{path} has no [smoke]: not tested")
    for path in dict.fromkeys(path for target, path in own.items() if target in tested):
        log.warn(f"{path} has no [smoke]: only what it stands on is tested")


def resolve_images(engine: Engine, settings: Settings, steps: Iterable[Step]) -> dict[Target, str]:
    """The ids of the images that the names stand for.

    :raises MachineError: one is not built
    """
    found = {step.target: engine.image(str(step.reference)) for step in steps}
    if missing := [target for target, image in found.items() if image is None]:
        raise MachineError(
            f"not built: {', '.join(map(str, missing))}",
            hint="\n".join(
                f"run: inv build --image {target.image}={target.version} --arch {target.platform.tag}{settings.given}"
                for target in missing
            ),
        )
    return {target: image.id for target, image in found.items() if image}


def _check_reach(engine: Engine, test: SmokeTest) -> None:
    """:raises MachineError: the test asks a port from outside, and the engine is on another machine"""
    if test.smoke.ports and not is_here(engine.endpoint):
        raise MachineError(
            f"{test}: its port cannot be asked from here",
            why=f"the engine is at {engine.endpoint}, and ports are published on loopback of that machine",
            hint="run it there, or give [smoke] a probe, which asks from inside, in place of port and [smoke.http]",
        )


def smoke_test(
    engine: Engine, settings: Settings, step: Step, smoke: Smoke, *, image: str | None = None, of: str = ""
) -> SmokeResult:
    """Run a smoke test in a built image on its platform; a foreign one runs under QEMU.

    :param image: what to run instead of what the step's name stands for now: another name, an id, or a name by digest
    :param of: the image whose test it is, if that is not the step's
    :raises MachineError: its platform cannot be run here, or its port not be asked
    """
    test = SmokeTest(step=step, of=of or step.target.image, smoke=smoke)
    _check_reach(engine, test)
    found = engine.image(image or str(step.reference))
    exact = (found and found.id) or image or str(step.reference)
    output = _Output(smoke)
    with log.step(str(test)) as progress:
        exit_code, visit = _run(engine, settings, test, exact, output, progress)
    ending = Ending(
        exit_code=exit_code, lines=output.lines, seconds=output.seconds, lacking=visit.lacking if visit else "",
        emulated=step.target.platform != engine.platform,
    )  # fmt: skip
    problem = judge(smoke, ending)
    kept = _logfile(settings, test).relative_to(settings.root).as_posix()
    return SmokeResult(
        test=test,
        digest=(found and (found.repo_digest or found.id)) or "",
        seconds=ending.seconds,
        ready=output.ready,
        exit_code=None if visit and not visit.lacking else exit_code,
        failure=SmokeTestError(
            f"{test}: {problem}", why=last_lines("\n".join(output.lines), 25), hint=f"all that it printed: {kept}"
        ) if problem else None,
    )  # fmt: skip


def _run(
    engine: Engine, settings: Settings, test: SmokeTest, image: str, output: _Output, progress: log.Progress
) -> tuple[int, Visit | None]:
    """Run the container of a test until it ends, has answered as wanted, or its time is up."""
    name = f"archway-smoke-{tag(test.step.target.slug)}-{uuid.uuid4().hex[:8]}"
    smoke = test.smoke

    def end() -> None:
        engine.kill(name)

    def answered() -> None:
        if smoke.probe:
            engine.stop(name)
        else:
            end()

    def heard(line: str) -> None:
        output.hear(line)
        file.write(f"{line}\n")
        progress(line)

    def lacking() -> str | None:
        found = asked(smoke, lambda port: engine.published(name, port))
        if found == "" and smoke.ready and output.ready is None:
            found = missing_text(smoke, output.lines)
        if found == "":
            found = probed(smoke, lambda: engine.execute(name, smoke.probe), heard)
        return missing_text(smoke, output.lines) if found == "" else found

    path = _logfile(settings, test)
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        path.open("w", encoding="utf-8", buffering=1) as file,
        _limit(smoke.timeout, end),
        visiting(lacking, answered) if smoke.served else nullcontext() as visit,
    ):
        exit_code = engine.run(
            image, smoke.command, name=name, platform=test.step.target.platform, ports=smoke.ports,
            environment=smoke.env, stop_timeout=patience(test.step.target.platform != engine.platform),
            labels={"dev.archway.smoke": str(test.step.target)}, heard=heard,
        )  # fmt: skip
    return exit_code, visit


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


def _logfile(settings: Settings, test: SmokeTest) -> Path:
    of = f".{test.of}" if test.inherited else ""
    return settings.state / "logs" / f"{test.step.target.slug}{of}.smoke.log"
