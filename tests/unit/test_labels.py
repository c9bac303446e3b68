"""What an image says of itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from archway.engine import LocalImage
from archway.errors import UsageError
from archway.labels import Parent, Revision, labels, recorded_parents
from archway.plan import make_plan
from archway.platforms import Platform
from archway.published import LOCK
from archway.references import Reference
from archway.selection import Selection
from tests.monorepo import Monorepo

ARM64 = Platform.parse("arm64")


def git(folder: Path, *words: str) -> str:
    options = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", *options, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git checkout with one commit."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("x")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "x")
    return tmp_path


def test_revision_is_the_commit_and_its_time(checkout: Path) -> None:
    """Without SOURCE_DATE_EPOCH the commit's time counts."""
    revision = Revision.read(checkout, source="")

    assert revision.commit == git(checkout, "rev-parse", "HEAD")
    assert revision.epoch == int(git(checkout, "log", "-1", "--format=%ct"))


def test_changed_checkout_is_dirty(checkout: Path) -> None:
    """An image that is built from uncommitted changes does not claim to be the commit."""
    (checkout / "file").write_text("y")

    assert Revision.read(checkout, source="").commit.endswith("-dirty")


def test_what_was_published_changes_only_images_that_are_handed_it(checkout: Path) -> None:
    """Publishing one image after another is no change of the second one; an operator that holds the file is changed."""
    commit = git(checkout, "rev-parse", "HEAD")
    (checkout / LOCK).write_text("")
    revision = Revision.read(checkout, source="")

    assert revision.of(frozenset({"source"})) == commit
    assert revision.of(frozenset({"source", "published"})) == f"{commit}-dirty"

    (checkout / "file").write_text("y")

    assert Revision.read(checkout, source="").of(frozenset({"published"})) == f"{commit}-dirty"


def test_source_date_epoch_wins(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SOURCE_DATE_EPOCH is the creation time, as reproducible builds want it."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")

    assert Revision.read(checkout, source="").epoch == 1_700_000_000


@pytest.mark.parametrize("value", ["yesterday", "-1", "1.5", "٣", "99999999999999"])
def test_source_date_epoch_must_be_a_number(checkout: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Anything else than a number of seconds is refused."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", value)

    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        Revision.read(checkout, source="")


def test_credentials_never_reach_a_label(checkout: Path) -> None:
    """The address of the origin is a label; the token in it is not, nor is a path of this machine."""
    git(checkout, "remote", "add", "origin", "https://user:token@git.example.org/archway.git")
    assert Revision.read(checkout, source="").source == "https://git.example.org/archway.git"

    git(checkout, "remote", "set-url", "origin", "/home/me/archway")
    assert Revision.read(checkout, source="").source == ""


def test_outside_of_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A monorepo without git has no revision, and can be built."""
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    assert Revision.read(tmp_path, source="x") == Revision(commit="", epoch=0, source="x")


def test_labels_of_an_image(monorepo: Monorepo) -> None:
    """The OCI labels and the base's digest are there; what is not known is left out."""
    monorepo.image("base", "FROM scratch\n")
    monorepo.image("products/app", "FROM base\n", releases='[[release]]\nversion = "1+2"\n')
    catalog = monorepo.catalog
    wanted = Selection(products=("app",), arch="arm64").requests(catalog, native=lambda: ARM64)
    base, app = make_plan(catalog, wanted, build_platform=ARM64)
    parent = Parent(reference=Reference(repository="r/base", tag="1"), digest="sha256:2")

    found = labels(app, Revision(commit="abc", epoch=1_700_000_000, source=""), {base.target: parent}, release="0.1.0")

    assert found["org.opencontainers.image.title"] == "app"
    assert found["org.opencontainers.image.version"] == "1+2"
    assert found["org.opencontainers.image.revision"] == "abc"
    assert found["org.opencontainers.image.created"] == "2023-11-14T22:13:20Z"
    assert found["org.opencontainers.image.base.name"] == "r/base:1"
    assert found["org.opencontainers.image.base.digest"] == "sha256:2"
    assert "org.opencontainers.image.source" not in found
    image = LocalImage(platform=ARM64, labels=found, repo_digest=None)
    assert recorded_parents(image) == {"base 1 arm64": "sha256:2"}
