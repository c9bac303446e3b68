"""Fixtures of the engine tests: a real engine, and commands run as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archway.engine import Engine
from archway.errors import MachineError
from archway.platforms import Platform
from tests.engine.hive import Built, build_hive
from tests.engine.run import ORGANIZATION, REPOSITORY, Inv, Ran, command, surroundings
from tests.engine.rust import Rust
from tests.monorepo import Monorepo

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs an engine."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.engine)


@pytest.fixture(scope="session")
def engine() -> Engine:
    """An engine that answers. In CI a missing one is a failure, elsewhere a reason to skip."""
    found = Engine()
    try:
        _ = found.platform
    except MachineError as missing:
        if os.environ.get("CI"):
            pytest.fail(f"CI without a Docker engine: {missing}")
        pytest.skip(f"no Docker engine: {missing.what}; inv setup makes one")
    return found


@pytest.fixture(scope="session")
def foreign(engine: Engine) -> Platform:
    """A platform that this machine can only run under emulation."""
    return Platform.parse("amd64" if engine.platform == Platform.parse("arm64") else "arm64")


@pytest.fixture(scope="session")
def inv(engine: Engine) -> Inv:
    """Runs ``inv`` in a folder, under an organization of the tests' own."""

    def run(folder: Path, *words: str, **more: str) -> Ran:
        done = subprocess.run(
            command(*words),
            cwd=folder,
            env=surroundings(**more),
            capture_output=True,
            text=True,
            timeout=1800,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def hive(inv: Inv, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Hive for both platforms, built by one command behind the markers; at once where an earlier run made it."""
    return build_hive(inv, tmp_path_factory.mktemp("markers"))


@pytest.fixture(scope="session")
def rust_builder(inv: Inv) -> str:
    """The name of the image rust-builder in the engine; it is built unless an earlier run did."""
    built = inv(REPOSITORY, "build", "--image", "rust-builder", "--json")

    assert built.exit_code == 0, built.stderr
    return str(next(step["reference"] for step in json.loads(built.stdout) if step["requested"]))


@pytest.fixture(scope="session")
def rust(inv: Inv) -> Rust:
    """The operators and the test programs in Rust, each built when it is asked for first."""
    return Rust(inv=inv)


@pytest.fixture(autouse=True)
def names(engine: Engine) -> Iterator[Callable[[], list[str]]]:
    """The names that the tests' organization has in the engine; all are removed after the test."""

    def listed() -> list[str]:
        done = subprocess.run(
            ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}"],
            capture_output=True,
            text=True,
            check=True,
        )
        return sorted(line for line in done.stdout.splitlines() if f"/{ORGANIZATION}/test-" in line)

    yield listed
    for name in listed():
        engine.remove(name)


@pytest.fixture
def monorepo(tmp_path: Path) -> Monorepo:
    """A monorepo without images, in which ``inv`` works."""
    made = Monorepo(tmp_path, 'images = ["*"]\n')
    (tmp_path / "tasks.py").write_text("from archway.tasks import namespace\n\nns = namespace()\n")
    return made


def wait_until(ready: Callable[[], bool], *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.1)


def content(name: str, platform: Platform, path: str) -> str:
    """A file of an image that holds no program to print it."""
    container = subprocess.run(
        ["docker", "create", "--platform", str(platform), name, "none"], capture_output=True, text=True, check=True
    ).stdout.strip()
    try:
        tar = subprocess.run(["docker", "cp", f"{container}:/{path}", "-"], capture_output=True, check=True).stdout
    finally:
        subprocess.run(["docker", "rm", container], capture_output=True, check=True)
    return tar[512:].split(b"\0", 1)[0].decode()
