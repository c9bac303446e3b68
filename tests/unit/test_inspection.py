"""What ``inv inspect`` expects of a name, and what it says when it finds something else or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from archway import inspection
from archway.catalog import Catalog
from archway.distribution import Config, Repository, Stored
from archway.distribution.documents import OCI_INDEX, OCI_MANIFEST
from archway.docker import EngineGoneError
from archway.engine import Engine, LocalImage
from archway.errors import ListError, RegistryError, UsageError
from archway.inspection import Expected, Inspection, expectation, resolve
from archway.platforms import Platform
from archway.references import Reference
from tests.monorepo import Monorepo

AMD64, ARM64, S390X = (Platform.parse(word) for word in ("amd64", "arm64", "s390x"))
OURS = "localhost:5000/archway"
TAG = "1.0-0.1.0-dev"


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    monorepo = Monorepo(tmp_path, 'images = ["*"]\nfloating_tags = "minor,latest"\n')
    releases = '[[release]]\nversion = "1.0"\n[[release]]\nversion = "2.0"\n'
    monorepo.image("app", "FROM scratch\n", releases=releases)
    monorepo.image("wide", "FROM scratch\n", 'platforms = ["linux/amd64", "linux/s390x"]\n')
    return monorepo.catalog


LIST = Expected(platforms=(AMD64, ARM64), kind="list")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"{OURS}/app:{TAG}", LIST),
        (f"{OURS}/app:2.0-0.1.0-dev", LIST),
        (f"{OURS}/app:1.0", LIST),
        (f"{OURS}/app:latest", LIST),
        (f"{OURS}/app:{TAG}-arm64", Expected(platforms=(ARM64,), kind="member")),
        (f"{OURS}/wide:1-0.1.0-dev", Expected(platforms=(AMD64, S390X), kind="list")),
        (f"{OURS}/wide:1-0.1.0-dev-s390x", Expected(platforms=(S390X,), kind="member")),
        (f"{OURS}/app:1.0-0.0.9", Expected(platforms=(AMD64, ARM64))),
        (f"{OURS}/app@sha256:{'0' * 64}", Expected(platforms=(AMD64, ARM64))),
        (f"{OURS}/other:latest", Expected()),
        (f"{OURS}/below/app:latest", Expected()),
        ("localhost:5000/library/app:latest", Expected()),
        ("docker.io/library/app:latest", Expected()),
        ("localhost:5001/archway/app:latest", Expected()),
        ("localhost:5000/app:latest", Expected()),
    ],
)
def test_what_is_expected(catalog: Catalog, name: str, expected: Expected) -> None:
    """Only names of the settings' registry and organization are judged by the metadata; their tags say as what."""
    assert expected == expectation(catalog, Reference.parse(name))


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ({"organization": "stable/team"}, "localhost:5000/stable/team/app"),
        ({"registry": "quay.io"}, "quay.io/archway/app"),
    ],
)
def test_options_count(catalog: Catalog, option: Mapping[str, str], name: str) -> None:
    """With --registry or --organization, it is the names there that are this monorepo's."""
    elsewhere = Catalog(catalog.settings.with_options(**option))

    assert expectation(elsewhere, Reference.parse(f"{name}:latest")) == LIST
    assert expectation(elsewhere, Reference.parse(f"{OURS}/app:latest")) == Expected()


@pytest.mark.parametrize("text", ["app=", "wide="])
def test_empty_version(catalog: Catalog, text: str) -> None:
    """A name with = and no version is refused, as --product refuses it, with what to say instead."""
    with pytest.raises(UsageError, match="has no version after =") as refused:
        resolve(catalog, text)

    assert refused.value.hint.startswith(f"say {text[:-1]} or {text}")


# --- what is found ---


class Shelf:
    """A repository of a few documents."""

    def __init__(self) -> None:
        self.stored: dict[str, Stored] = {}
        self.configs: dict[str, Config] = {}
        self.trouble: RegistryError | None = None

    def image(self, arch: str, tag: str = "") -> Stored:
        made = Stored(json.dumps({"mediaType": OCI_MANIFEST, "note": arch}).encode(), OCI_MANIFEST)
        platform = Platform.known(arch) or Platform("linux", arch)
        self.configs[made.digest] = Config(os=platform.os, architecture=platform.architecture)
        self.stored[made.digest] = made
        if tag:
            self.stored[tag] = made
        return made

    def index(self, tag: str, *archs: str) -> None:
        entries = [
            {"digest": self.image(arch).digest, "size": 1, "platform": {"os": "linux", "architecture": arch}}
            for arch in archs
        ]
        self.stored[tag] = Stored(json.dumps({"mediaType": OCI_INDEX, "manifests": entries}).encode(), OCI_INDEX)

    def get(self, reference: str) -> Stored | None:
        if self.trouble:
            raise self.trouble
        return self.stored.get(reference)

    def config(self, stored: Stored) -> Config:
        return self.configs[stored.digest]

    def nearest_tag(self, _tag: str) -> str:
        return "did you mean another one?"


@dataclass
class NoImages:
    """An engine without images, or none at all."""

    answers: bool = True
    asked: list[str] = field(default_factory=list)

    def image(self, name: str) -> LocalImage | None:
        self.asked.append(name)
        if not self.answers:
            raise EngineGoneError("the Docker engine does not answer")
        return None


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> Shelf:
    found = Shelf()
    monkeypatch.setattr(inspection, "repository_of", lambda *_: cast("Repository", found))
    return found


def look(catalog: Catalog, text: str, *, answers: bool = True, local: bool = False) -> Inspection:
    engine = cast("Engine", NoImages(answers))
    return inspection.inspect(engine, catalog.settings, catalog, resolve(catalog, text), local=local)


@pytest.mark.parametrize("tag", [TAG, "1.0", "latest"])
def test_one_image_where_a_list_belongs(catalog: Catalog, shelf: Shelf, tag: str) -> None:
    """One image under the tag of a list, or one that floats, is wrong, also when its platform is one of the list's."""
    shelf.image("amd64", tag)

    found = look(catalog, f"app:{tag}")

    assert found.faults == ("is one image (linux/amd64), and should be a list of linux/amd64, linux/arm64",)
    assert [row.platform for row in found.rows] == ["linux/amd64"]


@pytest.mark.parametrize(("arch", "said"), [("amd64", "linux/amd64"), ("386", "linux/386")])
def test_member_of_another_platform(catalog: Catalog, shelf: Shelf, arch: str, said: str) -> None:
    """A member's tag says which platform it is for."""
    shelf.image(arch, f"{TAG}-arm64")

    assert look(catalog, f"app:{TAG}-arm64").faults == (f"is for {said}, and should be for linux/arm64",)


def test_good_member(catalog: Catalog, shelf: Shelf) -> None:
    """A member is one image, or an index of one that stands beside its attestations."""
    shelf.image("arm64", f"{TAG}-arm64")
    shelf.index(f"{TAG}-amd64", "amd64")

    assert look(catalog, f"app:{TAG}-arm64").faults == ()
    assert look(catalog, f"app:{TAG}-amd64").faults == ()


def test_list_under_the_tag_of_a_member(catalog: Catalog, shelf: Shelf) -> None:
    """A list of several images is not the member that its tag promises."""
    shelf.index(f"{TAG}-amd64", "amd64", "arm64")

    assert look(catalog, f"app:{TAG}-amd64").faults == ("holds linux/arm64, which is not wanted",)


@pytest.mark.parametrize("name", ["docker.io/library/app:latest", "localhost:5000/library/app:1.0"])
def test_what_is_not_ours(catalog: Catalog, shelf: Shelf, name: str) -> None:
    """An image of somebody else's that has the same last name may be for any platforms, and one image."""
    tag = name.rpartition(":")[2]
    shelf.index(tag, "s390x", "386")
    listed = look(catalog, name)
    shelf.image("386", tag)

    assert listed.faults == ()
    assert look(catalog, name).faults == ()


# --- what is not found ---


def test_local_without_an_engine(catalog: Catalog, shelf: Shelf) -> None:
    """With --local, an engine that is gone is the error, and not that the image is missing."""
    shelf.index(TAG, "amd64", "arm64")
    with pytest.raises(EngineGoneError, match="does not answer") as gone:
        look(catalog, "app=1.0", answers=False, local=True)

    assert gone.value.exit_code == 4


@pytest.mark.parametrize(
    ("answers", "local", "why"),
    [
        (True, False, "neither the registry nor the engine has it"),
        (False, False, "the registry does not have it, and no engine answers"),
        (True, True, "the engine does not have it"),
    ],
)
def test_who_was_asked(catalog: Catalog, shelf: Shelf, answers: bool, local: bool, why: str) -> None:
    """What is missing is told with who was asked; the registry's tags are a hint only where it was."""
    with pytest.raises(ListError) as missing:
        look(catalog, "app", answers=answers, local=local)

    assert missing.value.why == why
    assert bool(missing.value.hint) is not local
    assert shelf.stored == {}


def test_registry_in_trouble_and_no_engine(catalog: Catalog, shelf: Shelf) -> None:
    """When the registry cannot be asked and there is no engine, the registry's trouble is told."""
    shelf.trouble = RegistryError("the registry cannot be reached", passing=True)

    with pytest.raises(RegistryError, match="cannot be reached"):
        look(catalog, "app", answers=False)
