"""What the cache mount keeps between builds, and that it fails none."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from cargo_image import cache

TRIPLE, OTHER = "aarch64-unknown-linux-gnu", "x86_64-unknown-linux-gnu"


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache mount, a folder of Cargo's, and the programs that tell what a builder is."""
    made = tmp_path / "mount"
    made.mkdir()
    wrapper = tmp_path / "rustc-remapped"
    wrapper.touch()
    for name in ("rustc", "dpkg-query"):
        program(tmp_path, name, "1")
    monkeypatch.setattr(cache, "MOUNT", made)
    monkeypatch.setattr(cache, "WRAPPER", wrapper)
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / "cargo"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    return made


def program(folder: Path, name: str, says: str) -> None:
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)


def compile_into(target: Path, word: str, triple: str = TRIPLE) -> None:
    for folder in (target / cache.HOST / "deps", target / triple / "release" / "deps"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lib.rlib").write_text(word)


def build(target: Path, word: str, triple: str = TRIPLE) -> set[str]:
    """Compile with the cache, and return what was there before."""
    with cache.of_target(target, package="operator", triple=triple):
        before = {path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file()}
        compile_into(target, word, triple)
    return before


def kept(mount: Path, triple: str = TRIPLE) -> Path:
    (found,) = mount.glob(f"target/*/operator/{triple}")
    return found


def test_what_was_compiled_is_there_again(mount: Path, tmp_path: Path) -> None:
    """A second build starts from what the first one left; a third from what the second one left."""
    assert build(tmp_path / "one", "1") == set()
    assert build(tmp_path / "two", "2") == {"release/deps/lib.rlib", f"{TRIPLE}/release/deps/lib.rlib"}
    assert (kept(mount) / "release/deps/lib.rlib").read_text() == "2"
    assert [path.name for path in mount.iterdir()] == ["target"]


def test_another_platform_gives_only_what_runs_here(mount: Path, tmp_path: Path) -> None:
    """Build scripts and macros are made for the build machine, whatever the platform."""
    build(tmp_path / "one", "1", OTHER)

    assert build(tmp_path / "two", "2") == {"release/deps/lib.rlib"}


def test_parts_give_nothing(mount: Path, tmp_path: Path) -> None:
    """What an interrupted build left may be half of it."""
    build(tmp_path / "one", "1", OTHER)
    kept(mount, OTHER).rename(kept(mount, OTHER).with_name(f"{OTHER}.7{cache.PART}"))

    assert build(tmp_path / "two", "2") == set()


def test_nothing_is_taken_when_all_is_made_anew(mount: Path, tmp_path: Path) -> None:
    """What comes out of that is kept."""
    build(tmp_path / "one", "1")
    with cache.of_target(tmp_path / "two", package="operator", triple=TRIPLE, anew=True):
        assert not (tmp_path / "two").exists()
        compile_into(tmp_path / "two", "2")

    assert (kept(mount) / "release/deps/lib.rlib").read_text() == "2"


def test_too_much_is_not_kept(mount: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit all is compiled anew the next time."""
    build(tmp_path / "one", "1")
    monkeypatch.setattr(cache, "LIMIT", 1)
    build(tmp_path / "two", "2")

    assert list(mount.glob("target/*/operator/*")) == []


@pytest.mark.parametrize(("age", "stays"), [(cache.LEFT_BEHIND + 60, False), (60, True)])
def test_leftovers_are_swept_when_nobody_writes_them_any_more(
    mount: Path, tmp_path: Path, age: int, stays: bool
) -> None:
    """A part of a running build stays; that of an interrupted one neither stays nor stops later builds."""
    build(tmp_path / "one", "1")
    parts = [mount / f"tmpx{cache.PART}", kept(mount).with_name(f"{TRIPLE}.7{cache.PART}")]
    crate = mount / "crates" / "index" / f"log-1.0.0.crate.x{cache.PART}"
    crate.parent.mkdir(parents=True)
    crate.touch()
    for part in parts:
        (part / "new").mkdir(parents=True)
    then = mount.stat().st_mtime - age
    for part in (*parts, crate):
        os.utime(part, (then, then))

    build(tmp_path / "two", "2")

    assert [part.exists() for part in (*parts, crate)] == [stays] * 3
    assert (kept(mount) / "release/deps/lib.rlib").read_text() == "2"


def test_builders_that_are_gone_leave_nothing(mount: Path, tmp_path: Path) -> None:
    """What a builder compiled is removed when it was not used for two weeks, and that of a present one is not."""
    build(tmp_path / "one", "first")
    present = kept(mount).parent.parent
    gone = mount / "target/gone/operator"
    gone.mkdir(parents=True)
    os.utime(gone.parent, (1, 1))
    os.utime(present, (1, 1))
    build(tmp_path / "two", "second")

    assert list((mount / "target").iterdir()) == [present]


def test_two_builds_at_once_are_both_whole(mount: Path, tmp_path: Path) -> None:
    """Both save under one name at the same time; the last one stays, and nothing of the other."""
    with cache.of_target(tmp_path / "one", package="operator", triple=TRIPLE):
        compile_into(tmp_path / "one", "1")
        build(tmp_path / "two", "2")

    assert {path.read_text() for path in kept(mount).rglob("lib.rlib")} == {"1"}
    assert [path.name for path in mount.iterdir()] == ["target"]


def test_what_is_swapped_while_it_is_read_is_not_taken(
    mount: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reader that may have seen half of each has nothing, and says so."""
    build(tmp_path / "one", "1")
    copytree = shutil.copytree

    def swapped(source: Path, target: Path, **more: Any) -> Path:
        monkeypatch.setattr(shutil, "copytree", copytree)
        made = copytree(source, target, **more)
        build(tmp_path / "two", "2")
        return made

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", swapped)
        assert build(tmp_path / "three", "3") == set()

    assert "was swapped by another build" in capsys.readouterr().err


def test_a_failure_to_seed_fails_no_build(
    mount: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was copied until then is removed, and all is compiled."""
    build(tmp_path / "one", "1")

    def broken(source: Path, target: Path, **more: Any) -> None:
        (target / "half").mkdir(parents=True)
        monkeypatch.setattr(shutil, "copytree", copytree)
        raise OSError(5, "Input/output error")

    copytree = shutil.copytree
    monkeypatch.setattr(shutil, "copytree", broken)

    assert build(tmp_path / "two", "2") == set()
    assert not (tmp_path / "two" / "half").exists()
    assert (kept(mount) / "release/deps/lib.rlib").read_text() == "2"
    assert "cargo-image: note: nothing that was compiled before is taken" in capsys.readouterr().err


def test_a_failure_to_save_fails_no_build(
    mount: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A full disk costs the next build time; what was kept stays, and no part is left."""
    build(tmp_path / "one", "1")

    def full(*words: object, **more: object) -> None:
        raise shutil.Error([("a", "b", "No space left on device")])

    with cache.of_target(tmp_path / "two", package="operator", triple=TRIPLE):
        monkeypatch.setattr(shutil, "copytree", full)

    assert "cargo-image: note: what was compiled is not kept" in capsys.readouterr().err
    assert (kept(mount) / "release/deps/lib.rlib").read_text() == "1"
    assert [path.name for path in mount.iterdir()] == ["target"]


def test_an_error_of_the_build_is_not_swallowed(mount: Path, tmp_path: Path) -> None:
    """Only the mount's own failures are harmless, and a build that failed is not kept."""
    with (
        pytest.raises(PermissionError, match="mine"),
        cache.of_target(tmp_path / "one", package="operator", triple=TRIPLE),
    ):
        raise PermissionError("mine")

    assert list(mount.iterdir()) == []


def test_without_a_mount_nothing_happens(mount: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A Dockerfile may go without it."""
    mount.rmdir()
    cache.seed_crates(tmp_path)
    cache.save_crates()

    assert build(tmp_path / "one", "1") == set()
    assert not mount.exists()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("change", ["rustc", "dpkg-query", "wrapper"])
def test_another_builder_takes_nothing(mount: Path, tmp_path: Path, change: str) -> None:
    """A compiler, a package that a stage added, or another cargo-image makes other programs."""
    build(tmp_path / "one", "1")
    if change == "wrapper":
        cache.WRAPPER.write_text("other")
    else:
        program(tmp_path, change, "2")

    assert build(tmp_path / "two", "2") == set()


def test_the_builder_is_its_own_files_too(mount: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cargo-image that gives Cargo other variables has other results."""
    before = cache._builder()
    own = shutil.copytree(Path(cache.__file__).parent, tmp_path / "cargo_image")
    monkeypatch.setattr(cache, "__file__", str(own / "cache.py"))
    same = cache._builder()
    (own / "driver.py").write_text("other")

    assert before == same
    assert cache._builder() != before


def test_an_unknown_builder_has_no_cache(mount: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where it cannot be told what compiles, nothing is mixed."""
    (tmp_path / "bin" / "dpkg-query").write_text("#!/bin/sh\nexit 2\n")

    assert build(tmp_path / "one", "1") == set()
    assert "nothing that was compiled before is taken" in capsys.readouterr().err
    assert list(mount.iterdir()) == []


def lock(folder: Path, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    (folder / "Cargo.lock").write_text(f'[[package]]\nname = "log"\nversion = "1.0.0"\nchecksum = "{digest}"\n')


@pytest.mark.parametrize(("content", "taken"), [(b"log", True), (b"else", False)])
def test_archives_that_the_lock_names_are_taken(mount: Path, tmp_path: Path, content: bytes, taken: bool) -> None:
    """What has another sum is left where it is."""
    fetched = tmp_path / "cargo/registry/cache/index/log-1.0.0.crate"
    fetched.parent.mkdir(parents=True)
    fetched.write_bytes(b"log")
    cache.save_crates()
    fetched.unlink()
    lock(tmp_path, content)
    cache.seed_crates(tmp_path)

    assert fetched.exists() is taken
    assert [path.name for path in mount.rglob("*") if path.is_file()] == ["log-1.0.0.crate"]


def test_archives_that_cannot_be_read_fail_no_build(
    mount: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder where a file should be, or a disk that is broken: they are fetched."""
    (mount / "crates/index/log-1.0.0.crate").mkdir(parents=True)
    lock(tmp_path, b"log")
    cache.seed_crates(tmp_path)

    assert "note: no crates are taken from the cache" in capsys.readouterr().err
