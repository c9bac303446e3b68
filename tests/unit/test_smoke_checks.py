"""What is asked of a container from outside, of servers on this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from archway.errors import ArchwayError, MachineError
from archway.metadata import Http, Smoke
from archway.smoke_checks import LOOPBACK, ask, asked, is_here, knock, probed, visiting

Serve = Callable[[bytes | None], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts servers that give each guest one answer, or hang up without one."""
    with ExitStack() as open_doors:

        def start(answer: bytes | None) -> int:
            door = open_doors.enter_context(socket.create_server((LOOPBACK, 0)))

            def serving() -> None:
                with suppress(OSError):
                    while True:
                        guest, _ = door.accept()
                        with guest:
                            if answer is not None:
                                guest.recv(4096)
                                guest.sendall(answer)

            threading.Thread(target=serving, daemon=True).start()
            return int(door.getsockname()[1])

        yield start


def page(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def test_silent_listener_listens() -> None:
    """A connection that lasts is one that somebody has taken."""
    with socket.create_server((LOOPBACK, 0)) as door:
        assert knock(door.getsockname()[1], hold=0.1) == ""


def test_greeting_needs_no_waiting() -> None:
    """A server that speaks first has proven at once that it is there."""
    with socket.create_server((LOOPBACK, 0)) as door:

        def greet() -> None:
            guest, _ = door.accept()
            guest.sendall(b"220 hello")
            guest.close()

        threading.Thread(target=greet, daemon=True).start()

        assert knock(door.getsockname()[1], hold=60) == ""


def test_connection_that_is_closed_at_once_proves_nothing(serve: Serve) -> None:
    """Docker's proxy takes connections although nothing listens in the container, and closes them."""
    assert "closed at once" in knock(serve(None))


def test_refused_connection_is_told() -> None:
    """Where not even a proxy listens there is no connection."""
    with socket.create_server((LOOPBACK, 0)) as door:
        port = door.getsockname()[1]

    assert "no connection" in knock(port)
    assert "no connection" in ask(port, Http())


@pytest.mark.parametrize(
    ("answer", "wanted", "words"),
    [
        (page(b"all is well"), Http(), ""),
        (page(b"all is well"), Http(expect="is well"), ""),
        (page("grün".encode()), Http(expect="grün"), ""),
        (page(b"", status="204 No Content"), Http(status=204), ""),
        (page(b"down"), Http(expect="is well"), "'is well' is not in its answer, which begins with 'down'"),
        (page(b"all is well", status="503 Busy"), Http(expect="is well"), "status 503 instead of 200"),
        (page(b"", status="302 Found", headers="Location: http://192.0.2.1/\r\n"), Http(), "status 302 instead of 200"),
        (b"SSH-2.0-OpenSSH_9\r\n", Http(), "no answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", Http(), "no answer"),
        (b"", Http(), "no answer"),
        (b"\xff\x00\xff", Http(), "no answer"),
        (page(b"x" * (1 << 20) + b"is well"), Http(expect="is well"), "'is well' is not in its answer"),
    ],
)  # fmt: skip
def test_answers_of_servers(serve: Serve, answer: bytes, wanted: Http, words: str) -> None:
    """Status and text are compared, redirects are not followed, a MiB is read, and what is no HTTP is no answer."""
    told = ask(serve(answer), wanted)

    assert (words in told) if words else told == ""


def test_environment_has_no_say(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy of the environment is not asked for a page of this machine."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://192.0.2.1:3128")

    assert ask(serve(page(b"all is well")), Http()) == ""


def test_both_checks_must_hold(serve: Serve) -> None:
    """The port is asked first; what is lacking is told with the container's own port, and the page's path."""
    ports = {1: serve(None), 2: serve(page(b"", status="404 No"))}
    smoke = Smoke(port=2, http=Http(path="/x"), timeout=9)

    assert "port 1: the connection is closed at once" in (asked(Smoke(port=1), ports.get) or "")
    assert asked(smoke, {2: serve(page(b""))}.get) == ""
    assert (
        asked(Smoke(http=Http(path="/x", port=2)), ports.get) == "port 2/x: it answers with status 404 instead of 200"
    )


def test_container_that_is_gone_says_nothing(serve: Serve) -> None:
    """A port that leads to no container (yet, or after it was asked) is no finding: what was found before counts."""
    seen = iter([serve(None), None])

    assert asked(Smoke(port=1), lambda _port: None) is None
    assert asked(Smoke(port=1), lambda _port: next(seen)) is None


@pytest.mark.parametrize(
    ("endpoint", "here"),
    [
        ("unix:///var/run/docker.sock", True),
        ("npipe:////./pipe/docker_engine", True),
        ("tcp://127.0.0.1:2375", True),
        ("tcp://[::1]:2375", True),
        ("ssh://me@localhost", True),
        ("", True),
        ("tcp://docker:2375", False),
        ("tcp://192.0.2.7:2376", False),
        ("ssh://me@build.example.org", False),
    ],
)
def test_engines_of_this_machine(endpoint: str, here: bool) -> None:
    """Sockets, pipes and loopback addresses are this machine."""
    assert here == is_here(endpoint)


def test_checks_end_when_nothing_is_lacking() -> None:
    """A container is asked until it answers as wanted, then ended; trouble with the engine is one thing more."""
    answers: list[str | ArchwayError | None] = [None, "nothing listens", None, MachineError("inspect failed"), ""]
    heard: list[str] = []
    ended = threading.Event()

    def lacking() -> str | None:
        heard.append(visit.lacking)
        answer = answers.pop(0)
        if isinstance(answer, ArchwayError):
            raise answer
        return answer

    with visiting(lacking, ended.set, pause=0.01) as visit:
        assert ended.wait(10)

    assert heard == [
        "it ended before it was asked",
        "it ended before it was asked",
        "nothing listens",
        "nothing listens",
        "inspect failed",
    ]
    assert visit.lacking == ""


PROBE = Smoke(probe=["/probe"])


def test_probe_that_went_well_is_heard() -> None:
    """What it printed counts as printed by the test."""
    heard: list[str] = []

    assert probed(PROBE, lambda: (0, ["5 messages", "done"]), heard.append) == ""
    assert heard == ["5 messages", "done"]


def test_probe_that_failed_is_told_with_its_last_words() -> None:
    """Its exit code and the end of what it printed; none of that counts as printed by the test."""
    heard: list[str] = []
    lines = [f"line {number}" for number in range(99)]

    assert probed(PROBE, lambda: (3, lines), heard.append) == "\n  ".join(
        ["its probe ended with exit code 3:", *lines[-15:]]
    )
    assert heard == []


def test_probe_of_a_container_that_is_gone_says_nothing() -> None:
    """What was found before stays."""
    assert probed(PROBE, lambda: None, pytest.fail) is None


def test_without_a_probe_nothing_is_run() -> None:
    """A test that only asks ports has passed with their answers."""
    assert probed(Smoke(port=1), lambda: pytest.fail("run"), pytest.fail) == ""
