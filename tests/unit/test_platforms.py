"""Platforms and their names."""

from __future__ import annotations

import pytest

from archway.errors import UsageError
from archway.platforms import TABLE, Platform, parse_platforms

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")


@pytest.mark.parametrize("word", ["arm64", "aarch64", "linux/arm64", "linux/arm64/v8", "ARM64", " arm64 "])
def test_arm64_has_many_names(word: str) -> None:
    """Every name of arm64 means the platform that is written linux/arm64, without variant."""
    assert Platform.parse(word) == ARM64
    assert str(Platform.parse(word)) == "linux/arm64"


@pytest.mark.parametrize("word", ["amd64", "x86_64", "x64", "linux/amd64"])
def test_amd64_has_many_names(word: str) -> None:
    """Every name of amd64 means the same platform."""
    assert Platform.parse(word) == AMD64


@pytest.mark.parametrize("word", ["arm/v7", "linux/arm/v7", "armhf", "armv7l", "armv7"])
def test_variants_that_differ_are_kept(word: str) -> None:
    """32-bit ARM keeps its variant."""
    assert str(Platform.parse(word)) == "linux/arm/v7"


@pytest.mark.parametrize("word", ["", "armm64", "windows/amd64", "linux/", "x" * 10_000, "linux/arm64/v9", "-h"])
def test_unknown_platforms_are_refused(word: str) -> None:
    """A word that is no platform is an error that repeats it."""
    with pytest.raises(UsageError, match="no platform"):
        Platform.parse(word)


def test_nearly_right_names_get_a_hint() -> None:
    """A slip of the finger is answered with the nearest names."""
    with pytest.raises(UsageError) as caught:
        Platform.parse("arm46")

    assert "did you mean" in caught.value.hint
    assert "arm64" in caught.value.hint


def test_each_row_of_the_table_is_found_by_its_names() -> None:
    """The table's OCI, uname and Debian words are all understood."""
    for names in TABLE:
        platform = Platform.parse(names.oci)

        assert str(platform) == names.oci
        assert platform == Platform.parse(names.uname) == Platform.parse(names.debian)
        assert platform.names is names


def test_list_of_platforms_keeps_order_and_drops_repetitions() -> None:
    """--arch arm64,amd64,aarch64 is arm64 and amd64."""
    assert parse_platforms("arm64, amd64,aarch64", default=()) == (ARM64, AMD64)


def test_all_means_the_platforms_of_the_monorepo() -> None:
    """--arch all is what the settings say."""
    assert parse_platforms("all", default=(ARM64,)) == (ARM64,)


def test_native_is_this_machine() -> None:
    """--arch native is the machine's own platform."""
    assert (Platform.native(),) == parse_platforms("native", default=())


@pytest.mark.parametrize("text", ["", ",", " , "])
def test_empty_lists_are_refused(text: str) -> None:
    """An --arch that names nothing is an error, not everything."""
    with pytest.raises(UsageError, match="names no platform"):
        parse_platforms(text, default=(ARM64,))
