"""Facts about proofs that are kept."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import pytest

from archway import platforms, records
from archway.platforms import Platform
from archway.records import Proofs
from archway.verify import Allowed, Finding, Report

AMD64, ARM64 = Platform.parse("amd64"), Platform.parse("arm64")
DIGEST, OTHER = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
ALLOW = [Allowed(path="/opt/a", reason="none runs it"), Allowed(path="/opt/b", reason="nor this")]


def report(*digests: str, platform: Platform = ARM64, findings: tuple[Finding, ...] = ()) -> Report:
    return Report(name="x", platform=platform, findings=findings, elf_files=1, files=1, size=1, digests=digests)


@pytest.fixture
def proofs(tmp_path: Path) -> Proofs:
    return Proofs(tmp_path / "state")


def test_nothing_is_proven_at_first(proofs: Proofs) -> None:
    """Without a proof nothing is proven, and asking leaves nothing behind."""
    assert not proofs.holds(DIGEST, ARM64, [])
    assert not proofs.folder.exists()


def test_proof_is_kept(proofs: Proofs) -> None:
    """What was proven once is proven, also for the next run; and of each image that was looked at."""
    proofs.add(report(DIGEST, OTHER), [])

    assert Proofs(proofs.folder.parent).holds(DIGEST, ARM64, [])
    assert proofs.holds(OTHER, ARM64, [])
    assert len(list(proofs.folder.iterdir())) == 2


def test_findings_prove_nothing(proofs: Proofs) -> None:
    """A report with findings leaves no proof, and a report of nothing none either."""
    proofs.add(report(DIGEST, findings=(finding(),)), [])
    proofs.add(report(), [])

    assert not proofs.holds(DIGEST, ARM64, [])
    assert not list(proofs.folder.glob("*"))


def finding() -> Finding:
    values = dict.fromkeys(Finding.__dataclass_fields__, "")
    return Finding(**values)


@pytest.mark.parametrize(
    ("digest", "platform", "allow"),
    [
        (OTHER, ARM64, ALLOW),
        (DIGEST, AMD64, ALLOW),
        (DIGEST, ARM64, ALLOW[:1]),
        (DIGEST, ARM64, []),
        (DIGEST, ARM64, [*ALLOW, Allowed(path="/opt/c", reason="more")]),
        ("", ARM64, ALLOW),
    ],
)
def test_what_a_proof_is_not_for(proofs: Proofs, digest: str, platform: Platform, allow: list[Allowed]) -> None:
    """A proof is for one digest, one platform and the exceptions that were made then."""
    proofs.add(report(DIGEST), ALLOW)

    assert not proofs.holds(digest, platform, allow)


def test_order_and_reasons_of_exceptions(proofs: Proofs) -> None:
    """Exceptions in another order, or with better reasons, are the same."""
    proofs.add(report(DIGEST), ALLOW)

    assert proofs.holds(DIGEST, ARM64, ALLOW[::-1])
    assert proofs.holds(DIGEST, ARM64, [Allowed(path=entry.path, reason="other") for entry in ALLOW])


def test_other_rules(proofs: Proofs, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an older archway proved is proven again."""
    proofs.add(report(DIGEST), [])
    monkeypatch.setattr("archway.records._rules", lambda: "newer")

    assert not proofs.holds(DIGEST, ARM64, [])


def test_other_table_of_platforms(proofs: Proofs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What was proven by another table of platforms is proven again: it says what programs a platform runs."""
    proofs.add(report(DIGEST), [])
    other = tmp_path / "platforms.py"
    other.write_text(Path(platforms.__file__).read_text() + "# another machine\n")
    monkeypatch.setattr(platforms, "__file__", str(other))
    records._rules.cache_clear()
    held = proofs.holds(DIGEST, ARM64, [])
    records._rules.cache_clear()

    assert not held


@pytest.mark.parametrize(
    "text", [b"", b'{"prov', b'{"proven": false}', b"\xff\xfe", b"\0" * 100], ids=["empty", "torn", "no", "bytes", "0"]
)
def test_broken_file(proofs: Proofs, text: bytes) -> None:
    """A file that a full disk or a crash broke proves nothing; the next proof writes it anew."""
    proofs.add(report(DIGEST), [])
    [file] = proofs.folder.iterdir()
    file.write_bytes(text)
    held = proofs.holds(DIGEST, ARM64, [])
    proofs.add(report(DIGEST), [])

    assert not held
    assert proofs.holds(DIGEST, ARM64, [])
    assert json.loads(file.read_text())["digest"] == DIGEST


def test_deleted_folder(proofs: Proofs) -> None:
    """The folder may be deleted at any time: it is proven again."""
    proofs.add(report(DIGEST), [])
    for file in proofs.folder.iterdir():
        file.unlink()
    proofs.folder.rmdir()

    assert not proofs.holds(DIGEST, ARM64, [])
    proofs.add(report(DIGEST), [])
    assert proofs.holds(DIGEST, ARM64, [])


def _add(folder: Path) -> None:
    for _ in range(50):
        Proofs(folder).add(report(DIGEST), [])


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
    assert [file.suffix for file in (tmp_path / "proofs").iterdir()] == [".json"]
