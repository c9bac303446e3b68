"""What is handed over to the Dockerfile of a Rust program."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from archway.cargo_folders import EMPTY_PROGRAM, WISHES, write_manifests, write_source
from archway.inputs import context_digest
from archway.metadata_cargo import Cargo


def listed(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}\n")
    return folder


def test_source_is_without_the_images_own_files(tmp_path: Path) -> None:
    """A changed Dockerfile or image.toml does not compile the program again."""
    project = make(
        tmp_path / "p", "Cargo.toml", "src/main.rs", "Dockerfile", "image.toml", ".gitignore", "a/Dockerfile"
    )
    write_source(project, tmp_path / "out")

    assert listed(tmp_path / "out") == {"Cargo.toml", "src/main.rs", "a/Dockerfile"}


def test_cargos_target_folder_is_left_out(tmp_path: Path) -> None:
    """What cargo made on the contributor's machine gets neither into the build nor into the image's identity."""
    project = make(tmp_path / "p", "Cargo.toml", "src/main.rs")
    before = context_digest(project)
    make(project, "target/CACHEDIR.TAG", "target/release/program")
    write_source(project, tmp_path / "out")

    assert listed(tmp_path / "out") == {"Cargo.toml", "src/main.rs"}
    assert context_digest(project) == before


def test_folder_that_is_only_called_target_is_source(tmp_path: Path) -> None:
    """A module of the program may be called target."""
    project = make(tmp_path / "p", "Cargo.toml", "src/target/mod.rs")
    write_source(project, tmp_path / "out")

    assert listed(tmp_path / "out") == {"Cargo.toml", "src/target/mod.rs"}


@pytest.mark.parametrize(
    "program",
    ["src/main.rs", "src/lib.rs", "build.rs", "src/bin/tool.rs", "src/bin/tool/main.rs", "examples/e.rs", "tests/t.rs",
     "benches/b.rs", "crates/inner/src/lib.rs", "crates/inner/build.rs"],
)  # fmt: skip
def test_manifests_have_an_empty_program_for_each_real_one(tmp_path: Path, program: str) -> None:
    """Cargo finds every target where it is, and nothing of what the project does."""
    project = make(tmp_path / "p", "Cargo.toml", program)
    write_manifests(project, tmp_path / "out", Cargo())

    assert (tmp_path / "out" / program).read_text() == EMPTY_PROGRAM


def test_program_with_a_path_of_its_own_is_found(tmp_path: Path) -> None:
    """A path that a manifest names is followed, from a member's folder too, with its dots."""
    project = make(tmp_path / "p", "code/start.rs", "crates/a/x.rs", "src/other.rs")
    (project / "Cargo.toml").write_text('[[bin]]\nname = "s"\npath = "code/start.rs"\n')
    (project / "crates/a/Cargo.toml").write_text('[lib]\npath = "./x.rs"\n[package]\nbuild = "../../src/other.rs"\n')
    write_manifests(project, tmp_path / "out", Cargo())

    assert {"code/start.rs", "crates/a/x.rs", "src/other.rs"} <= listed(tmp_path / "out")


def test_manifests_do_not_change_with_the_source(tmp_path: Path) -> None:
    """A changed line in a program leaves the layer of the dependencies as it is."""
    project = make(tmp_path / "p", "Cargo.toml", "Cargo.lock", "src/main.rs", "src/module.rs", ".cargo/config.toml")
    write_manifests(project, tmp_path / "before", Cargo())
    (project / "src/main.rs").write_text("another program\n")
    (project / "src/new.rs").write_text("a new module\n")
    write_manifests(project, tmp_path / "after", Cargo())

    assert context_digest(tmp_path / "before") == context_digest(tmp_path / "after")
    assert listed(tmp_path / "after") == {"Cargo.toml", "Cargo.lock", "src/main.rs", ".cargo/config.toml", WISHES}


def test_wishes_are_the_table_cargo_with_its_defaults(tmp_path: Path) -> None:
    """rust-builder reads what image.toml says, under the same names."""
    project = make(tmp_path / "p", "Cargo.toml")
    said = {"package": "operator", "features": ["a", "b/c"], "default-features": False, "openssl": "system"}
    write_manifests(project, tmp_path / "out", Cargo.model_validate(said))

    assert tomllib.loads((tmp_path / "out" / WISHES).read_text()) == {**said, "binaries": []}


def test_own_wishes_file_of_a_project_is_not_believed(tmp_path: Path) -> None:
    """Only image.toml says how an image is built."""
    project = make(tmp_path / "p", "Cargo.toml", WISHES)
    write_manifests(project, tmp_path / "manifests", Cargo())
    write_source(project, tmp_path / "source")

    assert tomllib.loads((tmp_path / "manifests" / WISHES).read_text())["openssl"] == "vendored"
    assert WISHES not in listed(tmp_path / "source")
