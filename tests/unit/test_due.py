"""What must really be built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from archway.due import Wishes, due_steps
from archway.engine import LocalImage
from archway.labels import Parent, Revision, labels
from archway.plan import make_plan
from archway.platforms import Platform
from archway.selection import Selection
from archway.targets import Step, Strategy, Target
from tests.monorepo import Monorepo

AMD64 = Platform.parse("amd64")
COMMIT = Revision(commit="abc", epoch=0, source="")


class Store:
    """What an engine would have after the steps were built."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self.steps = steps
        self.images: dict[Target, LocalImage | None] = {step.target: None for step in steps}
        self.builds = 0

    def build(self, name: str, revision: Revision = COMMIT) -> None:
        step = next(step for step in self.steps if step.target.image == name)
        self.builds += 1
        present = [(p, image) for p in step.all_parents if (image := self.images[p])]
        parents = {p: Parent(reference=step.reference, digest=image.repo_digest or "") for p, image in present}
        self.images[step.target] = LocalImage(
            platform=step.target.platform,
            labels=labels(step, revision, parents, release="1"),
            repo_digest=f"sha256:{self.builds}",
        )

    def remove(self, name: str) -> None:
        self.images = {target: None if target.image == name else image for target, image in self.images.items()}

    def change(self, name: str, **values: object) -> None:
        for target, image in self.images.items():
            if target.image == name and image:
                self.images[target] = replace(image, **values)  # type: ignore[arg-type]

    def due(self, wishes: Wishes | None = None, commit: str = "abc") -> list[str]:
        found = due_steps(self.steps, self.images, wishes or Wishes(), commit=commit)
        return [step.target.image for step in found]


@pytest.fixture
def store(monorepo: Monorepo) -> Store:
    """base ← java ← app, all built; app was asked for."""
    monorepo.image("base", "FROM scratch\n")
    monorepo.image("java", "FROM base\n")
    monorepo.image("products/app", "FROM java\n")
    catalog = monorepo.catalog
    wanted = Selection(products=("app",)).requests(catalog, native=lambda: AMD64)
    store = Store(make_plan(catalog, wanted, build_platform=AMD64))
    for name in ("base", "java", "app"):
        store.build(name)
    return store


def test_nothing_is_due_after_a_build(store: Store) -> None:
    """A second build has nothing to do."""
    assert store.due() == []


def test_all_is_due_where_nothing_is_built(store: Store) -> None:
    """What an image stands on is built before it."""
    for name in ("base", "java", "app"):
        store.remove(name)

    assert store.due() == ["base", "java", "app"]


@pytest.mark.parametrize("names", [("base",), ("java",), ("base", "java")])
def test_pruned_parents_are_not_missed(store: Store, names: tuple[str, ...]) -> None:
    """An image that is up to date does not need its parents any more."""
    for name in names:
        store.remove(name)

    assert store.due() == []


def test_only_missing_parents_are_built(store: Store) -> None:
    """A missing image is built on the parents that are there."""
    store.remove("app")
    store.remove("base")

    assert store.due() == ["app"]


def test_renewed_base_renews_all_that_stands_on_it(store: Store) -> None:
    """When base was built again, also with the same inputs, the images on it are stale to the end of the chain."""
    store.build("base")

    assert store.due() == ["java", "app"]


def test_changed_inputs_are_stale(store: Store) -> None:
    """An image with another input digest is built again, with what stands on it."""
    store.change("java", labels={})

    assert store.due() == ["java", "app"]


def test_image_of_another_platform_is_stale(store: Store) -> None:
    """An image that somebody put under the name for another platform is replaced."""
    store.change("app", platform=Platform.parse("arm64"))

    assert store.due() == ["app"]


def test_image_of_a_platform_that_archway_does_not_know_is_stale(store: Store) -> None:
    """An image for linux/386 under the name is replaced like any other of the wrong platform."""
    store.change("java", platform=None)

    assert store.due() == ["java", "app"]


def test_no_cache_builds_what_was_asked_for(store: Store) -> None:
    """--no-cache builds the wanted image, and leaves what it stands on."""
    assert store.due(Wishes(cache=False)) == ["app"]


def test_refresh_builds_everything(store: Store) -> None:
    """--refresh brings in today's packages from the ground up."""
    assert store.due(Wishes(refresh=True)) == ["base", "java", "app"]


def test_strategy_counts_when_it_was_named(store: Store) -> None:
    """An image built in another way is up to date, unless the way was asked for."""
    app = next(step for step in store.steps if step.target.image == "app")
    store.steps = tuple(replace(step, strategy=Strategy.EMULATED) if step is app else step for step in store.steps)

    assert store.due() == []
    assert store.due(Wishes(same_strategy=True)) == ["app"]


def test_dirty_image_is_stale_in_a_clean_checkout(store: Store) -> None:
    """What was built before its commit would claim for ever to be made of uncommitted changes."""
    store.build("app", Revision(commit="abc-dirty", epoch=0, source=""))

    assert store.due(commit="abc-dirty") == []
    assert store.due(commit="abc") == ["app"]


def labelled(image: LocalImage | None, labels: Mapping[str, str]) -> LocalImage:
    assert image
    return replace(image, labels={**image.labels, **labels})


@pytest.mark.parametrize("value", ["", "no json", "[]", "null"])
def test_damaged_label_is_no_crash(store: Store, value: str) -> None:
    """A label that somebody else wrote is taken as if nothing were recorded."""
    app = next(target for target in store.images if target.image == "app")
    store.images[app] = labelled(store.images[app], {"dev.archway.parents": value})

    assert store.due() == []
