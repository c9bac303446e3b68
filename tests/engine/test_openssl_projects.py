"""What is decided about OpenSSL in whole Cargo projects, and the edit that follows, with the Cargo of rust-builder."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from archway.engine import Engine
from archway.extraction import extract
from archway.settings import load
from tests.engine.openssl_projects import FORMS
from tests.engine.run import REPOSITORY

PROJECTS = REPOSITORY / "tests/cargo"
SCRIPT = """\
export CARGO_HOME=/tmp/cargo PYTHONPATH=/usr/local/lib/cargo-image
cp -r /projects /tmp/projects
python3 /checks/openssl_projects.py /tmp/projects > /out/results.json
"""
ALL = {path.parent.name: tomllib.loads(path.read_text()) for path in sorted(PROJECTS.glob("*/expected.toml"))}


@pytest.fixture(scope="module")
def results(engine: Engine, rust_builder: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What was wrong with each project, all looked at in one run."""
    out = tmp_path_factory.mktemp("openssl")
    contexts = {"projects": PROJECTS, "checks": REPOSITORY / "tests/engine"}
    settings = load(REPOSITORY)
    extract(engine, settings, image=rust_builder, script=SCRIPT, contexts=contexts, out=out, what="OpenSSL projects")
    found: dict[str, str] = json.loads(Path(out, "results.json").read_text())
    return found


@pytest.mark.parametrize("project", ALL)
def test_decision_is_the_expected_one(project: str, results: dict[str, str]) -> None:
    """Where OpenSSL is needed, where not and why, for each target; and no file of the project is touched."""
    assert results[f"decision {project}"] == ""


@pytest.mark.parametrize("project", [name for name, expected in ALL.items() if "error" not in expected])
def test_edit_is_minimal_and_can_be_undone(project: str, results: dict[str, str]) -> None:
    """Lines are only added, the lock stays valid, a second time nothing is to be done, and undoing leaves no trace."""
    assert results[f"edit {project}"] == ""


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_files_are_kept(form: str, results: dict[str, str]) -> None:
    """An older format of the lock and other line endings stay as they are, with the edit and after it."""
    assert results[f"form {form}"] == ""
