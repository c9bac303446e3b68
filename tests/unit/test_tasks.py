"""The command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.monorepo import Monorepo

ROOT = Path(__file__).parents[2]


def inv(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("INVOKE_")}
    nowhere = {"DOCKER_HOST": f"unix://{folder}/no-engine.sock", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "invoke", *words], cwd=folder, env={**clean, **nowhere, **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture
def app(monorepo: Monorepo) -> Monorepo:
    """A monorepo with one product, in which ``inv`` works."""
    monorepo.write("tasks.py", "from archway.tasks import namespace\n\nns = namespace()\n")
    monorepo.image("products/app", "FROM scratch\n")
    monorepo.image("base", "FROM scratch\n")
    return monorepo


def test_list_of_tasks_imports_nothing_heavy() -> None:
    """`inv --list` is quick, because metadata, engine and plans are imported by the tasks that run."""
    code = "import tasks, sys; print([m for m in ('pydantic', 'python_on_whales', 'archway.plan') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_tasks_are_listed_with_what_they_do(app: Monorepo) -> None:
    """The list has every task with its first line."""
    done = inv(app.root, "--list")

    assert done.returncode == 0, done.stderr
    for task in ("setup", "build", "test", "verify"):
        assert f"\n  {task} " in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["build"], 2, "nothing to do"),
        (["build", "--product", "ap"], 2, "did you mean app?"),
        (["build", "--operator", "app"], 2, "app is a product: say --product app"),
        (["build", "--product", "base"], 2, "base is a shared image: say --image base"),
        (["build", "--product", "app=2"], 2, "has no version '2'"),
        (["build", "--product", "--help"], 2, "--product has no value"),
        (["build", "--product", "app", "--arch", "arm46"], 2, "did you mean"),
        (["build", "--product", "app", "--arch", ""], 2, "names no platform"),
        (["build", "--product", "app", "--strategy", "magic"], 2, "there is no strategy 'magic'"),
        (["build", "--product", "app", "--registry", "http://x"], 2, "no registry"),
        (["build", "--product", "app" * 10_000], 2, "there is no product"),
        (["build", "--product", "../../etc"], 2, "there is no product"),
        (["build", "--product", "app\nFROM x"], 2, "there is no product"),
        (["build", "--product", "app"], 4, "the Docker engine does not answer"),
        (["test", "--product", "app"], 4, "the Docker engine does not answer"),
        (["verify", "--all"], 4, "the Docker engine does not answer"),
        (["setup", "--json"], 2, "--json goes with --check"),
    ],
)
def test_wrong_words_end_with_a_message(app: Monorepo, words: list[str], code: int, told: str) -> None:
    """Every mistake on the command line has a message on stderr, its exit code, and no traceback."""
    done = inv(app.root, *words)

    assert done.returncode == code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_no_docker_command_is_told(app: Monorepo, tmp_path: Path) -> None:
    """Without a docker command a build says how to get one."""
    done = inv(app.root, "build", "--product", "app", PATH=str(tmp_path))

    assert done.returncode == 4
    assert "there is no docker command" in done.stderr
    assert "inv setup" in done.stderr
    assert "Traceback" not in done.stderr


def test_broken_settings_are_told_by_the_task(app: Monorepo) -> None:
    """The list of tasks works with broken settings; a task says what is wrong, and where."""
    app.write("pyproject.toml", '[tool.archway]\nregistri = "x"\n')

    assert inv(app.root, "--list").returncode == 0
    done = inv(app.root, "build", "--product", "app")
    assert done.returncode == 3
    assert "did you mean registry?" in done.stderr


def test_outside_of_a_monorepo(tmp_path: Path) -> None:
    """A folder without [tool.archway] is told what is missing."""
    (tmp_path / "tasks.py").write_text("from archway.tasks import namespace\n\nns = namespace()\n")

    done = inv(tmp_path, "build", "--product", "app")

    assert done.returncode == 3
    assert "is in no monorepo" in done.stderr


def test_dry_run_needs_no_engine(app: Monorepo) -> None:
    """A plan is made without an engine, as data on stdout."""
    done = inv(app.root, "build", "--product", "app", "--arch", "all", "--dry-run")

    assert done.returncode == 0, done.stderr
    assert "app 1 arm64" in done.stdout
    assert "to build" in done.stdout


def test_misspelt_base_is_doubted(app: Monorepo) -> None:
    """A FROM that is nearly an image of the monorepo may be meant so or be a slip: it is said, not refused."""
    app.image("products/other", "FROM bsae\n")

    done = inv(app.root, "build", "--product", "other", "--dry-run")

    assert done.returncode == 0, done.stderr
    assert "products/other/Dockerfile:1: bsae is no image of this monorepo; did you mean base?" in done.stderr


def test_environment_overrides_settings(app: Monorepo) -> None:
    """INVOKE_ARCHWAY_… is a setting, as Invoke has it."""
    done = inv(app.root, "build", "--product", "app", "--dry-run", "--json", INVOKE_ARCHWAY_REGISTRY="r.example.org")

    assert '"reference": "r.example.org/archway/app:1-0.1.0-dev-' in done.stdout


def test_file_of_somebody_else_is_no_traceback(app: Monorepo) -> None:
    """A file where archway's folder should be is told with its path."""
    app.write(".archway", "no folder")

    done = inv(app.root, "setup", "--dry-run")

    assert "Traceback" not in done.stderr
