"""Which smoke tests run, for how long, and how one is judged by what it printed and how it ended."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from archway.engine import Engine, LocalImage
from archway.errors import ArchwayError, MachineError, SmokeTestError, UsageError
from archway.metadata import Http, Smoke
from archway.plan import make_plan
from archway.platforms import Platform
from archway.report_smoke import print_smoke_results, table
from archway.selection import Request
from archway.smoke import SmokeResult, SmokeTest, _limit, smoke_tests, smoke_tests_of
from archway.smoke_verdict import JVM_CRASH, Ending, judge
from archway.targets import Step
from tests.monorepo import Monorepo

AMD64, ARM64 = Platform.parse("amd64"), Platform.parse("arm64")
TESTED = '[[release]]\nversion = "1"\n[smoke]\ncommand = ["/test"]\nexpect = "grün"\n'
SERVED = '[[release]]\nversion = "1"\n[smoke]\nport = 8080\n'

SMOKE = Smoke(command=["/smoke"], expect="stopped", ready="ready", timeout=60)
SERVER = Smoke(port=8080, http=Http(path="/health"), timeout=60)


def judged(exit_code: int = 0, text: str = "ready\nstopped", *, seconds: float = 1, emulated: bool = False) -> str:
    return judge(SMOKE, Ending(exit_code=exit_code, lines=text.splitlines(), seconds=seconds, emulated=emulated))


def test_good_end_with_the_expected_text_passes() -> None:
    """Exit code 0 and both texts: passed."""
    assert judged() == ""


QEMU = "crashed under QEMU"
OWN = "on its own platform"
SEGV = "qemu: uncaught target signal 11 (Segmentation fault) - core dumped"
JVM = f"#\n# {JVM_CRASH}:\n#\n#  SIGSEGV (0xb) at pc=0x00007f\n# /tmp/hs_err_pid1.log"


@pytest.mark.parametrize(
    ("exit_code", "text", "seconds", "emulated", "words"),
    [
        (0, "ready", 1, False, "it did not print 'stopped'"),
        (0, "stopped", 1, False, "it did not print 'ready'"),
        (0, "", 1, True, "it did not print"),
        (3, "ready\nstopped", 1, False, "exit code 3"),
        (255, "", 1, True, "exit code 255"),
        # the time is up, or somebody else killed it
        (137, "", 61, False, "longer than its 60 s"),
        (137, "", 61, True, "longer than its 60 s"),
        (3, "", 61, False, "exit code 3"),
        (137, "", 30, False, "out of memory?"),
        (137, "", 30, True, "out of memory?"),
        # crashes under QEMU
        (139, "", 1, True, f"{QEMU} (SIGSEGV)"),
        (132, "", 1, True, f"{QEMU} (SIGILL)"),
        (134, "", 1, True, f"{QEMU} (SIGABRT)"),
        (135, "", 1, True, f"{QEMU} (SIGBUS)"),
        (134, JVM, 1, True, f"{QEMU} (SIGABRT, as the Java virtual machine says)"),
        (1, SEGV, 1, True, f"{QEMU} (a signal)"),
        (1, JVM, 1, True, f"{QEMU} (a signal, as the Java virtual machine says)"),
        (1, "/smoke: line 3: Segmentation fault (core dumped)", 1, True, f"{QEMU} (a signal)"),
        (0, SEGV, 1, True, f"{QEMU} (a signal)"),
        (137, SEGV, 61, True, f"{QEMU} (a signal)"),
        # crashes without it
        (139, "", 1, False, f"the program crashed (SIGSEGV) {OWN}"),
        (132, "", 1, False, f"the program crashed (SIGILL) {OWN}"),
        (134, "", 1, False, f"the program crashed (SIGABRT) {OWN}"),
        (135, "", 1, False, f"the program crashed (SIGBUS) {OWN}"),
        (134, JVM, 1, False, f"(SIGABRT, as the Java virtual machine says) {OWN}"),
        (1, JVM, 1, False, f"(a signal, as the Java virtual machine says) {OWN}"),
        (1, "a log: Segmentation fault of yesterday", 1, False, "exit code 1"),
        # what cannot be run
        (255, "exec /smoke: exec format error", 0.1, True, "no emulator is registered"),
        (126, "/smoke: cannot execute binary file: Exec format error", 0.1, False, "is of another platform"),
        (126, "docker: permission denied: unknown", 1, False, "cannot be run (exit code 126)"),
        (127, "sh: 1: nope: not found", 1, False, "is not there (exit code 127)"),
    ],
)
def test_failures_are_told_apart(exit_code: int, text: str, seconds: float, emulated: bool, words: str) -> None:
    """A crash of QEMU, a timeout, a wrong answer and a failing product are different things."""
    assert words in judged(exit_code, text, seconds=seconds, emulated=emulated)


def test_emulator_is_not_blamed_for_a_native_program() -> None:
    """What is no program of this platform on this platform has nothing to do with emulators."""
    assert "emulator" not in judged(255, "exec /smoke: exec format error")


@pytest.mark.parametrize("text", [f"{SEGV}\nready\nstopped", f"ready\nstopped\n{JVM}"])
def test_crash_that_the_test_survived_is_none(text: str) -> None:
    """A test that ended well has passed, also when a program that it called on the way crashed under QEMU."""
    assert judged(text=text, emulated=True) == ""


def test_slow_success_is_a_success() -> None:
    """A test that ended well in the moment of its timeout has passed."""
    assert judged(seconds=61) == ""


@pytest.mark.parametrize(
    ("exit_code", "lacking", "seconds", "emulated", "text"),
    [
        (137, "", 5, False, ""),
        (0, "", 5, False, ""),
        (137, "port 8080: no", 61, False, "it took longer than its 60 s; port 8080: no"),
        (137, "port 8080: no", 9, False, "it was killed (SIGKILL) and not by archway: out of memory?"),
        (0, "port 8080: no", 5, False, "it ended with exit code 0; port 8080: no"),
        (1, "port 8080: no", 5, True, "it ended with exit code 1; port 8080: no"),
        (139, "port 8080: no", 5, False, "the program crashed (SIGSEGV) on its own platform"),
    ],
)
def test_server_is_judged_by_its_answers(
    exit_code: int, lacking: str, seconds: float, emulated: bool, text: str
) -> None:
    """A server that answered as wanted has passed, however it was ended; another is told with what it lacked last."""
    ending = Ending(exit_code=exit_code, lines=[], seconds=seconds, emulated=emulated, lacking=lacking)

    assert text == judge(SERVER, ending)


@pytest.mark.parametrize(
    ("exit_code", "lacking", "seconds", "text"),
    [
        (0, "", 5, ""),
        (143, "", 5, ""),
        (1, "", 5, "it did its work, and ended with exit code 1 after SIGTERM"),
        (137, "", 5, "it did its work, and still ran 60 s after SIGTERM: does the signal reach it (tini, exec)?"),
        (137, "", 600, "it did its work, and had not ended after SIGTERM when its 600 s were over"),
        (137, "its probe: no", 600, "it took longer than its 600 s; its probe: no"),
        (1, "its probe: no", 5, "it ended with exit code 1; its probe: no"),
    ],
)
def test_server_with_a_probe_must_also_stop_well(exit_code: int, lacking: str, seconds: float, text: str) -> None:
    """After its probe went well a container is asked to end, and how it does so counts."""
    ending = Ending(exit_code=exit_code, lines=[], seconds=seconds, emulated=False, lacking=lacking)

    assert judge(Smoke(probe=["/probe"], timeout=600), ending) == text


class Machine:
    """Stands in for an engine: it has some images, and each test prints one line."""

    platform = AMD64
    endpoint = "unix:///var/run/docker.sock"

    def __init__(self, *built: str, prints: str = "grün") -> None:
        self.built = built
        self.prints = prints
        self.builds = 1
        self.ran: list[str] = []

    def image(self, name: str) -> LocalImage | None:
        for image in self.built:
            if f"/{image}:" in name or name.startswith(f"sha256:{image}-"):
                id_ = name if name.startswith("sha256:") else f"sha256:{image}-{self.builds}"
                return LocalImage(platform=AMD64, labels={}, repo_digest=id_, id=id_)
        return None

    def run(self, image: str, command: list[str], *, heard: Callable[[str], None], **_options: object) -> int:
        self.builds += 1
        self.ran.append(f"{image} {' '.join(command)}")
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
    """Two images with a smoke test, one without, and one without that stands on a tested one."""
    monorepo.image("one", "FROM scratch\n", releases=TESTED)
    monorepo.image("two", "FROM scratch\n", releases=TESTED)
    monorepo.image("untested", "FROM scratch\n")
    monorepo.image("child", "FROM one\n")
    return monorepo


def test_requested_images_are_tested_in_order(images: Monorepo) -> None:
    """Each image that was asked for is tested once, and its output is kept in a file, in UTF-8."""
    machine = Machine("one", "two")

    results = list(results_of(images, machine, "one", "two"))

    assert [str(result.step.target) for result in results] == ["one 1 amd64", "two 1 amd64"]
    assert [result.failure for result in results] == [None, None]
    assert (images.root / ".archway/logs/one-1-amd64.smoke.log").read_bytes() == "grün\n".encode()


def test_images_that_stood_there_first_are_run(images: Monorepo) -> None:
    """A build in the middle of the tests does not change what is tested: names are looked up once."""
    machine = Machine("one", "two")

    results = list(results_of(images, machine, "one", "two"))

    assert machine.ran == ["sha256:one-1 /test", "sha256:two-1 /test"]
    assert [result.digest for result in results] == ["sha256:one-1", "sha256:two-1"]


@pytest.fixture
def family(monorepo: Monorepo) -> Monorepo:
    """A chain of four images, two of them with commands, one with a check from outside only, and an unused relative."""
    command = '[[release]]\nversion = "1"\n[smoke]\ncommand = ["/{}"]\n'
    monorepo.image("ground", "FROM scratch\n", releases=command.format("ground"))
    monorepo.image("server", "FROM ground AS a\nFROM a\n", releases=SERVED)
    monorepo.image("tool", "FROM scratch\n", releases=command.format("tool"))
    monorepo.image("middle", "FROM server\n")
    monorepo.image("top", "FROM tool AS t\nFROM middle\nCOPY --from=t / /\n", releases=command.format("top"))
    return monorepo


def test_tests_of_parents_are_run_for_their_children(family: Monorepo) -> None:
    """What the final stage starts from has its command run in the child, the lowest first; a check from outside of it
    would ask another server, and an image that files are only copied from is not tested."""
    machine = Machine("top")

    results = list(results_of(family, machine, "top"))

    assert machine.ran == ["sha256:top-1 /ground", "sha256:top-1 /top"]
    assert [str(result.test) for result in results] == ["top 1 amd64: ground's smoke test", "top 1 amd64: smoke test"]
    logs = sorted(path.name for path in (family.root / ".archway/logs").iterdir())
    assert logs == ["top-1-amd64.ground.smoke.log", "top-1-amd64.smoke.log"]


def test_check_from_outside_is_run_for_the_image_itself(family: Monorepo) -> None:
    """The server's own test is its check from outside, after the command of what it stands on."""
    steps = planned(family, "server")
    (server,) = [step for step in steps if step.requested]

    assert [(t.of, t.smoke.served) for t in smoke_tests_of(steps, server)] == [("ground", False), ("server", True)]


@pytest.mark.parametrize("names", [("untested",), ("one", "untested")])
def test_named_image_without_a_smoke_test_is_a_mistake(images: Monorepo, names: tuple[str, ...]) -> None:
    """Who names an image wants it tested: one that has no test does not pass, and nothing is run."""
    machine = Machine("one", "untested")

    with pytest.raises(UsageError) as mistake:
        list(results_of(images, machine, *names))

    assert "no [smoke] in untested/image.toml: nothing was tested" in str(mistake.value)
    assert machine.ran == []


def test_inherited_tests_alone_are_said_to_be_so(images: Monorepo, capsys: pytest.CaptureFixture[str]) -> None:
    """An image without a test of its own gets those of its parents, with a warning."""
    results = list(results_of(images, Machine("child"), "child"))

    assert [result.test.of for result in results] == ["one"]
    assert "child/image.toml has no [smoke]: only what it stands on is tested" in capsys.readouterr().err


def test_all_passes_over_images_without_a_smoke_test(images: Monorepo, capsys: pytest.CaptureFixture[str]) -> None:
    """With --all an image without a test is a note."""
    machine = Machine("one", "untested")

    results = list(results_of(images, machine, "one", "untested", everything=True))

    assert len(results) == 1
    assert "untested/image.toml has no [smoke]: not tested" in capsys.readouterr().err


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


def test_port_of_another_machine_is_told_before_a_test_runs(images: Monorepo) -> None:
    """A published port is on loopback of the engine's machine: from another one it cannot be asked."""
    images.image("server", "FROM scratch\n", releases=SERVED)
    machine = Machine("one", "server")
    machine.endpoint = "ssh://build.example.org"

    with pytest.raises(MachineError) as told:
        list(results_of(images, machine, "one", "server"))

    assert "server 1 amd64: smoke test: its port cannot be asked from here" in str(told.value)
    assert "ssh://build.example.org" in str(told.value)
    assert machine.ran == []


def test_json_says_why_a_test_failed(images: Monorepo, capsys: pytest.CaptureFixture[str]) -> None:
    """A script gets the whole message, with the last lines that the test printed and the file that has them all."""
    with pytest.raises(SmokeTestError, match="1 of 1 smoke tests failed: child 1 amd64 \\(one\\)"):
        print_smoke_results(results_of(images, Machine("child", prints="rot"), "child"), json=True)

    (result,) = json.loads(capsys.readouterr().out)
    assert result.pop("seconds") >= 0
    assert result == {
        "target": "child 1 amd64",
        "image": "child",
        "version": "1",
        "platform": "linux/amd64",
        "test": "one",
        "digest": "sha256:child-1",
        "passed": False,
        "exit-code": 0,
        "ready": None,
        "failure": "child 1 amd64: one's smoke test: it did not print 'grün'\n"
        "  rot\n  all that it printed: .archway/logs/child-1-amd64.one.smoke.log",
    }


def test_results_are_shown_though_the_run_ends_early(images: Monorepo, capsys: pytest.CaptureFixture[str]) -> None:
    """An engine that goes away at the second test does not take the first result with it."""

    def ends_early() -> Iterator[SmokeResult]:
        yield from results_of(images, Machine("one"), "one")
        raise MachineError("the Docker engine does not answer")

    with pytest.raises(ArchwayError, match="does not answer"):
        print_smoke_results(ends_early(), json=True)

    assert [result["passed"] for result in json.loads(capsys.readouterr().out)] == [True]


def test_table_has_images_and_platforms(family: Monorepo) -> None:
    """A row for each test of an image, a column for each platform; what was not run is a dash."""
    catalog = family.catalog
    image = catalog.image("top")
    wanted = [Request(image=image, release=image.release(), platforms=(AMD64, ARM64))]
    steps = make_plan(catalog, wanted, build_platform=AMD64)
    tests = [test for step in steps if step.requested for test in smoke_tests_of(steps, step)]

    def result(test: SmokeTest, failure: SmokeTestError | None = None) -> SmokeResult:
        return SmokeResult(test=test, digest="", seconds=3.21, ready=None, exit_code=0, failure=failure)

    columns, rows = table([result(tests[0]), result(tests[1]), result(tests[2], SmokeTestError("x"))])

    assert columns == ["image", "smoke test of", "amd64", "arm64"]
    assert rows == [["top 1", "ground", "3.2 s", "FAILED 3.2 s"], ["top 1", "top", "3.2 s", "-"]]


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


def read(monorepo: Monorepo, smoke: str) -> Smoke:
    monorepo.image("app", "FROM scratch\n", releases=f'[[release]]\nversion = "1"\n{smoke}')
    found = monorepo.catalog.image("app").metadata.smoke
    assert found
    return found


@pytest.mark.parametrize(
    ("text", "ports", "http_port"),
    [
        ('[smoke]\ncommand = ["x"]\n', (), 0),
        ("[smoke]\nport = 9083\n", (9083,), 9083),
        ("[smoke]\nport = 9083\n[smoke.http]\n", (9083,), 9083),
        ('[smoke]\nport = 9083\nhttp = { path = "/x?y=z", port = 80 }\n', (9083, 80), 80),
        ("[smoke.http]\nport = 80\nstatus = 204\n", (80,), 80),
    ],
)
def test_ports_that_are_asked(monorepo: Monorepo, text: str, ports: tuple[int, ...], http_port: int) -> None:
    """A page is asked for on its own port, or on that of the test; each port is published once."""
    smoke = read(monorepo, text)

    assert ports == smoke.ports
    assert http_port == smoke.http_port
    assert bool(ports) == smoke.served


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[smoke]\ntimeout = 3\n", 5, "nothing is tested: say command, probe, port or [smoke.http]"),
        ("[smoke]\ncommand = []\n", 6, "smoke.command"),
        ("[smoke]\nprobe = []\n", 6, "smoke.probe"),
        ('[smoke]\nport = 80\n[smoke.env]\n"a=b" = "c"\n', 8, "smoke.env"),
        ("[smoke]\nport = 80\n[smoke.env]\nA = 1\n", 8, "smoke.env.A"),
        ("[smoke]\nport = 0\n", 6, "smoke.port"),
        ("[smoke]\nport = 65536\n", 6, "smoke.port"),
        ('[smoke]\nport = "80"\n', 6, "smoke.port"),
        ("[smoke]\nport = true\n", 6, "smoke.port"),
        ("[smoke.http]\nport = 0\n", 6, "smoke.http.port"),
        ('[smoke.http]\npath = "/"\n', 5, "neither smoke.http.port nor smoke.port"),
        ('[smoke]\ncommand = ["x"]\n[smoke.http]\npath = "/"\n', 7, "neither smoke.http.port nor smoke.port"),
        ('[smoke]\nport = 80\n[smoke.http]\npath = "health"\n', 8, "smoke.http.path: begins with /"),
        ('[smoke]\nport = 80\n[smoke.http]\npath = "/a b"\n', 8, "smoke.http.path: begins with /"),
        ('[smoke]\nport = 80\n[smoke.http]\npath = "/\\r\\nX: y"\n', 8, "smoke.http.path: begins with /"),
        ("[smoke]\nport = 80\n[smoke.http]\nstatus = 99\n", 8, "smoke.http.status"),
        ("[smoke]\nport = 80\n[smoke.http]\nstatus = 600\n", 8, "smoke.http.status"),
        ("[smoke]\nprot = 80\n", 6, "did you mean port"),
        ("[smoke]\nport = 80\n[smoke.http]\npaht = 1\n", 8, "did you mean path"),
        ("[smoke]\nport = 80\n[smoke.htpp]\n", 7, "did you mean http"),
    ],
)
def test_mistakes_in_metadata_have_their_line(monorepo: Monorepo, text: str, line: int, words: str) -> None:
    """What a smoke test cannot be is told with file and line, and a key that is nearly right with the right one."""
    with pytest.raises(ArchwayError) as told:
        read(monorepo, text)

    assert f"app/image.toml:{line}: " in str(told.value)
    assert words in str(told.value)


def test_wrong_port_is_told_once(monorepo: Monorepo) -> None:
    """A port that is out of range is one mistake, though the page would be asked for on it."""
    with pytest.raises(ArchwayError) as told:
        read(monorepo, "[smoke]\nport = 0\n[smoke.http]\n")

    assert str(told.value).count("app/image.toml:") == 1
