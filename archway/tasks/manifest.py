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
        "back": "let floating tags also move to something older than they name now",
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
    back: bool = False,
    json: bool = False,
    registry: str | None = None,
    organization: str | None = None,
    release: str | None = None,
) -> None:
    """Join members that are pushed already into manifest lists: exactly one for each platform, by digest.

    Example: inv manifest --product hive --dry-run
    """
    from archway.errors import UsageError
    from archway.joining import join_all, rehearse
    from archway.local_lists import join_all_local, rehearse_all_local
    from archway.report_lists import print_rehearsal, print_tagged
    from archway.selection import Selection
    from archway.tasks.workplace import Workplace

    if local and (foreign or back):
        raise UsageError("--local goes with neither --foreign nor --back", hint="it joins what inv build has built")
    place = Workplace.of(context, registry=registry, organization=organization, release=release)
    lists = place.lists(Selection.of(product, operator, image, everything=all_))
    if dry_run and local:
        print_rehearsal(rehearse_all_local(place.engine, place.settings, lists), json=json)
    elif dry_run:
        print_rehearsal(rehearse(place.settings, lists, foreign=foreign, back=back), json=json)
    elif local:
        print_tagged(join_all_local(place.engine, place.settings, lists), json=json)
    else:
        print_tagged(join_all(place.settings, lists, foreign=foreign, back=back), json=json)
