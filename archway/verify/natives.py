"""Native code in archives: there for this platform, and what its name says."""

from __future__ import annotations

from collections.abc import Iterator

from archway.verify import elf
from archway.verify.families import misplaced, missing
from archway.verify.findings import Finding
from archway.verify.root import Root, at
from archway.verify.tar import printable


def check_archives(root: Root) -> Iterator[Finding]:
    """What the archives of an image lack for its platform, or hide from the proof."""
    by_path = {file.path: file for file in root.files if file.content.bundle}
    natives = [
        (path, native)
        for path, file in by_path.items()
        for native in (file.content.bundle.natives if file.content.bundle else ())
    ]
    places = {f"{path}!/{native.path}": (path, native.path) for path, native in natives}
    for family in missing(natives, root.platform):
        path, inside = places[family.path]
        there = ", ".join(family.platforms)
        shown = f"{family.family} of {family.library or 'an unnamed library'} for {there}"
        yield at(by_path[path], "native-missing", shown, f"one for {root.platform}", inside=printable(inside))
    for path, native, named in misplaced(natives):
        found = f"{native.header}, by its name for {named}"
        yield at(by_path[path], "native-misplaced", found, elf.expected(named), inside=printable(native.path))
    for path, file in by_path.items():
        for trouble in file.content.bundle.troubles if file.content.bundle else ():
            yield at(by_path[path], "archive-unread", trouble, "an archive that can be looked into")
