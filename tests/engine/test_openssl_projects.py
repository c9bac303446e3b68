"""The decision about OpenSSL on whole Cargo projects with a real Cargo: ``tests/cargo/NAME``, each with what to expect.

It needs Cargo and a crate registry, and no standard library of the targets, as nothing is compiled.
"""

from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path

import pytest

from cargo_image.cargo import metadata
from cargo_image.errors import CargoImageError
from cargo_image.manifest import apply, plan_edit, plan_undo
from cargo_image.openssl import State, Verdict, decide
from cargo_image.project import Project
from cargo_image.tree import dependency_tree

PROJECTS = Path(__file__).parent.parent / "cargo"
TARGETS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu")

pytestmark = pytest.mark.skipif(shutil.which("cargo") is None, reason="there is no cargo on PATH")


def project_of(folder: Path) -> Project:
    """The project in a folder, as its ``expected.toml`` says it is built."""
    expected = tomllib.loads((folder / "expected.toml").read_text())
    return Project(
        folder=folder,
        package=expected.get("package", ""),
        features=tuple(expected.get("features", ())),
        default_features=expected.get("default-features", True),
    )


def files_in(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check_project(folder: Path) -> list[Verdict]:
    """Decide as ``expected.toml`` expects, without changing a file; the verdicts.

    Its keys: ``package``, ``features``, ``default-features``; ``error`` or a table for each target with ``state``,
    ``chain`` (words that stand in the chain, in this order) and ``why`` (words of the reason).
    """
    expected = tomllib.loads((folder / "expected.toml").read_text())
    before = files_in(folder)
    if "error" in expected:
        with pytest.raises(CargoImageError, match=expected["error"]):
            decide(project_of(folder), TARGETS, os.environ)
        verdicts = []
    else:
        verdicts = decide(project_of(folder), TARGETS, os.environ)
    for verdict in verdicts:
        wanted = expected[verdict.target]
        assert (verdict.target, verdict.state) == (verdict.target, wanted["state"])
        places = [" > ".join(verdict.chain).find(word) for word in wanted.get("chain", ())]
        assert -1 not in places, verdict
        assert places == sorted(places), verdict
        assert wanted.get("why", "") in verdict.why
    assert files_in(folder) == before
    return verdicts


def check_edit(folder: Path) -> None:
    """Edit a copy of a project as the verdicts ask for, and undo it.

    Lines are only added, Cargo accepts them with ``--locked``, a second edit changes nothing, undoing leaves no trace.
    """
    project = project_of(folder)
    before = files_in(folder)
    verdicts = decide(project, TARGETS, os.environ)
    needed = [verdict.target for verdict in verdicts if verdict.state is State.NEEDED]

    edits = plan_edit(project, verdicts)

    assert bool(edits) == bool(needed)
    assert files_in(folder) == before
    apply(edits)
    for path, (old, new) in edits.items():
        assert path.read_bytes() == new
        assert lines_in_order(old, new)
    owner = metadata(project).owner()
    for target in needed:
        (node,) = dependency_tree(Project(folder=folder, package=owner.name), target).find("openssl-sys")
        assert "vendored" in node.features
    again = decide(project, TARGETS, os.environ)
    assert [verdict.state for verdict in again] == [
        State.ALREADY if verdict.state is State.NEEDED else verdict.state for verdict in verdicts
    ]
    assert plan_edit(project, again) == {}
    assert plan_edit(project, verdicts) == {}
    apply(plan_undo(project))
    assert files_in(folder) == before
    assert plan_undo(project) == {}


def lines_in_order(old: bytes, new: bytes) -> bool:
    """Whether all old lines are there still, in their order."""
    rest = iter(new.splitlines())
    return all(any(line == other for other in rest) for line in old.splitlines())


ALL = sorted(path.parent for path in PROJECTS.glob("*/expected.toml"))
EDITED = [folder for folder in ALL if "error" not in tomllib.loads((folder / "expected.toml").read_text())]


@pytest.mark.parametrize("folder", ALL, ids=lambda folder: folder.name)
def test_the_decision_is_the_expected_one(folder: Path) -> None:
    """Where needed, where not and why, for each target; and no file of the project is touched."""
    check_project(folder)


@pytest.mark.parametrize("folder", EDITED, ids=lambda folder: folder.name)
def test_the_edit_is_minimal_and_can_be_undone(folder: Path, tmp_path: Path) -> None:
    """Lines are only added, the lock stays valid, a second time nothing is to be done, and undoing leaves no trace."""
    copy = tmp_path / folder.name
    shutil.copytree(folder, copy)

    check_edit(copy)


@pytest.mark.parametrize("form", ["version-3", "crlf", "no-final-newline"])
def test_forms_of_files_are_kept(form: str, tmp_path: Path) -> None:
    """An older format of the lock and other line endings stay as they are, with the edit and after it."""
    copy = tmp_path / "normal"
    shutil.copytree(PROJECTS / "normal", copy)
    manifest, lock = copy / "Cargo.toml", copy / "Cargo.lock"
    match form:
        case "version-3":
            lock.write_bytes(lock.read_bytes().replace(b"\nversion = 4\n", b"\nversion = 3\n"))
        case "crlf":
            manifest.write_bytes(manifest.read_bytes().replace(b"\n", b"\r\n"))
            lock.write_bytes(lock.read_bytes().replace(b"\n", b"\r\n"))
        case _:
            manifest.write_bytes(manifest.read_bytes().rstrip(b"\n"))

    check_edit(copy)
