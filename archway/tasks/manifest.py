"""``inv manifest``."""

from __future__ import annotations

from invoke.context import Context

from archway.tasks.common import SELECTION, task


@task(
    iterable=["product", "operator", "image"],
    help={
        **SELECTION,
        "dry-run": "print what is already so, what would be written, and what is missing; write nothing",
        "local": "make the lists in the engine's own store; no registry is needed",
        "foreign": "also take members that archway did not build; their contents are proven all the same",
        "json": "print the result as JSON",
    },
)
def manifest(
    context: Context,
    product: list[str],
    operator: list[str],
    image: list[str],
    all_: bool = False,
    dry_run: bool = False,
    local: bool = False,
    foreign: bool = False,
    json: bool = False,
    registry: str = "",
    organization: str = "",
    release: str = "",
) -> None:
    """Join members that are pushed already into manifest lists: exactly one for each platform, by digest.

    Example: inv manifest --product hive --dry-run
    """
    from archway.errors import UsageError
    from archway.joining import find_members, join, rehearse
    from archway.local_lists import join_local, rehearse_local
    from archway.report_lists import print_rehearsal, print_tagged
    from archway.selection import Selection
    from archway.tasks.workplace import Workplace

    if local and foreign:
        raise UsageError("--local and --foreign exclude each other", hint="--local joins what inv build has built")
    place = Workplace.of(context, registry=registry, organization=organization, release=release)
    lists = place.lists(Selection.of(product, operator, image, everything=all_))
    if local and dry_run:
        tagged = [one for wanted in lists for one in rehearse_local(place.engine, place.settings, wanted)]
        print_rehearsal(tagged, json=json)
    elif local:
        print_tagged([join_local(place.engine, place.settings, wanted) for wanted in lists], json=json)
    elif dry_run:
        print_rehearsal(rehearse(place.settings, lists, foreign=foreign), json=json)
    else:
        found = [find_members(place.settings, wanted, foreign=foreign) for wanted in lists]
        print_tagged(join(found), json=json)
