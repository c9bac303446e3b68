"""Facts about scanning layers, here and in other processes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest

from archway.errors import VerifyError
from archway.verify import Budget, Limits, Scan, layers, open_archive, worker
from archway.verify.archive import Archive
from archway.verify.layers import Nowhere, scan_layers
from archway.verify.scan import Layer, from_json, scan
from archway.verify.worker import main
from tests.unit.archives import ARM64, Made, docker, elf, entry, oci, symlink, tar
from tests.unit.proofs import linked, packed

ODD = linked(needed=["lib\udcff.so", "libx.so"], runpath=["$ORIGIN"], required=[("libx.so", "X_1")], soname="é")
LAYERS = [
    tar(entry("bin/sh", elf(ARM64)), symlink("bin/x", "sh"), entry("etc/environment", b"A=b\n")),
    tar(
        entry("lib/odd.so", ODD),
        entry("opt/x.jar", packed(("native/libx.so", elf()))),
    ),
    tar(entry("run", b"#!/bin/sh\n"), entry("k.pem", b"-----BEGIN PRIVATE KEY-----\n")),
    tar(entry("opt/name\udcff", b"text")),
]


class Memory:
    """Remembers scans."""

    def __init__(self) -> None:
        self.scans: dict[str, Scan] = {}

    def get(self, digest: str) -> Scan | None:
        return self.scans.get(digest)

    def add(self, digest: str, made: Scan) -> None:
        self.scans[digest] = made


def scanned(path: Path, kept: layers.Kept | None = None, limits: Limits | None = None) -> dict[str, Scan]:
    with open_archive(path, limits=limits) as archive:
        wanted = [layer for image in archive.images() for layer in image.layers]
        return scan_layers(archive, wanted, kept or Nowhere())


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if "archway.verify.worker" in child.cmdline()]


@pytest.fixture(params=["oci", "docker"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An archive of four layers, in either form."""
    path = tmp_path / "image.tar"
    path.write_bytes({"oci": oci, "docker": docker}[request.param](Made(layers=LAYERS)))
    return path


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of the processes that were started; every archive is large enough for them."""
    commands: list[list[str]] = []
    start = subprocess.Popen

    def popen(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        commands.append(command)
        return start(command, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(layers, "_WORTH", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(subprocess, "Popen", popen)
    return commands


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The layers that are scanned in this process."""
    names: list[str] = []

    def counted(layer: Layer, budget: Budget) -> Scan:
        names.append(layer.name)
        return scan(layer, budget)

    monkeypatch.setattr(layers, "scan", counted)
    return names


def test_small_archive_needs_no_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read in less time than a process takes to start is read here."""
    monkeypatch.setattr(subprocess, "Popen", None)

    assert len(scanned(path)) == 4


def test_other_processes_give_the_same(path: Path, started: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The scans that other processes made are those that this one would make; each processor has its share."""
    there = scanned(path)
    monkeypatch.setattr(layers, "_WORTH", 1 << 40)
    here = scanned(path)

    assert here == there
    assert len(started) == 2
    assert len({layer for command in started for layer in command[6:]}) in (2, 3)
    assert children() == []


def test_what_is_given_back_is_complete(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A process gives all of its layers, as text that says the same, whatever the names in it are."""
    here = scanned(path)

    assert main(str(path), 1, set(here)) == 0

    made = [from_json(line) for line in capsys.readouterr().out.splitlines()]

    assert {one.name: (one.entries, one.contents, one.data) for one in made} == {
        identity: (one.entries, one.contents, one.data) for identity, one in here.items()
    }


def test_failed_process_tells_its_error(tmp_path: Path, started: list[list[str]]) -> None:
    """What another process could not do is done again here, where its error is told."""
    path = tmp_path / "image.tar"
    data = oci(Made(layers=LAYERS, pack=bytes))
    path.write_bytes(data.replace(b"-----BEGIN PRIVATE KEY-----", b"-----BEGIN PRIVATE KEX-----"))

    with pytest.raises(VerifyError, match="the data is not what its digest says"):
        scanned(path)
    assert started
    assert children() == []


def test_folder_with_our_name(
    path: Path, started: list[list[str]], here: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is called archway in the working directory is not run by other processes."""
    package, mark = tmp_path / "cwd" / "archway", tmp_path / "was-run"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"open({str(mark)!r}, 'w')\nraise SystemExit(1)\n")
    monkeypatch.chdir(package.parent)

    assert len(scanned(path)) == 4
    assert not mark.exists()
    assert len(started) == 2
    assert len(here) in (1, 2)  # the others were made by processes, which found their package


def test_processes_share_the_limits(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process has its part of the limits, so that all together have them once."""
    wanted = set(scanned(path))
    given: list[Limits] = []

    def opened(path: str, *, limits: Limits) -> AbstractContextManager[Archive]:
        given.append(limits)
        return open_archive(path, limits=limits)

    monkeypatch.setattr(worker, "open_archive", opened)

    assert main(str(path), 4, wanted) == 0
    assert main(str(path), 1_000_000, wanted) == 1  # one entry
    assert given[0] == Limits(data=16 << 30, entries=250_000, names=32 << 20)


def test_results_are_counted_one_by_one(
    path: Path, started: list[list[str]], here: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What other processes have made counts against the limits before the next of it is read."""
    read: list[str] = []

    def spend(one: Scan, budget: Budget) -> None:
        read.append(one.name)
        raise VerifyError("too much")

    monkeypatch.setattr(Scan, "spend", spend)

    with pytest.raises(VerifyError, match="too much"):
        scanned(path)
    assert len(read) == 1
    assert len(started) == 2
    assert here
    assert children() == []


@pytest.mark.parametrize("output", ["", "x\n", '{"contents": [{"elf": 1}]}\n'])
def test_process_that_fails_is_replaced(
    path: Path, output: str, started: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A process that ends without its results, or writes something else, costs time and nothing more."""
    expected = scanned(path)
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\nprintf '%s' '{output}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))

    assert expected == scanned(path)
    assert len(started) == 4


def test_worker_refuses_what_it_cannot_read(path: Path, tmp_path: Path) -> None:
    """A layer that is not there, and a file that is no archive, are an exit code and no output of Python's."""
    (tmp_path / "text").write_text("text")

    assert main(str(path), 1, {"sha256:none"}) == 1
    assert main(str(tmp_path / "text"), 1, {"sha256:none"}) == 1
    assert main(str(tmp_path / "none"), 1, set()) == 1


def test_kept_scans_are_not_made_again(path: Path, tmp_path: Path) -> None:
    """A scan that is remembered needs no layer: it may be missing in the archive."""
    memory = Memory()
    expected = scanned(path, memory)
    with open_archive(io.BytesIO(path.read_bytes())) as archive:
        names = {layer.path for image in archive.images() for layer in image.layers}
        kept = [
            entry(name.lstrip("/"), b"".join(archive.pieces(name)))
            for name in archive._places
            if name not in names and not isinstance(archive._places[name], str) and archive.size(name)
        ]
    path.write_bytes(tar(*kept))

    assert expected == scanned(path, memory)
    with pytest.raises(VerifyError, match="is not in the archive"):
        scanned(path)


def test_kept_scans_count(path: Path) -> None:
    """What is remembered counts against the limits like what is read."""
    memory = Memory()
    scanned(path, memory)

    with pytest.raises(VerifyError, match="entries"):
        scanned(path, memory, Limits(entries=14))


def test_name_of_a_kept_scan() -> None:
    """A scan has the name that the layer has in this archive, not the one that it was remembered by."""
    memory = Memory()
    made = Made(layers=LAYERS[:1], pack=bytes)
    for data in (oci(made), docker(made)):
        with open_archive(io.BytesIO(data)) as archive:
            (image,) = archive.images()
            scans = scan_layers(archive, image.layers, memory)

            assert [layer.name for layer in image.layers] == [scan.name for scan in scans.values()]
    assert len(memory.scans) == 1


def test_interrupted(path: Path, started: list[list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When this process is interrupted, no other is left."""
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nsleep 1000 &\nwait\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    running: list[set[int]] = []

    def interrupt(*_: object) -> Scan:
        running.append({child.pid for child in psutil.Process().children(recursive=True)} - before)
        raise KeyboardInterrupt

    monkeypatch.setattr(layers, "scan", interrupt)

    with pytest.raises(KeyboardInterrupt):
        scanned(path)
    assert len(started) == 2
    assert len(running[0]) >= 2
    assert not {child.pid for child in psutil.Process().children(recursive=True)} & running[0]
    assert not [pid for pid in running[0] if psutil.pid_exists(pid)]


def test_many_layers(tmp_path: Path, started: list[list[str]]) -> None:
    """An image of more layers than any has is read here: their names would not fit into a command."""
    path = tmp_path / "image.tar"
    path.write_bytes(oci(Made(layers=[tar(entry(str(number))) for number in range(1001)], pack=bytes)))

    assert len(scanned(path)) == 1001
    assert started == []


def test_limits_are_kept_here(path: Path, started: list[list[str]]) -> None:
    """With limits of its own an archive is read here, where they are counted."""
    with pytest.raises(VerifyError, match="entries"):
        scanned(path, limits=Limits(entries=8))
    assert started == []
