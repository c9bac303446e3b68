"""``./inv`` and ``./nox``: the environment that they make for themselves, and the lock that fills it.

The scripts run for real, in a checkout of their own; only Python is a stand-in that writes down how it was called.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
SHELLS = [found for name in ("dash", "bash", "busybox") if (found := shutil.which(name))]

PYTHON = """\
#!/bin/sh
# Stands in for Python: its -c is real where a lock is taken, venv copies this script, pip does what $PIP says.
case "$1 $2" in
    "-c import os, sys"*) echo "$0" ;;
    "-c import fcntl"*) exec "$REAL" "$@" ;;
    "-c "*) ;;
    "-m venv")
        echo "venv" >> "$CALLS"
        mkdir -p "$3/bin"
        cp "$0" "$3/bin/python"
        ;;
    "-m pip")
        shift 2
        echo "pip $*" >> "$CALLS"
        eval "${PIP:-}"
        ;;
    "-m invoke" | "-m nox") echo "$*" ;;
    *) echo "unexpected: $*" >&2; exit 99 ;;
esac
"""


class Checkout:
    """A checkout with nothing but the wrapper and what it reads."""

    def __init__(self, root: Path, shell: str) -> None:
        self.root = root
        self.shell = [shell, "sh"] if Path(shell).name == "busybox" else [shell]
        self.calls_file = root.parent / "calls"
        self.bin = root.parent / "bin"
        self.bin.mkdir()
        (self.bin / "python3").write_text(PYTHON)
        (self.bin / "python3").chmod(0o755)
        root.mkdir()
        shutil.copy2(REPOSITORY / "inv", root / "inv")
        (root / "nox").symlink_to("inv")
        self.write("pyproject.toml", "one")
        self.write("requirements.txt", "one")

    @property
    def state(self) -> Path:
        return self.root / ".archway"

    @property
    def calls(self) -> list[str]:
        """What was made and installed so far, without options."""
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return [line.split()[0] for line in lines]

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(text)

    def start(self, *words: str, tool: str = "inv", pip: str = "") -> subprocess.Popen[str]:
        env = {
            "PATH": f"{self.bin}:{os.environ['PATH']}", "CALLS": str(self.calls_file), "REAL": sys.executable,
            "PIP": pip, "LC_ALL": "C.UTF-8",
        }  # fmt: skip
        return subprocess.Popen(
            [*self.shell, str(self.root / tool), *words], env=env, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *words: str, tool: str = "inv", pip: str = "", exit_code: int = 0) -> tuple[str, str]:
        """Stdout and stderr of a call that must end with this exit code."""
        started = self.start(*words, tool=tool, pip=pip)
        stdout, stderr = started.communicate(timeout=30)
        assert started.returncode == exit_code, stderr
        return stdout, stderr


@pytest.fixture(params=SHELLS, ids=[Path(shell).name for shell in SHELLS])
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Checkout:
    """A checkout in a folder with a space in its name, for each shell that may be a machine's /bin/sh."""
    return Checkout(tmp_path / "a checkout", request.param)


MADE = ["venv", "pip", "pip"]
UPDATED = ["pip", "pip"]


def test_first_call_makes_it_and_the_next_uses_it(checkout: Checkout) -> None:
    """The first call makes the environment of locked packages and hands its words on; the next one only runs."""
    stdout, stderr = checkout.run("build", "--product", "a b")

    assert stdout == "-m invoke build --product a b\n"
    assert "making" in stderr
    assert checkout.calls == MADE
    locked, ours = checkout.calls_file.read_text().splitlines()[1:]
    assert f"--require-hashes --requirement {checkout.root}/requirements.txt" in locked
    assert f"--no-deps --no-build-isolation --editable {checkout.root}" in ours
    assert checkout.run("-s", "lint", tool="nox") == ("-m nox -s lint\n", "")
    assert checkout.calls == MADE


def test_environment_of_the_contributor_is_left_alone(checkout: Checkout) -> None:
    """A .venv in the checkout is somebody's own, whatever it holds."""
    (checkout.root / ".venv").mkdir()
    checkout.write(".venv/mine", "precious")

    checkout.run()

    assert (checkout.root / ".venv/mine").read_text() == "precious"
    assert [path.name for path in (checkout.root / ".venv").iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements.txt"])
def test_change_of_what_is_needed_updates_in_place(checkout: Checkout, name: str) -> None:
    """When what it is made from changes, packages are installed again, under a build that may run in it."""
    checkout.run()
    used = checkout.state / "venv/in-use"
    used.touch()
    checkout.write(name, "two")

    _, stderr = checkout.run()

    assert "up to date" in stderr
    assert checkout.calls == MADE + UPDATED
    assert used.exists()


def test_touching_a_file_changes_nothing(checkout: Checkout) -> None:
    """What counts is what the files hold, not their times: git gives new ones at each checkout."""
    checkout.run()
    os.utime(checkout.root / "pyproject.toml", (time.time() + 60, time.time() + 60))

    checkout.run()

    assert checkout.calls == MADE


@pytest.mark.parametrize("pip", ["kill -INT 0; sleep 20", "exit 1"], ids=["Ctrl-C", "no network"])
def test_half_made_environment_is_not_used(checkout: Checkout, pip: str) -> None:
    """Ctrl-C while packages are installed, or a failure, leaves nothing that a later call would take for finished."""
    code = 130 if "INT" in pip else 7
    _, stderr = checkout.run(pip=pip, exit_code=code)
    assert "✗" in stderr

    checkout.run()

    assert checkout.calls == ["venv", "pip", *MADE]


def test_half_updated_environment_is_not_used(checkout: Checkout) -> None:
    """An update that failed is tried again, also when the change that asked for it was taken back."""
    checkout.run()
    checkout.write("requirements.txt", "two")
    checkout.run(pip="exit 1", exit_code=7)
    checkout.write("requirements.txt", "one")

    checkout.run()

    assert checkout.calls == [*MADE, "pip", *UPDATED]


def test_two_first_calls_make_one_environment(checkout: Checkout) -> None:
    """Of two calls at once, one makes the environment, and the other waits, says so and uses it."""
    calls = [checkout.start(tool=tool, pip="sleep 0.5") for tool in ("inv", "nox")]
    said = [call.communicate(timeout=30)[1] for call in calls]

    assert [call.returncode for call in calls] == [0, 0], said
    assert checkout.calls == MADE
    assert sorted("waiting" in text for text in said) == [False, True]


def test_killed_call_leaves_no_lock(checkout: Checkout) -> None:
    """A call that was killed in the middle stops no later one."""
    killed = checkout.start(pip="sleep 30")
    while "pip" not in checkout.calls:
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate(timeout=30)

    checkout.run()

    assert checkout.calls == ["venv", "pip", *MADE]


def test_moved_checkout_is_installed_anew(checkout: Checkout) -> None:
    """A checkout that was moved or copied does not run the code of the old place."""
    checkout.run()
    checkout.root = checkout.root.rename(checkout.root.parent / "moved")

    checkout.run()

    assert f"--editable {checkout.root}" in checkout.calls_file.read_text().splitlines()[-1]


def test_python_that_is_gone_is_replaced(checkout: Checkout) -> None:
    """An environment whose Python was removed, as an upgrade of the system does, is made again."""
    checkout.run()
    (checkout.state / "venv/bin/python").unlink()
    (checkout.state / "venv/bin/python").symlink_to("/nowhere/python3.11")

    checkout.run()

    assert checkout.calls == MADE + MADE


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can leave files to another user")
def test_first_call_by_root_leaves_it_to_the_owner(checkout: Checkout) -> None:
    """After a first call with sudo, the environment belongs to whom the checkout belongs to."""
    os.chown(checkout.root, 12345, 12345)

    checkout.run()

    assert {path.stat().st_uid for path in (checkout.state, *checkout.state.rglob("*"))} == {12345}


def test_no_python_is_told(checkout: Checkout) -> None:
    """Without a Python that is new enough, the message says which one, and nothing is made."""
    for name in ("python3", "python3.14", "python3.13", "python3.12", "python3.11"):
        (checkout.bin / name).write_text("#!/bin/sh\nexit 1\n")
        (checkout.bin / name).chmod(0o755)

    _, stderr = checkout.run(exit_code=4)

    assert "Python 3.11 or newer" in stderr
    assert not (checkout.state / "venv").exists()


def locked() -> dict[str, tuple[Requirement, list[str]]]:
    """What requirements.txt names, with the hashes of each."""
    found: dict[str, tuple[Requirement, list[str]]] = {}
    logical = (REPOSITORY / "requirements.txt").read_text().replace("\\\n", "")
    for line in filter(None, (line.partition("#")[0].strip() for line in logical.splitlines())):
        text, *hashes = (part.strip() for part in line.split("--hash="))
        requirement = Requirement(text)
        found[canonicalize_name(requirement.name)] = (requirement, hashes)
    return found


def needed() -> list[str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    # An editable installation by hatchling asks for editables, which stands nowhere.
    return [*project["project"]["dependencies"], *project["build-system"]["requires"], "editables"]


@pytest.mark.parametrize("text", needed())
def test_what_is_needed_is_locked(text: str) -> None:
    """Each dependency of pyproject.toml, and of building it, is locked at one version that pyproject.toml allows."""
    wanted = Requirement(text)
    requirement, _ = locked()[canonicalize_name(wanted.name)]
    (pin,) = requirement.specifier

    assert pin.operator == "=="
    assert wanted.specifier.contains(pin.version, prereleases=True)


def test_every_locked_package_has_its_hashes() -> None:
    """A package without hashes would let any file of that version in."""
    assert len(locked()) > len(needed())
    for name, (_, hashes) in locked().items():
        assert hashes, name
        assert all(entry.startswith("sha256:") and len(entry) == 7 + 64 for entry in hashes), name
