"""The loop of setting up, and carrying out."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from archway.errors import MachineError
from archway.machine import carry, setup
from archway.machine.binfmt import Binfmt
from archway.machine.carry import carry_out
from archway.machine.commands import Command, Remedy, detached, write
from archway.machine.facts import Facts, RegistryPort
from tests.unit.machines import BARE_13, READY, RECIPE, UBUNTU, Settings

WANTED = Settings()
NO_EMULATION = replace(READY, binfmt=Binfmt(recipes=(RECIPE,)))


def remedy(*commands: Command) -> Remedy:
    return Remedy(title="mend it", commands=commands, expected=READY)


def out(made: Remedy, folder: Path, *, root: bool = True, sudo: bool = False) -> None:
    carry_out(made, root=root, sudo=sudo, log_file=folder / "logs" / "setup.log")


def test_mend_until_ready() -> None:
    """Remedies are applied one after the other, each to the facts after the one before."""
    titles: list[str] = []

    def act(made: Remedy, _facts: Facts) -> Facts:
        titles.append(made.title.split()[0])
        return made.expected

    facts, failures = setup.mend(BARE_13, WANTED, act)

    assert titles == ["install", "start", "register", "start"]
    assert facts.registry == RegistryPort.REGISTRY
    assert failures == ()


def test_mend_tries_nothing_twice() -> None:
    """A remedy that changes nothing is applied once, then the next one's turn comes."""
    titles: list[str] = []

    def act(made: Remedy, facts: Facts) -> Facts:
        titles.append(made.title)
        return facts

    setup.mend(replace(NO_EMULATION, registry=RegistryPort.NOTHING), WANTED, act)

    assert titles == ["register QEMU for linux/arm64", "start a registry on 127.0.0.1:5000"]


def test_failure_that_blocks_stops() -> None:
    """When something fails without which nothing can be built, that is the end."""

    def act(made: Remedy, _facts: Facts) -> Facts:
        raise MachineError(made.title)

    with pytest.raises(MachineError, match=r"install docker\.io"):
        setup.mend(BARE_13, WANTED, act)


def test_failure_that_does_not_block_goes_on() -> None:
    """When emulation fails the registry is started all the same, and the failure is kept."""

    def act(made: Remedy, facts: Facts) -> Facts:
        if "QEMU" in made.title:
            raise MachineError(made.title)
        return made.expected

    facts, failures = setup.mend(replace(NO_EMULATION, registry=RegistryPort.NOTHING), WANTED, act)

    assert facts.registry == RegistryPort.REGISTRY
    assert [failure.what for failure in failures] == ["register QEMU for linux/arm64"]


def test_make_ready_on_a_ready_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a ready machine nothing is run."""
    monkeypatch.setattr(setup, "probe", lambda _wanted: READY)
    monkeypatch.setattr(setup, "carry_out", lambda *_args, **_kw: pytest.fail("ran something"))

    assert all(finding.ok for finding in setup.make_ready(WANTED))


def test_make_ready_says_what_did_not_improve(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is still missing after its remedy is an error that names it, and does not advise the same again."""
    monkeypatch.setattr(setup, "probe", lambda _wanted: NO_EMULATION)
    monkeypatch.setattr(setup, "carry_out", lambda *_args, **_kw: None)

    with pytest.raises(MachineError, match="not ready, though it can build") as error:
        setup.make_ready(WANTED)

    assert "emulation linux/arm64: no registration" in error.value.why
    assert "inv setup" not in error.value.hint


def test_make_ready_leaves_ubuntu_to_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where archway installs nothing, the error is the advice."""
    monkeypatch.setattr(setup, "probe", lambda _wanted: UBUNTU)

    with pytest.raises(MachineError, match="not ready") as error:
        setup.make_ready(WANTED)

    assert "install Docker Engine" in error.value.hint


def test_dry_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run prints the complete way as lines for a shell, and runs nothing."""
    monkeypatch.setattr(setup, "probe", lambda _wanted: BARE_13)
    monkeypatch.setattr(setup, "carry_out", lambda *_args, **_kw: pytest.fail("ran something"))
    setup.make_ready(WANTED, dry_run=True)
    printed = capsys.readouterr()

    for part in ("install docker.io", "systemctl start docker", "binfmt_misc/register", "docker-registry serve"):
        assert part in printed.out
    assert "each step expects that the one before did its work" in printed.err


def test_doctor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The doctor prints the table and fails, with the exit code for machines, where a build would fail."""
    monkeypatch.setattr(setup, "probe", lambda _wanted: BARE_13)

    with pytest.raises(MachineError) as error:
        setup.doctor(WANTED)

    assert error.value.exit_code == 4
    assert "root file systems" in capsys.readouterr().out


def test_carry_out(tmp_path: Path) -> None:
    """Commands are run in order, files are written with their folders, and the log tells both."""
    file = tmp_path / "new" / "file"
    out(remedy(write(str(file), "text\n"), Command(argv=("cat", str(file)))), tmp_path)

    assert file.read_text() == "text\n"
    assert f"$ cat {file}\ntext" in (tmp_path / "logs" / "setup.log").read_text()


def test_carry_out_failure(tmp_path: Path) -> None:
    """A command that fails is named with its last lines, the known cause and the log; what follows is not run."""
    line = "echo \"Temporary failure resolving 'mirror.example.org'\" >&2; exit 100"
    with pytest.raises(MachineError, match="could not mend it") as error:
        out(remedy(Command(argv=("sh", "-c", line)), write(str(tmp_path / "file"), "")), tmp_path)

    assert "cannot be resolved" in error.value.why
    assert "Temporary failure" in error.value.why
    assert str(tmp_path / "logs" / "setup.log") == error.value.where
    assert not (tmp_path / "file").exists()


def test_carry_out_cleans_up(tmp_path: Path) -> None:
    """What cleans up is run whatever happened before it: nothing, a failure, an interruption."""
    file = tmp_path / "file"
    clean = (Command(argv=("rm", "-f", str(file))),)
    made = remedy(write(str(file), "x"), Command(argv=("test", "-f", str(file))))
    out(replace(made, afterwards=clean), tmp_path)

    assert not file.exists()
    with pytest.raises(MachineError):
        out(replace(remedy(write(str(file), "x"), Command(argv=("false",))), afterwards=clean), tmp_path)
    assert not file.exists()
    interrupt = Command(argv=("sh", "-c", f"sleep 0.5; kill -INT {os.getpid()}"), must_finish=True)
    with pytest.raises(KeyboardInterrupt):
        out(replace(remedy(write(str(file), "x"), interrupt), afterwards=clean), tmp_path)
    assert not file.exists()


def test_carry_out_lets_packages_finish(tmp_path: Path) -> None:
    """An installation goes on to its end when we are interrupted, however often; only then we are."""
    file = tmp_path / "file"
    line = f"sleep 0.5; kill -INT {os.getpid()}; sleep 1; kill -TERM {os.getpid()}; sleep 0.5; touch {file}"
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with pytest.raises(KeyboardInterrupt):
            out(remedy(Command(argv=("sh", "-c", line), must_finish=True)), tmp_path)
    finally:
        signal.signal(signal.SIGTERM, before)

    assert file.exists()


def test_carry_out_may_fail(tmp_path: Path) -> None:
    """A command that may fail does not stop the rest."""
    out(remedy(Command(argv=("false",), may_fail=True), write(str(tmp_path / "file"), "x")), tmp_path)

    assert (tmp_path / "file").exists()


def test_carry_out_start(tmp_path: Path) -> None:
    """A program that is started goes on in a session of its own, and its pid is kept."""
    pid_file, log_file = tmp_path / "pid", tmp_path / "log"
    program = ("sh", "-c", f"touch {tmp_path}/up; cut -d' ' -f6 /proc/$$/stat; exec sleep 2")
    until = ("test", "-s", str(log_file))
    out(remedy(detached(program, log=str(log_file), pid_file=str(pid_file), until=until)), tmp_path)

    assert pid_file.read_text() == log_file.read_text()


def test_carry_out_start_dies(tmp_path: Path) -> None:
    """A program that dies at its start is not waited for; the last lines of its log say why."""
    command = detached(("sh", "-c", "echo cannot raise the limit; exit 1"), log=str(tmp_path / "log"), until=("false",))
    with pytest.raises(MachineError) as error:
        out(remedy(command), tmp_path)

    assert "cannot raise the limit" in error.value.why


def test_carry_out_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that never answers is given up after a while."""
    monkeypatch.setattr(carry, "PATIENCE", 0.1)
    command = detached(("sleep", "1"), log=str(tmp_path / "log"), until=("false",))
    with pytest.raises(MachineError) as error:
        out(remedy(command), tmp_path)

    assert "no answer to: false" in error.value.why


def test_carry_out_without_rights(tmp_path: Path) -> None:
    """Without root and sudo nothing is run, and the exact commands for root are printed."""
    with pytest.raises(MachineError, match="cannot mend it") as error:
        out(remedy(Command(argv=("touch", str(tmp_path / "file")))), tmp_path, root=False)

    assert f"touch {tmp_path / 'file'}" in error.value.hint
    assert not (tmp_path / "file").exists()
