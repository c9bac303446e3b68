"""Images of a real registry, proven by their reference, without an engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from archway.engine import Engine
from archway.errors import ListError, RegistryError, UsageError
from archway.platforms import Platform
from archway.verify import Report
from archway.verify_reference import verify_reference
from tests.images import Pushed, program
from tests.monorepo import Monorepo

AMD64, ARM64 = Platform.parse("amd64"), Platform.parse("arm64")


class NoEngine(Engine):
    """No engine answers."""

    @property
    def answers(self) -> bool:
        return False


@pytest.fixture
def shelf(registry: str) -> Pushed:
    return Pushed(registry, "others/app")


def proven(tmp_path: Path, text: str, *platforms: Platform) -> list[Report]:
    settings = Monorepo(tmp_path).catalog.settings
    return list(verify_reference(NoEngine(), settings, text, platforms))


def rules(found: list[Report]) -> list[tuple[str, list[str]]]:
    return [(str(it.platform or "list"), [finding.rule for finding in it.findings]) for it in found]


def test_right_list(tmp_path: Path, shelf: Pushed) -> None:
    """A list with the right image for each platform has no finding, and an attestation is no image of it."""
    entries = [shelf.entry(shelf.image("", arch), arch) for arch in ("amd64", "arm64")]
    shelf.index("right", entries)

    assert rules(proven(tmp_path, f"{shelf.host}/{shelf.path}:right")) == [
        ("linux/amd64", []), ("linux/arm64", []), ("list", []),
    ]  # fmt: skip


def test_amd64_image_under_arm64(tmp_path: Path, shelf: Pushed) -> None:
    """A list whose arm64 entry is an amd64 image is refused, by what the list says of it (B7)."""
    right = shelf.entry(shelf.image("", "amd64"), "amd64")
    wrong = shelf.entry(shelf.image("", "amd64", files={"bin/other": program(AMD64)}), "arm64")
    shelf.index("wrong", [right, wrong])
    found = dict(rules(proven(tmp_path, f"{shelf.host}/{shelf.path}:wrong")))

    assert found["linux/arm64"] == ["config-platform", "elf-machine"]


def test_one_platform_of_a_list(tmp_path: Path, shelf: Pushed) -> None:
    """Only what was asked for is downloaded and proven; what the list lacks is a finding."""
    shelf.index("amd64", [shelf.entry(shelf.image("", "amd64"), "amd64")])
    name = f"{shelf.host}/{shelf.path}:amd64"

    assert rules(proven(tmp_path, name, AMD64)) == [("linux/amd64", [])]
    assert rules(proven(tmp_path, name, ARM64)) == [("linux/arm64", ["config-platform"])]


def test_layers_are_downloaded_once(tmp_path: Path, shelf: Pushed) -> None:
    """A layer that was read before is not asked for again, also after the registry lost it."""
    digest = shelf.image("once", "arm64")
    name = f"{shelf.host}/{shelf.path}@{digest}"
    first = proven(tmp_path, name)
    shelf.ask("DELETE", f"blobs/{shelf.blobs[-1]}")
    again = proven(tmp_path, name)

    assert rules(first) == rules(again) == [("linux/arm64", [])]
    assert again[0].elf_files == 1


def test_nobody_has_it(tmp_path: Path, shelf: Pushed) -> None:
    """A tag that is nowhere is refused with the nearest one."""
    shelf.image("4.0.1", "amd64")
    with pytest.raises(ListError, match=r"is not there(?s:.)*4\.0\.1"):
        proven(tmp_path, f"{shelf.host}/{shelf.path}:4.0.2")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("/nowhere/image.tar", "there is no such file"), ("image.tar", "there is no such file"), ("/", "is a folder"),
        ("x" * 5000, "no name of an image and no file"), ("Ab:c:d", "is no name of an image"),
        ("a\0b", "no name of an image"),
    ],
)  # fmt: skip
def test_what_is_no_reference(tmp_path: Path, text: str, what: str) -> None:
    """A path is not taken for a name, and what is neither is refused in a few words."""
    with pytest.raises(UsageError) as told:
        proven(tmp_path, text)

    assert what in str(told.value)
    assert len(str(told.value)) < 600


def test_registry_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that does not answer is told as such."""
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(RegistryError):
        proven(tmp_path, "127.0.0.1:9/others/app:1")
