"""``inv promote``."""

from __future__ import annotations

from invoke.context import Context

from archway.tasks.common import SELECTION, task


@task(
    iterable=["product", "operator", "image"],
    help={
        **{name: text for name, text in SELECTION.items() if name not in ("registry", "organization")},
        "from_": "where the lists are: ORGANIZATION or REGISTRY/ORGANIZATION",
        "to": "where they go, in the same way",
        "all_": "every image that is shipped (the default)",
        "foreign": "also take members that archway did not build; their contents are proven all the same",
        "back": "let floating tags also move to something older than they name now",
        "dry-run": "print what is already so, what would be written, and what is missing; write nothing",
        "json": "print the result as JSON",
    },
)
def promote(
    context: Context,
    product: list[str],
    operator: list[str],
    image: list[str],
    from_: str = "",
    to: str = "",
    all_: bool = False,
    foreign: bool = False,
    back: bool = False,
    dry_run: bool = False,
    json: bool = False,
    release: str | None = None,
) -> None:
    """Copy manifest lists with all members, by digest, to another organization or registry; floating tags move last.

    Example: inv promote --from experimental --to stable --product hive
    """
    from archway.promote import places, promote_all, rehearse
    from archway.report_lists import print_rehearsal, print_tagged
    from archway.selection import Selection
    from archway.tasks.workplace import Workplace

    place = Workplace.of(context, release=release)
    source, target = places(place.settings, from_, to)
    named = bool(product or operator or image)
    requests = place.requests(Selection.of(product, operator, image, everything=all_ or not named))
    if dry_run:
        print_rehearsal(rehearse(source, target, requests, foreign=foreign, back=back), json=json)
    else:
        print_tagged(promote_all(source, target, requests, foreign=foreign, back=back), json=json)
