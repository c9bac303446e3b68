"""Reading image.toml."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from archway.errors import MetadataError
from archway.metadata import Metadata, read_metadata

GOOD = """\
    description = "Apache Hive"
    licenses = "apache-2.0"

    [[release]]
    version = "4.0.1"
    [release.args]
    HIVE_VERSION = "4.0.1"
    """


def read(folder: Path, text: str) -> Metadata:
    path = folder / "image.toml"
    path.write_text(dedent(text))
    return read_metadata(path, shown="products/x/image.toml")


def complaint(folder: Path, text: str) -> str:
    with pytest.raises(MetadataError) as caught:
        read(folder, text)
    return str(caught.value)


def test_small_file_is_enough(tmp_path: Path) -> None:
    """Description, licence and one release make an image; the licence is written as SPDX has it."""
    metadata = read(tmp_path, GOOD)

    assert metadata.licenses == "Apache-2.0"
    assert metadata.release[0].args == {"HIVE_VERSION": "4.0.1"}
    assert metadata.platforms is None


def test_all_mistakes_are_told_together_with_their_lines(tmp_path: Path) -> None:
    """Each mistake has the file and the line, and none hides another."""
    text = complaint(
        tmp_path,
        """\
        description = ""
        licenses = "My own"
        platfroms = ["linux/amd64"]

        [[release]]
        version = "1"

        [[release]]
        version = "a b"
        defualt = true

        [smoke]
        command = []
        timeout = 0
        """,
    )

    for line, words in [(1, "description"), (2, "SPDX"), (3, "platfroms"), (9, "release.version"), (10, "defualt"),
                        (13, "smoke.command"), (14, "smoke.timeout")]:  # fmt: skip
        assert f"products/x/image.toml:{line}: " in text, text
        assert words in text
    assert "did you mean platforms?" in text
    assert "did you mean default?" in text


def test_broken_toml_has_file_and_line(tmp_path: Path) -> None:
    """A syntax error is told with the line that tomllib found."""
    assert "products/x/image.toml:2: is no valid TOML" in complaint(tmp_path, 'description = "x"\nlicenses = \n')


def test_missing_keys_are_named(tmp_path: Path) -> None:
    """An empty file lacks what every image needs."""
    text = complaint(tmp_path, "")

    for key in ("description", "licenses", "release"):
        assert f"{key} is missing" in text


def test_unknown_platform_is_told(tmp_path: Path) -> None:
    """A platform that archway does not know is a mistake of the file, with the nearest names."""
    text = complaint(tmp_path, 'platforms = ["linux/arm46"]\n' + dedent(GOOD))

    assert "'linux/arm46' is no platform" in text
    assert "did you mean linux/arm64" in text


def test_versions_that_give_one_tag_are_refused(tmp_path: Path) -> None:
    """1.0+1 and 1.0-1 would have the same tag."""
    text = complaint(
        tmp_path,
        'description = "x"\nlicenses = "MIT"\n[[release]]\nversion = "1.0+1"\n[[release]]\nversion = "1.0-1"\n',
    )

    assert "image.toml:6: versions 1.0+1 and 1.0-1 would have the same tag" in text


def test_repeated_versions_and_two_defaults_are_refused(tmp_path: Path) -> None:
    """A version stands once, and one release at most is the default."""
    text = complaint(
        tmp_path,
        """\
        description = "x"
        licenses = "MIT"
        [[release]]
        version = "1"
        default = true
        [[release]]
        version = "1"
        default = true
        """,
    )

    assert "image.toml:7: version 1 stands twice" in text
    assert "both 1 and 1 are the default" in text


@pytest.mark.parametrize(
    "name", ["TARGETARCH", "BUILDPLATFORM", "TARGET_DEBIAN", "BUILDKIT_SYNTAX", "SOURCE_DATE_EPOCH"]
)
def test_arguments_of_the_build_itself_are_refused(tmp_path: Path, name: str) -> None:
    """A release cannot say that every platform is amd64."""
    text = complaint(tmp_path, dedent(GOOD) + f'{name} = "amd64"\n')

    assert f"{name} is set by the build itself" in text


def test_reason_of_an_exception_is_required(tmp_path: Path) -> None:
    """An exception of verify without a reason is refused."""
    text = complaint(tmp_path, dedent(GOOD) + '[[verify.allow]]\npath = "/x"\nreason = " "\n')

    assert "image.toml:10: verify.allow.reason" in text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('rule = "elf-needd"', "elf-needd is no rule (did you mean elf-needed"),
        ('rule = "empty"', "empty cannot be allowed"),
        ('platforms = ["linux/arm46"]', "did you mean"),
        ("platforms = []", "verify.allow.platforms"),
    ],
)
def test_exceptions_name_what_there_is(tmp_path: Path, line: str, words: str) -> None:
    """An exception is for a rule that takes exceptions, and for platforms that there are; else its line is told."""
    text = complaint(tmp_path, dedent(GOOD) + f'[[verify.allow]]\npath = "/x"\nreason = "why"\n{line}\n')

    assert "image.toml:11: " in text
    assert words in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfe", "is not UTF-8"),
        (b'x = "\x00"', "is no valid TOML"),
        (b"a = " + b"[" * 100_000, "is no valid TOML"),
    ],
)
def test_hostile_files_end_with_a_message(tmp_path: Path, content: bytes, words: str) -> None:
    """Bytes that are no text, and nesting without end, are errors like any other."""
    path = tmp_path / "image.toml"
    path.write_bytes(content)

    with pytest.raises(MetadataError, match=words):
        read_metadata(path, shown="image.toml")


def test_missing_file_is_told(tmp_path: Path) -> None:
    """A folder with a Dockerfile and no image.toml is told what is missing."""
    with pytest.raises(MetadataError, match=r"there is no image\.toml"):
        read_metadata(tmp_path / "image.toml", shown="image.toml")


def test_number_instead_of_text_is_refused(tmp_path: Path) -> None:
    """A version is a string: 4.10 as a number would become 4.1."""
    text = complaint(tmp_path, 'description = "x"\nlicenses = "MIT"\n[[release]]\nversion = 4.10\n')

    assert "image.toml:4: release.version: Input should be a valid string" in text
