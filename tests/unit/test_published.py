"""images.lock.toml: what was published last, and how it comes there."""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from archway import published
from archway.build import Building
from archway.catalog import Catalog
from archway.distribution import Descriptor, Stored
from archway.engine import Engine
from archway.errors import ListError, MetadataError
from archway.joining import Joinable, Standing, Tagged
from archway.lists import Member, Wanted
from archway.platforms import Platform
from archway.publish import Publishing, publish_all
from archway.published import LOCK, PublishedImage, read, record, render
from archway.selection import Selection
from archway.settings import load
from archway.settings import read as read_settings
from archway.wanted import wanted_lists
from tests.monorepo import Monorepo

ONE, TWO = f"sha256:{'1' * 64}", f"sha256:{'2' * 64}"
TEXT = f"""\
# Written by archway (inv publish): what was published last of each image and version. Do not edit.

[[image]]
name = "kafka"
version = "4.4.0"
release = "0.1.0"
default = true
reference = "registry.example.org/archway/kafka:4.4.0-0.1.0"
digest = "{ONE}"

[image.members]
"linux/amd64" = "{ONE}"
"linux/arm64" = "{TWO}"
"""


def entry(name: str = "kafka", version: str = "4.4.0", *, default: bool = False, digest: str = ONE) -> PublishedImage:
    return PublishedImage(
        name=name, version=version, release="0.1.0", default=default, digest=digest,
        reference=f"registry.example.org/archway/{name}:{version.replace('+', '-')}-0.1.0",
        members={"linux/arm64": TWO, "linux/amd64": ONE},
    )  # fmt: skip


def names(root: Path) -> list[str]:
    return [f"{one.name} {one.version}{' default' if one.default else ''}" for one in read(root)]


def test_form_of_the_file(tmp_path: Path) -> None:
    """The file has a head that says where it comes from, and a table for each image with its members' digests."""
    record(tmp_path, [entry(default=True)])

    assert (tmp_path / LOCK).read_text() == TEXT
    assert read(tmp_path) == (entry(default=True),)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".archway", LOCK]


def test_no_file_is_nothing_published(tmp_path: Path) -> None:
    """Before the first publish there is nothing, and reading makes nothing."""
    assert read(tmp_path) == ()
    assert not record(tmp_path, [])
    assert list(tmp_path.iterdir()) == []


def test_same_again_changes_nothing(tmp_path: Path) -> None:
    """Publishing the same again does not touch the file."""
    entries = [entry("b"), entry("a"), entry("a", "1.0")]
    record(tmp_path, entries)
    before = (tmp_path / LOCK).stat()

    assert not record(tmp_path, entries[::-1])
    assert (tmp_path / LOCK).stat().st_ino == before.st_ino


def test_others_stay_and_order_is_fixed(tmp_path: Path) -> None:
    """Other images and versions stay; the same version is replaced; 4.9 comes before 4.10, what is no version first."""
    record(tmp_path, [entry(version="4.10"), entry("hive", "4.0+x")])
    record(tmp_path, [entry(version="4.9"), entry(version="4.10", digest=TWO), entry(version="nightly_build")])

    assert names(tmp_path) == ["hive 4.0+x", "kafka nightly_build", "kafka 4.9", "kafka 4.10"]
    assert read(tmp_path)[3].digest == TWO


def test_one_default(tmp_path: Path) -> None:
    """When another version becomes the default of an image, the one before is that no more; other images' stay."""
    record(tmp_path, [entry(version="1", default=True), entry("hive", default=True)])
    record(tmp_path, [entry(version="2", default=True)])

    assert names(tmp_path) == ["hive 4.4.0 default", "kafka 1", "kafka 2 default"]


@pytest.mark.parametrize(
    ("old", "new", "where", "words"),
    [
        ("[[image]]", "[[image]", ":3", "no valid TOML"),
        ("name =", "<<<<<<< HEAD\nname =", ":4", "no valid TOML"),
        (f'digest = "{ONE}"\n', 'digest = "latest"\n', ":9", "image.digest"),
        ('release = "0.1.0"\n', "", ":3", "image.release"),
        ("default = true", 'default = "yes"', ":7", "image.default"),
        ('"linux/arm64"', '"lin/arm"', ":13", "image.members.lin/arm"),
        ("registry.example.org/archway/kafka:4.4.0-0.1.0", "-x", ":8", "is no name of an image"),
        ("version = ", "extra = 1\nversion = ", ":5", "image.extra"),
        ("[[image]]", "[other]", ":3", "other"),
    ],
)
def test_broken_file_is_told_with_its_line_and_kept(tmp_path: Path, old: str, new: str, where: str, words: str) -> None:
    """A file that is no such list is refused with the line and what to do, and is not written over."""
    assert old in TEXT
    broken = TEXT.replace(old, new)
    (tmp_path / LOCK).write_text(broken)

    with pytest.raises(MetadataError) as refused:
        read(tmp_path)
    with pytest.raises(MetadataError):
        record(tmp_path, [entry()])

    assert f"{LOCK}{where}: " in str(refused.value)
    assert words in str(refused.value)
    assert "as it was committed" in str(refused.value)
    assert (tmp_path / LOCK).read_text() == broken


def test_image_that_stands_twice(tmp_path: Path) -> None:
    """A version that a careless merge has left twice is refused."""
    (tmp_path / LOCK).write_text(TEXT + TEXT)

    with pytest.raises(MetadataError, match=r"images\.lock\.toml:18: kafka 4\.4\.0 stands twice"):
        read(tmp_path)


def test_file_that_is_no_text(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are told as such."""
    (tmp_path / LOCK).write_bytes(b"\xff")

    with pytest.raises(MetadataError, match="is not UTF-8"):
        read(tmp_path)


@pytest.mark.parametrize("text", ["", "\\x41", 'a"b', "a\nb", "\x7f", "ü", "a'b", "# x", "a b", "-x"])
def test_what_toml_would_write_wrongly(text: str) -> None:
    """What no name and no version is, and the library toml would write so that something else is read, is refused."""
    with pytest.raises(ValidationError):
        PublishedImage.model_validate({**entry().model_dump(), "release": text})


def test_what_was_written_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that reads as something else than it was made of is never written."""
    monkeypatch.setattr("toml.dumps", lambda _: "[[image]]\n")

    with pytest.raises(ValueError, match="reads as something else"):
        render([entry()])


def _record_one(root: Path, number: int) -> None:
    for version in range(5):
        record(root, [entry(f"image-{number}", str(version))])


def test_runs_at_once_lose_nothing(tmp_path: Path) -> None:
    """What several runs record at once is all there afterwards."""
    spawn = multiprocessing.get_context("spawn")
    running = [spawn.Process(target=_record_one, args=(tmp_path, number)) for number in range(4)]
    for process in running:
        process.start()
    for process in running:
        process.join(timeout=60)

    assert [process.exitcode for process in running] == [0] * 4
    assert len(read(tmp_path)) == 20
    assert sorted(path.name for path in tmp_path.iterdir()) == [".archway", LOCK]


def test_link_and_mode_are_kept(tmp_path: Path) -> None:
    """A file that is a link, and its mode, stay what they are."""
    real = tmp_path / "real.toml"
    real.write_text("")
    real.chmod(0o664)
    (tmp_path / LOCK).symlink_to(real)

    record(tmp_path, [entry()])

    assert (tmp_path / LOCK).is_symlink()
    assert real.stat().st_mode & 0o777 == 0o664


class Run(Publishing):
    """A run whose steps are done without engine and registry; ``broken`` cannot be written."""

    broken = ""

    def _check_push(self, wanted: Wanted) -> None:
        pass

    _make = _push = _move = _check_push

    def _write(self, wanted: Wanted) -> None:
        if wanted.image.name == self.broken:
            raise ListError(f"{wanted.image.name} cannot be written")
        found = (("arm64", Descriptor(digest=TWO, size=1)), ("amd64", Descriptor(digest=ONE, size=1)))
        members = tuple(
            Member(platform=Platform.parse(arch), descriptor=one, source=one.digest, attestations=(), labels={})
            for arch, one in found
        )
        repository: Any = None
        self.ready[wanted.reference] = Joinable(wanted=wanted, repository=repository, members=members)
        self.written[wanted.reference] = Stored(data=b"list", media_type="")
        self.done.append(Tagged(reference=wanted.reference, standing=Standing.WRITTEN, digest=ONE))


def publish(
    monorepo: Monorepo, changes: Mapping[str, str] | None = None, *, broken: str = "", keep_going: bool = False
) -> None:
    """Publish the images hive and kafka of a monorepo, as if all of it went well."""
    for name in ("hive", "kafka"):
        monorepo.image(f"products/{name}", "FROM scratch\n", releases='[[release]]\nversion = "1+a"\n')
    settings = load(monorepo.root, {**read_settings(monorepo.root), **(changes or {})})
    catalog = Catalog(settings)
    here = Platform.parse("amd64")
    requests = Selection.of(["hive,kafka"], [], [], everything=False).requests(catalog, native=lambda: here)
    run = Run(engine=Engine(), settings=settings, building=Building(engine=Engine(), settings=settings),
              keep_going=keep_going)  # fmt: skip
    run.broken = broken
    publish_all(run, wanted_lists(catalog, requests, build_platform=here))


def test_publish_records_what_it_wrote(monorepo: Monorepo) -> None:
    """After a run the file has each list with its digest and members; the same run again changes nothing."""
    publish(monorepo)
    text = (monorepo.root / LOCK).read_text()
    publish(monorepo)
    hive, kafka = read(monorepo.root)

    assert (hive.name, hive.version, hive.release, hive.default) == ("hive", "1+a", "0.1.0-dev", True)
    assert hive.reference == "localhost:5000/archway/hive:1-a-0.1.0-dev"
    assert hive.digest == Stored(data=b"list", media_type="").digest
    assert kafka.members == {"linux/amd64": ONE, "linux/arm64": TWO}
    assert (monorepo.root / LOCK).read_text() == text


@pytest.mark.parametrize("keep_going", [True, False])
def test_what_was_written_before_a_failure_is_recorded(monorepo: Monorepo, keep_going: bool) -> None:
    """What is public is recorded, also when a later list cannot be written."""
    publish(monorepo, broken="kafka", keep_going=keep_going)

    assert names(monorepo.root) == ["hive 1+a default"]


@pytest.mark.parametrize("changes", [{"organization": "other"}, {"registry": "registry.example.org"}])
def test_other_places_are_not_recorded(
    monorepo: Monorepo, changes: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What is published to another place than pyproject.toml names is no release of this monorepo, and that is told."""
    publish(monorepo, changes)

    assert read(monorepo.root) == ()
    assert f"{LOCK} is left as it is" in capsys.readouterr().err


def test_publish_succeeds_without_its_record(
    monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkout that cannot be written, or a broken file, is a warning: the images are public all the same."""

    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied", LOCK)

    with monkeypatch.context() as patch:
        patch.setattr(published, "_write", denied)
        publish(monorepo)
    first = " ".join(capsys.readouterr().err.split())
    monorepo.write(LOCK, "broken")
    publish(monorepo)
    second = " ".join(capsys.readouterr().err.split())

    assert f"{LOCK} does not have what was published" in first
    assert "Permission denied" in first
    assert f"{LOCK}: is no valid TOML" in second
    assert (monorepo.root / LOCK).read_text() == "broken"
