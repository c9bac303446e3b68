"""``inv publish``."""

from __future__ import annotations

from invoke.context import Context

from archway.tasks.common import SELECTION, task


@task(
    iterable=["product", "operator", "image"],
    help={
        **SELECTION,
        "test": "run the smoke tests on every platform before anything is pushed",
        "keep-going": "publish the images that are whole, also when others are not",
        "back": "let floating tags also move to something older than they name now",
        "dry-run": "print what is already so, what would be written, and what must be built first; write nothing",
        "json": "print the result as JSON",
        "verbose": "show all that BuildKit says",
    },
)
def publish(
    context: Context,
    product: list[str],
    operator: list[str],
    image: list[str],
    all_: bool = False,
    test: bool = False,
    keep_going: bool = False,
    back: bool = False,
    dry_run: bool = False,
    json: bool = False,
    verbose: bool = False,
    registry: str | None = None,
    organization: str | None = None,
    release: str | None = None,
) -> None:
    """Build what is missing, prove it, and push members, then manifest lists, then floating tags.

    Example: inv publish --product hive --test
    """
    from archway.build import Building
    from archway.due import Wishes
    from archway.publish import Publishing, publish_all, rehearse
    from archway.report_lists import print_rehearsal, print_tagged
    from archway.selection import Selection
    from archway.tasks.workplace import Workplace

    place = Workplace.of(context, registry=registry, organization=organization, release=release)
    lists = place.lists(Selection.of(product, operator, image, everything=all_))
    if dry_run:
        print_rehearsal(rehearse(place.engine, place.settings, lists, back=back), json=json, needed=False)
        return
    building = Building(engine=place.engine, settings=place.settings, wishes=Wishes(verbose=verbose))
    run = Publishing(
        engine=place.engine, settings=place.settings, building=building, test=test, keep_going=keep_going, back=back
    )
    print_tagged(*publish_all(run, lists), json=json)
