"""What may happen between two steps of a run, and where floating tags may move. A real registry, no engine."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest

from archway.errors import ListError, UsageError
from archway.joining import Standing, find_members, join_all, move_tags, rehearse, write
from archway.labels import RELEASE
from archway.remote import repository_of
from archway.selection import Selection
from archway.wanted import wanted_lists
from tests.registry.test_lists import AMD64, TAG, Place, make_place

FLOATING = 'floating-tags = ["latest"]\n'


@pytest.fixture
def place(tmp_path: Path, registry: str) -> Place:
    return make_place(tmp_path / "monorepo", registry, FLOATING)


def test_floating_tag_follows_only_what_the_list_s_own_tag_names(place: Place) -> None:
    """When another run has written another list since, this run's floating tags stay where they are."""
    place.member("amd64")
    place.member("arm64")
    ours = find_members(place.settings, place.wanted())
    stored, _ = write(place.settings, ours)
    place.member("amd64", newer="yes")
    place.join()
    theirs = place.repository.list_at("latest")
    wanted = place.wanted()

    with pytest.raises(ListError, match="changed by another run"):
        move_tags(ours.repository, wanted.reference, stored, wanted.floating, back=False)

    assert place.repository.list_at("latest") == theirs == place.repository.list_at(TAG)


def test_floating_tag_does_not_move_back(tmp_path: Path, registry: str) -> None:
    """A floating tag that names a newer release stays, unless going back is asked for."""
    newer = make_place(tmp_path / "newer", registry, f'{FLOATING}release = "0.2.0"\n')
    older = make_place(tmp_path / "older", registry, f'{FLOATING}release = "0.1.0"\n')
    for place, release in ((newer, "0.2.0"), (older, "0.1.0")):
        for arch in ("amd64", "arm64"):
            place.member(arch, tag=f"1-{release}-{arch}", **{RELEASE: release})
    [_, latest] = newer.join()
    foreseen = [one.standing for one in rehearse(older.settings, [older.wanted()])]
    [made, kept] = older.join()
    again = join_all(older.settings, [older.wanted()], back=True)

    assert foreseen == [Standing.TO_WRITE, Standing.KEPT]
    assert (made.standing, kept.standing) == (Standing.WRITTEN, Standing.KEPT)
    assert kept.digest == latest.digest
    assert [one.standing for one in again] == [Standing.ALREADY, Standing.WRITTEN]
    assert older.repository.list_at("latest") == older.repository.list_at("1-0.1.0")


def test_floating_tag_moves_on(tmp_path: Path, registry: str) -> None:
    """A floating tag that names an older release moves, also from 9 to 10."""
    for number, release in enumerate(("0.9.0", "0.10.0")):
        place = make_place(tmp_path / str(number), registry, f'{FLOATING}release = "{release}"\n')
        for arch in ("amd64", "arm64"):
            place.member(arch, tag=f"1-{release}-{arch}", **{RELEASE: release})
        [_, latest] = place.join()

    assert latest.standing is Standing.WRITTEN
    assert place.repository.list_at("latest") == place.repository.list_at("1-0.10.0")


def test_platform_that_a_public_list_loses_is_told(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A list that is written with fewer platforms than it has says which ones go."""
    place.member("amd64")
    place.member("arm64")
    place.join()
    place.monorepo.image("test-app", "FROM scratch\nCOPY hello /hello\n", 'platforms = ["linux/arm64"]\n')
    place.member("arm64")
    place.join()

    assert "held linux/amd64" in capsys.readouterr().err


def test_member_whose_layers_are_gone(place: Place) -> None:
    """A member whose manifest is there and whose layer is not gets into no list."""
    place.member("amd64")
    place.member("arm64")
    repository = repository_of(place.settings, place.wanted().reference)
    stored = repository.get(f"{TAG}-arm64")
    assert stored
    lost = stored.manifest.layers[0].digest
    place.repository.ask("DELETE", f"blobs/{lost}")

    with pytest.raises(ListError) as refused:
        place.join()

    assert "is not whole" in str(refused.value)
    assert lost in str(refused.value)
    assert place.repository.list_at(TAG) is None


def test_of_several_lists_all_or_none_is_written(place: Place) -> None:
    """When one of several lists cannot be made none is, and the message has all that is missing."""
    place.member("amd64")
    place.member("arm64")
    for name in ("test-two", "test-three"):
        place.monorepo.image(name, "FROM scratch\nCOPY hello /hello\n")
        place.monorepo.write(f"{name}/hello", "hello")
    catalog = place.monorepo.catalog
    selection = Selection.of([], [], ["test-app", "test-two", "test-three"], everything=False)
    lists = wanted_lists(catalog, selection.requests(catalog, native=lambda: AMD64), build_platform=AMD64)

    with pytest.raises(ListError) as refused:
        join_all(place.settings, lists)

    assert "2 of 3 lists" in str(refused.value)
    assert "test-two" in str(refused.value)
    assert "test-three" in str(refused.value)
    assert place.repository.list_at(TAG) is None


def test_nothing_selected_is_told(place: Place) -> None:
    """No image asked for is a mistake, not a success."""
    with pytest.raises(UsageError, match="nothing to do"):
        Selection.of([], [], [], everything=False).requests(place.monorepo.catalog, native=lambda: AMD64)


def test_registry_of_the_tests_can_lose_a_layer(place: Place) -> None:
    """The test above takes a layer away for real: it cannot be read any more."""
    digest = str(place.repository.blob(b"some bytes")["digest"])
    place.repository.ask("DELETE", f"blobs/{digest}")

    with pytest.raises(urllib.error.HTTPError, match="404"):
        place.repository.ask("GET", f"blobs/{digest}")
