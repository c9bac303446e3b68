"""``inv inspect``."""

from __future__ import annotations

from invoke.context import Context

from archway.tasks.common import SELECTION, task


@task(
    positional=["image"],
    help={
        "image": "NAME or NAME=VERSION of this monorepo, NAME:TAG, or REGISTRY/REPOSITORY:TAG (or @sha256:…)",
        "local": "look in the engine only",
        "json": "print the result as JSON",
        **{name: SELECTION[name] for name in ("registry", "organization", "release")},
    },
)
def inspect(
    context: Context,
    image: str,
    local: bool = False,
    json: bool = False,
    registry: str | None = None,
    organization: str | None = None,
    release: str | None = None,
) -> None:
    """Show what a name stands for: platforms, digests, sizes, and what is wrong with a list.

    Example: inv inspect hive
    """
    from archway import inspection
    from archway.report_lists import print_inspection
    from archway.tasks.workplace import Workplace

    place = Workplace.of(context, registry=registry, organization=organization, release=release)
    reference = inspection.resolve(place.catalog, image)
    found = inspection.inspect(place.engine, place.settings, place.catalog, reference, local=local)
    print_inspection(found, json=json)
