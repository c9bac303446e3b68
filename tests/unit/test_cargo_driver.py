"""The two steps of a build: what is left of the stubs, what a build is told, which programs are taken."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archway.cargo_folders import EMPTY_PROGRAM
from cargo_image import cache, driver, patch, pinned, program
from cargo_image.cargo import Package, Target, run_cargo
from cargo_image.errors import CargoImageError
from cargo_image.project import Project, Wishes
from cargo_image.toolchain import Toolchain

TRIPLE = "x86_64-unknown-linux-gnu"
CHAIN = Toolchain(oci="linux/amd64", debian="amd64", rust=TRIPLE, gnu="x86_64-linux-gnu")
STUB = "fn main() {}\n"
CRATES = {
    "Cargo.toml": '[package]\nname = "prog"\nversion = "0.1.0"\nedition = "2021"\n[dependencies]\n'
    'inner = { path = "lib" }\nmacros = { path = "macros" }\n[build-dependencies]\nmaker = { path = "../maker" }\n',
    "lib/Cargo.toml": '[package]\nname = "inner"\nversion = "0.1.0"\nedition = "2021"\n[workspace]\n',
    "macros/Cargo.toml": '[package]\nname = "macros"\nversion = "0.1.0"\nedition = "2021"\n[lib]\nproc-macro = true\n',
    "../maker/Cargo.toml": '[package]\nname = "maker"\nversion = "0.1.0"\nedition = "2021"\n',
}
SOURCES = {
    "src/main.rs": 'fn main() { println!("{} {} {}", inner::word(), env!("MADE"), macros::word!()); }\n',
    "build.rs": 'fn main() { println!("cargo:rustc-env=MADE={}", maker::word()); }\n',
    "lib/src/lib.rs": 'pub fn word() -> &\'static str { "inner" }\n',
    "../maker/src/lib.rs": 'pub fn word() -> &\'static str { "maker" }\n',
    "macros/src/lib.rs": "use proc_macro::TokenStream;\n#[proc_macro]\npub fn word(_: TokenStream) -> TokenStream {\n"
    '"\\"macros\\"".parse().unwrap()\n}\n',
}


def write(folder: Path, files: dict[str, str], time: int) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (time, time))


@pytest.mark.skipif(not shutil.which("rustc") or not shutil.which("cargo"), reason="there is no Rust on this machine")
def test_no_stub_gets_into_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages by path that are no members, macros and build dependencies too are compiled from their real source,
    though that is older than the stubs."""
    monkeypatch.setattr(driver, "TARGET", tmp_path / "target")
    monkeypatch.setenv("CARGO_TARGET_DIR", str(tmp_path / "target"))
    folder = tmp_path / "prog"
    write(folder, CRATES | dict.fromkeys(SOURCES, STUB), 1_700_000_000)
    triple = driver.native_triple()
    run_cargo(["generate-lockfile"], folder, offline=True)
    words = ["build", "--release", "--locked", "--offline", "--target", triple]
    run_cargo(words, folder)
    driver.forget_folders(Project(folder=folder), [triple, triple])

    left = [path.name for path in (tmp_path / "target").rglob("*") if path.is_file()]
    assert not any(word in name for name in left for word in ("prog", "inner", "maker", "macros"))

    write(folder, SOURCES, 1_600_000_000)
    run_cargo(words, folder)
    said = subprocess.run([tmp_path / "target" / triple / "release" / "prog"], capture_output=True, check=True)
    assert said.stdout == b"inner maker macros\n"


def job(folder: Path, **wishes: Any) -> driver.Job:
    return driver.Job(wishes=Wishes(project=Project(folder=folder), **wishes), toolchain=CHAIN)


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(driver, "native_triple", lambda: TRIPLE)
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / "home"))


def test_no_flags_of_the_project_are_hidden(native: None, tmp_path: Path) -> None:
    """Paths are taken out by a wrapper; of flags Cargo would take those of one place only."""
    made = driver.environment(job(tmp_path))

    assert made["RUSTC_WRAPPER"] == str(cache.WRAPPER)
    assert not any("RUSTFLAGS" in name for name in made)


def test_variables_of_the_user_win(native: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a Dockerfile sets, and what the project's configuration of Cargo sets."""
    monkeypatch.setenv("LIBZ_SYS_STATIC", "0")
    write(tmp_path, {".cargo/config.toml": '[env]\nLZMA_API_STATIC = "0"\n'}, 1)

    made = driver.environment(job(tmp_path))

    assert not {"LIBZ_SYS_STATIC", "LZMA_API_STATIC"} & made.keys()
    assert made["LIBCURL_NO_PKG_CONFIG"] == "1"


def owner(*programs: str, **features: tuple[str, ...]) -> Package:
    """A package with programs; ``name:feature`` requires the feature."""
    return Package(
        name="op", version="1.0.0", id="path+file:///source#op@1.0.0", manifest=Path("/source/Cargo.toml"), source="",
        links="", features=features, dependencies=(),
        targets=tuple(
            Target(name=word.partition(":")[0], kinds=("bin",), source=Path("/source/src/main.rs"),
                   required_features=tuple(filter(None, [word.partition(":")[2]])))
            for word in programs
        ),
    )  # fmt: skip


def artifact(
    name: str, *, kind: str = "bin", package: str = "path+file:///source#op@1.0.0", triple: str = TRIPLE
) -> str:
    path = f"/target/{triple}/release/{name}" if kind in ("bin", "example") else None
    said = {"reason": "compiler-artifact", "package_id": package, "target": {"name": name, "kind": [kind]}}
    return json.dumps({**said, "executable": path, "fresh": True}, separators=(",", ":"))


def test_programs_are_those_that_cargo_made() -> None:
    """Not those of other packages, of the build machine, libraries or examples."""
    printed = [
        artifact("op"), artifact("op", kind="lib"), artifact("show", kind="example"),
        artifact("other", package="registry+https://index.example#other@1.0.0"),
        artifact("tool").replace(f"/{TRIPLE}", ""),
        '{"reason":"build-finished","success":true}', "words", "{ a macro's words",
    ]  # fmt: skip

    assert driver.programs("\n".join(printed), owner("op", "tool"), TRIPLE) == {
        "op": Path(f"/target/{TRIPLE}/release/op")
    }


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The step ``build``, with a Cargo that has made op and tool; the folder of its programs."""
    monkeypatch.setattr(driver, "TARGET", tmp_path / "target")
    monkeypatch.setattr(driver, "OUT", tmp_path / "out")
    monkeypatch.setattr(driver, "PATCHED", tmp_path / "patched")
    release = tmp_path / "target" / TRIPLE / "release"
    release.mkdir(parents=True)
    for name in ("op", "tool"):
        (release / name).touch()
    printed = "\n".join([artifact("op"), artifact("tool")]).replace("/target", str(tmp_path / "target"))
    monkeypatch.setattr(driver, "_cargo_build", lambda job: printed)
    monkeypatch.setattr(program, "check", lambda path, chain, vendored: ("libc.so.6", "libm.so.6"))
    return tmp_path / "out"


def run_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: Package, **wanted: Any) -> None:
    class Found:
        def owner(self) -> Package:
            return package

    monkeypatch.setattr(driver, "metadata", lambda project: Found())
    project = Project(folder=tmp_path, package="op", **wanted)
    made = driver.Job(wishes=Wishes(project=project), toolchain=CHAIN)
    monkeypatch.setattr(driver.Job, "project", project)
    driver.build(made)


def test_programs_are_put_where_the_image_takes_them_from(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All, or those that are wanted, each with what it needs."""
    run_build(tmp_path, monkeypatch, owner("op", "tool"), binaries=("op",))
    assert [path.name for path in built.iterdir()] == ["op"]
    assert capsys.readouterr().out == "cargo-image: op needs libc.so.6, libm.so.6\n"

    run_build(tmp_path, monkeypatch, owner("op", "tool"))
    assert sorted(path.name for path in built.iterdir()) == ["op", "tool"]


def test_empty_program_is_never_built(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Dockerfile that forgot to copy the source would ship what stands in its place, which does nothing and says so
    to nobody."""
    main = tmp_path / "main.rs"
    main.write_text(EMPTY_PROGRAM)
    package = owner("op")
    package = replace(package, targets=tuple(replace(target, source=main) for target in package.targets))
    with pytest.raises(CargoImageError, match="COPY --from=source") as raised:
        run_build(tmp_path, monkeypatch, package)

    assert raised.value.where == str(main)
    assert not built.exists()


def test_folder_without_a_project_is_told(tmp_path: Path) -> None:
    """A Dockerfile that forgot to copy the manifests hears which line is missing."""
    with pytest.raises(CargoImageError, match="COPY --from=manifests"):
        driver.require_project(tmp_path)


def test_no_program_is_an_error(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cargo leaves out programs whose features are off, and says nothing; an image without program must not be."""
    monkeypatch.setattr(driver, "_cargo_build", lambda job: "")
    with pytest.raises(CargoImageError, match="op was built, and no program was made") as raised:
        run_build(tmp_path, monkeypatch, owner("op:metrics"))

    assert "op requires the features metrics\n  ask for them: [cargo] features in image.toml" in str(raised.value)
    assert not built.exists()


def test_a_wanted_program_that_is_not_made_is_an_error(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named."""
    with pytest.raises(CargoImageError, match="op was built, and no program nope was made"):
        run_build(tmp_path, monkeypatch, owner("op", "tool"), binaries=("op", "nope"))


def test_debians_openssl_needs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``openssl = "system"`` no target needs an edit, and Cargo is not asked."""
    monkeypatch.setenv("PATH", "")
    write(tmp_path, {".cargo-image.toml": 'openssl = "system"\n'}, 1)

    said = json.loads(patch.report(tmp_path, [TRIPLE]))

    assert (said["openssl"], said["edits"]) == ("system", {})
    assert said["verdicts"] == [
        {"target": TRIPLE, "state": "not needed", "why": 'Debian\'s library is linked: openssl = "system"',
         "chain": [], "version": ""}
    ]  # fmt: skip


PIN = pinned.Pin(version="300.5.0+3.5.0", sha256="05")


def locked(version: str, checksum: str = "") -> bytes:
    sum_line = f'checksum = "{checksum}"\n' if checksum else ""
    return f'[[package]]\nname = "openssl-src"\nversion = "{version}"\n{sum_line}'.encode()


def pin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *,
    pin: pinned.Pin | None = PIN, own: bytes = b"", decided: bytes = locked("300.6.1", "06"), then: bytes | str = b"",
) -> tuple[bytes, list[str]]:  # fmt: skip
    """Pin with a Cargo that writes a lock, or fails with words; the lock after that, and how Cargo was called."""
    lock = tmp_path / "Cargo.lock"
    lock.write_bytes(decided)
    called: list[str] = []

    def cargo(words: list[str], folder: Path) -> str:
        called.extend(words)
        if isinstance(then, str):
            raise CargoImageError(then)
        lock.write_bytes(then)
        return ""

    monkeypatch.setattr(pinned, "run_cargo", cargo)
    pinned.lock_pinned(pin, own, lock)
    return lock.read_bytes(), called


def test_openssl_is_of_the_version_that_rust_builder_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of the newest one, which another day is another one."""
    lock, called = pin(tmp_path, monkeypatch, then=locked(PIN.version, "05"))

    assert lock == locked(PIN.version, "05")
    assert called == ["update", "--package", "openssl-src", "--precise", "300.5.0+3.5.0"]


@pytest.mark.parametrize(
    "case", [{"pin": None}, {"own": locked("300.1.0", "01")}, {"decided": locked("300.6.1")}, {"decided": b""}]
)
def test_what_is_decided_already_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: dict[str, Any]) -> None:
    """No version is named, the project's lock has one, or the project has a folder in the crate's place."""
    assert pin(tmp_path, monkeypatch, **case)[1] == []


@pytest.mark.parametrize("checksum", ["66", ""])
def test_another_archive_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checksum: str) -> None:
    """A registry that has something else under this version is not believed."""
    with pytest.raises(CargoImageError, match="is not the archive that rust-builder names"):
        pin(tmp_path, monkeypatch, then=locked(PIN.version, checksum))


def test_a_version_that_does_not_fit_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cargo's choice is taken where openssl-sys asks for another one."""
    lock, _ = pin(tmp_path, monkeypatch, then="no version of openssl-src fits all that ask for it")

    assert lock == locked("300.6.1", "06")
    assert "openssl-sys does not take openssl-src 300.5.0+3.5.0, so it is 300.6.1" in capsys.readouterr().err


def test_any_other_failure_to_pin_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that is out of reach is no reason to take another version."""
    with pytest.raises(CargoImageError, match="out of reach"):
        pin(tmp_path, monkeypatch, then="the crate registry is out of reach")


def test_version_and_sum_belong_together() -> None:
    """One without the other is a slip."""
    assert pinned.read_pin({}) is None
    assert pinned.read_pin({pinned.VERSION: "1", pinned.SHA256: "2"}) == pinned.Pin(version="1", sha256="2")
    with pytest.raises(CargoImageError, match="belong together"):
        pinned.read_pin({pinned.VERSION: "1"})
