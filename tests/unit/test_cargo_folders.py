"""What is handed over to the Dockerfile of a Rust program."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path, PurePosixPath

import pytest

from archway.cargo_folders import EMPTY_PROGRAM, WISHES, write_manifests, write_source
from archway.errors import MetadataError
from archway.inputs import context_digest
from archway.metadata_cargo import Cargo

TAG = "Signature: 8a477f597d28d172789f06886806bc55"


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
    write_source(project, tmp_path / "out", ours=True)

    assert listed(tmp_path / "out") == {"Cargo.toml", "src/main.rs", "a/Dockerfile"}


def test_cargos_target_folder_is_left_out(tmp_path: Path) -> None:
    """What cargo made on the contributor's machine does not get into the build."""
    project = make(tmp_path / "p", "Cargo.toml", "src/main.rs", "target/release/program")
    (project / "target/CACHEDIR.TAG").write_text(f"{TAG}\n# by cargo\n")
    write_source(project, tmp_path / "out", ours=True)

    assert listed(tmp_path / "out") == {"Cargo.toml", "src/main.rs"}


def test_tagged_folder_of_what_was_fetched_is_source(tmp_path: Path) -> None:
    """Nobody has compiled in a git source: what its authors committed is needed."""
    project = make(tmp_path / "p", "Cargo.toml", "vendor/a/Cargo.toml", "vendor/a/src/lib.rs")
    (project / "vendor/CACHEDIR.TAG").write_text(TAG)
    write_source(project, tmp_path / "source", ours=False)
    write_manifests(project, tmp_path / "manifests", Cargo(), ours=False)

    assert "vendor/a/src/lib.rs" in listed(tmp_path / "source") & listed(tmp_path / "manifests")


@pytest.mark.parametrize("tag", ["", "Signature: 0\n", " " + TAG])
def test_tag_without_signature_is_a_file(tmp_path: Path, tag: str) -> None:
    """As the specification has it, the name alone makes no cache."""
    project = make(tmp_path / "p", "data/table")
    (project / "data/CACHEDIR.TAG").write_text(tag)
    write_source(project, tmp_path / "out", ours=True)

    assert "data/table" in listed(tmp_path / "out")


def test_cache_is_content_of_a_folder_that_buildkit_copies(tmp_path: Path) -> None:
    """BuildKit knows no caches: a changed file in one is another image."""
    folder = make(tmp_path / "p", "Dockerfile", "cache/file")
    (folder / "cache/CACHEDIR.TAG").write_text(TAG)
    before = context_digest(folder)
    make(folder, "cache/another")

    assert context_digest(folder) != before


def test_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not taken for an empty one."""
    make(tmp_path / "p", "closed/file")

    def scandir(path: str) -> object:
        raise PermissionError(13, "denied", path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(PermissionError):
        context_digest(tmp_path / "p")


@pytest.mark.parametrize(
    "name", [".cargo/credentials", ".cargo/credentials.toml", "a/.cargo/credentials.toml", ".env", "a/.env.local"]
)
def test_credentials_stay_at_home(tmp_path: Path, name: str) -> None:
    """They are no source, and would be in a layer of the builder."""
    project = make(tmp_path / "p", "Cargo.toml", ".cargo/config.toml", name)
    write_source(project, tmp_path / "source", ours=True)
    write_manifests(project, tmp_path / "manifests", Cargo(), ours=True)

    assert listed(tmp_path / "source") == {"Cargo.toml", ".cargo/config.toml"}
    assert listed(tmp_path / "manifests") == {"Cargo.toml", ".cargo/config.toml", WISHES}


def test_links_inside_of_the_project_stay_links(tmp_path: Path) -> None:
    """Also one that leads to a folder, or nowhere: Cargo says what it thinks of that."""
    project = make(tmp_path / "p", "Cargo.toml", "real/x.rs")
    for name, leads in {"sub/Cargo.toml": "../missing", "b/Cargo.toml": "../real", "round": "round"}.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).symlink_to(leads)
    write_source(project, tmp_path / "source", ours=True)
    write_manifests(project, tmp_path / "manifests", Cargo(), ours=True)

    for out in ("source", "manifests"):
        assert (tmp_path / out / "sub/Cargo.toml").readlink() == Path("../missing")
        assert (tmp_path / out / "b/Cargo.toml").readlink() == Path("../real")


@pytest.mark.parametrize("leads", ["/etc/passwd", "../../outside", "/proc/self/root"])
def test_links_out_of_the_project_are_refused(tmp_path: Path, leads: str) -> None:
    """They would bring in another file, or none."""
    project = make(tmp_path / "p", "Cargo.toml")
    (project / "src").mkdir()
    (project / "src/main.rs").symlink_to(leads)

    with pytest.raises(MetadataError, match=r"src/main\.rs' is a link to"):
        write_manifests(project, tmp_path / "out", Cargo(), ours=False)


def test_pipe_is_refused(tmp_path: Path) -> None:
    """Nobody would ever write into it, and reading waits for that."""
    project = make(tmp_path / "p", "src/main.rs")
    os.mkfifo(project / "Cargo.toml")

    with pytest.raises(MetadataError, match=r"'Cargo\.toml' is neither a file"):
        write_source(project, tmp_path / "out", ours=False)


def test_files_that_are_only_tested_with_can_be_left_out(tmp_path: Path) -> None:
    """The source is without them."""
    project = make(tmp_path / "p", "Cargo.toml", "test/expected.yaml")
    write_source(project, tmp_path / "out", ours=True, without=frozenset({PurePosixPath("test/expected.yaml")}))

    assert listed(tmp_path / "out") == {"Cargo.toml"}


def test_folder_that_is_only_called_target_is_source(tmp_path: Path) -> None:
    """A module of the program may be called target."""
    project = make(tmp_path / "p", "Cargo.toml", "src/target/mod.rs")
    write_source(project, tmp_path / "out", ours=True)

    assert listed(tmp_path / "out") == {"Cargo.toml", "src/target/mod.rs"}


@pytest.mark.parametrize(
    "program",
    ["src/main.rs", "src/lib.rs", "build.rs", "src/bin/tool.rs", "src/bin/tool/main.rs", "examples/e.rs", "tests/t.rs",
     "benches/b.rs", "crates/inner/src/lib.rs", "crates/inner/build.rs"],
)  # fmt: skip
def test_manifests_have_an_empty_program_for_each_real_one(tmp_path: Path, program: str) -> None:
    """Cargo finds every target where it is, and nothing of what the project does."""
    project = make(tmp_path / "p", "Cargo.toml", program)
    write_manifests(project, tmp_path / "out", Cargo(), ours=True)

    assert (tmp_path / "out" / program).read_text() == EMPTY_PROGRAM


def test_program_with_a_path_of_its_own_is_found(tmp_path: Path) -> None:
    """A path that a manifest names is followed, from a member's folder too, with its dots."""
    project = make(tmp_path / "p", "code/start.rs", "crates/a/x.rs", "src/other.rs")
    (project / "Cargo.toml").write_text('[[bin]]\nname = "s"\npath = "code/start.rs"\n')
    (project / "crates/a/Cargo.toml").write_text('[lib]\npath = "./x.rs"\n[package]\nbuild = "../../src/other.rs"\n')
    write_manifests(project, tmp_path / "out", Cargo(), ours=True)

    assert {"code/start.rs", "crates/a/x.rs", "src/other.rs"} <= listed(tmp_path / "out")


@pytest.mark.parametrize(
    "manifest",
    [
        "bin = [{name = 's', path = 'code/start.rs'}]",
        '[[example]]\nname = "s"\npath = "code/start.rs"',
        "[[bench]]\n'path' = 'code/start.rs'",
        'lib.path = "code/start.rs"',
        '[package]\nbuild = "code/start.rs"',
        '[package]\nbuild = ["code/start.rs"]',
        'package = { build = false }\ntest = [{"path" = """code/start.rs"""}]',
    ],
)
def test_targets_are_found_however_toml_writes_them(tmp_path: Path, manifest: str) -> None:
    """Inline tables, arrays, dotted keys and all kinds of quotes say the same."""
    project = make(tmp_path / "p", "code/start.rs")
    (project / "Cargo.toml").write_text(manifest)
    write_manifests(project, tmp_path / "out", Cargo(), ours=True)

    assert (tmp_path / "out/code/start.rs").read_text() == EMPTY_PROGRAM


@pytest.mark.parametrize(
    "manifest",
    [b"no toml", b"\xff", b"a = " + b"[" * 100_000, b"bin = 1\nlib = []\npackage = 'x'", b"bin = [1, {path = 2}]"],
)
def test_broken_manifest_is_left_to_cargo(tmp_path: Path, manifest: bytes) -> None:
    """Cargo tells the line and the reason."""
    project = make(tmp_path / "p", "code/start.rs")
    (project / "Cargo.toml").write_bytes(manifest)
    write_manifests(project, tmp_path / "out", Cargo(), ours=True)

    assert (tmp_path / "out/Cargo.toml").read_bytes() == manifest


def test_manifests_do_not_change_with_the_source(tmp_path: Path) -> None:
    """A changed line in a program leaves the layer of the dependencies as it is."""
    project = make(tmp_path / "p", "Cargo.toml", "Cargo.lock", "src/main.rs", "src/module.rs", ".cargo/config.toml")
    write_manifests(project, tmp_path / "before", Cargo(), ours=True)
    (project / "src/main.rs").write_text("another program\n")
    (project / "src/new.rs").write_text("a new module\n")
    write_manifests(project, tmp_path / "after", Cargo(), ours=True)

    assert context_digest(tmp_path / "before") == context_digest(tmp_path / "after")
    assert listed(tmp_path / "after") == {"Cargo.toml", "Cargo.lock", "src/main.rs", ".cargo/config.toml", WISHES}


def test_wishes_are_the_table_cargo_with_its_defaults(tmp_path: Path) -> None:
    """rust-builder reads what image.toml says, under the same names."""
    project = make(tmp_path / "p", "Cargo.toml")
    said = {"package": "operator", "features": ["a", "b/c"], "default-features": False, "openssl": "system"}
    write_manifests(project, tmp_path / "out", Cargo.model_validate(said), ours=True)

    assert tomllib.loads((tmp_path / "out" / WISHES).read_text()) == {**said, "binaries": []}


def test_own_wishes_file_of_a_project_is_not_believed(tmp_path: Path) -> None:
    """Only image.toml says how an image is built."""
    project = make(tmp_path / "p", "Cargo.toml", WISHES)
    write_manifests(project, tmp_path / "manifests", Cargo(), ours=True)
    write_source(project, tmp_path / "source", ours=True)

    assert tomllib.loads((tmp_path / "manifests" / WISHES).read_text())["openssl"] == "vendored"
    assert WISHES not in listed(tmp_path / "source")
