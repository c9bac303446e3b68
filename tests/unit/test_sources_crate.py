"""Sources that are crates: what cargo says, what an archive holds, and what is kept. Cargo itself is not run here."""

from __future__ import annotations

import errno
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from archway.catalog import Image
from archway.engine import Engine
from archway.errors import (
    ArchwayError,
    BuildError,
    ChecksumError,
    MetadataError,
    NoSpaceError,
    PackageSourceError,
)
from archway.metadata_cargo import Source
from archway.settings import Settings
from archway.sources import archive, crate, fetch, identity
from archway.sources.crate import cause, sha256
from archway.sources.place import Place
from tests.monorepo import Monorepo

TOP = "tiny-1.2.3"
GOOD = {f"{TOP}/Cargo.toml": b"[package]\n", f"{TOP}/src/main.rs": b"fn main() {}\n"}


def declared(root: Path, **keys: str) -> tuple[Settings, Image, Source]:
    keys = {"crate": "tiny", "version": "1.2.3", **keys}
    lines = "".join(f"{key} = '{value}'\n" for key, value in keys.items())
    monorepo = Monorepo(root)
    monorepo.image("products/x", "FROM base\n", releases=f'[[release]]\nversion = "1"\n[release.source]\n{lines}')
    image = monorepo.catalog.image("x")
    source = image.releases[0].source
    assert source is not None
    return monorepo.catalog.settings, image, source


def pack(path: Path, files: Mapping[str, bytes], *more: tarfile.TarInfo) -> Path:
    """The archive of a crate."""
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
        for info in more:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


class Cargo:
    """Stands for the engine with cargo: brings an archive, or fails with what cargo has said."""

    def __init__(self, brought: Path, said: str = "") -> None:
        self.brought = brought
        self.said = said
        self.scripts: list[str] = []

    def __call__(self, _engine: Engine, _settings: Settings, *, script: str, out: Path, **_: Any) -> list[str]:
        self.scripts.append(script)
        if self.said:
            raise BuildError("crate tiny 1.2.3: a step failed", why=self.said, hint="all output: x.log")
        out.mkdir(parents=True, exist_ok=True)
        (out / "crate").write_bytes(self.brought.read_bytes())
        return []


@pytest.fixture
def cargo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cargo:
    made = Cargo(pack(tmp_path / "tiny.crate", GOOD))
    monkeypatch.setattr(crate, "extract", made)
    return made


def get(root: Path, *, builder: str | None = "rust-builder", **keys: str) -> Path:
    settings, image, source = declared(root / "monorepo", **keys)
    return fetch(Engine(), settings, source, image, builder=builder)


def test_crate_is_unpacked_once(cargo: Cargo, tmp_path: Path) -> None:
    """A crate is fetched and unpacked the first time, and is there the second time."""
    found = get(tmp_path, sha256=sha256(cargo.brought))

    assert get(tmp_path, sha256=sha256(cargo.brought)) == found
    assert sorted(path.name for path in found.iterdir()) == ["Cargo.toml", "src"]
    assert len(cargo.scripts) == 1
    assert "tiny@1.2.3" in cargo.scripts[0]


def test_wrong_checksum(cargo: Cargo, tmp_path: Path) -> None:
    """Another archive than the pinned one is told with both checksums, and nothing is kept."""
    with pytest.raises(ChecksumError, match="not the crate that image") as refused:
        get(tmp_path, sha256="0" * 64)

    assert refused.value.where == "products/x/image.toml:8"
    assert "0" * 64 in refused.value.why
    assert sha256(cargo.brought) in refused.value.why
    assert not (tmp_path / "monorepo/.archway/sources").exists()


def test_missing_checksum_is_told_to_paste(cargo: Cargo, tmp_path: Path) -> None:
    """Without a checksum the message has the line to write."""
    with pytest.raises(MetadataError, match="sha256 is missing") as refused:
        get(tmp_path)

    assert refused.value.hint.endswith(f'sha256 = "{sha256(cargo.brought)}"')


def test_image_without_cargo(cargo: Cargo, tmp_path: Path) -> None:
    """Without a builder image nothing can be fetched, and the Dockerfile is what must change."""
    with pytest.raises(MetadataError, match="cannot be fetched") as refused:
        get(tmp_path, builder=None, sha256="0" * 64)

    assert "rust-builder" in refused.value.hint


@pytest.mark.parametrize(
    ("said", "error", "words"),
    [
        (
            "error: no matching package named `tiny` found\nlocation searched: x",
            MetadataError,
            "there is no crate tiny",
        ),
        (
            "error: no matching package found\nsearched package name: `tiny`\nperhaps you meant:      tinny",
            MetadataError,
            "did you mean tinny?",
        ),
        (
            'error: failed to select a version for the requirement `tiny = "=1.2.3"`\n'
            "candidate versions found which didn't match: 1.2.2, 1.2.1\nlocation searched: x",
            MetadataError,
            "there is: 1.2.2, 1.2.1",
        ),
        (
            'error: failed to select a version for the requirement `tiny = "=1.2.3"`\n  version 1.2.3 is yanked',
            MetadataError,
            "tiny 1.2.3 was yanked",
        ),
        (
            "error: download of config.json failed\nCaused by:\n  [77] Problem with the SSL CA cert",
            PackageSourceError,
            "could not be reached",
        ),
        ("error: no such command: `info`", BuildError, "all output: x.log"),
    ],
)
def test_what_cargo_says(cargo: Cargo, tmp_path: Path, said: str, error: type[ArchwayError], words: str) -> None:
    """Cargo's words are told by their cause."""
    cargo.said = said

    with pytest.raises(error) as refused:
        get(tmp_path, sha256="0" * 64)

    assert type(refused.value) is error
    assert words in str(refused.value)


def test_unreachable_registry_stays_that(tmp_path: Path) -> None:
    """A cause that the build has found already is kept."""
    _, image, source = declared(tmp_path)
    found = PackageSourceError("x", why="[6] Could not resolve host")

    assert cause(Place(image=image, source=source), found) is found


def test_full_disk(cargo: Cargo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full while a crate is unpacked is told as such."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(crate, "unpack", full)

    with pytest.raises(NoSpaceError, match="the disk is full"):
        get(tmp_path, sha256=sha256(cargo.brought))


def test_crate_without_manifest(cargo: Cargo, tmp_path: Path) -> None:
    """A crate without Cargo.toml is refused."""
    pack(cargo.brought, {f"{TOP}/README": b""})

    with pytest.raises(MetadataError, match=r"holds no Cargo\.toml"):
        get(tmp_path, sha256=sha256(cargo.brought))


def test_identity_needs_no_network(tmp_path: Path) -> None:
    """What stands for a crate is its name, its version and its checksum."""
    _, image, source = declared(tmp_path, sha256="0" * 64)

    assert identity(source, image) == ["crate", "tiny", "1.2.3", "0" * 64]


def test_modes_of_files(tmp_path: Path) -> None:
    """A file is a program or not; other bits of its mode are not taken over."""
    made = pack(tmp_path / "x", {}, member(f"{TOP}/run", mode=0o4777), member(f"{TOP}/data", mode=0o066))
    archive.unpack(made, tmp_path / "out", top=TOP)

    assert (tmp_path / "out/run").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "out/data").stat().st_mode & 0o7777 == 0o644


@pytest.mark.parametrize(
    "evil",
    [
        member("other-1.2.3/Cargo.toml"),
        member("Cargo.toml"),
        member("/etc/passwd"),
        member(f"/{TOP}/x"),
        member(f"{TOP}/../x"),
        member(f"{TOP}/../../x"),
        member(f"{TOP}//x"),
        member(f"{TOP}/./x"),
        member(f"{TOP}x"),
        member(TOP),
        member(f"{TOP}/Cargo.toml"),
        member(f"{TOP}/Cargo.toml/x"),
        member(f"{TOP}/link", tarfile.SYMTYPE, "/etc/passwd"),
        member(f"{TOP}/link", tarfile.SYMTYPE, "Cargo.toml"),
        member(f"{TOP}/link", tarfile.LNKTYPE, f"{TOP}/Cargo.toml"),
        member(f"{TOP}/device", tarfile.CHRTYPE),
        member(f"{TOP}/pipe", tarfile.FIFOTYPE),
    ],
    ids=lambda info: f"{info.name} {info.type.decode()}",
)
def test_evil_members(tmp_path: Path, evil: tarfile.TarInfo) -> None:
    """What no crate holds is refused: another top folder, paths that lead out, links, devices, a file twice."""
    made = pack(tmp_path / "x", GOOD, evil)

    with pytest.raises(ValueError, match=r"is not in the folder|is no path|neither a file|stands twice"):
        archive.unpack(made, tmp_path / "in/out", top=TOP)

    assert [path.name for path in tmp_path.iterdir() if path.name not in ("x", "in")] == []


def test_link_is_never_written_through(tmp_path: Path) -> None:
    """A link to a folder elsewhere, and then a file in it, writes nothing there."""
    made = pack(tmp_path / "x", {}, member(f"{TOP}/a", tarfile.SYMTYPE, str(tmp_path)), member(f"{TOP}/a/evil"))

    with pytest.raises(ValueError, match="neither a file nor a folder"):
        archive.unpack(made, tmp_path / "out", top=TOP)

    assert not (tmp_path / "evil").exists()


def test_archive_that_would_fill_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that grows beyond any crate, in bytes or in files, is refused before it is written."""
    made = pack(tmp_path / "x", {f"{TOP}/zeros": bytes(1 << 20)})
    monkeypatch.setattr(archive, "LARGEST", 1 << 19)
    with pytest.raises(ValueError, match="holds more than"):
        archive.unpack(made, tmp_path / "out", top=TOP)
    monkeypatch.setattr(archive, "MOST", 1)
    with pytest.raises(ValueError, match="holds more than"):
        archive.unpack(pack(tmp_path / "y", GOOD), tmp_path / "more", top=TOP)

    assert not (tmp_path / "out/zeros").exists()


@pytest.mark.parametrize("part", ["empty", "text", "cut", "no file in it"])
def test_broken_archives(cargo: Cargo, tmp_path: Path, part: str) -> None:
    """An archive that is broken, though its checksum is the pinned one, is told as such."""
    whole = pack(cargo.brought, {**GOOD, f"{TOP}/x": bytes(range(256)) * 40}).read_bytes()
    texts = {"empty": b"", "text": b"<html>", "cut": whole[: len(whole) // 2]}
    if part in texts:
        cargo.brought.write_bytes(texts[part])
    else:
        pack(cargo.brought, {})

    with pytest.raises(BuildError, match="cannot be unpacked") as refused:
        get(tmp_path, sha256=sha256(cargo.brought))

    assert "it is" in refused.value.why
    assert not (tmp_path / "monorepo/.archway/sources").exists()
