"""Facts about folders of one run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from archway.scratch import scratch

HOLD = """
import sys, time
from pathlib import Path
from archway.scratch import scratch
with scratch(Path(sys.argv[1]), "list") as folder:
    (folder / "big").write_bytes(bytes(1000))
    print(folder, flush=True)
    time.sleep(60)
"""


def hold(state: Path) -> tuple[subprocess.Popen[str], Path]:
    """A process that has a folder, and the folder."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(state)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def end(process: subprocess.Popen[str]) -> None:
    """Kill it as kill -9 does."""
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_folder_lives_as_long_as_its_use(tmp_path: Path) -> None:
    """The folder is there while it is used, below the state, and gone afterwards, with what it holds."""
    with scratch(tmp_path / "state", "verify") as folder:
        (folder / "image.tar").write_bytes(b"much")

        assert folder.parent == tmp_path / "state" / "scratch"
        assert folder.name.startswith("verify@")
    assert not list(folder.parent.iterdir())


def test_folder_is_gone_after_an_error(tmp_path: Path) -> None:
    """An error, or Ctrl-C, leaves nothing behind."""
    with pytest.raises(KeyboardInterrupt), scratch(tmp_path, "verify"):
        raise KeyboardInterrupt

    assert not list((tmp_path / "scratch").iterdir())


def test_what_a_killed_run_left(tmp_path: Path) -> None:
    """What a run left that was killed with kill -9 is removed when the next one begins; that of a living one is not."""
    killed, left = hold(tmp_path)
    living, kept = hold(tmp_path)
    end(killed)
    with scratch(tmp_path, "inspect"):
        there = left.exists(), kept.exists()
    end(living)

    assert there == (False, True)


def test_process_number_that_is_used_again(tmp_path: Path) -> None:
    """A folder is not kept because another process has the number of the one that made it."""
    with scratch(tmp_path, "list") as folder:
        host = folder.name.partition("@")[2].rpartition(f"-{os.getpid()}-")[0]
        older = folder.with_name(f"list@{host}-{os.getpid()}-1-abc")
        older.mkdir()
        with scratch(tmp_path, "list") as other:
            assert other != folder
            assert folder.exists()

    assert not older.exists()


@pytest.mark.parametrize("name", ["list@another-machine-1-1-abc", "notes", "list"])
def test_what_is_left_alone(tmp_path: Path, name: str) -> None:
    """What another machine that shares the folder made, or somebody by hand, is left alone."""
    other = tmp_path / "scratch" / name
    other.mkdir(parents=True)
    with scratch(tmp_path, "list"):
        pass

    assert other.exists()


def test_several_at_once(tmp_path: Path) -> None:
    """One run may have several folders for one purpose."""
    with scratch(tmp_path, "verify") as first, scratch(tmp_path, "verify") as second:
        assert first != second
        assert first.is_dir()
        assert second.is_dir()
