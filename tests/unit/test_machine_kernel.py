"""What is read of the kernel's registrations, and what is said before a build that needs them."""

from __future__ import annotations

import os
import platform as host
import sys
import time
from pathlib import Path

import pytest

from archway.errors import MachineError
from archway.machine import guard, probe_docker
from archway.machine.binfmt import MOUNT
from archway.machine.facts import Engine
from archway.machine.files import Files
from archway.machine.guard import require_emulation
from archway.machine.probe_binfmt import is_static, read_binfmt
from archway.platforms import Platform
from archway.process import Result
from tests.unit.machines import AMD64, ARM64, elf, machine, program
from tests.unit.test_machine_binfmt import ACTIVE, CONF

INTERPRETER = "/usr/libexec/qemu-binfmt/aarch64-binfmt-P"
CONF_FILE = "/usr/lib/binfmt.d/qemu-aarch64.conf"
MOUNTED: dict[str, str | bytes] = {f"{MOUNT}/status": "enabled\n", f"{MOUNT}/register": ""}

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has binfmt_misc")


@pytest.mark.parametrize("static", [True, False])
def test_is_static(tmp_path: Path, static: bool) -> None:
    """A program that asks for a loader is not static, one that does not is."""
    (tmp_path / "qemu").write_bytes(elf(static=static))

    assert static == is_static(tmp_path / "qemu")


@pytest.mark.parametrize(
    "content",
    [b"", b"#!/bin/sh\n", b"\x7fELF\x02\x01", elf(static=True)[:66], b"\x7fELF\x02\x01" + b"\xff" * 58],
    ids=["empty", "script", "magic", "no table", "nonsense"],
)
def test_no_program_is_not_static(tmp_path: Path, content: bytes) -> None:
    """A text, or a program that breaks off, is not taken for a static one."""
    (tmp_path / "qemu").write_bytes(content)

    assert not is_static(tmp_path / "qemu")
    assert not is_static(tmp_path / "missing")


@pytest.mark.parametrize(
    ("files", "supported"),
    [
        ({"/proc/filesystems": "nodev\tbinfmt_misc\n"}, True),
        ({f"/lib/modules/{host.release()}/kernel/fs/binfmt_misc.ko.xz": ""}, True),
        (MOUNTED, True),
        ({"/proc/filesystems": "nodev\ttmpfs\n"}, False),
        ({}, False),
    ],
)
def test_supported(tmp_path: Path, files: dict[str, str | bytes], supported: bool) -> None:
    """The kernel has binfmt_misc built in, loaded, or as a module; otherwise it has none."""
    assert supported == read_binfmt(machine(tmp_path, files), [ARM64], versions=False).supported


@pytest.mark.parametrize("order", ["abc", "cba", "bca"])
def test_newest_first(tmp_path: Path, order: str) -> None:
    """The newest registration comes first, because the kernel takes it, whatever its name."""
    files = machine(tmp_path, {**MOUNTED, **{f"{MOUNT}/{name}": ACTIVE for name in order}})
    for age, name in enumerate(order):
        os.utime(files.at(f"{MOUNT}/{name}"), ns=(0, 10**18 - age))
    found = read_binfmt(files, [ARM64], versions=False)

    assert list(order) == [entry.name for entry in found.entries]


def test_names_are_all_kept(tmp_path: Path) -> None:
    """A name is taken even if its registration is for others, or cannot be read."""
    files = machine(tmp_path, {**MOUNTED, f"{MOUNT}/java": "enabled\nextension .jar\n", f"{MOUNT}/odd": "magic zz\n"})
    found = read_binfmt(files, [ARM64], versions=False)

    assert (found.entries, found.names) == ((), frozenset({"java", "odd"}))


def test_recipes(tmp_path: Path) -> None:
    """A recipe counts as static if its interpreter is there and is; Debian's own folder counts without systemd only."""
    debian = "/usr/share/qemu/binfmt.d/qemu-aarch64.conf"
    files = machine(tmp_path, {debian: CONF, INTERPRETER: elf(static=True)})

    assert [recipe.static for recipe in read_binfmt(files, [ARM64], versions=False).recipes] == [True]
    machine(tmp_path, {"/run/systemd/system/x": ""})
    assert read_binfmt(files, [ARM64], versions=False).recipes == ()


@linux
@pytest.mark.parametrize(("static", "age", "version"), [(True, 1, "10.0.13"), (True, -1, ""), (False, 1, "")])
def test_version_only_where_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, static: bool, age: int, version: str
) -> None:
    """The file that has the interpreter's path tells the version unless it is newer, or not fit for containers."""
    files = machine(tmp_path, {**MOUNTED, f"{MOUNT}/any": ACTIVE})
    program(files.at(INTERPRETER).parent, "aarch64-binfmt-P", "echo qemu-aarch64 version 10.0.13 Debian")
    monkeypatch.setattr("archway.machine.probe_binfmt.is_static", lambda path: static)
    made = files.at(INTERPRETER).stat().st_ctime_ns + age * 10**9
    os.utime(files.at(f"{MOUNT}/any"), ns=(made, made))
    (entry,) = read_binfmt(files, [ARM64], versions=True).entries

    assert version == entry.version
    assert entry.fault == ""


@pytest.fixture
def amd64(monkeypatch: pytest.MonkeyPatch) -> None:
    """An amd64 machine with an engine of its own; its client must not be asked."""
    monkeypatch.setattr(guard, "_endpoint", lambda: "unix:///var/run/docker.sock")
    monkeypatch.setattr(host, "machine", lambda: "x86_64")
    monkeypatch.setattr(host, "release", lambda: "6.12")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(guard, "_asked", lambda *_: pytest.fail("asked the engine"))


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "no binfmt_misc"),
        ({"/proc/filesystems": "binfmt_misc"}, "not mounted (a reboot undoes it)"),
        (MOUNTED, "no registration"),
        ({**MOUNTED, CONF_FILE: CONF, INTERPRETER: elf(static=True)}, "no registration (a reboot undoes it)"),
        ({**MOUNTED, f"{MOUNT}/q": ACTIVE.replace("POF", "PO")}, "without flag F"),
        ({**MOUNTED, f"{MOUNT}/q": ACTIVE.replace("enabled", "disabled")}, "q is switched off"),
        ({**MOUNTED, f"{MOUNT}/status": "disabled"}, "binfmt_misc is switched off"),
    ],
)
@pytest.mark.usefixtures("amd64")
def test_said_before_building(tmp_path: Path, files: dict[str, str | bytes], why: str) -> None:
    """What a kernel could not run is said before, with its reason and what mends it (D2 gone, D3 without flag F)."""
    with pytest.raises(MachineError, match="linux/arm64 cannot be run here") as error:
        require_emulation([AMD64, ARM64], machine(tmp_path, files))

    assert why in error.value.why
    assert error.value.hint == "run: inv setup"


@pytest.mark.usefixtures("amd64")
def test_nothing_is_said(tmp_path: Path) -> None:
    """What the kernel runs, and this machine's own platform, is not refused; that takes no tenth of a second."""
    files = machine(tmp_path, {**MOUNTED, f"{MOUNT}/q": ACTIVE})
    started = time.monotonic()
    require_emulation([AMD64, ARM64, ARM64], files)
    require_emulation([AMD64], Files(tmp_path / "nothing"))

    assert time.monotonic() - started < 0.1


@pytest.mark.parametrize(
    ("environment", "settings", "endpoint"),
    [
        ({"DOCKER_HOST": "tcp://192.0.2.1:2375"}, '{"currentContext": "default"}', "tcp://192.0.2.1:2375"),
        ({}, '{"currentContext": "builder"}', ""),
        ({"DOCKER_CONTEXT": "builder"}, "{}", ""),
        ({"DOCKER_CONTEXT": "default"}, '{"currentContext": "builder"}', "unix:///var/run/docker.sock"),
        ({}, "{}", "unix:///var/run/docker.sock"),
        ({}, "[]", "unix:///var/run/docker.sock"),
        ({}, "no json", "unix:///var/run/docker.sock"),
    ],
)
def test_endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], settings: str, endpoint: str
) -> None:
    """Where the engine is stands in the environment or in the client's settings; another context must be asked."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ({"DOCKER_CONFIG": str(tmp_path)} | environment).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "config.json").write_text(settings)

    assert endpoint == guard._endpoint()


@pytest.mark.parametrize(
    ("endpoint", "release", "machine_name", "platform"),
    [
        ("tcp://192.0.2.1:2375", "6.12", "x86_64", "arm64"),
        ("", "6.12", "x86_64", "arm64"),
        ("unix:///var/run/docker.sock", "5.15.167-microsoft-standard-WSL2", "x86_64", "arm64"),
        ("unix:///var/run/docker.sock", "6.12", "aarch64", "arm/v7"),
    ],
)
@pytest.mark.parametrize("listed", [True, False])
def test_engine_is_asked(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, release: str, machine_name: str, platform: str, listed: bool
) -> None:
    """What runs on another kernel, and what an Arm processor may run by itself, only the engine's list tells."""
    wanted = Platform.parse(platform)
    engine = Engine(
        endpoint=endpoint, client="28", server="28", system="Docker Desktop", kernel=release, architecture=machine_name
    )
    monkeypatch.setattr(guard, "_endpoint", lambda: endpoint)
    monkeypatch.setattr(host, "machine", lambda: machine_name)
    monkeypatch.setattr(host, "release", lambda: release)
    monkeypatch.setattr(probe_docker, "read_engine", lambda client: engine)
    shown = f"Platforms: linux/{machine_name}{f', {wanted}' if listed else ''}\n"
    monkeypatch.setattr(probe_docker, "_docker", lambda *_: Result(exit_code=0, stdout=shown, stderr=""))
    if listed:
        require_emulation([wanted])
        return
    with pytest.raises(MachineError) as error:
        require_emulation([wanted])

    assert error.value.why == "the engine does not list it"
    assert "on the engine's machine" in error.value.hint


def test_engine_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine elsewhere that does not answer is said as such, not as a want of emulation."""
    monkeypatch.setattr(guard, "_endpoint", lambda: "tcp://192.0.2.1:2375")
    monkeypatch.setattr(host, "machine", lambda: "x86_64")
    monkeypatch.setattr(probe_docker, "read_engine", lambda client: Engine(complaint="no route to host"))

    with pytest.raises(MachineError, match="does not answer") as error:
        require_emulation([ARM64])

    assert error.value.why == "no route to host"
