"""``inv build``."""

from __future__ import annotations

from invoke.context import Context

from archway.tasks.common import SELECTION, task


@task(
    iterable=["product", "operator", "image"],
    help={
        **SELECTION,
        "arch": "platforms: arm64, amd64,arm64, aarch64, linux/arm64/v8, native (the default) or all",
        "strategy": "native, cross or emulated; the plan chooses when not given",
        "dry-run": "print what would be built, how and why; build nothing",
        "json": "print the result (or the plan) as JSON",
        "no-cache": "build the images that are asked for anew, without BuildKit's cache",
        "refresh": "build everything they stand on anew too, from today's packages (security updates)",
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
    refresh: bool = False,
    verbose: bool = False,
    registry: str | None = None,
    organization: str | None = None,
    release: str | None = None,
) -> None:
    """Build images for one or several platforms, with all that they stand on.

    Example: inv build --product hive --arch amd64,arm64
    """
    from archway.build import Building
    from archway.due import Wishes
    from archway.platforms import Platform
    from archway.report import print_outcomes, print_plan
    from archway.selection import Selection
    from archway.tasks.workplace import Workplace
    from archway.verification import refuse_before

    place = Workplace.of(context, registry=registry, organization=organization, release=release)
    # A plan needs no engine: without one, this machine's platform counts, and nothing is known to be built.
    alone = dry_run and not place.engine.answers
    selection = Selection.of(product, operator, image, everything=all_, arch=arch)
    steps = place.plan(selection, strategy=strategy, build_platform=Platform.native() if alone else None)
    wishes = Wishes(cache=not no_cache, refresh=refresh, same_strategy=bool(strategy), verbose=verbose)
    building = Building(engine=place.engine, settings=place.settings, wishes=wishes)
    if dry_run:
        due = steps if alone else building.due(steps)
        print_plan(steps, due, json=json)
        refuse_before(place.engine, place.catalog, due)
    else:
        print_outcomes(building.run(steps), json=json)
