"""``inv build``."""

from __future__ import annotations

from invoke.context import Context

from archway.build import Building
from archway.platforms import Platform
from archway.report import print_outcomes, print_plan
from archway.tasks.common import SELECTION, Workplace, task


@task(
    iterable=["product", "operator", "image"],
    help={
        **SELECTION,
        "arch": "platforms: arm64, amd64,arm64, aarch64, linux/arm64/v8, native (the default) or all",
        "strategy": "native, cross or emulated; the plan chooses when not given",
        "dry-run": "print what would be built, how and why; build nothing",
        "json": "print the result (or the plan) as JSON",
        "no-cache": "build the images that are asked for anew, without BuildKit's cache",
        "verbose": "show all that BuildKit says",
    },
)
def build(
    context: Context,
    product: list[str],
    operator: list[str],
    image: list[str],
    all_: bool = False,
    arch: str = "native",
    strategy: str = "",
    dry_run: bool = False,
    json: bool = False,
    no_cache: bool = False,
    verbose: bool = False,
    registry: str = "",
    organization: str = "",
    release: str = "",
) -> None:
    """Build images for one or several platforms, with all that they stand on.

    Example: inv build --product hive --arch amd64,arm64
    """
    place = Workplace.of(context, registry=registry, organization=organization, release=release)
    # A plan needs no engine: without one, this machine's platform counts, and nothing is known to be built.
    alone = dry_run and not place.engine.answers
    steps = place.plan(
        arch=arch, product=product, operator=operator, image=image, everything=all_, strategy=strategy,
        build_platform=Platform.native() if alone else None,
    )  # fmt: skip
    building = Building(place.engine, place.settings, cache=not no_cache, same_strategy=bool(strategy), verbose=verbose)
    if dry_run:
        print_plan(steps, steps if alone else building.due(steps), json=json)
    else:
        print_outcomes(building.run(steps), json=json)
