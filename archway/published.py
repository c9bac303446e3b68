"""``images.lock.toml``: what was published of each image and version last, with its digests.

It is committed with the monorepo, so that others can name exactly these images: by digest, without asking a registry.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated

import toml
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from archway.errors import Location, MetadataError, Mistakes, UsageError
from archway.files import alone, write_whole
from archway.metadata import find_line, parse_toml
from archway.platforms import Platform
from archway.references import Reference
from archway.table import Table

LOCK = "images.lock.toml"
_HEAD = "# Written by archway (inv publish): what was published last of each image and version. Do not edit.\n"
_REPAIR = "take the file as it was committed, and run inv publish again"


def _reference(text: str) -> str:
    return _checked(text, Reference.parse)


def _platform(text: str) -> str:
    return _checked(text, Platform.parse)


def _checked(text: str, parse: Callable[[str], object]) -> str:
    try:
        return str(parse(text))
    except UsageError as wrong:
        raise ValueError(wrong.what) from None


# Nothing that the library toml writes wrongly, such as quotes and backslashes.
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}$")]
Digest = Annotated[str, StringConstraints(pattern=r"^sha(256:[0-9a-f]{64}|512:[0-9a-f]{128})$")]


class PublishedImage(Table):
    """One ``[[image]]``: the list that was published of one version."""

    name: Word
    version: Word
    release: Word
    default: bool
    """Whether this is the version that the image's name alone stands for."""
    reference: Annotated[str, AfterValidator(_reference)]
    digest: Digest
    """Of the list."""
    members: dict[Annotated[str, AfterValidator(_platform)], Digest] = Field(min_length=1)
    """The digest of each platform's image."""


class _Lock(Table):
    image: list[PublishedImage] = Field(default_factory=list)


def read(root: Path) -> tuple[PublishedImage, ...]:
    """What was published; nothing, if there is no such file.

    :raises MetadataError: the file is no such list
    """
    text = _text(root)
    return _parse(text) if text else ()


def record(root: Path, entries: Sequence[PublishedImage]) -> bool:
    """Add what was published, in place of what the file has of the same images and versions.

    :returns: whether that changed the file
    :raises MetadataError: the file that is there is no such list; it is left as it is
    :raises OSError: the file cannot be written
    """
    if not entries:
        return False
    # So that no run loses what another one adds.
    with alone(root / ".archway" / f"{LOCK}.lock"):
        before = _text(root)
        after = render(merge(_parse(before) if before else (), entries))
        if after == before:
            return False
        _write(root / LOCK, after)
    return True


def merge(there: Iterable[PublishedImage], new: Iterable[PublishedImage]) -> list[PublishedImage]:
    """Entries in their order, the new ones in place of the old; no two versions of an image are its default."""
    entries = {(entry.name, entry.version): entry for entry in there}
    for entry in new:
        if entry.default:
            others = [key for key, other in entries.items() if other.name == entry.name and other.default]
            entries |= {key: entries[key].model_copy(update={"default": False}) for key in others}
        entries[entry.name, entry.version] = entry
    return sorted(entries.values(), key=_order)


def render(entries: Iterable[PublishedImage]) -> str:
    """The text of the file."""
    tables = [{**entry.model_dump(), "members": dict(sorted(entry.members.items()))} for entry in entries]
    text = _HEAD + "".join(f"\n{toml.dumps({'image': [table]}).strip()}\n" for table in tables)
    if tomllib.loads(text).get("image", []) != tables:
        raise ValueError("toml has written what reads as something else")
    return text


def _order(entry: PublishedImage) -> tuple[str, Version, str]:
    try:
        return entry.name, Version(entry.version), entry.version
    except InvalidVersion:
        return entry.name, Version("0"), entry.version


def _text(root: Path) -> str:
    try:
        return (root / LOCK).read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as broken:
        raise MetadataError(f"is not UTF-8 at byte {broken.start}", where=LOCK, hint=_REPAIR) from None


def _parse(text: str) -> tuple[PublishedImage, ...]:
    tables = parse_toml(text, shown=LOCK, hint=_REPAIR)
    try:
        found = _Lock.model_validate(tables)
    except ValidationError as invalid:
        mistakes = Mistakes()
        for mistake in invalid.errors():
            key = ".".join(part for part in mistake["loc"] if isinstance(part, str) and part != "[key]")
            what = f"{key}: {mistake['msg'].removeprefix('Value error, ')}"
            mistakes.add(what, where=Location(LOCK, find_line(text, mistake["loc"])), hint=_REPAIR)
        mistakes.check()
        raise
    seen = set()
    for number, entry in enumerate(found.image):
        if (entry.name, entry.version) in seen:
            where = Location(LOCK, find_line(text, ("image", number, "version")))
            raise MetadataError(f"{entry.name} {entry.version} stands twice", where=where, hint=_REPAIR)
        seen.add((entry.name, entry.version))
    return tuple(found.image)


def _write(path: Path, text: str) -> None:
    write_whole(path.resolve(), text.encode())  # what a link leads to is replaced, not the link
