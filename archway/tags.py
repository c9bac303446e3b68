"""The tags of an image: one for each member, one for each list, and those that float from release to release."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache

from packaging.version import InvalidVersion, Version

from archway.catalog import Image
from archway.errors import Location, MetadataError, Mistakes
from archway.metadata import Release, find_line
from archway.references import Reference, list_reference, member, tag
from archway.settings import Settings

_FLOATING = "by floating-tags"


def list_of(image: Image, release: Release, settings: Settings) -> Reference:
    """Where the list of a release stands, which joins its members.

    :raises MetadataError: version and release together are too long for a tag
    """
    return list_reference(
        registry=settings.registry, organization=settings.organization, image=image.name,
        version=release.version, release=settings.release,
    )  # fmt: skip


def floating(image: Image, release: Release, settings: Settings) -> tuple[Reference, ...]:
    """The tags beside the list's own that belong to a release, in the order of the setting ``floating-tags``.

    :raises MetadataError: version and release together are too long for a tag
    """
    found = {
        "version": tag(release.version),
        "minor": _first_numbers(2, image, release),
        "major": _first_numbers(1, image, release),
        "latest": "latest" if release.version == image.release().version else None,
    }
    there = list_of(image, release, settings)
    names = dict.fromkeys(found[word] for word in settings.floating_tags)
    return tuple(replace(there, tag=name) for name in names if name)


def _first_numbers(count: int, image: Image, release: Release) -> str | None:
    """The first numbers of a version as it writes them (24.04), if no release with the same numbers is newer."""
    wanted = _finished(release.version)
    if wanted is None or len(wanted.release) < count:
        return None
    same = [
        (version, other.version)
        for other in image.releases
        if (version := _finished(other.version)) and version.release[:count] == wanted.release[:count]
    ]
    if max(same) != (wanted, release.version):
        return None
    return ".".join(re.findall(r"[0-9]+", release.version)[:count])


@cache
def _finished(text: str) -> Version | None:
    """A version in order among others; None for one that is not, or is not finished (1.0rc1, 1.0.dev1)."""
    try:
        version = Version(text)
    except InvalidVersion:
        return None
    return None if version.is_prerelease else version


def check(image: Image, settings: Settings) -> None:
    """See that every tag of an image can be one, and that no two things would have the same.

    All releases and platforms count, not only those of one command: what is pushed later would overwrite the other.

    :raises MetadataError: all that is wrong
    """
    mistakes = Mistakes()
    seen: dict[Reference, tuple[int, str]] = {}
    for number, release in enumerate(image.releases):
        try:
            things = list(_things(image, release, settings))
        except MetadataError as wrong:
            mistakes.add(wrong.what, where=_place(image, number), hint="shorten the version, or the setting release")
            continue
        for reference, thing in things:
            first, other = seen.setdefault(reference, (number, thing))
            if other != thing:
                mistakes.add(
                    f"the tag {reference.tag} would name {other} ({_place(image, first)}), and {thing}",
                    where=_place(image, number),
                    hint=_way_out(thing, other),
                )
    mistakes.check()


def _things(image: Image, release: Release, settings: Settings) -> Iterator[tuple[Reference, str]]:
    """What of a release has a tag, and what it is in words."""
    for platform in image.metadata.platforms or settings.platforms:
        reference = member(
            registry=settings.registry, organization=settings.organization, image=image.name,
            version=release.version, release=settings.release, platform=platform,
        )  # fmt: skip
        yield reference, f"the image of {release.version} for {platform}"
    yield list_of(image, release, settings), f"the list of {release.version}"
    for reference in floating(image, release, settings):
        yield reference, f"the list of {release.version} {_FLOATING}"


def _place(image: Image, number: int) -> Location:
    text = image.metadata_path.read_text(encoding="utf-8")
    return Location(image.shown(image.metadata_path), find_line(text, ("release", number, "version")))


def _way_out(*things: str) -> str:
    settings = {"floating-tags" if thing.endswith(_FLOATING) else "release" for thing in things}
    return f"rename one of the versions, or change the setting {' or '.join(sorted(settings))}"
