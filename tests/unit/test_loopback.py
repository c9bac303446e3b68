"""The loopback registry: what counts as archway's own, what is stopped, what is told."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from archway import process
from archway.errors import MachineError, UsageError
from archway.machine import loopback, loopback_found, loopback_status
from archway.machine.facts import RegistryPort
from archway.machine.loopback_found import Found, own_process, refusal
from archway.machine.loopback_status import count, describe, rows, size
from archway.machine.registry import serve
from tests.unit.machines import BARE_13, ENGINE, UBUNTU, Settings

Answers = dict[str, tuple[int, str, str]]
"""Path: status, Link header, body."""

REGISTRY: Answers = {"/v2/": (200, "", "{}")}


@pytest.fixture
def wanted(tmp_path: Path) -> Settings:
    """A monorepo whose registry is on a port where nothing listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        port = server.server_port
    return Settings(root=tmp_path, registry=f"localhost:{port}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The registry's folder of that monorepo."""
    made = tmp_path / ".archway" / "registry"
    made.mkdir(parents=True)
    return made


Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a shell that looks like a registry: its arguments are those of one."""
    begun: list[subprocess.Popen[bytes]] = []

    def started(*argv: str, script: str = "echo; read line") -> subprocess.Popen[bytes]:
        (tmp_path / "serve").write_text(script)
        child = subprocess.Popen(
            argv, executable="/bin/sh", cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )  # fmt: skip
        begun.append(child)
        assert child.stdout
        child.stdout.readline()
        return child

    yield started
    for child in begun:
        child.kill()
        child.communicate()


@contextmanager
def server(answers: Answers) -> Iterator[int]:
    """A web server on the loopback address; what it has no answer for is 404."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, link, body = answers.get(self.path, (404, "", '{"errors": []}'))
            self.send_response(status)
            if link:
                self.send_header("Link", link)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made.server_port
        made.shutdown()
        thread.join()


PID_FILES = [
    "",
    "rubbish",
    "-1",
    "-7",
    "0",
    "1",
    "1.5",
    "²",
    "12\n13",
    "99999999999999999999",
    "4194304",
    "\0",
    "9" * 5000,
]


@pytest.mark.parametrize("text", PID_FILES)
def test_pid_file_with_rubbish_names_nothing(folder: Path, text: str) -> None:
    """A pid file that holds no pid, or that of no registry, names no process."""
    (folder / "registry.pid").write_text(text)

    assert own_process(folder) is None


def test_recycled_pid_is_not_ours(folder: Path) -> None:
    """A pid that another program has got since is not taken for the registry."""
    (folder / "registry.pid").write_text(f"{os.getpid()}\n")

    assert own_process(folder) is None


def test_pid_file_that_is_no_file(folder: Path) -> None:
    """A folder, a pipe or a device in place of the pid file names nothing, and nobody waits for it."""
    file = folder / "registry.pid"
    file.mkdir()
    assert own_process(folder) is None
    file.rmdir()
    os.mkfifo(file)
    assert own_process(folder) is None
    file.unlink()
    file.symlink_to("/dev/zero")
    assert own_process(folder) is None


@pytest.mark.parametrize(
    ("argv", "own"),
    [
        (("docker-registry", "serve", "{}/config.yml"), True),
        (("/usr/bin/docker-registry", "serve", "{}/config.yml"), True),
        (("docker-registry", "serve", "/etc/docker/registry/config.yml"), False),
        (("docker-registry", "serve", "{}/config.yml", "more"), False),
        (("vi", "serve", "{}/config.yml"), False),
    ],
)
def test_only_a_registry_with_our_settings_is_ours(
    folder: Path, start: Start, argv: tuple[str, ...], own: bool
) -> None:
    """A process is archway's if it is docker-registry and serves the settings of this monorepo."""
    child = start(*(word.format(folder) for word in argv))
    (folder / "registry.pid").write_text(f"{child.pid}\n")

    assert own is (own_process(folder) is not None)


def test_what_setup_starts_is_what_down_stops(wanted: Settings, folder: Path, start: Start) -> None:
    """The settings, the pid file and the container's name are those of `inv setup`."""
    program = serve(replace(BARE_13, programs=frozenset({"docker-registry"})), wanted)
    container = serve(replace(UBUNTU, engine=ENGINE), wanted)

    assert program
    assert f"setsid docker-registry serve {folder}/config.yml " in program.commands[-1].argv[-1]
    assert f"tee {folder}/registry.pid" in program.commands[-1].argv[-1]
    assert container
    assert f"--name archway-registry-{wanted.registry.partition(':')[2]} " in container.commands[-1].argv[-1]


def test_down_ends_our_process_and_keeps_the_data(
    wanted: Settings, folder: Path, start: Start, capsys: pytest.CaptureFixture[str]
) -> None:
    """`down` waits until our process has ended, removes the pid file, and says where the data stays."""
    child = start("docker-registry", "serve", f"{folder}/config.yml")
    (folder / "registry.pid").write_text(f"{child.pid}\n")
    (folder / "data").mkdir()

    loopback.down(wanted)

    assert child.wait(timeout=1) < 0
    assert not (folder / "registry.pid").exists()
    assert (folder / "data").is_dir()
    assert f"its data stays: {folder}/data" in capsys.readouterr().err


def test_process_that_does_not_listen_to_reason_is_killed(
    monkeypatch: pytest.MonkeyPatch, folder: Path, start: Start
) -> None:
    """A process that ignores SIGTERM is killed when its time is over."""
    monkeypatch.setattr(loopback, "PATIENCE", 0.2)
    child = start("docker-registry", "serve", f"{folder}/config.yml", script="trap '' TERM; echo; read line")

    loopback.stop(psutil.Process(child.pid))

    assert child.wait(timeout=1) == -9


def test_process_that_is_gone_needs_no_stop(folder: Path, start: Start) -> None:
    """A process that ended between look and stop is no error."""
    child = start("docker-registry", "serve", f"{folder}/config.yml")
    gone = psutil.Process(child.pid)
    child.kill()
    child.wait()

    loopback.stop(gone)


def test_another_user_may_not_stop_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rights, the message names the process, its user and sudo."""
    running = psutil.Process()

    def refuse(_self: psutil.Process) -> None:
        raise psutil.AccessDenied(running.pid)

    monkeypatch.setattr(psutil.Process, "terminate", refuse)
    with pytest.raises(MachineError, match=rf"may not stop process {running.pid} of \w+.*\n.*sudo inv registry down"):
        loopback.stop(running)


def test_down_where_nothing_runs(wanted: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """`down` where nothing runs says so, is no error, and makes no files."""
    loopback.down(wanted)

    assert "nothing is to be stopped" in capsys.readouterr().err
    assert not list(wanted.root.iterdir())


def test_registry_of_somebody_else_is_left_alone(tmp_path: Path, folder: Path) -> None:
    """`down` refuses a registry that the pid file does not name, and says what it is."""
    (folder / "registry.pid").write_text(f"{os.getpid()}\n")
    with server(REGISTRY) as port:
        settings = Settings(root=tmp_path, registry=f"localhost:{port}")
        with pytest.raises(MachineError, match=f"archway did not start the registry on 127.0.0.1:{port}") as raised:
            loopback.down(settings)

    assert f"process {os.getpid()} of " in raised.value.why
    assert (folder / "registry.pid").exists()


def test_up_is_content_with_a_registry_that_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`up` leaves a registry that runs already as it is, and says whose it is not."""
    with server(REGISTRY) as port:
        loopback.up(Settings(root=tmp_path, registry=f"127.0.0.1:{port}"))

    told = capsys.readouterr().err
    assert f"a registry runs on 127.0.0.1:{port} already: process {os.getpid()}" in told
    assert "would leave it alone" in told
    assert not list(tmp_path.iterdir())


def test_up_names_the_program_on_the_port(tmp_path: Path) -> None:
    """`up` says which process has the port, and how to go on."""
    with server({}) as port, pytest.raises(MachineError, match="another program") as raised:
        loopback.up(Settings(root=tmp_path, registry=f"localhost:{port}"))

    assert f"it is process {os.getpid()} of " in raised.value.why
    assert "another port" in raised.value.hint


def test_up_does_not_start_without_a_pid_file(wanted: Settings, folder: Path) -> None:
    """A folder in place of the pid file is told before a registry is started that nothing could stop."""
    (folder / "registry.pid").mkdir()

    with pytest.raises(MachineError, match="the pid file cannot be replaced") as raised:
        loopback.up(wanted)

    assert str(folder / "registry.pid") == raised.value.where


@pytest.mark.parametrize("action", ["up", "down", "status"])
@pytest.mark.parametrize(
    "registry", ["registry.example.org", "10.0.0.1:5000", "localhost:0", "localhost:65536", "example.org:5000"]
)
def test_registry_elsewhere_is_not_our_business(wanted: Settings, action: str, registry: str) -> None:
    """Every action refuses a registry that is not on loopback: there is nothing to start here."""
    with pytest.raises(UsageError, match="is elsewhere"):
        loopback.act(action, replace(wanted, registry=registry))


@pytest.mark.parametrize(
    ("action", "as_json", "told"),
    [
        ("", False, "needs an action\n  there is: down, status, up"),
        ("stauts", False, "no action 'stauts'\n  did you mean status?"),
        ("restart", False, "did you mean"),
        ("x" * 100_000, False, "there is: down, status, up"),
        ("up", True, "inv registry status --json"),
        ("down", True, "inv registry status --json"),
    ],
)
def test_wrong_action_is_told(wanted: Settings, action: str, as_json: bool, told: str) -> None:
    """A wrong action, or an option that does not go with it, ends with what there is."""
    with pytest.raises(UsageError) as raised:
        loopback.act(action, wanted, json=as_json)

    assert told in str(raised.value)


OTHER = Found(port=5077, folder=Path("/mono/.archway/registry"), answers=RegistryPort.OTHER, listener="process 7")
OWN = replace(OTHER, own=psutil.Process(), own_ports=frozenset({5077}))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (replace(OTHER, answers=RegistryPort.NOTHING), None),
        (OTHER, "another program listens on 127.0.0.1:5077"),
        (OWN, "is there and does not answer"),
        (replace(OWN, own_ports=frozenset()), "is there and does not answer"),
        (replace(OWN, answers=RegistryPort.NOTHING), "is there and does not answer"),
        (replace(OTHER, container="archway-registry-5077"), "is there and does not answer"),
        (replace(OWN, own_ports=frozenset({5000})), "INVOKE_ARCHWAY_REGISTRY=localhost:5000 inv registry down"),
    ],
)
def test_why_none_can_be_started(found: Found, told: str | None) -> None:
    """What holds the port, or this monorepo's data, is the reason why no registry is started."""
    refused = refusal(found)

    assert (told is None) is (refused is None)
    assert told is None or told in str(refused)


def test_status_is_data_even_when_nothing_runs(wanted: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    """`status` prints what there is on stdout, and ends with exit code 4 and the way on when nothing runs."""
    with pytest.raises(MachineError, match="no registry runs") as raised:
        loopback.act("status", wanted, json=True)

    port = wanted.registry.partition(":")[2]
    assert raised.value.hint == "run: inv registry up"
    assert json.loads(capsys.readouterr().out) == {
        "address": f"127.0.0.1:{port}", "running": False, "started_by_archway": False, "listener": None,
        "data": f"{wanted.root}/.archway/registry/data", "bytes": 0, "repositories": None, "tags": None,
    }  # fmt: skip


def test_data_of_somebody_else_is_unknown() -> None:
    """Of a registry that archway did not start nobody knows where its data is; archway's folder is not shown."""
    shown = describe(replace(OTHER, answers=RegistryPort.REGISTRY), held=(2, 3))

    assert shown["data"] is None
    assert ["data", "unknown"] in rows(shown)
    assert ["tags", "3"] in rows(shown)


def test_data_of_a_container_is_its_volume() -> None:
    """The data of archway's container is the volume that has its name."""
    found = replace(OTHER, answers=RegistryPort.REGISTRY, container="archway-registry-5077")

    assert describe(found, held=None)["data"] == "docker volume archway-registry-5077"


def test_size_of_a_folder(tmp_path: Path) -> None:
    """Files are added up; a folder that is not there yet is empty; what cannot be read has no size."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(b"x" * 3)
    (tmp_path / "a" / "b" / "two").write_bytes(b"x" * 4)
    (tmp_path / "a" / "link").symlink_to("/dev/zero")

    assert size(tmp_path / "a") == 7 + len("/dev/zero")
    assert size(tmp_path / "none") == 0
    assert size(tmp_path / "a" / "one") is None


def test_contents_come_in_pages() -> None:
    """Repositories and tags are counted over all pages; a repository whose tags were deleted has none."""
    answers: Answers = {
        "/v2/_catalog": (200, '</v2/_catalog?last=b&n=2>; rel="next"', '{"repositories": ["a", "b/c"]}'),
        "/v2/_catalog?last=b&n=2": (200, "", '{"repositories": ["d", "gone"]}'),
        "/v2/a/tags/list": (200, '<http://x/v2/a/tags/list?last=2>; rel="next"', '{"tags": ["1", "2"]}'),
        "/v2/a/tags/list?last=2": (200, "", '{"tags": ["3"]}'),
        "/v2/b/c/tags/list": (200, "", '{"tags": null}'),
        "/v2/d/tags/list": (200, "", '{"tags": ["1"]}'),
    }
    with server(answers) as port:
        assert count(port) == (4, 4)


@pytest.mark.parametrize(
    ("status", "link", "body"),
    [
        (200, '</v2/_catalog>; rel="next"', '{"repositories": []}'),
        (200, "", "<html>"),
        (200, "", "[" * 100_000),
        (200, "", "[]"),
        (200, "", '{"repositories": 7}'),
        (200, "", '{"repositories": ["\\ud800"]}'),
        (401, "", '{"errors": []}'),
        (500, "", '{"errors": []}'),
        (302, "", ""),
    ],
)
def test_registry_that_tells_nonsense(monkeypatch: pytest.MonkeyPatch, status: int, link: str, body: str) -> None:
    """What a registry does not tell, or tells without end, is unknown; nobody waits for it for ever."""
    monkeypatch.setattr(loopback_status, "PATIENCE", 0.3)
    with server({"/v2/_catalog": (status, link, body)}) as port:
        assert count(port) is None


def test_container_of_an_engine_elsewhere_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container of that name on another machine's engine is not taken for the one on this port."""
    monkeypatch.setattr(loopback_found, "which", lambda _name: "/usr/bin/docker")
    monkeypatch.setattr(loopback_found, "read_engine", lambda *, client: replace(ENGINE, endpoint="ssh://elsewhere"))
    monkeypatch.setattr(process, "run", lambda *_: pytest.fail("asked"))

    assert loopback_found._container(5077) == ""


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        ("127.0.0.1:5077", True), ("0.0.0.0:5077\n[::]:5077", True), ("[::]:5077\n", True),
        ("127.0.0.1:50770", False), ("127.0.0.1:5078", False), ("", False),
    ],
)  # fmt: skip
def test_container_publishes_that_very_port(monkeypatch: pytest.MonkeyPatch, published: str, expected: bool) -> None:
    """A port that begins with the same digits is another one."""
    engine = replace(ENGINE, endpoint="unix:///var/run/docker.sock")
    monkeypatch.setattr(loopback_found, "which", lambda _name: "/usr/bin/docker")
    monkeypatch.setattr(loopback_found, "read_engine", lambda *, client: engine)
    result = process.Result(exit_code=0, stdout=published, stderr="")
    monkeypatch.setattr(process, "run", lambda *_, **__: result)

    assert bool(loopback_found._container(5077)) is expected


def test_lock_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Who waits too long for another start is told who that is; afterwards, the lock is free."""
    monkeypatch.setattr(loopback, "LOCK_PATIENCE", 0.1)
    with loopback._alone(folder):
        with (
            pytest.raises(MachineError, match=rf"held by process {os.getpid()} of ") as raised,
            loopback._alone(folder),
        ):
            pytest.fail("two are alone")
        assert raised.value.where == str(folder / "lock")
        (folder / "lock").write_text("rubbish")
        with pytest.raises(MachineError, match="held by another inv registry up"), loopback._alone(folder):
            pytest.fail("two are alone")

    with loopback._alone(folder):
        assert (folder / "lock").read_text() == f"{os.getpid()}"
