"""Smoke tests in real containers: what is asked from outside, what is inherited, and which image is run."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import archway.smoke
from archway import bootstrap
from archway.catalog import Catalog
from archway.contexts import Names
from archway.engine import BuildOrder, Engine
from archway.metadata import Http, Smoke
from archway.plan import make_plan
from archway.platforms import Platform
from archway.selection import Request
from archway.settings import load
from archway.smoke import SmokeResult, smoke_test, smoke_tests
from archway.smoke_checks import LOOPBACK, knock
from archway.targets import ROOTFS, Step
from tests.engine.conftest import wait_until
from tests.engine.run import ORGANIZATION, Inv
from tests.monorepo import Monorepo

SERVER = r"""
use strict; use Socket; $| = 1; $SIG{TERM} = sub { exit 0 };
my ($port, $wait, $answer) = @ARGV;
print "starting\n"; sleep $wait;
socket(my $door, PF_INET, SOCK_STREAM, 0) or die; setsockopt($door, SOL_SOCKET, SO_REUSEADDR, 1);
bind($door, sockaddr_in($port, INADDR_ANY)) or die; listen($door, 9) or die;
print "listening\n";
while (accept(my $guest, $door)) {
    sysread($guest, my $request, 4096) or next;
    syswrite($guest, "HTTP/1.1 $answer\r\nConnection: close\r\n\r\nall is well\n"); close $guest;
    print "answered ", (split /\r/, $request)[0], "\n";
}
"""
SLEEP = ["sleep", "60"]


def make(monorepo: Monorepo, engine: Engine, platform: Platform) -> tuple[Step, ...]:
    """Build test-app and all that it stands on. As ``inv build`` does it, without the proof, which takes seconds."""
    settings = load(monorepo.root).with_options(organization=ORGANIZATION)
    image = Catalog(settings).image("test-app")
    wanted = Request(image=image, release=image.release(), platforms=(platform,))
    steps = make_plan(Catalog(settings), [wanted], build_platform=engine.platform)
    for step in steps:
        parents: dict[str, Mapping[Platform, str]] = {
            name: {
                target.platform: str(known.reference) for target in targets for known in steps if known.target == target
            }
            for name, targets in step.parents.items()
        }
        if step.rootfs:
            parents[ROOTFS] = bootstrap.rootfs(engine, settings, step.rootfs)
        names = Names(engine)
        made = names.fresh(step.target.image)
        with names.contexts(parents) as contexts:
            order = BuildOrder(
                context=step.image.folder, tag=made, platforms=(platform,), arguments={}, contexts=contexts,
                secrets={}, labels={},
            )  # fmt: skip
            engine.build(order, lambda _line: None)
        engine.tag(made, str(step.reference))
        engine.remove(made)
    return steps


def server(monorepo: Monorepo, engine: Engine, platform: Platform) -> Callable[..., SmokeResult]:
    """Makes an image with a small server, and runs smoke tests in it."""
    entry = 'ENTRYPOINT ["perl", "/server", "8080"]\nCMD ["1", "200 OK"]\n'
    monorepo.image("test-app", f"FROM rootfs\nCOPY server /\n{entry}")
    monorepo.write("test-app/server", SERVER)
    (step,) = make(monorepo, engine, platform)

    def tested(*command: str, **smoke: Any) -> SmokeResult:
        words = {"command": list(command)} if command else {}
        return smoke_test(engine, load(monorepo.root), step, Smoke.model_validate(words | smoke))

    return tested


def left() -> str:
    """The containers of smoke tests of this organization's test-app."""
    # Not by two values of one label: docker wants a container to have both.
    found = ["docker", "ps", "--all", "--filter", "label=dev.archway.smoke", "--format",
             '{{.Label "dev.archway.smoke"}}']  # fmt: skip
    listed = subprocess.run(found, capture_output=True, text=True, check=True).stdout
    return "\n".join(line for line in listed.splitlines() if line.startswith("test-app 1 "))


def failure(result: SmokeResult) -> str:
    assert result.failure, "it passed"
    return str(result.failure)


def test_servers_are_asked_from_outside(monorepo: Monorepo, engine: Engine) -> None:
    """The image's own entry point runs without a command; what passes is a right answer, not an accepted connection."""
    tested = server(monorepo, engine, engine.platform)
    http = Http(path="/health", port=8080, expect="is well")

    own = tested(port=8080, http=http, ready="listening", expect="answered GET /health HTTP/1.1", timeout=30)

    assert own.failure is None
    assert own.exit_code is None
    assert own.ready is not None
    assert 0.9 < own.ready < own.seconds < 10
    log = monorepo.root / ".archway/logs" / f"{own.step.target.slug}.smoke.log"
    assert log.read_text().startswith("starting\nlistening\n")

    started = tested("perl", "/server", "8081", "0", "", port=8081, timeout=30)
    assert started.failure is None

    silent = failure(tested(*SLEEP, port=8080, timeout=3))
    assert "it took longer than its 3 s; port 8080: the connection is closed at once: nothing listens" in silent

    away = failure(
        tested("perl", "/server", "8080", "0", "302 Found\r\nLocation: http://192.0.2.1/", http=http, timeout=3)
    )
    assert "port 8080/health: it answers with status 302 instead of 200" in away

    mute = failure(tested("perl", "/server", "8080", "0", "200 OK", http=http, expect="hello", timeout=3))
    assert "it took longer than its 3 s; it did not print 'hello'" in mute

    ended = failure(tested("sh", "-c", "echo why; exit 3", port=8080, timeout=30))
    assert "it ended with exit code 3; " in ended
    assert "\n  why\n" in ended
    assert left() == ""


def test_probe_is_a_client_in_the_running_container(
    monorepo: Monorepo, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is run again until it goes well, what it prints is expected of it, and the container must stop on SIGTERM."""
    tested = server(monorepo, engine, engine.platform)
    twice = "test -e /tmp/again && echo asked twice || { touch /tmp/again; echo not yet; exit 4; }"

    well = tested(
        probe=["sh", "-c", f'{twice} && test "$TOLD" = well'],
        ready="listening",
        expect="asked twice",
        env={"TOLD": "well"},
        timeout=60,
    )
    assert well.failure is None
    assert well.ready is not None

    bad = failure(tested(probe=["sh", "-c", "echo no luck >&2; exit 4"], timeout=4))
    assert "it took longer than its 4 s; its probe ended with exit code 4:\n  no luck" in bad

    nothing = failure(tested(probe=["/nope"], timeout=4))
    assert "its probe ended with exit code 12" in nothing
    assert "/nope" in nothing

    mute = failure(tested(probe=["true"], expect="hello", timeout=4))
    assert "it did not print 'hello'" in mute

    # The first process of a container ignores a signal for which it has no handler.
    monkeypatch.setattr(archway.smoke, "patience", lambda _emulated: 12)
    deaf = tested("sleep", "90", probe=["true"], timeout=60)
    assert "it did its work, and still ran" in failure(deaf)
    assert 12 < deaf.seconds < 30

    gone = failure(tested("sh", "-c", "sleep 2; exit 3", probe=["false"], timeout=30))
    assert "it ended with exit code 3; its probe ended with exit code 1" in gone
    assert left() == ""


def test_bare_connection_to_a_published_port_proves_nothing(monorepo: Monorepo, engine: Engine) -> None:
    """Docker's proxy takes a connection where nothing listens in the container: the reason for looking twice."""
    monorepo.image("test-app", "FROM rootfs\nCOPY server /\n")
    monorepo.write("test-app/server", SERVER)
    (step,) = make(monorepo, engine, engine.platform)
    name = f"{ORGANIZATION}-smoke-proxy"
    run = ["docker", "run", "--detach", "--name", name, "--publish", "127.0.0.1::8080"]
    subprocess.run([*run, str(step.reference), *SLEEP], check=True, capture_output=True)
    try:
        port = engine.published(name, 8080)
        assert port
        with socket.create_connection((LOOPBACK, port), timeout=5):
            pass

        assert "closed at once" in knock(port)
        serve = ["docker", "exec", "--detach", name, "perl", "/server", "8080", "0", "200 OK"]
        subprocess.run(serve, check=True)
        wait_until(lambda: knock(port) == "", seconds=10)
        assert engine.published(name, 8081) is None
        assert engine.published("no-such-container", 8080) is None
    finally:
        subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)


def test_ends_of_native_programs(monorepo: Monorepo, engine: Engine) -> None:
    """A crash, a kill and a command that cannot be run are told apart by how the container ended."""
    tested = server(monorepo, engine, engine.platform)
    fault = 'print unpack("p", pack("Q", 8))'

    for command, words in {
        ("perl", "-e", fault): "the program crashed (SIGSEGV) on its own platform",
        (
            "sh",
            "-c",
            "perl -e 'kill ABRT => $$; sleep 9'; exit $?",
        ): "the program crashed (SIGABRT) on its own platform",
        ("sh", "-c", "perl -e 'kill KILL => $$; sleep 9'; exit $?"): "it was killed (SIGKILL) and not by archway",
        ("/nope",): "is not there (exit code 127)",
        ("sh", "-c", "nope"): "is not there (exit code 127)",
        ("/etc/passwd",): "cannot be run (exit code 126)",
    }.items():
        assert words in failure(tested(*command, timeout=30))
    assert left() == ""


def test_ends_of_emulated_programs(monorepo: Monorepo, engine: Engine, foreign: Platform) -> None:
    """A crash under QEMU is told as such, also of a first process, which waits for ever for its own signal."""
    tested = server(monorepo, engine, foreign)
    crash = "kill SEGV => $$; sleep 9"

    child = tested("sh", "-c", f"perl -e '{crash}'; exit $?", timeout=60)
    first = tested("perl", "-e", crash, timeout=4)
    slow = tested(*SLEEP, timeout=3)

    assert child.exit_code == 139
    assert "the program crashed under QEMU (SIGSEGV)" in failure(child)
    assert first.exit_code == 137
    assert "the program crashed under QEMU (a signal)" in failure(first)
    assert "it took longer than its 3 s" in failure(slow)


def family(monorepo: Monorepo, engine: Engine) -> tuple[Step, ...]:
    """A parent whose test asks who runs it, and a child with a user of its own."""
    smoke = '[[release]]\nversion = "1"\n[smoke]\ncommand = [{}]\n'
    monorepo.image("test-base", "FROM rootfs\n", releases=smoke.format('"id", "-u"'))
    app = "FROM test-base\nCOPY --chmod=755 tell /\nUSER 10001:10001\n"
    monorepo.image("test-app", app, releases=smoke.format('"/tell"'))
    monorepo.write("test-app/tell", "#!/bin/sh\necho old\n")
    return make(monorepo, engine, engine.platform)


def printed(root: Path, name: str) -> str:
    return (root / ".archway/logs" / name).read_text()


def test_parents_test_is_run_in_the_child(monorepo: Monorepo, inv: Inv, engine: Engine) -> None:
    """The child gets its parent's test, as its own user, in the very image whose digest is told; the table has both."""
    *_, step = family(monorepo, engine)
    slug = f"test-app-1-{engine.platform.tag}"

    ran = inv(monorepo.root, "test", "--image", "test-app", "--json")

    assert ran.exit_code == 0, ran.stderr
    results = json.loads(ran.stdout)
    assert [(result["image"], result["test"]) for result in results] == [
        ("test-app", "test-base"),
        ("test-app", "test-app"),
    ]
    image = engine.image(str(step.reference))
    assert image is not None
    assert {result["digest"] for result in results} == {image.repo_digest or image.id}
    assert printed(monorepo.root, f"{slug}.test-base.smoke.log") == "10001\n"
    assert printed(monorepo.root, f"{slug}.smoke.log") == "old\n"

    table = inv(monorepo.root, "test", "--image", "test-base,test-app").stdout.splitlines()
    assert table[0].split() == ["image", "smoke", "test", "of", engine.platform.tag]
    assert [line.split()[:3] for line in table[1:]] == [
        ["test-base", "1", "test-base"],
        ["test-app", "1", "test-base"],
        ["test-app", "1", "test-app"],
    ]


def test_build_in_the_middle_changes_nothing(monorepo: Monorepo, engine: Engine) -> None:
    """The images that stood there when the tests began are tested, though their names move to others meanwhile."""
    steps = family(monorepo, engine)
    results = smoke_tests(engine, load(monorepo.root), steps)
    first = next(results)
    monorepo.write("test-app/tell", "#!/bin/sh\necho new\n")
    make(monorepo, engine, engine.platform)

    (second,) = results

    assert second.failure is None
    assert first.digest == second.digest
    assert printed(monorepo.root, f"{second.step.target.slug}.smoke.log") == "old\n"
    rebuilt = engine.image(str(second.step.reference))
    assert rebuilt is not None
    assert rebuilt.id != second.digest
