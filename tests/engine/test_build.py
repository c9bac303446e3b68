"""Building in small monorepos: what goes wrong, and what is left behind."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from archway.engine import Engine
from archway.platforms import Platform
from tests.engine.conftest import content, wait_until
from tests.engine.run import Inv, command, surroundings
from tests.monorepo import Monorepo

Names = Callable[[], list[str]]

SHELL = "FROM rootfs\n"


def elf(machine: int, *, bits: int = 2) -> bytes:
    """The header of a program for a machine, little-endian."""
    return (
        b"\x7fELF"
        + bytes([bits, 1, 1])
        + bytes(9)
        + (2).to_bytes(2, "little")
        + machine.to_bytes(2, "little")
        + bytes(44)
    )


def test_build_verify_and_name(monorepo: Monorepo, inv: Inv, names: Names, engine: Engine) -> None:
    """A built image has its name, its labels and nothing else is left."""
    monorepo.image("test-app", "FROM scratch\nCOPY Dockerfile /\n")

    ran = inv(monorepo.root, "build", "--image", "test-app")

    assert ran.exit_code == 0, ran.stderr
    assert ran.stdout.split() == names()
    image = engine.image(names()[0])
    assert image is not None
    assert image.labels["org.opencontainers.image.title"] == "test-app"
    assert image.labels["dev.archway.strategy"] == "native"


def test_foreign_program_is_caught_and_not_named(monorepo: Monorepo, inv: Inv, names: Names, foreign: Platform) -> None:
    """An image with a program of another machine fails verification and never gets its name."""
    other = 183 if foreign.architecture == "arm64" else 62
    monorepo.image("test-app", "FROM scratch\nCOPY program /bin/\n")
    (monorepo.root / "test-app/program").write_bytes(elf(other))

    ran = inv(monorepo.root, "build", "--image", "test-app")

    assert ran.exit_code == 9
    assert "/bin/program" in ran.stderr
    assert names() == []


def test_failing_step_is_shown_with_its_line(monorepo: Monorepo, inv: Inv, names: Names) -> None:
    """A failing RUN is told with the Dockerfile's line, its output and the log file."""
    monorepo.image("test-app", SHELL + "RUN echo before\nRUN echo the reason; exit 3\n")

    ran = inv(monorepo.root, "build", "--image", "test-app")

    assert ran.exit_code == 5
    assert "test-app/Dockerfile:3" in ran.stderr
    assert "the reason" in ran.stderr
    log = monorepo.root / ".archway/logs" / f"test-app-1-{Platform.native().tag}.log"
    assert "echo before" in log.read_text()
    assert names() == []


def test_wrong_checksum_has_its_own_exit_code(monorepo: Monorepo, inv: Inv) -> None:
    """A file that is not what its checksum says ends the build with the exit code for that."""
    monorepo.image("test-app", SHELL + "COPY sums /\nRUN sha256sum --check /sums\n")
    monorepo.write("test-app/sums", f"{'0' * 64}  /etc/passwd\n")

    ran = inv(monorepo.root, "build", "--image", "test-app")

    assert ran.exit_code == 6
    assert "/etc/passwd: FAILED" in ran.stderr


def test_emulated_and_cross_are_told_and_work(
    monorepo: Monorepo, inv: Inv, engine: Engine, names: Names, foreign: Platform
) -> None:
    """The same Dockerfile is cross by itself, and emulated when that is asked for; the steps then run as the target."""
    build_stage = "FROM --platform=$BUILDPLATFORM rootfs AS b\nRUN uname -m > /machine\n"
    monorepo.image("test-app", build_stage + "FROM scratch\nCOPY --from=b /machine /\n")

    for strategy, machine in (("cross", engine.platform.names.uname), ("emulated", foreign.names.uname)):
        options = ["--strategy", strategy] if strategy == "emulated" else []
        ran = inv(monorepo.root, "build", "--image", "test-app", "--arch", foreign.tag, *options)

        assert ran.exit_code == 0, ran.stderr
        image = engine.image(names()[0])
        assert image is not None
        assert image.platform == foreign
        assert image.labels["dev.archway.strategy"] == strategy
        assert machine == content(names()[0], foreign, "machine").strip()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_interrupted_build_leaves_nothing(
    monorepo: Monorepo, engine: Engine, names: Names, number: signal.Signals
) -> None:
    """An interrupted build ends its children at once and gives no name."""
    monorepo.image("test-app", SHELL + f"RUN echo {number.name}; sleep 300\n")
    building = subprocess.Popen(
        command("build", "--image", "test-app"),
        cwd=monorepo.root,
        env=surroundings(),
        stderr=subprocess.PIPE,
        text=True,
    )
    log = monorepo.root / ".archway/logs" / f"test-app-1-{engine.platform.tag}.log"
    wait_until(lambda: log.exists() and f" {number.name}" in log.read_text(), seconds=120)
    children = psutil.Process(building.pid).children(recursive=True)
    assert children
    building.send_signal(number)
    _, said = building.communicate(timeout=30)

    assert building.returncode == 128 + number
    assert "interrupted" in said
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE], said
    assert names() == []


def test_parent_from_the_engine_not_from_a_registry(monorepo: Monorepo, inv: Inv, names: Names) -> None:
    """A child stands on the parent that was just built here, and is built again when that changes."""
    monorepo.image("test-base", "FROM scratch\nCOPY content /\n")
    monorepo.image("test-app", "FROM test-base\n")
    for text in ("one", "two"):
        monorepo.write("test-base/content", text)

        ran = inv(monorepo.root, "build", "--image", "test-app")

        assert ran.exit_code == 0, ran.stderr
        name = next(name for name in names() if "test-app" in name)
        assert content(name, Platform.native(), "content") == text


def test_pruned_parent_is_not_missed(monorepo: Monorepo, inv: Inv, names: Names, engine: Engine) -> None:
    """A child that is up to date does not need its parent any more."""
    monorepo.image("test-base", "FROM scratch\nCOPY image.toml /\n")
    monorepo.image("test-app", "FROM test-base\n")
    inv(monorepo.root, "build", "--image", "test-app")
    engine.remove(next(name for name in names() if "test-base" in name))

    ran = inv(monorepo.root, "build", "--image", "test-app")

    assert "test-app 1" in ran.stderr
    assert "up to date" in ran.stderr
    assert not [name for name in names() if "test-base" in name]


def test_smoke_test_that_hangs_is_ended(monorepo: Monorepo, inv: Inv) -> None:
    """A smoke test has a time limit, and its container does not outlive it."""
    monorepo.image(
        "test-app", SHELL, releases='[[release]]\nversion = "1"\n[smoke]\ncommand = ["sleep", "300"]\ntimeout = 2\n'
    )  # fmt: skip
    assert inv(monorepo.root, "build", "--image", "test-app").exit_code == 0

    ran = inv(monorepo.root, "test", "--image", "test-app")

    assert ran.exit_code == 10
    assert "longer than its 2 s" in ran.stderr
    mark = f"label=dev.archway.smoke=test-app 1 {Platform.native().tag}"
    left = subprocess.run(["docker", "ps", "-aq", "--filter", mark], capture_output=True, text=True, check=True)
    assert left.stdout == ""


def test_wrong_answer_of_a_smoke_test_fails(monorepo: Monorepo, inv: Inv) -> None:
    """A smoke test that ends well without the expected text has failed, and its output is shown."""
    monorepo.image(
        "test-app", SHELL,
        releases='[[release]]\nversion = "1"\n[smoke]\ncommand = ["echo", "something else"]\nexpect = "hello"\n',
    )  # fmt: skip
    assert inv(monorepo.root, "build", "--image", "test-app").exit_code == 0

    ran = inv(monorepo.root, "test", "--image", "test-app")

    assert ran.exit_code == 10
    assert "did not print 'hello'" in ran.stderr
    assert "something else" in ran.stderr


def test_test_of_an_image_that_is_not_built(monorepo: Monorepo, inv: Inv) -> None:
    """Nothing is pulled or built behind one's back: the message has the command."""
    monorepo.image(
        "test-app", "FROM scratch\n", releases='[[release]]\nversion = "1"\n[smoke]\ncommand = ["x"]\n'
    )  # fmt: skip

    ran = inv(monorepo.root, "test", "--image", "test-app")

    assert ran.exit_code == 4
    assert "inv build --image test-app=1" in ran.stderr


def test_no_engine_is_told(monorepo: Monorepo, inv: Inv, tmp_path: Path) -> None:
    """Without an engine a build says so and how to get one; a dry run plans all the same."""
    monorepo.image("test-app", "FROM scratch\n")
    nowhere = f"unix://{tmp_path}/nothing.sock"

    ran = inv(monorepo.root, "build", "--image", "test-app", DOCKER_HOST=nowhere)
    assert ran.exit_code == 4
    assert "inv setup" in ran.stderr

    ran = inv(monorepo.root, "build", "--image", "test-app", "--dry-run", DOCKER_HOST=nowhere)
    assert ran.exit_code == 0, ran.stderr
    assert "test-app 1" in ran.stdout


def test_one_image_for_both_platforms_in_one_dockerfile(
    monorepo: Monorepo, inv: Inv, names: Names, foreign: Platform
) -> None:
    """A Dockerfile may use one image for the machine's platform and for the target's."""
    monorepo.image("test-base", "FROM rootfs\n")
    pinned = "FROM --platform=$BUILDPLATFORM test-base AS b\nRUN dpkg --print-architecture > /builder\n"
    monorepo.image("test-app", pinned + "FROM test-base\nCOPY --from=b /builder /\n")

    ran = inv(monorepo.root, "build", "--image", "test-app", "--arch", foreign.tag)

    assert ran.exit_code == 0, ran.stderr
    name = next(name for name in names() if "test-app" in name)
    assert content(name, foreign, "builder").strip() == Platform.native().names.debian
