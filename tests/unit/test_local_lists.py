"""Lists in the engine's own store: what is joined, told and refused. The engine is one of names and digests."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from archway.distribution.documents import OCI_INDEX, OCI_MANIFEST
from archway.engine import BuildOrder, Engine, LocalImage
from archway.errors import ListError, MachineError
from archway.joining import Standing, Tagged
from archway.labels import INPUT_DIGEST
from archway.lists import Wanted
from archway.local_lists import join_all_local, rehearse_all_local
from archway.metadata import Smoke
from archway.platforms import Platform
from archway.proof import own_authorities, prove, prove_once
from archway.records import Proofs
from archway.selection import Selection
from archway.settings import Settings
from archway.smoke import smoke_test
from archway.verify import Finding, Report
from archway.wanted import wanted_lists
from tests.monorepo import Monorepo

AMD64, ARM64 = Platform.parse("amd64"), Platform.parse("arm64")
OLDER = f"sha256:{'9' * 64}"


@dataclass
class Store:
    """An engine's store with the containerd image store's ways: a name, a manifest's digest, and lists."""

    holds_lists: bool = True
    platform: Platform = AMD64
    images: dict[str, LocalImage] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    tagged: list[str] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    before_build: Callable[[], None] = lambda: None

    def add(self, data: object, platform: Platform | None, **labels: str) -> LocalImage:
        blob = json.dumps(data).encode()
        digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
        self.blobs[digest] = blob
        return LocalImage(platform=platform, labels=labels, repo_digest=digest)

    def image(self, name: str) -> LocalImage | None:
        return self.images.get(name)

    def names(self, pattern: str) -> list[str]:
        return [name for name in self.images if fnmatch.fnmatch(name, f"{pattern}:*")]

    def tag(self, name: str, new: str) -> None:
        self.images[new] = self.images[name]
        self.tagged.append(new)

    def remove(self, name: str) -> None:
        self.images.pop(name, None)

    def build(self, order: BuildOrder, heard: Callable[[str], None]) -> None:
        self.before_build()
        entries = []
        for platform in order.platforms:
            source = order.contexts[f"member-{platform.tag}"].removeprefix("docker-image://")
            digest = self.images[source].repo_digest
            words = {"os": platform.os, "architecture": platform.architecture}
            entries.append({"mediaType": OCI_MANIFEST, "digest": digest, "size": 1, "platform": words})
        self.images[order.tag] = self.add({"mediaType": OCI_INDEX, "manifests": entries}, self.platform)

    def save(self, name: str, path: Path) -> None:
        top = self.images[name].repo_digest or ""
        index = json.dumps({"manifests": [{"digest": top, "size": 1}]}).encode()
        with tarfile.open(path, "w") as tar:
            for file, data in {"index.json": index, f"blobs/{top.replace(':', '/')}": self.blobs[top]}.items():
                info = tarfile.TarInfo(file)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))

    def run(self, image: str, command: list[str], **_more: object) -> int:
        self.ran += [image, *command]
        return 0


@dataclass
class Place:
    """Two images that are built for two platforms, all proven."""

    store: Store
    settings: Settings
    lists: tuple[Wanted, ...]

    @property
    def engine(self) -> Engine:
        return cast("Engine", self.store)

    @property
    def proofs(self) -> Proofs:
        return Proofs(self.settings.state)

    @property
    def app(self) -> str:
        return str(self.lists[0].reference)

    def build(self, wanted: Wanted, *, again: str = "") -> None:
        for step in wanted.steps:
            platform = step.target.platform
            labels = {INPUT_DIGEST: min(wanted.inputs[platform])}
            image = self.store.add({"mediaType": OCI_MANIFEST, "for": f"{step.target}{again}"}, platform, **labels)
            self.store.images[str(step.reference)] = image
            self.proven(image, platform)

    def proven(self, image: LocalImage, platform: Platform) -> None:
        self.kept(Report(name="x", platform=platform, elf_files=1, files=1, size=1, digests=(image.repo_digest or "",)))

    def kept(self, report: Report) -> None:
        self.proofs.add(report, [], own_authorities(self.settings))

    def change(self, name: str, **values: object) -> None:
        self.store.images[name] = replace(self.store.images[name], **values)  # type: ignore[arg-type]

    def join(self) -> list[Tagged]:
        return join_all_local(self.engine, self.settings, self.lists)

    def rehearse(self) -> list[Tagged]:
        return rehearse_all_local(self.engine, self.settings, self.lists)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    monorepo = Monorepo(tmp_path, 'images = ["*"]\nfloating_tags = "latest"\n')
    for name in ("app", "tool"):
        monorepo.image(name, "FROM scratch\n")
    catalog = monorepo.catalog
    requests = Selection.of([], [], ["app", "tool"], everything=False).requests(catalog, native=lambda: AMD64)
    made = Place(Store(), catalog.settings, wanted_lists(catalog, requests, build_platform=AMD64))
    for wanted in made.lists:
        made.build(wanted)
    return made


def short(tagged: list[Tagged]) -> list[tuple[str, str]]:
    return [(str(one.reference).rpartition("/")[2], str(one.standing)) for one in tagged]


NAMES = ["app:1-0.1.0-dev", "tool:1-0.1.0-dev", "app:latest", "tool:latest"]
TOLD = ["app:1-0.1.0-dev", "app:latest", "tool:1-0.1.0-dev", "tool:latest"]


def test_lists_and_floating_tags(place: Place) -> None:
    """Lists are made first, then the floating tags, each told of its own; nothing else keeps a name."""
    before = set(place.store.images)
    made = place.join()
    entries = json.loads(place.store.blobs[made[0].digest])["manifests"]

    assert short(made) == [(name, "written") for name in NAMES]
    assert {place.store.images[str(one.reference)].repo_digest for one in made[::2]} == {made[0].digest}
    assert [entry["digest"] for entry in entries] == [
        place.store.images[str(step.reference)].repo_digest for step in place.lists[0].steps
    ]
    assert set(place.store.images) - before == {str(one.reference) for one in made}
    assert not list((place.settings.state / "scratch").iterdir())


def test_second_time(place: Place) -> None:
    """What is so already is told as such, joined and rehearsed, and no name that stays is touched."""
    made = place.join()
    place.store.tagged.clear()
    again, rehearsed = place.join(), place.rehearse()

    assert short(again) == [(name, "already so") for name in NAMES]
    assert short(rehearsed) == [(name, "already so") for name in TOLD]
    assert sorted(one.digest for one in rehearsed) == sorted(one.digest for one in made)
    assert all(name.startswith("localhost:1/") for name in place.store.tagged)


def test_rehearsal_of_what_is_not_there(place: Place) -> None:
    """A rehearsal says what would be written, and gives nothing a name."""
    assert short(place.rehearse()) == [(name, "to be written") for name in TOLD]
    assert place.store.tagged == []


def test_member_that_was_built_again(place: Place) -> None:
    """A list of older members is not so already: it is made again, and its floating tag follows."""
    place.join()
    place.build(place.lists[0], again="!")

    assert [standing for _, standing in short(place.rehearse())] == ["to be written"] * 2 + ["already so"] * 2
    assert [standing for _, standing in short(place.join())] == ["written", "already so"] * 2
    assert {standing for _, standing in short(place.rehearse())} == {"already so"}


def test_floating_tag_that_somebody_moved(place: Place) -> None:
    """A floating tag that names something else is moved back, though its list is as it should be."""
    [_, _, latest, _] = place.join()
    place.change(str(latest.reference), repo_digest=OLDER)

    assert [standing for _, standing in short(place.rehearse())][:2] == ["already so", "to be written"]
    assert [standing for _, standing in short(place.join())][::2] == ["already so", "written"]
    assert place.store.images[str(latest.reference)].repo_digest == latest.digest


def test_one_image_under_the_name_of_the_list(place: Place) -> None:
    """One image is no list, whatever its name is."""
    place.store.tag(str(place.lists[0].steps[0].reference), place.app)

    assert short(place.rehearse())[0] == ("app:1-0.1.0-dev", "to be written")
    assert short(place.join())[0] == ("app:1-0.1.0-dev", "written")
    assert short(place.rehearse())[0] == ("app:1-0.1.0-dev", "already so")


def test_all_faults_are_told_before_anything_is_written(place: Place) -> None:
    """What is wrong with any list is told together with the rest, and then no list is made."""
    (app_amd64, app_arm64), (tool_amd64, _) = [[str(step.reference) for step in one.steps] for one in place.lists]
    place.store.remove(app_amd64)
    place.change(app_arm64, platform=None)
    place.change(tool_amd64, labels={})
    with pytest.raises(ListError) as refused:
        place.join()

    assert f"{app_amd64} is not built" in str(refused.value)
    assert f"{app_arm64} holds an image for another platform, not for linux/arm64" in str(refused.value)
    assert f"{tool_amd64} is stale" in str(refused.value)
    assert "inv build --image tool=1 --arch all" in str(refused.value)
    assert place.store.tagged == []


def test_second_list_that_cannot_be_made(place: Place) -> None:
    """A good list is not made when a later one cannot be; the rehearsal says which, with its floating tags."""
    place.store.remove(str(place.lists[1].steps[0].reference))
    with pytest.raises(ListError, match="cannot be made"):
        place.join()

    assert place.store.tagged == []
    assert [standing for _, standing in short(place.rehearse())] == ["to be written"] * 2 + ["missing"] * 2


def test_member_that_changes_while_it_is_joined(place: Place) -> None:
    """A list of other images than those that were checked does not get its name."""
    place.store.before_build = lambda: place.change(
        next(name for name in place.store.images if "/member-amd64:" in name), repo_digest=OLDER
    )
    with pytest.raises(ListError, match=r"another list for .* than it was told"):
        place.join()

    assert place.app not in place.store.images
    assert not [name for name in place.store.images if name.startswith("localhost:1/")]


def test_older_image_store(place: Place) -> None:
    """An engine that holds no lists is told as such, with both ways out."""
    place.store.holds_lists = False
    for work in (place.join, place.rehearse):
        with pytest.raises(MachineError, match="cannot hold a manifest list"):
            work()


# --- what is proven and run is what was meant ---


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Report:
    """What every proof finds."""
    found = Report(name="x", platform=AMD64, findings=(), elf_files=1, files=1, size=1, digests=(f"sha256:{'1' * 64}",))
    monkeypatch.setattr("archway.proof.check_archive", lambda *_args, **_more: found)
    return found


def test_proof_of_another_image(place: Place, report: Report) -> None:
    """A name that stands for something else by the time that it is read is refused; the proof is of what was read."""
    step = place.lists[0].steps[0]
    with pytest.raises(ListError, match="was changed by another run"):
        prove(place.engine, place.settings, step, str(step.reference), expect=OLDER)

    assert place.proofs.holds(report.digests[0], AMD64, [], own_authorities(place.settings))
    assert not place.proofs.holds(OLDER, AMD64, [], own_authorities(place.settings))


@pytest.mark.parametrize(
    ("expect", "holds_lists"), [("", True), (f"sha256:{'1' * 64}", True), (OLDER, False)],
    ids=["nothing", "the same", "older store"],
)  # fmt: skip
def test_proof_of_the_expected_image(place: Place, report: Report, expect: str, holds_lists: bool) -> None:
    """What was expected is proven; the older image store cannot tell, as it writes manifests of its own."""
    place.store.holds_lists = holds_lists
    step = place.lists[0].steps[0]
    proven = prove(place.engine, place.settings, step, str(step.reference), expect=expect)

    assert proven == replace(report, source="app/Dockerfile")


def test_member_that_changes_while_it_is_proven(place: Place, report: Report) -> None:
    """A member that is not the one that was looked at gets into no list."""
    shutil.rmtree(place.settings.state / "proofs")

    with pytest.raises(ListError, match="was changed by another run"):
        place.join()
    assert report.digests[0] not in {image.repo_digest for image in place.store.images.values()}
    assert {one.standing for one in place.rehearse()} == {Standing.MISSING}


@pytest.mark.usefixtures("report")
def test_proven_once(place: Place) -> None:
    """What is kept of a member's proof is found, under the name that the member has now."""
    step = place.lists[0].steps[0]
    digest = place.store.images[str(step.reference)].repo_digest or ""
    proven = prove_once(place.engine, place.settings, step, digest)

    assert (proven.name, proven.source, proven.digests) == (str(step.reference), "app/Dockerfile", (digest,))


@pytest.mark.usefixtures("report")
def test_member_with_findings(place: Place) -> None:
    """A member in which something was found before gets into no list, and is not read again for it."""
    step = place.lists[0].steps[0]
    digest = place.store.images[str(step.reference)].repo_digest or ""
    finding = Finding(rule="elf-machine", path="/opt/a", found="x86-64", expected="AArch64")
    place.kept(Report(name="x", platform=AMD64, findings=(finding,), digests=(digest,)))
    with pytest.raises(ListError, match=r"found x86-64, expected AArch64"):
        place.join()

    assert place.app not in place.store.images


@pytest.mark.parametrize("image", [None, f"localhost:5000/archway/app@sha256:{'1' * 64}"])
def test_smoke_test_of_one_image(place: Place, image: str | None) -> None:
    """A smoke test runs what the step's name stands for, or what it was told to run instead."""
    step = place.lists[0].steps[0]
    result = smoke_test(place.engine, place.settings, step, Smoke(command=["/test"]), image=image)

    assert result.failure is None
    assert place.store.ran == [image or str(step.reference), "/test"]
