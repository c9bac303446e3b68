"""Looks at each Cargo project of ``tests/cargo`` with a real Cargo, in rust-builder, and prints what was wrong as JSON.

    python3 openssl_projects.py PROJECTS

Each project has a file ``expected.toml``: ``package``, ``features``, ``default-features`` as for cargo; ``error``, or a
table for each target with ``state``, ``chain`` (words that stand in the chain, in this order) and ``why`` (words of the
reason).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from cargo_image.cargo import metadata
from cargo_image.edits import apply
from cargo_image.errors import CargoImageError
from cargo_image.manifest import plan_edit, plan_undo
from cargo_image.openssl import State, decide
from cargo_image.project import Project
from cargo_image.tree import dependency_tree

TARGETS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu")


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


def check_project(folder: Path) -> None:
    """Decide as ``expected.toml`` expects, without changing a file."""
    expected = tomllib.loads((folder / "expected.toml").read_text())
    before = files_in(folder)
    refusal = ""
    try:
        verdicts = decide(project_of(folder), TARGETS, os.environ)
    except CargoImageError as refused:
        verdicts, refusal = [], str(refused)
    assert bool(refusal) == ("error" in expected), refusal
    assert re.search(expected.get("error", ""), refusal), refusal
    for verdict in verdicts:
        wanted = expected[verdict.target]
        assert (verdict.target, verdict.state) == (verdict.target, wanted["state"]), verdict
        places = [" > ".join(verdict.chain).find(word) for word in wanted.get("chain", ())]
        assert -1 not in places, verdict
        assert places == sorted(places), verdict
        assert wanted.get("why", "") in verdict.why, verdict
    assert files_in(folder) == before


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


def copies(projects: Path, place: Path) -> Iterator[tuple[str, Path, Callable[[Path], None]]]:
    """Each project with what is done to it: a decision, an edit that is undone, the same with files of other forms."""
    for project in sorted(path.parent for path in projects.glob("*/expected.toml")):
        yield f"decision {project.name}", project, check_project
        if "error" not in tomllib.loads((project / "expected.toml").read_text()):
            yield f"edit {project.name}", shutil.copytree(project, place / project.name), check_edit
    for form in FORMS:
        copy = shutil.copytree(projects / "normal", place / f"form-{form}")
        change_form(copy, form)
        yield f"form {form}", copy, check_edit


FORMS = ("version-3", "crlf", "no-final-newline")


def change_form(folder: Path, form: str) -> None:
    """Give the files of a project an older format of the lock, other line ends, or no end of the last line."""
    manifest, lock = folder / "Cargo.toml", folder / "Cargo.lock"
    match form:
        case "version-3":
            lock.write_bytes(lock.read_bytes().replace(b"\nversion = 4\n", b"\nversion = 3\n"))
        case "crlf":
            manifest.write_bytes(manifest.read_bytes().replace(b"\n", b"\r\n"))
            lock.write_bytes(lock.read_bytes().replace(b"\n", b"\r\n"))
        case _:
            manifest.write_bytes(manifest.read_bytes().rstrip(b"\n"))


def main(projects: Path) -> None:
    results: dict[str, str] = {}
    # The reason why something is not needed is looked for in what was fetched before.
    for manifest in sorted(projects.glob("*/Cargo.toml")):
        subprocess.run(["cargo", "fetch"], cwd=manifest.parent, stderr=subprocess.DEVNULL, check=False)
    with TemporaryDirectory() as place:
        for name, folder, check in copies(projects, Path(place)):
            try:
                check(folder)
                results[name] = ""
            except Exception:
                results[name] = traceback.format_exc()
            print(name, "failed" if results[name] else "passed", file=sys.stderr)
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
