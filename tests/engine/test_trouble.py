"""Trouble that comes from outside: an engine that goes away, a registry that holds something else."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archway.engine import Engine
from tests.engine.conftest import content, wait_until
from tests.engine.relay import Relay
from tests.engine.run import ORGANIZATION, Inv, command, surroundings
from tests.monorepo import Monorepo

Names = Callable[[], list[str]]


def test_engine_that_goes_away_in_the_middle(monorepo: Monorepo, engine: Engine, names: Names, tmp_path: Path) -> None:
    """An engine that ends during a build is told as such, with what to do; no name was given."""
    monorepo.image("test-app", f"FROM rootfs\nRUN echo {tmp_path.name}; sleep 300\n")
    with Relay(tmp_path / "docker.sock") as relay:
        building = subprocess.Popen(
            command("build", "--image", "test-app"), cwd=monorepo.root, stderr=subprocess.PIPE, text=True,
            env=surroundings(DOCKER_HOST=f"unix://{relay.path}"),
        )  # fmt: skip
        log = monorepo.root / ".archway/logs" / f"test-app-1-{engine.platform.tag}.log"
        wait_until(lambda: log.exists() and f" {tmp_path.name}" in log.read_text().replace("echo", ""), seconds=120)
        relay.cut()
        _, said = building.communicate(timeout=60)

    assert building.returncode == 4, said
    assert "the Docker engine went away during the build" in said
    assert "inv setup" in said
    assert "Traceback" not in said
    assert names() == []


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """A real registry on loopback."""
    program = shutil.which("docker-registry")
    assert program, "inv setup installs docker-registry"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"localhost:{free.getsockname()[1]}"
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {tmp_path}/registry}}}}\n"
        f"http: {{addr: {address.replace('localhost', '127.0.0.1')}}}\n"
    )
    serving = subprocess.Popen([program, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: _listens(address), seconds=20)
    yield address
    serving.terminate()
    serving.wait(timeout=10)


def _listens(address: str) -> bool:
    host, _, port = address.partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_stale_parent_in_a_registry_is_not_taken(
    monorepo: Monorepo, inv: Inv, names: Names, registry: str, engine: Engine
) -> None:
    """A child stands on the parent in the engine, also when the registry has another one under the same name."""
    monorepo.image("test-base", "FROM scratch\nCOPY content /\n")
    monorepo.image("test-app", "FROM test-base\n")
    monorepo.write("test-base/content", "old")
    assert inv(monorepo.root, "build", "--image", "test-base", "--registry", registry).exit_code == 0
    (parent,) = [name for name in names() if "test-base" in name]
    assert parent.startswith(f"{registry}/{ORGANIZATION}/")
    subprocess.run(["docker", "push", "--quiet", parent], check=True, capture_output=True)
    monorepo.write("test-base/content", "new")

    ran = inv(monorepo.root, "build", "--image", "test-app", "--registry", registry)

    assert ran.exit_code == 0, ran.stderr
    (child,) = [name for name in names() if "test-app" in name]
    assert content(child, engine.platform, "content") == "new"


def test_disk_that_is_full_in_a_step(monorepo: Monorepo, inv: Inv, names: Names) -> None:
    """A step that finds no space ends the build with the exit code for that, and says what frees some."""
    monorepo.image("test-app", "FROM rootfs\nRUN head -c 100M /dev/zero > /dev/shm/too-much\n")

    ran = inv(monorepo.root, "build", "--image", "test-app")

    assert ran.exit_code == 8, ran.stderr
    assert "docker buildx prune" in ran.stderr
    assert names() == []


def test_package_registry_out_of_reach(monorepo: Monorepo, inv: Inv, names: Names) -> None:
    """A step that cannot reach Debian's packages ends the build with the exit code for that."""
    monorepo.image("test-app", "FROM rootfs\nRUN --network=none apt-get -o APT::Update::Error-Mode=any update\n")

    ran = inv(monorepo.root, "build", "--image", "test-app")

    assert ran.exit_code == 7, ran.stderr
    assert "test-app/Dockerfile:2" in ran.stderr
    assert names() == []


def test_first_root_file_system_from_an_image(
    monorepo: Monorepo, inv: Inv, names: Names, registry: str, engine: Engine
) -> None:
    """Where Debian's tools are missing, a setting names the image that everything starts from."""
    image = f"{registry}/debian:trixie-slim"
    monorepo.image("test-app", "FROM rootfs\nRUN echo made from $(cat /etc/debian_version)\n")
    assert inv(monorepo.root, "build", "--image", "test-app").exit_code == 0
    (built,) = names()
    engine.tag(built, image)
    subprocess.run(["docker", "push", "--quiet", image], check=True, capture_output=True)
    engine.remove(image)
    engine.remove(built)

    ran = inv(monorepo.root, "build", "--image", "test-app", INVOKE_ARCHWAY_ROOTFS=image)

    assert ran.exit_code == 0, ran.stderr
    assert names() == [built]


def test_setup_finds_nothing_to_do_on_a_ready_machine(monorepo: Monorepo, inv: Inv) -> None:
    """On the machine that runs these tests, set-up has nothing to do, and says so quickly."""
    started = time.monotonic()
    checked = inv(monorepo.root, "setup", "--check")
    dry = inv(monorepo.root, "setup", "--dry-run")

    assert checked.exit_code == 0, checked.stdout + checked.stderr
    assert dry.exit_code == 0, dry.stderr
    assert dry.stdout == ""
    assert "nothing is to be done" in dry.stderr
    assert time.monotonic() - started < 10
