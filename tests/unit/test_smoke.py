"""Which smoke tests run, for how long, and how one is judged by what it printed and how it ended."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from archway.engine import Engine
from archway.errors import ArchwayError, MachineError, SmokeTestError, UsageError
from archway.metadata import Smoke
from archway.plan import make_plan
from archway.platforms import Platform
from archway.report import print_smoke_results
from archway.selection import Request
from archway.smoke import SmokeResult, _limit, judge, smoke_tests
from archway.targets import Step
from tests.monorepo import Monorepo

AMD64 = Platform.parse("amd64")
TESTED = '[[release]]\nversion = "1"\n[smoke]\ncommand = ["/test"]\nexpect = "grün"\n'

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


class Machine:
    """Stands in for an engine: it has some images, and each test prints one line."""

    platform = AMD64

    def __init__(self, *built: str, prints: str = "grün") -> None:
        self.built = built
        self.prints = prints
        self.ran: list[str] = []

    def image(self, name: str) -> object | None:
        return next((image for image in self.built if f"/{image}:" in name), None)

    def run(self, image: str, command: list[str], *, heard: Callable[[str], None], **_options: object) -> int:
        self.ran.append(image)
        heard(self.prints)
        return 0

    def kill(self, name: str) -> None:
        raise AssertionError("nothing took too long")


def planned(monorepo: Monorepo, *names: str) -> tuple[Step, ...]:
    catalog = monorepo.catalog
    wanted = [Request(image=(i := catalog.image(name)), release=i.release(), platforms=(AMD64,)) for name in names]
    return make_plan(catalog, wanted, build_platform=AMD64)


def results_of(monorepo: Monorepo, machine: Machine, *names: str, everything: bool = False) -> Iterator[SmokeResult]:
    steps = planned(monorepo, *names)
    return smoke_tests(cast("Engine", machine), monorepo.catalog.settings, steps, everything=everything)


@pytest.fixture
def images(monorepo: Monorepo) -> Monorepo:
    """Two images with a smoke test, and one without."""
    monorepo.image("one", "FROM scratch\n", releases=TESTED)
    monorepo.image("two", "FROM scratch\n", releases=TESTED)
    monorepo.image("untested", "FROM scratch\n")
    return monorepo


def test_requested_images_are_tested_in_order(images: Monorepo) -> None:
    """Each image that was asked for is tested once, and its output is kept in a file, in UTF-8."""
    machine = Machine("one", "two")

    results = list(results_of(images, machine, "one", "two"))

    assert [str(result.step.target) for result in results] == ["one 1 amd64", "two 1 amd64"]
    assert [result.failure for result in results] == [None, None]
    assert (images.root / ".archway/logs/one-1-amd64.smoke.log").read_bytes() == "grün\n".encode()


@pytest.mark.parametrize("names", [("untested",), ("one", "untested")])
def test_named_image_without_a_smoke_test_is_a_mistake(images: Monorepo, names: tuple[str, ...]) -> None:
    """Who names an image wants it tested: one that has no test does not pass, and nothing is run."""
    machine = Machine("one", "untested")

    with pytest.raises(UsageError) as mistake:
        list(results_of(images, machine, *names))

    assert "no [smoke] in untested/image.toml: nothing was tested" in str(mistake.value)
    assert machine.ran == []


def test_all_passes_over_images_without_a_smoke_test(images: Monorepo, capsys: pytest.CaptureFixture[str]) -> None:
    """With --all an image without a test is a note."""
    machine = Machine("one", "untested")

    results = list(results_of(images, machine, "one", "untested", everything=True))

    assert len(results) == 1


def test_all_is_a_mistake_where_nothing_has_a_smoke_test(images: Monorepo) -> None:
    """Even --all does not pass when not one image was tested."""
    with pytest.raises(UsageError):
        list(results_of(images, Machine("untested"), "untested", everything=True))


def test_missing_image_is_told_before_a_test_runs(images: Monorepo) -> None:
    """When one of the images is not built, none is tested: the results of the first would be lost."""
    machine = Machine("one")

    with pytest.raises(MachineError) as missing:
        list(results_of(images, machine, "one", "two"))

    assert "not built: two 1 amd64" in str(missing.value)
    assert "inv build --image two=1 --arch amd64" in str(missing.value)
    assert machine.ran == []


def test_json_says_why_a_test_failed(images: Monorepo, capsys: pytest.CaptureFixture[str]) -> None:
    """A script gets the whole message, with the last lines that the test printed."""
    with pytest.raises(SmokeTestError, match="1 of 1 smoke tests failed"):
        print_smoke_results(results_of(images, Machine("one", prints="rot"), "one"), json=True)

    (result,) = json.loads(capsys.readouterr().out)
    assert result["passed"] is False
    assert result["failure"] == "one 1 amd64: the smoke test did not print 'grün'\n  rot"


def test_results_are_shown_though_the_run_ends_early(images: Monorepo, capsys: pytest.CaptureFixture[str]) -> None:
    """An engine that goes away at the second test does not take the first result with it."""

    def ends_early() -> Iterator[SmokeResult]:
        yield from results_of(images, Machine("one"), "one")
        raise MachineError("the Docker engine does not answer")

    with pytest.raises(ArchwayError, match="does not answer"):
        print_smoke_results(ends_early(), json=True)

    assert [result["passed"] for result in json.loads(capsys.readouterr().out)] == [True]


def test_limit_is_enforced_until_it_takes_effect() -> None:
    """A container that is still being made when the time is up cannot be killed, so it is tried again."""
    calls: list[float] = []
    killed = threading.Event()

    def end() -> None:
        calls.append(time.monotonic())
        if len(calls) == 3:
            killed.set()

    with _limit(0.05, end, again=0.02):
        assert killed.wait(10)

    time.sleep(0.1)
    assert len(calls) <= 4


def test_limit_does_nothing_to_what_ends_in_time() -> None:
    """What is done before the time is up is left alone."""
    calls: list[None] = []
    with _limit(0.05, lambda: calls.append(None)):
        pass

    time.sleep(0.15)
    assert calls == []
