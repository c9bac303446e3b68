"""Sources that are folders of the monorepo."""

from __future__ import annotations

from pathlib import Path

import pytest

from archway.engine import Engine
from archway.errors import MetadataError
from archway.sources import fetch, identity
from tests.monorepo import Monorepo

IMAGE = """\
[[release]]
version = "1"
[[release]]
version = "2"
[release.source]
path = "{path}"
"""


def get(monorepo: Monorepo, path: str) -> Path:
    monorepo.image("operators/x", "FROM base\n", releases=IMAGE.format(path=path))
    image = monorepo.catalog.image("x-operator")
    source = image.releases[1].source
    assert source is not None
    identity(source, image)
    return fetch(Engine(), monorepo.catalog.settings, source, image)


@pytest.mark.parametrize("path", [".", "program", "../../shared/program"])
def test_folder_of_the_monorepo(monorepo: Monorepo, path: str) -> None:
    """A folder is taken as it is, relative to the image's."""
    monorepo.write(f"operators/x/{path}/Cargo.toml", "[package]\n")

    assert get(monorepo, path) == (monorepo.root / "operators/x" / path).resolve()


def test_link_inside_the_monorepo(monorepo: Monorepo) -> None:
    """A link is followed."""
    real = monorepo.write("shared/program/Cargo.toml", "").parent
    (monorepo.root / "link").symlink_to("shared/program")

    assert get(monorepo, "../../link") == real


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("..", r"holds no Cargo\.toml"),
        ("../..", "is the whole monorepo"),
        ("../../..", "lies outside of the monorepo"),
        ("/", "lies outside of the monorepo"),
        ("../../outside", "lies outside of the monorepo"),
        ("../../circle", "cannot be read|does not exist"),
        ("Dockerfile", "is no folder"),
        ("missing", "does not exist"),
    ],
)
def test_unfit_folders(monorepo: Monorepo, path: str, words: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is no Cargo project of this monorepo is refused with the line of image.toml, links resolved."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "Cargo.toml").write_text("")
    (monorepo.root / "outside").symlink_to(outside)
    (monorepo.root / "circle").symlink_to("circle")

    (monorepo.root / "Cargo.toml").write_text("")

    with pytest.raises(MetadataError, match=words) as refused:
        get(monorepo, path)

    assert refused.value.where == "operators/x/image.toml:8"


def test_nearly_right_folder(monorepo: Monorepo) -> None:
    """A folder that is nearly right gets the right one told."""
    monorepo.write("operators/x/program/Cargo.toml", "")

    with pytest.raises(MetadataError) as refused:
        get(monorepo, "programm")

    assert refused.value.hint == "did you mean program?"


def test_identity_is_that_of_the_files(monorepo: Monorepo) -> None:
    """The identity changes when a file does."""
    monorepo.write("operators/x/Cargo.toml", "[package]\n")
    monorepo.image("operators/x", "FROM base\n", releases=IMAGE.format(path="."))
    image = monorepo.catalog.image("x-operator")
    source = image.releases[1].source
    assert source is not None
    before = identity(source, image)
    again = identity(source, image)
    monorepo.write("operators/x/src/main.rs", "fn main() {}\n")

    assert before == again
    assert identity(source, image) != before
