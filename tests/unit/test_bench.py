"""The figures: what they are made of, and when they are over their limits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from archway.bench.__main__ import main
from archway.bench.catalogue import figures, planned, shipped, total
from archway.bench.products import ORGANIZATION, Bench, Figure, Inv, InvError, Targets, build_figures, ratio
from archway.errors import UsageError
from archway.platforms import Platform
from tests.monorepo import Monorepo

TARGETS = Targets(
    native="amd64",
    foreign="arm64",
    image="localhost:5000/archway-bench/app:1-amd64",
    repositories="localhost:5000/archway-bench/*",
)
FOREIGN = "arm64" if Platform.native().tag != "arm64" else "amd64"


def step(tag: str, strategy: str, *, image: str = "app", requested: bool = True) -> dict[str, Any]:
    return {
        "target": f"{image} 1 {tag}", "strategy": strategy, "requested": requested,
        "reference": f"localhost:5000/{ORGANIZATION}/{image}:1-{tag}",
    }  # fmt: skip


@pytest.fixture
def monorepo(monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Monorepo:
    """A monorepo in which ``inv`` works and has no engine, and in which we are."""
    monorepo.write("tasks.py", "from archway.tasks import namespace\n\nns = namespace()\n")
    monkeypatch.chdir(monorepo.root)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nothing.sock")
    return monorepo


def test_ratios_are_those_of_pairs() -> None:
    """A ratio is the median of the ratios of builds made one after the other, not the ratio of two medians."""
    found = ratio("cross ÷ native", [(10, 10), (30, 20), (100, 50)])

    assert found.median == 1.5
    assert found.row == ["cross ÷ native", "1.50", "3", ""]


def test_emulated_is_compared_within_its_own_pairs() -> None:
    """Emulated ÷ cross is measured in pairs as well, apart from those of cross and native."""
    found = {figure.name: figure for figure in build_figures("app", TARGETS, [(11, 10)], [(60, 10), (80, 10)])}

    assert list(found) == [
        "app amd64, native", "app arm64, cross", "cross ÷ native", "app arm64, emulated", "emulated ÷ cross",
    ]  # fmt: skip
    assert found["cross ÷ native"].median == 1.1
    assert found["emulated ÷ cross"].values == (6, 8)


def test_emulation_can_be_left_out() -> None:
    """Without emulated rounds there is no figure of them."""
    assert [figure.name for figure in build_figures("app", TARGETS, [(1, 1)], [])][-1] == "cross ÷ native"


@pytest.mark.parametrize(
    ("values", "limit", "missed"),
    [((1.0, 1.2, 9.0), 1.2, False), ((1.0, 1.3, 9.0), 1.2, True), ((9.0,), None, False)],
)
def test_limits_hold_for_the_median(values: tuple[float, ...], limit: float | None, missed: bool) -> None:
    """A figure is over its limit when its median is; a figure without a limit never is."""
    assert Figure(name="x", values=values, limit=limit).missed is missed


@pytest.mark.parametrize(("options", "exit_code"), [(["--check"], 1), ([], 0)])
def test_missed_limit_fails_when_that_is_asked_for(
    options: list[str], exit_code: int, monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The limits are told always, and end in an exit code with --check."""
    slow = Figure(name="inv --list", values=(0.5,) * 5, limit=0.4)
    monkeypatch.setattr(Bench, "figures", lambda *_: [slow])

    assert main([*options, "--rust-rounds", "0"]) == exit_code
    said = capsys.readouterr()
    assert "at most 0.4 s" in said.out
    assert "over its limit: inv --list" in said.err


def test_platforms_are_read_from_the_plan() -> None:
    """What is compared is what was asked for, not what that stands on."""
    plan = [
        step("riscv64", "cross", image="base", requested=False), step("amd64", "native"), step("arm64", "cross"),
        step("armv7", "cross"),
    ]  # fmt: skip

    assert Targets.of(plan) == TARGETS


@pytest.mark.parametrize(
    "plan", [[step("amd64", "native")], [step("arm64", "cross")], [step("amd64", "native"), step("arm64", "emulated")]]
)
def test_one_platform_is_nothing_to_compare(plan: list[dict[str, Any]]) -> None:
    """A product for one platform, or one that is emulated anyway, has no such figures, and the message says so."""
    with pytest.raises(UsageError) as told:
        Targets.of(plan)

    assert str(plan[0]["target"]) in str(told.value)


def test_settings_count_as_they_do_for_inv(
    monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A setting in the environment counts for the bench too: with one platform there is nothing to compare."""
    monorepo.image("products/app", "FROM scratch\n")
    monkeypatch.setenv("INVOKE_ARCHWAY_PLATFORMS", Platform.native().tag)

    assert main(["--product", "app"]) == 2
    assert "nothing to compare" in capsys.readouterr().err


def test_organization_is_its_own(monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the organization is, the bench builds under another, which no one ships."""
    monorepo.image("products/app", "FROM scratch\n")
    monkeypatch.setenv("INVOKE_ARCHWAY_ORGANIZATION", "team")

    plan = Inv(monorepo.root)("build", "--product", "app", "--arch", "all", "--dry-run", "--json")

    assert f"localhost:5000/{ORGANIZATION}/app:1-0.1.0-dev-{FOREIGN}" in plan
    assert "/team/" not in plan
    assert os.environ["INVOKE_ARCHWAY_ORGANIZATION"] == "team"


def test_failure_of_a_command_is_told(monorepo: Monorepo, capsys: pytest.CaptureFixture[str]) -> None:
    """A command that fails is shown with what it said, and its exit code is the bench's."""
    assert main(["--product", "nonesuch"]) == 2

    said = capsys.readouterr().err
    assert "inv build --product nonesuch" in said
    assert "ended with exit code 2" in said
    assert "'nonesuch'" in said


def test_build_without_an_engine_is_told(monorepo: Monorepo, capsys: pytest.CaptureFixture[str]) -> None:
    """Where no engine answers, the error of the build is shown, not one of the tidying up."""
    monorepo.image("products/app", "FROM scratch\n")

    assert main(["--product", "app"]) == 4
    assert "inv build --product app" in capsys.readouterr().err


def test_error_keeps_the_exit_code() -> None:
    """Scripts can tell what was the matter."""
    assert InvError(["build"], ended=7, said="x").ended == 7


def test_catalogue_counts_shared_layers_once(monorepo: Monorepo) -> None:
    """Two products on one base: each has its own part, and the base is there once for each platform."""
    monorepo.image("base", "FROM scratch\n")
    for name in ("app", "tool"):
        monorepo.image(f"products/{name}", "FROM base\n")
    steps = planned(monorepo.catalog, ["app", "tool"], TARGETS)
    bases = shipped(steps)
    found = {target: 100 if target.image == "base" else 110 for target in bases}

    assert sorted(str(target) for target in bases) == sorted(
        f"{name} 1 {platform}" for name in ("app", "base", "tool") for platform in ("amd64", "arm64")
    )
    assert total(bases, found) == 2 * (100 + 10 + 10)


def test_catalogue_tells_each_product_and_all(monorepo: Monorepo) -> None:
    """Seconds, ratio and size of each product, then the ratio over all pairs, the sum of seconds, and the sizes."""
    for name in ("app", "tool"):
        monorepo.image(f"products/{name}", "FROM scratch\n")
    steps = planned(monorepo.catalog, ["app", "tool"], TARGETS)
    sizes = dict.fromkeys(shipped(steps), 5000000)
    told = figures({"app": [(3, 2), (3, 2)], "tool": [(1, 1)]}, TARGETS, steps, sizes)

    values = {figure.name: figure.median for figure in told}
    assert values["app: cross ÷ native"] == 1.5
    assert values["tool 1 arm64, size"] == 5
    assert values["all products: cross ÷ native"] == 1.5
    assert values["all products, both platforms, own steps"] == 7
    assert values["all products, both platforms, what they share once"] == 20
    assert [figure.name for figure in told if figure.missed] == ["app: cross ÷ native", "all products: cross ÷ native"]


def test_catalogue_without_products_is_told(monorepo: Monorepo, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to measure is a mistake, with what to do."""
    assert main(["catalogue"]) == 2
    assert "there is no product to measure" in capsys.readouterr().err


def test_catalogue_needs_a_round(capsys: pytest.CaptureFixture[str]) -> None:
    """None at all would print nothing."""
    with pytest.raises(SystemExit):
        main(["catalogue", "--rounds", "0"])

    assert "needs a round" in capsys.readouterr().err
