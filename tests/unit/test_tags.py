"""The tags of an image."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from archway import tags
from archway.catalog import Catalog
from archway.errors import MetadataError
from archway.plan import make_plan
from archway.platforms import Platform
from archway.selection import Request
from archway.settings import FLOATING_TAGS
from tests.monorepo import Monorepo

ALL = ",".join(FLOATING_TAGS)
AMD64 = Platform.parse("amd64")


def catalog(folder: Path, *versions: str, floating: str = "", release: str = "r", platforms: str = "") -> Catalog:
    """The image hive with these versions; * marks the default. Each [[release]] has two lines, the first is line 3."""
    monorepo = Monorepo(folder, f'release = "{release}"\nfloating-tags = "{floating}"\n')
    releases = "".join(
        f'[[release]]\nversion = "{version.rstrip("*")}"\n' + "default = true\n" * version.endswith("*")
        for version in versions
    )
    monorepo.image("hive", "FROM scratch\n", platforms, releases=releases)
    return monorepo.catalog


def floats(found: Catalog) -> dict[str, str]:
    """The floating tags of each release."""
    image = found.image("hive")
    return {
        release.version: " ".join(it.tag for it in tags.floating(image, release, found.settings))
        for release in image.releases
    }


def complaint(found: Catalog) -> str:
    with pytest.raises(MetadataError) as caught:
        tags.check(found.image("hive"), found.settings)
    return str(caught.value)


def test_list_of_a_release(tmp_path: Path) -> None:
    """The list of a release is named by version and the monorepo's release."""
    found = catalog(tmp_path, "4.0.1+1")
    image = found.image("hive")

    assert str(tags.list_of(image, image.release(), found.settings)) == "localhost:5000/archway/hive:4.0.1-1-r"


def test_nothing_floats_unless_it_is_set(tmp_path: Path) -> None:
    """Without the setting a release has no other tags than its own."""
    assert floats(catalog(tmp_path, "4.0.1")) == {"4.0.1": ""}


def test_floating_tags_stand_beside_the_list(tmp_path: Path) -> None:
    """A floating tag is in the repository of the image; they come in the order of the setting."""
    found = catalog(tmp_path, "4.0.1", floating="latest,version")
    image = found.image("hive")

    references = tags.floating(image, image.release(), found.settings)

    assert [str(it) for it in references] == ["localhost:5000/archway/hive:latest", "localhost:5000/archway/hive:4.0.1"]


@pytest.mark.parametrize(
    ("floating", "expected"),
    [
        (ALL, {"3.1.3": "3.1.3 3.1 3", "4.0.0": "4.0.0", "4.0.1": "4.0.1 4.0", "4.1.0": "4.1.0 4.1 4 latest"}),
        ("version", {"3.1.3": "3.1.3", "4.0.0": "4.0.0", "4.0.1": "4.0.1", "4.1.0": "4.1.0"}),
        ("minor", {"3.1.3": "3.1", "4.0.0": "", "4.0.1": "4.0", "4.1.0": "4.1"}),
        ("major", {"3.1.3": "3", "4.0.0": "", "4.0.1": "", "4.1.0": "4"}),
        ("latest", {"3.1.3": "", "4.0.0": "", "4.0.1": "", "4.1.0": "latest"}),
    ],
)
def test_each_word_gives_its_tags(tmp_path: Path, floating: str, expected: dict[str, str]) -> None:
    """Every release has its version, and the newest of a minor or a major version has that."""
    assert expected == floats(catalog(tmp_path, *expected, floating=floating))


@pytest.mark.parametrize("versions", list(permutations(["4.0.9", "4.0.10", "4.0.2"])))
def test_newest_is_by_number(tmp_path: Path, versions: tuple[str, ...]) -> None:
    """4.0.10 is newer than 4.0.9, wherever it stands in the file."""
    found = floats(catalog(tmp_path, *versions, floating="minor,major,latest"))

    assert found == {"4.0.9": "", "4.0.10": "4.0 4 latest", "4.0.2": ""}


@pytest.mark.parametrize(
    "expected",
    [
        {"4.0.1": "4.0 4", "4.0.2rc1": "", "4.1.dev1": "", "4.0.2a1+x": ""},
        {"5.0rc1": ""},
        {"4.0.1": "", "4.0.1.post1": "4.0 4", "4.0.1-1": ""},
        {"4.0.1": "", "4.0.1+1": "4.0 4"},
        {"21": "21"},
        {"8": "8", "21": "21"},
        {"21": "", "21.0.2": "21.0 21"},
        {"4.1-ubuntu": "", "nightly": "", "2024-01-15": "", "4.0": "4.0 4"},
        {"v4.0.1": "4.0 4"},
        {"24.04": "24.04 24", "22.10": "22.10 22"},
        {"24.4.0": "", "24.04.1": "24.04 24"},
        {"4.0": "", "4.0.0": "4.0 4"},
        {"0.9": "0.9 0", "_1.0": ""},
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_minor_and_major(tmp_path: Path, expected: dict[str, str], backwards: bool) -> None:
    """Only a finished version that has an order has them: with as many numbers, written as it writes them."""
    versions = sorted(expected, reverse=backwards)

    assert expected == floats(catalog(tmp_path, *versions, floating="minor,major"))


def test_two_spellings_of_a_post_release(tmp_path: Path) -> None:
    """Of equal versions one has the tags, whichever stands first."""
    for versions in permutations(["1.0.post1", "1.0-1"]):
        assert floats(catalog(tmp_path, *versions, floating="major")) == {"1.0.post1": "1", "1.0-1": ""}


def test_an_epoch_is_no_part_of_a_version(tmp_path: Path) -> None:
    """An image.toml cannot hold one, so no tag needs to say what it does: a tag may not hold ! either."""
    with pytest.raises(MetadataError, match=r"release\.version"):
        floats(catalog(tmp_path, "1!4.0", floating=ALL))


def test_latest_is_the_default(tmp_path: Path) -> None:
    """What FROM hive means is latest, also where a newer one is there."""
    found = catalog(tmp_path, "3.1.3*", "4.0.1", floating="major,latest")

    assert floats(found) == {"3.1.3": "3 latest", "4.0.1": "4"}


def test_one_name_is_there_once(tmp_path: Path) -> None:
    """A version that is its own major version, or is called latest, has one tag for both."""
    assert floats(catalog(tmp_path, "21", floating=ALL)) == {"21": "21 latest"}
    assert floats(catalog(tmp_path, "latest", floating=ALL)) == {"latest": "latest"}


@pytest.mark.parametrize(
    "versions",
    [
        ("4.0.1", "4.0.2", "4.1.0rc1"),
        ("21", "22"),
        ("1-amd64", "2"),
        ("latest*", "2"),
        ("1" * 100,),
        ("1.0+a", "1.0-b"),
    ],
)
def test_tags_that_differ(tmp_path: Path, versions: tuple[str, ...]) -> None:
    """Different tags are no mistake, and neither is one thing with two reasons for its tag."""
    found = catalog(tmp_path, *versions, floating=ALL)

    tags.check(found.image("hive"), found.settings)


def test_member_and_list(tmp_path: Path) -> None:
    """Release amd64 makes the list of 1-amd64 and the amd64 image of 1 one name; both are told, with their lines."""
    text = complaint(catalog(tmp_path, "1", "1-amd64", release="amd64"))

    expected = (
        "hive/image.toml:6: the tag 1-amd64-amd64 would name the image of 1 for linux/amd64 (hive/image.toml:4), "
        "and the list of 1-amd64\n"
        "  rename one of the versions, or change the setting release"
    )
    assert expected == text


@pytest.mark.parametrize(
    ("versions", "first", "then", "name"),
    [
        (("1", "1-r"), "the list of 1", "the list of 1-r by floating-tags", "1-r"),
        (("1-r", "1"), "the list of 1-r by floating-tags", "the list of 1", "1-r"),
        (("1", "1-r-arm64"), "the image of 1 for linux/arm64", "the list of 1-r-arm64 by floating-tags", "1-r-arm64"),
    ],
)
def test_floating_tag_and_another(tmp_path: Path, versions: tuple[str, ...], first: str, then: str, name: str) -> None:
    """Two things that would overwrite each other are both told, with their lines and what to change."""
    text = complaint(catalog(tmp_path, *versions, floating="version"))

    expected = (
        f"hive/image.toml:6: the tag {name} would name {first} (hive/image.toml:4), and {then}\n"
        "  rename one of the versions, or change the setting floating-tags or release"
    )
    assert expected == text


@pytest.mark.parametrize(
    ("versions", "name"), [(("21.0.2", "21"), "21"), (("4.0", "4.0.1"), "4.0"), (("9", "latest"), "latest")]
)
def test_two_floating_tags(tmp_path: Path, versions: tuple[str, str], name: str) -> None:
    """A version that is written as what another one would float by is told; another release does not help."""
    first, then = versions
    text = complaint(catalog(tmp_path, *versions, floating=ALL))

    expected = (
        f"hive/image.toml:6: the tag {name} would name the list of {first} by floating-tags (hive/image.toml:4), "
        f"and the list of {then} by floating-tags\n"
        "  rename one of the versions, or change the setting floating-tags"
    )
    assert expected == text


def test_only_platforms_of_the_image_count(tmp_path: Path) -> None:
    """An image that is never made for amd64 has no member that could be in the way."""
    found = catalog(tmp_path, "1", "1-amd64", release="amd64", platforms='platforms = ["linux/arm64"]\n')

    tags.check(found.image("hive"), found.settings)


def test_platforms_beyond_the_settings_count(tmp_path: Path) -> None:
    """The image's own platforms count where it names them, not the monorepo's."""
    found = catalog(tmp_path, "1", "1-s390x", release="s390x", platforms='platforms = ["linux/s390x"]\n')

    assert "the image of 1 for linux/s390x" in complaint(found)


def test_too_long_tags_are_told_with_their_line(tmp_path: Path) -> None:
    """All versions that do not fit are told together: a registry takes 128 characters, the platform included."""
    text = complaint(catalog(tmp_path, "1" * 80, "2", "3" * 81, release="r" * 42))

    assert text.count("cannot be a tag") == 2
    assert f"hive/image.toml:4: '{'1' * 80}-{'r' * 42}-amd64' cannot be a tag\n  shorten the version" in text
    assert "hive/image.toml:8: " in text


def test_every_command_tells_it(tmp_path: Path) -> None:
    """A plan for one version is refused for another's tag: what is pushed later would overwrite it."""
    found = catalog(tmp_path, "1", "1-amd64", "2*", release="amd64")
    image = found.image("hive")

    with pytest.raises(MetadataError, match="the tag 1-amd64-amd64 would name"):
        make_plan(found, [Request(image=image, release=image.release(), platforms=(AMD64,))], build_platform=AMD64)


def test_an_image_below_is_checked_as_well(tmp_path: Path) -> None:
    """What a wanted image stands on is built and named too."""
    catalog(tmp_path, "1*", "1-amd64", release="amd64")
    monorepo = Monorepo(tmp_path, 'release = "amd64"\n')
    monorepo.image("app", "FROM hive\n")
    found = monorepo.catalog
    image = found.image("app")

    with pytest.raises(MetadataError, match=r"hive/image\.toml:7: the tag 1-amd64-amd64"):
        make_plan(found, [Request(image=image, release=image.release(), platforms=(AMD64,))], build_platform=AMD64)
