"""``inv registry`` with a real registry, as a user runs it; needs no engine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

Inv = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A monorepo whose registry is on a free port."""
    if not shutil.which("docker-registry"):
        missing = "there is no docker-registry; inv setup installs it"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (tmp_path / "pyproject.toml").write_text(f'[tool.archway]\nregistry = "localhost:{port}"\n')
    (tmp_path / "tasks.py").write_text("from archway.tasks import namespace\n\nns = namespace()\n")
    return tmp_path


def pid(folder: Path) -> int:
    return int((folder / ".archway" / "registry" / "registry.pid").read_text())


@pytest.fixture
def inv(folder: Path) -> Iterator[Inv]:
    """Runs ``inv registry`` there; the registry is stopped after the test."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("INVOKE_")}

    def run(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "invoke", "registry", *words], cwd=folder,
            env={**clean, "NO_COLOR": "1", "DOCKER_HOST": f"unix://{folder}/no-engine.sock", **more},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    yield run
    for process in psutil.process_iter(["cmdline"]):
        if f"{folder}/.archway/registry/config.yml" in (process.info["cmdline"] or ()):
            process.kill()


def status(inv: Inv) -> dict[str, object]:
    done = inv("status", "--json")
    shown = json.loads(done.stdout)
    assert isinstance(shown, dict)
    assert done.returncode == (0 if shown["running"] else 4), done.stderr
    return shown


def test_up_status_down(folder: Path, inv: Inv) -> None:
    """A registry is started once, shown, stopped once, and its data is there when it is started again."""
    started, again = inv("up"), inv("up")

    assert (started.returncode, again.returncode) == (0, 0), started.stderr + again.stderr
    assert "already" in again.stderr
    shown = status(inv)
    assert (shown["running"], shown["started_by_archway"]) == (True, True)
    assert f"process {pid(folder)} of " in str(shown["listener"])
    push = urllib.request.Request(f"http://{shown['address']}/v2/a/b/blobs/uploads/", method="POST", data=b"")
    assert urllib.request.urlopen(push, timeout=5).status == 202  # noqa: S310
    was = pid(folder)

    stopped, nothing = inv("down"), inv("down")

    assert (stopped.returncode, nothing.returncode) == (0, 0), stopped.stderr + nothing.stderr
    assert "its data stays" in stopped.stderr
    assert "nothing is to be stopped" in nothing.stderr
    assert not psutil.pid_exists(was) or psutil.Process(was).status() == psutil.STATUS_ZOMBIE
    assert status(inv)["running"] is False
    assert started.stdout == again.stdout == stopped.stdout == nothing.stdout == ""
    assert inv("up").returncode == 0
    assert list((folder / ".archway/registry/data").rglob("a/b/_uploads"))


def test_data_removed_while_running(folder: Path, inv: Inv) -> None:
    """A registry whose data folder was removed is shown as empty, and can be stopped."""
    inv("up")
    shutil.rmtree(folder / ".archway" / "registry" / "data", ignore_errors=True)

    assert status(inv)["repositories"] == 0
    assert inv("down").returncode == 0


def test_lost_pid_file(folder: Path, inv: Inv) -> None:
    """Without its pid file a registry is nobody's: it is named and left alone."""
    inv("up")
    was = pid(folder)
    shutil.rmtree(folder / ".archway")

    done = inv("down")

    assert done.returncode == 4
    assert f"process {was} of " in done.stderr
    assert psutil.Process(was).status() != psutil.STATUS_ZOMBIE


def test_hung_registry(folder: Path, inv: Inv) -> None:
    """A registry that is there and does not answer is told as that by `up`, and `down` ends it."""
    inv("up")
    os.kill(pid(folder), signal.SIGSTOP)

    told = inv("up")

    assert told.returncode == 4
    assert "is there and does not answer" in told.stderr
    assert inv("down").returncode == 0
    assert inv("up").returncode == 0


def test_one_on_another_port(folder: Path, inv: Inv) -> None:
    """While it runs on one port, no second one is started on the same data, and it is not stopped by mistake."""
    inv("up")
    for action in ("up", "down"):
        done = inv(action, INVOKE_ARCHWAY_REGISTRY="localhost:1")

        assert done.returncode == 4
        assert "this monorepo's registry runs on port" in done.stderr
    assert status(inv)["running"] is True


def test_started_twice_at_the_same_time(folder: Path, inv: Inv) -> None:
    """Several `up` at a time start one registry, whose pid is in the file."""
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(inv, ["up"] * 3))

    assert [ran.returncode for ran in done] == [0, 0, 0]
    assert status(inv)["started_by_archway"] is True


def test_wrong_action(inv: Inv) -> None:
    """A wrong action ends with exit code 2, what was meant, and no traceback."""
    done = inv("stat")

    assert done.returncode == 2
    assert "did you mean status?" in done.stderr
    assert done.stdout == ""
