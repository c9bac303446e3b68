"""Manifest lists that others got wrong (the reports are public), against a real registry, without an engine."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from archway.errors import ListError, RegistryError
from archway.joining import Standing, Tagged, join_all, rehearse
from archway.labels import INPUT_DIGEST, OCI
from archway.lists import Wanted
from archway.platforms import Platform
from archway.selection import Selection
from archway.settings import Settings
from archway.wanted import wanted_lists
from tests.images import Pushed, program
from tests.monorepo import Monorepo

AMD64, ARM64 = Platform.parse("amd64"), Platform.parse("arm64")
BOTH = (("linux/amd64", "amd64"), ("linux/arm64", "arm64"))
TAG = "1-0.1.0-dev"


@dataclass
class Place:
    """A monorepo with one small image, and the repository where it belongs."""

    monorepo: Monorepo
    host: str

    @property
    def settings(self) -> Settings:
        return self.monorepo.catalog.settings

    @property
    def repository(self) -> Pushed:
        return Pushed(self.host, f"{self.settings.organization}/test-app")

    def wanted(self) -> Wanted:
        selection = Selection.of([], [], ["test-app"], everything=False)
        catalog = self.monorepo.catalog
        [wanted] = wanted_lists(catalog, selection.requests(catalog, native=lambda: AMD64), build_platform=AMD64)
        return wanted

    def labels(self, platform: Platform, **more: str) -> Mapping[str, str]:
        """What archway would say of a member that this checkout builds."""
        return {INPUT_DIGEST: min(self.wanted().inputs[platform]), f"{OCI}version": "1", **more}

    def member(self, arch: str, *, tag: str = "", **labels: str) -> str:
        platform = Platform.parse(arch)
        name = tag or f"{TAG}-{platform.tag}"
        return self.repository.image(name, arch, labels=self.labels(platform, **labels))

    def join(self, *, foreign: bool = False) -> list[Tagged]:
        return join_all(self.settings, [self.wanted()], foreign=foreign)


def make_place(folder: Path, host: str, settings: str = "") -> Place:
    monorepo = Monorepo(folder, f'registry = "{host}"\nimages = ["*"]\n{settings}')
    monorepo.image("test-app", "FROM scratch\nCOPY hello /hello\n")
    monorepo.write("test-app/hello", "hello")
    return Place(monorepo, host)


@pytest.fixture
def place(tmp_path: Path, registry: str) -> Place:
    return make_place(tmp_path / "monorepo", registry)


def test_list_names_the_members_by_digest(place: Place) -> None:
    """A list holds exactly one member for each platform, under the digest that was proven."""
    amd64, arm64 = place.member("amd64"), place.member("arm64")

    [made] = place.join()

    assert [("linux/amd64", amd64), ("linux/arm64", arm64)] == sorted(place.repository.list_at(TAG) or [])
    assert made.standing is Standing.WRITTEN


def test_member_whose_tag_moved(place: Place) -> None:
    """A1: after a member's tag has moved, the list names the new digest, whatever docker remembers."""
    place.member("amd64")
    arm64 = place.member("arm64")
    place.join()
    newer = place.member("amd64", newer="yes")
    place.join()

    assert [("linux/amd64", newer), ("linux/arm64", arm64)] == sorted(place.repository.list_at(TAG) or [])


def test_platform_that_was_dropped(place: Place) -> None:
    """A2: a platform that the metadata no longer has is no longer in the list."""
    place.monorepo.image("test-app", "FROM scratch\nCOPY hello /hello\n",
                         'platforms = ["linux/amd64", "linux/arm64", "linux/s390x"]\n')  # fmt: skip
    for arch in ("amd64", "arm64", "s390x"):
        place.member(arch)
    place.join()
    before = place.repository.list_at(TAG) or []
    place.monorepo.image("test-app", "FROM scratch\nCOPY hello /hello\n",
                         'platforms = ["linux/amd64", "linux/arm64"]\n')  # fmt: skip
    digests = [place.member("amd64"), place.member("arm64")]
    place.join()

    assert len(before) == 3
    assert digests == [digest for _, digest in sorted(place.repository.list_at(TAG) or [])]


def test_old_and_new_member_of_one_platform(place: Place) -> None:
    """A3: a second member of a platform replaces the first; a list never has both."""
    place.member("amd64")
    place.member("arm64")
    place.join()
    newer = place.member("arm64", newer="yes")
    place.join()
    named = place.repository.list_at(TAG) or []

    assert sorted(platform for platform, _ in named) == ["linux/amd64", "linux/arm64"]
    assert newer in [digest for _, digest in named]


def test_missing_member_publishes_nothing(place: Place) -> None:
    """A4: with a member missing there is no list, and the message names the member and how to get it."""
    place.member("amd64")

    with pytest.raises(ListError) as refused:
        place.join()

    assert place.repository.list_at(TAG) is None
    assert f"test-app:{TAG}-arm64 is not there" in str(refused.value)
    assert "inv publish" in str(refused.value)


def test_missing_member_leaves_the_old_list(place: Place) -> None:
    """A4: a run that cannot make the list leaves the one that was published as it is."""
    place.member("amd64")
    place.member("arm64")
    place.join()
    before = place.repository.list_at(TAG)
    place.repository.image(f"{TAG}-arm64", "amd64", labels=place.labels(AMD64))

    with pytest.raises(ListError):
        place.join()

    assert before == place.repository.list_at(TAG)


def test_joining_twice_changes_nothing(place: Place) -> None:
    """A5: a second run finds the list already so, and writes nothing."""
    place.member("amd64")
    place.member("arm64")
    [first] = place.join()
    [second] = place.join()

    assert (first.standing, second.standing) == (Standing.WRITTEN, Standing.ALREADY)
    assert first.digest == second.digest


def test_foreign_member_with_attestation_is_recognised(place: Place) -> None:
    """A6: a member that buildx pushed with an attestation is refused, and the message has both ways out."""
    place.member("amd64")
    place.repository.attested(f"{TAG}-arm64", "arm64")

    with pytest.raises(ListError) as refused:
        place.join()

    assert place.repository.list_at(TAG) is None
    assert "carries attestations" in str(refused.value)
    assert "inv publish" in str(refused.value)
    assert "--foreign" in str(refused.value)


def test_attestations_are_kept(place: Place) -> None:
    """A6: taken as it is, a member's attestation is in the list beside it."""
    amd64 = place.member("amd64")
    arm64 = place.repository.attested(f"{TAG}-arm64", "arm64")

    place.join(foreign=True)
    named = place.repository.list_at(TAG) or []
    [again] = place.join(foreign=True)

    assert [("linux/amd64", amd64), ("linux/arm64", arm64)] == sorted(named)[:2]
    assert sorted(platform for platform, _ in named) == ["linux/amd64", "linux/arm64", "unknown/unknown"]
    assert again.standing is Standing.ALREADY


def test_member_that_is_a_list_of_several(place: Place) -> None:
    """A6: a list of several platforms under a member's tag is refused, with both ways out."""
    place.member("amd64")
    other = place.member("arm64", tag="other")
    first = place.member("amd64", tag="first")
    repository = place.repository
    repository.index(f"{TAG}-arm64", [repository.entry(first, "amd64"), repository.entry(other, "arm64")])

    with pytest.raises(ListError) as refused:
        place.join()

    assert f"test-app:{TAG}-arm64 is a manifest list (linux/amd64, linux/arm64)" in str(refused.value)
    assert "--provenance=false" in str(refused.value)
    assert "imagetools create" in str(refused.value)


def test_image_of_another_platform_under_a_members_tag(place: Place) -> None:
    """A7: an amd64 image under the arm64 tag is refused; the message says which tag holds what."""
    place.member("amd64")
    place.repository.image(f"{TAG}-arm64", "amd64", labels=place.labels(ARM64))

    with pytest.raises(ListError) as refused:
        place.join()

    assert place.repository.list_at(TAG) is None
    assert f"test-app:{TAG}-arm64 holds an image for linux/amd64, not for linux/arm64" in str(refused.value)


def test_foreign_program_in_a_member(place: Place) -> None:
    """A7: a member whose label is right and whose contents are of another platform is refused as well."""
    place.member("amd64")
    place.repository.image(f"{TAG}-arm64", "arm64", labels=place.labels(ARM64), files={"bin/hello": program(AMD64)})

    with pytest.raises(ListError) as refused:
        place.join()

    assert place.repository.list_at(TAG) is None
    assert "/bin/hello" in str(refused.value)


def test_stale_member(place: Place) -> None:
    """A member that was built from other files than the checkout has is refused, with its revision."""
    place.member("amd64")
    place.repository.image(f"{TAG}-arm64", "arm64", labels={INPUT_DIGEST: "0" * 64, f"{OCI}revision": "abc123"})

    with pytest.raises(ListError) as refused:
        place.join()

    assert "stale" in str(refused.value)
    assert "abc123" in str(refused.value)


def test_nothing_pushed_is_told_with_the_nearest_tag(place: Place) -> None:
    """A8: a member that was never pushed is told as such, with the tag that is nearest."""
    place.member("amd64", tag=f"{TAG}-amd46")
    place.member("arm64")

    with pytest.raises(ListError) as refused:
        place.join()

    assert f"{TAG}-amd64 is not there" in str(refused.value)
    assert f"{TAG}-amd46" in str(refused.value)


def test_registry_that_is_not_there(tmp_path: Path) -> None:
    """A8: a registry that nobody serves is told as unreachable, not as a missing manifest."""
    with pytest.raises(RegistryError, match="refused") as failed:
        make_place(tmp_path / "monorepo", "localhost:1").join()

    assert "localhost:1" in str(failed.value)


def test_repositories_with_nearly_the_same_name(tmp_path: Path, registry: str) -> None:
    """A9: lists of a/b and a_b do not mix, although docker would keep both in one folder."""
    first = make_place(tmp_path / "first", registry, 'organization = "a/b"\n')
    second = make_place(tmp_path / "second", registry, 'organization = "a_b"\n')
    digests = [[place.member("amd64", whose=str(n)), place.member("arm64", whose=str(n))]
               for n, place in enumerate((first, second))]  # fmt: skip
    for place in (first, second):
        place.join()

    found = [[digest for _, digest in sorted(place.repository.list_at(TAG) or [])] for place in (first, second)]
    assert digests == found


def test_registry_under_another_name(tmp_path: Path, registry: str) -> None:
    """A10: members are always named in the list's own registry, so localhost and 127.0.0.1 cannot be mixed."""
    place = make_place(tmp_path / "monorepo", registry)
    place.member("amd64")
    place.member("arm64")
    other = make_place(tmp_path / "other", registry.replace("localhost", "127.0.0.1"))
    [made] = other.join()

    assert made.digest == place.join()[0].digest
    assert str(made.reference).startswith("127.0.0.1:")


def test_store_of_docker_is_neither_read_nor_written(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A1, A3: what docker manifest has kept from earlier runs changes nothing, and is left alone."""
    users = tmp_path / "docker"
    users.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(users))
    name = f"{place.host}/archway/test-app"
    old = place.member("amd64", old="yes")
    arm64 = place.member("arm64")
    subprocess.run(
        ["docker", "manifest", "create", "--insecure", f"{name}:{TAG}", f"{name}@{old}", f"{name}@{arm64}"],
        check=True, capture_output=True,
    )  # fmt: skip
    kept = sorted(path.relative_to(users) for path in users.rglob("*"))
    newer = place.member("amd64")
    place.join()

    assert [("linux/amd64", newer), ("linux/arm64", arm64)] == sorted(place.repository.list_at(TAG) or [])
    assert kept == sorted(path.relative_to(users) for path in users.rglob("*"))


def test_dry_run_has_three_groups_and_writes_nothing(place: Place) -> None:
    """A dry run tells what is missing, to be written and already so; the registry is not changed."""
    standings = [rehearse(place.settings, [place.wanted()])[0].standing]
    place.member("amd64")
    place.member("arm64")
    standings.append(rehearse(place.settings, [place.wanted()])[0].standing)
    before = place.repository.list_at(TAG)
    place.join()
    standings.append(rehearse(place.settings, [place.wanted()])[0].standing)

    assert standings == [Standing.MISSING, Standing.TO_WRITE, Standing.ALREADY]
    assert before is None


def test_floating_tags_name_the_same_list(tmp_path: Path, registry: str) -> None:
    """Floating tags name the list itself, byte by byte, and a second run moves none."""
    place = make_place(tmp_path / "monorepo", registry, 'floating-tags = ["latest"]\n')
    place.member("amd64")
    place.member("arm64")
    made = place.join()
    again = place.join()

    assert [one.reference.tag for one in made] == ["1-0.1.0-dev", "latest"]
    assert len({one.digest for one in made}) == 1
    assert {Standing.ALREADY} == {one.standing for one in again}
    assert place.repository.list_at(TAG) == place.repository.list_at("latest")
