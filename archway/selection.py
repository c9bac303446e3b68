"""What the options of a task ask for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from archway.catalog import Catalog, Image
from archway.errors import UsageError
from archway.metadata import Release


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What somebody asked for on the command line."""

    image: Image
    release: Release


def requests(
    catalog: Catalog,
    *,
    products: Iterable[str] = (),
    operators: Iterable[str] = (),
    images: Iterable[str] = (),
    everything: bool = False,
) -> tuple[Request, ...]:
    """What ``--product hive=4.0.1 --image base --all`` ask for; without a version, the default release.

    :raises UsageError: an image or version does not exist, or nothing is asked for
    """
    asked = [
        (kind, word)
        for kind, words in (("product", products), ("operator", operators), ("image", images))
        for entry in words
        for word in filter(None, (part.strip() for part in entry.split(",")))
    ]
    found: list[Request] = []
    for kind, word in asked:
        name, _, version = word.partition("=")
        image = catalog.image(name, kind=kind)
        if "=" in word and not version:
            raise UsageError(f"{word!r} has no version after =", hint=f"say {name} or {name}={image.release().version}")
        found.append(Request(image=image, release=image.release(version or None)))
    if everything:
        found += [Request(image=image, release=image.release()) for image in catalog if not image.metadata.builder]
    if not found:
        raise UsageError(
            "nothing to do", hint="say --product NAME, --operator NAME, --image NAME or --all\n"
            f"products: {', '.join(sorted(i.name for i in catalog if i.kind == 'product')) or 'none yet'}",
        )  # fmt: skip
    return tuple({(request.image.name, request.release.version): request for request in found}.values())
