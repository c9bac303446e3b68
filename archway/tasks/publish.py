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
        "dry-run": "print what is already so, what would be written, and what is not there to be written yet",
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
    dry_run: bool = False,
    json: bool = False,
    verbose: bool = False,
    registry: str = "",
    organization: str = "",
    release: str = "",
) -> None:
    """Build what is missing, prove it, and push members, then manifest lists, then floating tags.

    Example: inv publish --product hive --test
    """
    from archway.publish import publish_all, rehearse
    from archway.report_lists import print_rehearsal, print_tagged
    from archway.selection import Selection
    from archway.tasks.workplace import Workplace

    place = Workplace.of(context, registry=registry, organization=organization, release=release)
    lists = place.lists(Selection.of(product, operator, image, everything=all_))
    if dry_run:
        print_rehearsal(rehearse(place.engine, place.settings, lists), json=json)
        return
    tagged, verdict = publish_all(
        place.engine, place.settings, lists, test=test, keep_going=keep_going, verbose=verbose
    )
    print_tagged(tagged, json=json)
    if verdict:
        raise verdict
