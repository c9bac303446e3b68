"""What ``inv images`` says of images that the engine or a registry cannot tell about."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from archway import inventory as module
from archway.distribution import Registry, Repository, Stored
from archway.distribution.documents import OCI_INDEX
from archway.engine import Engine, LocalImage
from archway.errors import AccessError, RegistryError
from archway.inventory import Built, Published, inventory
from archway.labels import INPUT_DIGEST
from archway.lists import Wanted
from archway.platforms import Platform
from archway.references import Reference
from archway.selection import Selection
from archway.settings import Settings
from archway.wanted import wanted_lists
from tests.monorepo import Monorepo

AMD64 = Platform.parse("amd64")


@dataclass
class Store:
    """An engine with some images."""

    answers: bool = True
    images: dict[str, LocalImage] = field(default_factory=dict)

    def image(self, name: str) -> LocalImage | None:
        return self.images.get(name)


@dataclass(frozen=True)
class Troubled(Repository):
    """A repository that is empty, or in trouble; it counts how often it was asked."""

    trouble: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def get(self, reference: str, *, patience: float = 0.0) -> Stored | None:
        self.asked.append(reference)
        if isinstance(self.trouble, RegistryError):
            raise self.trouble
        return Stored(b'{"manifests": [{"digest": 1}]}', OCI_INDEX) if self.trouble else None

    def digest(self, _reference: str) -> str | None:
        return None


@dataclass
class Place:
    settings: Settings
    lists: tuple[Wanted, ...]
    engine: Store
    repositories: dict[str, Troubled] = field(default_factory=dict)

    def trouble(self, image: str, trouble: Exception, *, answers: bool = True) -> None:
        registry = cast("Registry", SimpleNamespace(answers=answers, host="x"))
        self.repositories[f"archway/{image}"] = Troubled(registry, image, trouble)

    def published(self) -> list[tuple[str, str]]:
        """What stands in the cells of one line of each image."""
        items = inventory(cast("Engine", self.engine), self.settings, self.lists)
        return [(item.published, item.list_state) for item in items[::2]]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monorepo = Monorepo(tmp_path, 'images = ["*"]\n')
    for name in ("app", "tool"):
        monorepo.image(name, "FROM scratch\n")
    catalog = monorepo.catalog
    requests = Selection.of([], [], ["app", "tool"], everything=False).requests(catalog, native=lambda: AMD64)
    lists = wanted_lists(catalog, requests, build_platform=AMD64)
    made = Place(catalog.settings, lists, Store())
    fine = Troubled(cast("Registry", SimpleNamespace(answers=True, host="x")), "fine")

    def repository_of(_settings: Settings, reference: Reference) -> Repository:
        return made.repositories.get(reference.path, fine)

    monkeypatch.setattr(module, "repository_of", repository_of)
    return made


MISSING = ("missing", "missing")


@pytest.mark.parametrize(
    ("trouble", "cell"),
    [
        (AccessError("no rights"), "no rights"),
        (AccessError("not logged in"), "no rights"),
        (RegistryError("a document is not what it should be"), "unreadable"),
        (ValueError("a malformed manifest"), "unreadable"),
    ],
)
def test_trouble_of_one_image(place: Place, trouble: Exception, cell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Missing rights, or a manifest that cannot be read, are one image's: the others are told, and the trouble too."""
    place.trouble("app", trouble)

    assert place.published() == [(cell, cell), MISSING]
    assert capsys.readouterr().err.strip()


@pytest.mark.parametrize(("passing", "answers"), [(True, True), (True, False), (False, False)])
def test_registry_that_is_out_of_reach(
    place: Place, passing: bool, answers: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A registry that cannot be reached, or fails for now, is asked once and told once."""
    trouble = RegistryError("the registry cannot be reached", passing=passing)
    for image in ("app", "tool"):
        place.trouble(image, trouble, answers=answers)

    assert place.published() == [("no answer", "no answer")] * 2
    assert [len(one.asked) for one in place.repositories.values()] == [1, 0]
    assert capsys.readouterr().err.count("cannot be reached") == 1


def test_trouble_and_what_is_built(place: Place) -> None:
    """What the engine has is told whatever the registry says."""
    step = place.lists[0].steps[0]
    labels = {INPUT_DIGEST: min(place.lists[0].inputs[AMD64])}
    place.engine.images[str(step.reference)] = LocalImage(platform=AMD64, labels=labels, repo_digest=None)
    place.trouble("app", AccessError("no rights"))
    items = inventory(cast("Engine", place.engine), place.settings, place.lists)

    assert [item.built for item in items] == [Built.YES, Built.NO, Built.NO, Built.NO]
    assert items[0].published is Published.NO_RIGHTS


@pytest.mark.parametrize("platform", [None, Platform.parse("arm64")])
def test_image_of_another_platform(place: Place, platform: Platform | None) -> None:
    """An image of another platform under a member's name, also of one that archway does not know, is stale."""
    step = place.lists[0].steps[0]
    labels = {INPUT_DIGEST: min(place.lists[0].inputs[AMD64])}
    place.engine.images[str(step.reference)] = LocalImage(platform=platform, labels=labels, repo_digest=None)

    assert inventory(cast("Engine", place.engine), place.settings, place.lists)[0].built is Built.STALE


@pytest.mark.parametrize(
    ("words", "platform"),
    [
        (("linux", "386", ""), None),
        (("windows", "amd64", None), None),
        (("linux", "arm64", "v8"), Platform.parse("arm64")),
        (("linux", "arm", "v7"), Platform.parse("arm/v7")),
    ],
)
def test_platforms_in_the_engine(words: tuple[str, str, str | None], platform: Platform | None) -> None:
    """An image of a platform that archway does not know is read like any other."""
    os, architecture, variant = words
    found = SimpleNamespace(
        os=os, architecture=architecture, variant=variant, config=None, repo_digests=[], id="sha256:1"
    )
    engine = Engine()
    engine.__dict__["_client"] = SimpleNamespace(image=SimpleNamespace(inspect=lambda _name: found))
    image = engine.image("x")

    assert image
    assert image.platform == platform
    assert image.id == "sha256:1"
