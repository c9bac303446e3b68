"""Facts about what is remembered: the reports of proofs, and the scans of layers."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import time
import zipfile
from pathlib import Path

import pytest

from archway import platforms, records
from archway.platforms import Platform
from archway.records import Layers, Proofs
from archway.rules import Subject
from archway.verify import Allowed, Budget, Finding, Limits, Report, Scan
from archway.verify.scan import scan
from tests.unit.archives import ARM, END, FakeLayer, block, elf, entry, folder, hard_link, removed, symlink, tar

AMD64, ARM64 = Platform.parse("amd64"), Platform.parse("arm64")
DIGEST, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
ALLOW = [Allowed(path="/opt/a", reason="none runs it"), Allowed(path="/opt/b", reason="nor this")]
OWN = frozenset({"1" * 64, "2" * 64})
FINDING = Finding(
    rule="elf-machine", path="/opt/\\xff", found="x86-64", expected="AArch64", layer=DIGEST, source="x/y", line=3
)
DAY = 86_400
BROKEN = {
    "empty": b"",
    "torn": b'{"name": "x", "entr',
    "other": b'{"proven": false}',
    "list": b"[]",
    "number": b"1",
    "bytes": b"\xff\xfe",
    "zeros": b"\0" * 100,
    "deep": b"[" * 100_000,
}


def report(*digests: str, platform: Platform = ARM64, findings: tuple[Finding, ...] = ()) -> Report:
    return Report(name="x", platform=platform, findings=findings, elf_files=1, files=1, size=1, digests=digests)


@pytest.fixture
def proofs(tmp_path: Path) -> Proofs:
    return Proofs(tmp_path / "state")


def test_nothing_is_proven_at_first(proofs: Proofs) -> None:
    """Without a proof nothing is proven, and asking leaves nothing behind."""
    assert proofs.find(DIGEST, ARM64, []) is None
    assert not proofs.holds(DIGEST, ARM64, [])
    assert not proofs.folder.exists()


def test_proof_is_kept(proofs: Proofs) -> None:
    """What was proven once is proven, also for the next run; and of each image that was looked at."""
    proofs.add(report(DIGEST, OTHER), [])

    assert Proofs(proofs.folder.parents[1]).holds(DIGEST, ARM64, [])
    assert proofs.holds(OTHER, ARM64, [])
    assert len(list(proofs.folder.iterdir())) == 2


def test_report_is_kept(proofs: Proofs) -> None:
    """A report comes back as it was made: findings, exceptions, platform, counts, and what it is of."""
    used = Allowed(path="/opt/é", reason="why", rule="elf-machine", platforms=(ARM64, AMD64), source="x/image.toml")
    empty = Finding(rule="empty", found="no file", expected="files to prove")
    made = Report(
        name="x:1-arm64", source="x/Dockerfile", platform=ARM64, findings=(FINDING, empty),
        elf_files=1, files=2, archives=3, bundled=4, size=5, used=((used, 6),), unused=tuple(ALLOW), digests=(DIGEST,),
        layers=(OTHER, DIGEST),
    )  # fmt: skip
    proofs.add(made, ALLOW, OWN)

    assert proofs.find(DIGEST, ARM64, ALLOW, OWN) == made


def test_report_of_a_list_is_kept(proofs: Proofs) -> None:
    """The report of a list, which is for no platform, comes back as well, for all of its members together."""
    made = Report(name="x 1 (arm64, amd64)", subject=Subject.LIST, findings=(FINDING,), digests=(f"{DIGEST} {OTHER}",))
    proofs.add(made, ALLOW)

    assert proofs.find(f"{DIGEST} {OTHER}", None, ALLOW) == made
    assert proofs.find(DIGEST, None, ALLOW) is None


def test_findings_prove_nothing(proofs: Proofs) -> None:
    """A report with findings is kept and proves nothing; a report of nothing is not kept."""
    found = report(DIGEST, findings=(FINDING,))
    proofs.add(found, [])
    proofs.add(report(), [])

    assert not proofs.holds(DIGEST, ARM64, [])
    assert proofs.find(DIGEST, ARM64, []) == found
    assert len(list(proofs.folder.iterdir())) == 1


@pytest.mark.parametrize(
    ("digest", "platform", "allow", "own"),
    [
        (OTHER, ARM64, ALLOW, OWN),
        (DIGEST, AMD64, ALLOW, OWN),
        (DIGEST, ARM64, ALLOW[:1], OWN),
        (DIGEST, ARM64, [], OWN),
        (DIGEST, ARM64, [*ALLOW, Allowed(path="/opt/c", reason="more")], OWN),
        (DIGEST, ARM64, [ALLOW[0], Allowed(path="/opt/b", reason="nor this", rule="elf-machine")], OWN),
        (DIGEST, ARM64, [ALLOW[0], Allowed(path="/opt/b", reason="nor this", platforms=(ARM64,))], OWN),
        (DIGEST, ARM64, [ALLOW[0], Allowed(path="/opt/b", reason="nor this", source="x/image.toml")], OWN),
        (DIGEST, ARM64, ALLOW, frozenset()),
        (DIGEST, ARM64, ALLOW, frozenset({"1" * 64})),
        (DIGEST, ARM64, ALLOW, OWN | {"3" * 64}),
        ("", ARM64, ALLOW, OWN),
    ],
)
def test_what_a_proof_is_not_for(
    proofs: Proofs, digest: str, platform: Platform, allow: list[Allowed], own: frozenset[str]
) -> None:
    """A proof is for one digest, one platform, and the exceptions and this machine's authorities that were then."""
    proofs.add(report(DIGEST), ALLOW, OWN)

    assert proofs.find(digest, platform, allow, own) is None
    assert not proofs.holds(digest, platform, allow, own)


def test_order_and_reasons_of_exceptions(proofs: Proofs) -> None:
    """Exceptions in another order are the same; with better reasons they are others, for the report has the reasons."""
    proofs.add(report(DIGEST), ALLOW)

    assert proofs.holds(DIGEST, ARM64, ALLOW[::-1])
    assert not proofs.holds(DIGEST, ARM64, [Allowed(path=entry.path, reason="other") for entry in ALLOW])


def test_other_rules(proofs: Proofs, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an older archway proved is proven again."""
    proofs.add(report(DIGEST), [])
    monkeypatch.setattr("archway.records._rules", lambda: "newer")

    assert not Proofs(proofs.folder.parents[1]).holds(DIGEST, ARM64, [])


def test_other_table_of_platforms(proofs: Proofs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was proven by another table of platforms is proven again: it says what programs a platform runs."""
    proofs.add(report(DIGEST), [])
    other = tmp_path / "platforms.py"
    other.write_text(Path(platforms.__file__).read_text() + "# another machine\n")
    monkeypatch.setattr(platforms, "__file__", str(other))
    records._rules.cache_clear()
    held = Proofs(proofs.folder.parents[1]).holds(DIGEST, ARM64, [])
    records._rules.cache_clear()

    assert not held


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_broken_file(proofs: Proofs, text: bytes) -> None:
    """A file that a full disk or a crash broke proves nothing; the next proof writes it anew."""
    proofs.add(report(DIGEST), [])
    [file] = proofs.folder.iterdir()
    file.write_bytes(text)
    held = proofs.holds(DIGEST, ARM64, [])
    proofs.add(report(DIGEST), [])

    assert not held
    assert proofs.holds(DIGEST, ARM64, [])
    assert json.loads(file.read_text())["digests"] == [DIGEST]


def test_deleted_folder(proofs: Proofs) -> None:
    """The folder may be deleted at any time: it is proven again."""
    proofs.add(report(DIGEST), [])
    for file in proofs.folder.iterdir():
        file.unlink()
    proofs.folder.rmdir()

    assert not proofs.holds(DIGEST, ARM64, [])
    proofs.add(report(DIGEST), [])
    assert proofs.holds(DIGEST, ARM64, [])


def _add(state: Path) -> None:
    for _ in range(50):
        Proofs(state).add(report(DIGEST), [])


def test_runs_side_by_side(tmp_path: Path) -> None:
    """Several runs may prove the same at the same time: the file is whole at any moment."""
    processes = [multiprocessing.get_context("spawn").Process(target=_add, args=(tmp_path,)) for _ in range(3)]
    for process in processes:
        process.start()
    seen = False
    while any(process.is_alive() for process in processes):
        held = Proofs(tmp_path).holds(DIGEST, ARM64, [])
        assert held or not seen
        seen = held
    for process in processes:
        process.join()

    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert [file.suffix for file in Proofs(tmp_path).folder.iterdir()] == [".json"]


# ------------------------------------------------------------------------------------------------- scans of layers


def jar() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("linux/x86_64/liba.so", elf(size=100))
        made.writestr("linux/\xe9/libb.so", elf(ARM, bits=32, size=100))
    return file.getvalue()


ROOT = tar(
    folder("bin"), entry("bin/a", elf(size=200), mode=0o755), hard_link("bin/b", "bin/a"), symlink("bin/c", "a"),
    entry("bin/d", elf(size=10)), entry("bin/e", b"#!/bin/sh\n"), removed("gone"), entry("a.jar", jar()),
    entry("etc/pip.conf", b"[global]\nindex-url = x\n"),
    entry("x.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
)  # fmt: skip


def scanned(data: bytes) -> Scan:
    budget = Budget(Limits(), where="test")
    return scan(FakeLayer(name=DIGEST, data=data, budget=budget), budget)


@pytest.fixture
def layers(tmp_path: Path) -> Layers:
    return Layers(tmp_path / "state")


def test_nothing_is_read_at_first(layers: Layers) -> None:
    """Without a scan there is none, of no name neither; and asking leaves nothing behind."""
    assert (layers.get(DIGEST), layers.get("")) == (None, None)
    assert not layers.holds(DIGEST)
    assert not layers.folder.exists()


@pytest.mark.parametrize("data", [tar(), ROOT], ids=["empty", "files"])
def test_scan_is_kept(layers: Layers, data: bytes) -> None:
    """A scan comes back as it was made, for the next run as well, and for its own digest alone."""
    made = scanned(data)
    layers.add(DIGEST, made)

    assert layers.holds(DIGEST)
    assert Layers(layers.folder.parents[1]).get(DIGEST) == made
    assert layers.get(OTHER) is None


def test_scan_of_names_without_text(layers: Layers) -> None:
    """A layer with names that are no UTF-8 is kept as well, and each byte of them comes back."""
    made = scanned(block(b"a\xff") + block(b"b\xfe", kind=b"2", link=b"\xe9") + END)
    layers.add(DIGEST, made)
    kept = layers.get(DIGEST)

    assert kept == made
    assert kept
    assert [(entry.path, entry.link) for entry in kept.entries] == [("/a\udcff", ""), ("/b\udcfe", "\udce9")]


FOREIGN = {
    "content": b'{"name": "x", "entries": [["/a", "0", "", 1, 420, 7]], "contents": [{}], "data": 1}',
    "negative": b'{"name": "x", "entries": [["/a", "0", "", 1, 420, -1]], "contents": [{}], "data": 1}',
    "short": b'{"name": "x", "entries": [["/a", "0"]], "contents": [{}], "data": 1}',
    "unknown": b'{"name": "x", "entries": [], "contents": [{"elf": 1}], "data": 1}',
}


@pytest.mark.parametrize("text", [*BROKEN.values(), *FOREIGN.values()], ids=[*BROKEN, *FOREIGN])
def test_broken_scan(layers: Layers, text: bytes) -> None:
    """A file that is damaged, or that something else wrote, is no scan; the next one takes its place."""
    made = scanned(ROOT)
    layers.add(DIGEST, made)
    [file] = layers.folder.iterdir()
    file.write_bytes(text)
    held = layers.holds(DIGEST)
    layers.add(DIGEST, made)

    assert not held
    assert layers.get(DIGEST) == made


def test_unused_scans_are_forgotten(layers: Layers) -> None:
    """A scan that nothing asked for within 30 days goes when the next run keeps one; asking makes it young again."""
    names = ("asked for", "unused", "not so old")
    files: dict[str, Path] = {}
    for name in names:
        layers.add(name, scanned(tar()))
        [files[name]] = set(layers.folder.iterdir()) - set(files.values())
    for name, days in zip(names, (31, 31, 29), strict=True):
        os.utime(files[name], (time.time() - days * DAY,) * 2)
    later = Layers(layers.folder.parents[1])
    later.get("asked for")
    later.add(DIGEST, scanned(tar()))

    assert [layers.holds(name) for name in (*names, DIGEST)] == [True, False, True, True]
    assert len(list(layers.folder.iterdir())) == 3


def test_scans_by_other_rules(layers: Layers, proofs: Proofs, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was kept for other rules is not found, and is deleted as soon as something is kept for the new ones."""
    state = layers.folder.parents[1]
    layers.add(DIGEST, scanned(ROOT))
    proofs.add(report(DIGEST), [])
    monkeypatch.setattr("archway.records._rules", lambda: "newer")
    newer = Layers(state)
    held = newer.holds(DIGEST)
    newer.add(OTHER, scanned(ROOT))

    assert not held
    assert [path.name for path in (state / "layers").iterdir()] == ["newer"]
    assert proofs.folder.exists()
    Proofs(state).add(report(OTHER), [])
    assert [path.name for path in (state / "proofs").iterdir()] == ["newer"]
