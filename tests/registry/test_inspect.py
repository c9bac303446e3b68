"""What ``inv inspect`` and ``inv images`` read, from a real registry, without an engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from archway.engine import Engine, LocalImage
from archway.errors import AccessError, ListError, MachineError, RegistryError, UsageError
from archway.inspection import Inspection, inspect, judge, resolve
from archway.inventory import Built, Item, Published, inventory
from archway.labels import INPUT_DIGEST, OCI
from archway.platforms import Platform
from archway.report_lists import print_inspection, print_items
from archway.selection import Selection
from archway.wanted import wanted_lists
from tests.images import DOCKER, OCI_INDEX
from tests.registries import Proxy
from tests.registry.test_lists import AMD64, ARM64, TAG, Place, make_place


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were to be waited; none is."""
    found: list[float] = []
    monkeypatch.setattr("archway.distribution.transport.pause", found.append)
    return found


@pytest.fixture
def place(tmp_path: Path, registry: str) -> Place:
    return make_place(tmp_path / "monorepo", registry)


@dataclass
class NoEngine:
    """An engine that does not answer, or has some images."""

    answers: bool = False
    images: Mapping[str, LocalImage] = field(default_factory=dict)

    def image(self, name: str) -> LocalImage | None:
        if not self.answers:
            raise MachineError("no engine answers")
        return self.images.get(name)


def engine(**images: LocalImage) -> Engine:
    return cast("Engine", NoEngine(bool(images), images))


def look(place: Place, text: str = "test-app", *, local: bool = False) -> Inspection:
    catalog = place.monorepo.catalog
    return inspect(engine(), place.settings, catalog, resolve(catalog, text), local=local)


def publish(place: Place, *archs: str, **entries: object) -> str:
    """Have a list of plain members; its digest. ``entries`` override what the list says of each."""
    named = [place.repository.entry(place.member(arch), arch) | entries for arch in archs or ("amd64", "arm64")]
    return place.repository.index(TAG, named)


def data_of(place: Place, reference: str) -> bytes:
    return place.repository.ask("GET", f"manifests/{reference}", Accept=f"{DOCKER}, {OCI_INDEX}")[0]


# --- names ---


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("test-app", "{host}/archway/test-app:1-0.1.0-dev"),
        ("test-app=1", "{host}/archway/test-app:1-0.1.0-dev"),
        ("test-app:latest", "{host}/archway/test-app:latest"),
        ("other:1", "{host}/archway/other:1"),
        ("below/other", "{host}/archway/below/other:latest"),
        (f"test-app@sha256:{'0' * 64}", f"{{host}}/archway/test-app@sha256:{'0' * 64}"),
        ("quay.io/other/test-app:1", "quay.io/other/test-app:1"),
        ("localhost/test-app", "localhost/test-app:latest"),
    ],
)
def test_names(place: Place, text: str, reference: str) -> None:
    """An image of the monorepo is its list; with a tag, a digest or a registry a name is what it says."""
    assert reference.format(host=place.host) == str(resolve(place.monorepo.catalog, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("test-ap", "did you mean test-app"),
        ("test-app=2", "2"),
        ("test-app:", "no name of an image"),
        ("test-app@sha256:12", "no name of an image"),
        ("Test:1", "no name of an image"),
    ],
)
def test_no_names(place: Place, text: str, message: str) -> None:
    """What is no name, or nothing of the monorepo, is refused before a registry is asked."""
    with pytest.raises(UsageError, match=message):
        resolve(place.monorepo.catalog, text)


# --- what is there ---


def test_list(place: Place) -> None:
    """A list is shown with its images: platform, digest, size as stored, version, and attestations counted."""
    amd64 = place.repository.entry(place.member("amd64"), "amd64")
    arm64 = place.repository.attested("attested", "arm64", labels=place.labels(ARM64))
    digest = place.repository.index(TAG, [amd64, *json.loads(data_of(place, "attested"))["manifests"]])

    found = look(place)

    judge(found)
    assert (found.where, found.digest, found.is_list, found.faults) == ("registry", digest, True, ())
    assert [(row.platform, row.digest, row.attestations) for row in found.rows] == [
        ("linux/amd64", amd64["digest"], 0), ("linux/arm64", arm64, 1),
    ]  # fmt: skip
    assert {(row.created, row.base, row.version) for row in found.rows} == {("2026-11-25T00:00:00Z", "", "1")}


def test_sizes(place: Place) -> None:
    """The size of an image is that of its manifest, its configuration and its layers, as they are stored."""
    publish(place)
    found = look(place)

    for row in found.rows:
        data = data_of(place, row.digest)
        document = json.loads(data)
        blobs = [document["config"], *document["layers"]]
        stored = [place.repository.ask("GET", f"blobs/{blob['digest']}")[0] for blob in blobs]
        assert row.size == len(data) + sum(map(len, stored))


def test_single_image(place: Place) -> None:
    """A member is shown as the one image that it is, and lacks nothing."""
    digest = place.member("arm64")
    found = look(place, f"test-app:{TAG}-arm64")

    judge(found)
    assert (found.is_list, found.digest, [row.platform for row in found.rows]) == (False, digest, ["linux/arm64"])


def test_by_digest(place: Place) -> None:
    """List and image are found by their digests as well."""
    digest = publish(place)
    member, _ = place.repository.list_at(TAG) or []

    assert look(place, f"test-app@{digest}").rows == look(place).rows
    assert look(place, f"test-app@{member[1]}").rows == look(place).rows[:1]


def test_whole_name(place: Place) -> None:
    """A name with a registry is read there; of what is not the monorepo's, no platforms are wanted."""
    other = make_place(place.monorepo.root.parent / "other", place.host).repository
    other.path = "elsewhere/something"
    other.index("1", [other.entry(other.image("a", "s390x"), "s390x")])

    found = look(place, f"{place.host}/elsewhere/something:1")

    judge(found)
    assert [row.platform for row in found.rows] == ["linux/s390x"]


# --- what is wrong ---


def lacking(place: Place) -> None:
    publish(place, "amd64")


def twice(place: Place) -> None:
    entry = place.repository.entry
    first, second = place.member("amd64"), place.member("amd64", tag="second", second="yes")
    place.repository.index(TAG, [entry(first, "amd64"), entry(second, "amd64"), entry(place.member("arm64"), "arm64")])


def mislabelled(place: Place) -> None:
    entry = place.repository.entry
    second = place.member("amd64", tag="second", second="yes")
    place.repository.index(TAG, [entry(place.member("amd64"), "amd64"), entry(second, "arm64")])


def gone(place: Place) -> None:
    publish(place)
    [_, arm64] = place.repository.list_at(TAG) or []
    place.repository.ask("DELETE", f"manifests/{arm64[1]}")


def unwanted(place: Place) -> None:
    publish(place)
    data = json.loads(data_of(place, TAG))
    other = place.repository.entry(place.repository.image("other", "s390x"), "s390x")
    place.repository.index(TAG, [*data["manifests"], other])


def nameless(place: Place) -> None:
    publish(place, platform={"os": "", "architecture": ""})


@pytest.mark.parametrize(
    ("prepare", "faults", "shown"),
    [
        (lacking, ["lacks linux/arm64"], 1),
        (twice, ["holds linux/amd64 twice"], 3),
        (mislabelled, ["calls sha256:… linux/arm64, but it is linux/amd64"], 2),
        (gone, ["names sha256:… (linux/arm64), which is not there"], 1),
        (unwanted, ["holds linux/s390x, which is not wanted"], 3),
        (nameless, ["lacks linux/amd64", "lacks linux/arm64", "holds no platform twice",
                    "holds no platform, which is not wanted"], 2),
    ],
)  # fmt: skip
def test_faults(place: Place, prepare: Callable[[Place], None], faults: list[str], shown: int) -> None:
    """A list that is wrong is shown all the same, with what is wrong, and the command fails."""
    prepare(place)
    found = look(place)

    told = [word if ":" not in word else f"{word[:7]}…" for fault in found.faults for word in fault.split(" ")]
    assert " ".join(told) == " ".join(faults)
    assert len(found.rows) == shown
    with pytest.raises(ListError, match="is not what it should be") as wrong:
        judge(found)
    assert "\n".join(found.faults) == wrong.value.why


def test_not_there(place: Place) -> None:
    """A tag that is nowhere is told as such, with the nearest one."""
    place.member("arm64")

    with pytest.raises(ListError, match="the registry does not have it, and no engine answers") as missing:
        look(place, f"test-app:{TAG}-arm46")

    assert f"did you mean {TAG}-arm64" in str(missing.value)


def test_not_in_the_engine(place: Place) -> None:
    """With --local, what the registry has does not count."""
    publish(place)

    with pytest.raises(MachineError, match="no engine answers"):
        look(place, local=True)


def test_registry_that_does_not_answer(tmp_path: Path) -> None:
    """When nobody answers, the registry's trouble is what is told, and not that the image is missing."""
    with pytest.raises(RegistryError, match="cannot be reached"):
        look(make_place(tmp_path / "monorepo", "localhost:1"))


def test_registry_that_lets_nobody_in(tmp_path: Path, registry: str) -> None:
    """Missing rights are told as such."""
    with Proxy(registry) as proxy:
        proxy.fault(path="/manifests/", status=403, times=9)
        place = make_place(tmp_path / "monorepo", proxy.host)
        with pytest.raises(AccessError, match="no rights"):
            look(place)


# --- inventory ---


def item(place: Place, images: Mapping[str, LocalImage] | None = None) -> list[Item]:
    return inventory(engine(**(images or {})), place.settings, [place.wanted()])


def local(place: Place, arch: str, digest: str, **labels: str) -> dict[str, LocalImage]:
    """An image in the engine, with the labels of this checkout."""
    platform = Platform.parse(arch)
    image = LocalImage(platform=platform, labels={**place.labels(platform), **labels}, repo_digest=digest)
    return {str(step.reference): image for step in place.wanted().steps if step.target.platform == platform}


def test_nothing_is_there(place: Place) -> None:
    """Where nothing is published and no engine answers, that is what each line says."""
    assert [(one.built, one.published, one.list_state) for one in item(place)] == [
        (Built.UNKNOWN, Published.NO, "missing"), (Built.UNKNOWN, Published.NO, "missing"),
    ]  # fmt: skip


def test_members_only(place: Place) -> None:
    """A member that was pushed is seen before there is a list."""
    place.member("arm64")

    assert [(one.published, one.list_state) for one in item(place)] == [
        (Published.NO, "missing"), (Published.MEMBER, "missing"),
    ]  # fmt: skip


def test_here_and_there(place: Place) -> None:
    """What the engine has is compared with what the list names, and with the checkout."""
    publish(place)
    [amd64, _] = place.repository.list_at(TAG) or []
    same = {**local(place, "amd64", amd64[1]), **local(place, "arm64", f"sha256:{'0' * 64}", **{INPUT_DIGEST: "old"})}

    assert [(one.built, one.published, one.list_state) for one in item(place, same)] == [
        (Built.YES, Published.SAME, "whole"), (Built.STALE, Published.OTHER, "whole"),
    ]  # fmt: skip
    assert [(one.built, one.published) for one in item(place, local(place, "amd64", amd64[1]))] == [
        (Built.YES, Published.SAME), (Built.NO, Published.YES),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("prepare", "state"),
    [
        (lacking, "lacks linux/arm64"),
        (twice, "holds linux/amd64 twice"),
        (unwanted, "holds linux/s390x, which is not wanted"),
        (lambda place: place.member("amd64", tag=TAG), "is one image"),
    ],
)
def test_list_that_is_wrong(place: Place, prepare: Callable[[Place], object], state: str) -> None:
    """What is wrong with a list stands in each of its lines."""
    prepare(place)

    assert {state} == {one.list_state for one in item(place)}


def test_inventory_without_a_registry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A registry that does not answer is told once, and what the engine has is shown all the same."""
    place = make_place(tmp_path / "monorepo", "localhost:1")
    lists = [place.wanted(), place.wanted()]
    found = inventory(engine(**local(place, "amd64", "")), place.settings, lists)

    assert [(one.built, one.published, one.list_state) for one in found] == [
        (Built.YES, Published.UNKNOWN, "no answer"), (Built.NO, Published.UNKNOWN, "no answer"),
    ] * 2  # fmt: skip
    assert capsys.readouterr().err.count("cannot be reached") == 1


def test_repository_that_lets_nobody_in(tmp_path: Path, registry: str) -> None:
    """A repository without rights says nothing of the others: registries answer so for what is not there, too."""
    with Proxy(registry) as proxy:
        place = make_place(tmp_path / "monorepo", proxy.host)
        place.monorepo.image("other-app", "FROM scratch\nCOPY hello /hello\n")
        proxy.fault(path="/other-app/", status=403, times=9)
        publish(place)
        catalog = place.monorepo.catalog
        selection = Selection.of([], [], ["other-app", "test-app"], everything=False)
        lists = wanted_lists(catalog, selection.requests(catalog, native=lambda: AMD64), build_platform=AMD64)
        found = inventory(engine(), place.settings, lists)

    assert [one.list_state for one in found] == ["no rights", "no rights", "whole", "whole"]


def test_registry_that_fails_in_between(tmp_path: Path, registry: str) -> None:
    """A registry that fails after its first answer is told as one that does not answer; nothing is raised."""
    with Proxy(registry) as proxy:
        place = make_place(tmp_path / "monorepo", proxy.host)
        proxy.fault(method="HEAD", status=503, times=99)
        found = item(place)

    assert {Published.UNKNOWN} == {one.published for one in found}


# --- printed ---


def test_inspection_as_json(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """For scripts, an inspection is JSON on stdout, also where something is wrong with it."""
    lacking(place)
    with pytest.raises(ListError):
        print_inspection(look(place), json=True)
    told = capsys.readouterr()
    found = json.loads(told.out)

    assert told.err == ""
    assert found["reference"] == f"{place.host}/archway/test-app:{TAG}"
    assert (found["is_list"], found["where"], found["faults"]) == (True, "registry", ["lacks linux/arm64"])
    assert set(found["rows"][0]) == {"platform", "digest", "size", "created", "base", "version", "attestations"}


def test_inspection_as_text(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """For people it is a table, in which digests are whole."""
    digest = publish(place)
    print_inspection(look(place), json=False)
    told = capsys.readouterr().out

    assert f"{place.host}/archway/test-app:{TAG}\nlist {digest} in the registry\n" in told
    for _, member in place.repository.list_at(TAG) or []:
        assert member in told


def test_labels_do_not_speak_to_the_terminal(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """What an image says of itself is shown without the characters that a terminal obeys."""
    labels = {"created": "\x1b[2J", "base.name": "a\x1b]0;b\x07", "version": "1\r\n2"}
    place.repository.image("other", "amd64", labels={f"{OCI}{name}": value for name, value in labels.items()})
    print_inspection(look(place, "test-app:other"), json=False)
    told = capsys.readouterr().out

    assert not set("\x1b\x07\r") & set(told)
    assert "1 2" in told


def test_items_as_json(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """For scripts the inventory is JSON, an object a target; that no engine answered is told besides."""
    publish(place, "amd64")
    with pytest.raises(MachineError, match="no engine answers"):
        print_items(item(place), json=True)
    found = json.loads(capsys.readouterr().out)

    assert [(one["target"], one["platform"], one["built"], one["published"], one["list"]) for one in found] == [
        ("test-app 1 amd64", "linux/amd64", "no engine", "published, not built here", "lacks linux/arm64"),
        ("test-app 1 arm64", "linux/arm64", "no engine", "missing", "lacks linux/arm64"),
    ]
    assert found[1]["reference"] == f"{place.host}/archway/test-app:{TAG}-arm64"


def test_items_as_text(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """For people it is a table, a target a line."""
    publish(place)
    with pytest.raises(MachineError):
        print_items(item(place), json=False)
    lines = capsys.readouterr().out.splitlines()

    assert [line.split()[:3] for line in lines[1:]] == [["test-app", "1", "amd64"], ["test-app", "1", "arm64"]]
    assert all(line.rstrip().endswith("whole") for line in lines[1:])


# --- what a tag promises ---


@pytest.mark.parametrize("tag", ["", f":{TAG}"])
def test_one_image_under_the_tag_of_a_list(place: Place, tag: str) -> None:
    """One image where a list belongs is shown, and the command fails."""
    place.member("amd64", tag=TAG)
    found = look(place, f"test-app{tag}")

    assert [row.platform for row in found.rows] == ["linux/amd64"]
    assert found.faults == ("is one image (linux/amd64), and should be a list of linux/amd64, linux/arm64",)


def test_member_under_the_tag_of_another(place: Place) -> None:
    """The tag of a member says for which platform it is."""
    place.member("amd64", tag=f"{TAG}-arm64")

    assert look(place, f"test-app:{TAG}-arm64").faults == ("is for linux/amd64, and should be for linux/arm64",)


def test_manifest_that_cannot_be_read(tmp_path: Path, registry: str) -> None:
    """A manifest that is none concerns its image alone."""
    with Proxy(registry) as proxy:
        place = make_place(tmp_path / "monorepo", proxy.host)
        publish(place)
        place.monorepo.image("other-app", "FROM scratch\nCOPY hello /hello\n")
        proxy.fault(path="/other-app/manifests", status=200, times=9)
        catalog = place.monorepo.catalog
        selection = Selection.of([], [], ["other-app", "test-app"], everything=False)
        lists = wanted_lists(catalog, selection.requests(catalog, native=lambda: AMD64), build_platform=AMD64)
        found = inventory(engine(), place.settings, lists)

    assert [one.list_state for one in found] == ["unreadable", "unreadable", "whole", "whole"]
