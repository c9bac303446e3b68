"""``inv images``."""

from __future__ import annotations

from invoke.context import Context

from archway.tasks.common import SELECTION, task


@task(
    iterable=["product", "operator", "image"],
    help={**SELECTION, "all_": "every image that is shipped (the default)", "json": "print the result as JSON"},
)
def images(
    context: Context,
    product: list[str],
    operator: list[str],
    image: list[str],
    all_: bool = False,
    json: bool = False,
    registry: str | None = None,
    organization: str | None = None,
    release: str | None = None,
) -> None:
    """List what is built here, what is published, and what is missing, for each platform.

    Example: inv images --product hive
    """
    from archway.inventory import inventory
    from archway.report_lists import print_items
    from archway.selection import Selection
    from archway.tasks.workplace import Workplace

    place = Workplace.of(context, registry=registry, organization=organization, release=release)
    named = bool(product or operator or image)
    lists = place.lists(Selection.of(product, operator, image, everything=all_ or not named))
    print_items(inventory(place.engine, place.settings, lists), json=json)
