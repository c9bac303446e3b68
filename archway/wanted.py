"""The lists that a selection of images asks for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from archway import tags
from archway.catalog import Catalog
from archway.lists import Wanted
from archway.plan import make_plan
from archway.platforms import Platform
from archway.selection import Request


def wanted_lists(catalog: Catalog, requests: Sequence[Request], *, build_platform: Platform) -> tuple[Wanted, ...]:
    """One list for each release that was asked for, with all of its platforms.

    :raises MetadataError: an image.toml or a Dockerfile is wrong
    """
    return tuple(_wanted(catalog, request, build_platform) for request in requests)


def _wanted(catalog: Catalog, request: Request, build_platform: Platform) -> Wanted:
    image, release, settings = request.image, request.release, catalog.settings
    inputs: dict[Platform, set[str]] = defaultdict(set)
    plan = make_plan(catalog, [request], build_platform=build_platform)
    # A member may have been built on a machine of any of the platforms, whose builder images are others.
    elsewhere = {*settings.platforms, *request.platforms} - {build_platform}
    for steps in (plan, *(make_plan(catalog, [request], build_platform=machine) for machine in sorted(elsewhere))):
        for step in steps:
            if step.requested:
                inputs[step.target.platform].add(step.input_digest)
    return Wanted(
        image=image,
        release=release,
        reference=tags.list_of(image, release, settings),
        floating=tags.floating(image, release, settings),
        plan=plan,
        inputs={platform: frozenset(digests) for platform, digests in inputs.items()},
    )
