"""Programs and libraries: which machine they are for."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from functools import cache, cached_property

from archway.platforms import TABLE, Names, Platform
from archway.verify import elf
from archway.verify.findings import Finding
from archway.verify.root import Root, at
from archway.verify.rootfs import File
from archway.verify.tar import printable

_MOST = 8  # words of architectures in one path
# Where a distribution and its compilers put the programs of the machine: what is foreign there is left over or mixed,
# also beside a folder with the right ones (/usr/lib/x86_64-linux-gnu). Data, Go's own tree, and packages of npm and
# Python are not.
_SYSTEM = re.compile(
    r"/(?:bin|sbin|lib[^/]*|usr)/"
    r"(?!(?:local/)?(?:lib(?:32|64)?/(?:node_modules|python[^/]*/(?:site|dist)-packages)|share)/|local/go/).*"
)
_GO_INTERNAL = re.compile(r"/internal/[^/]+$")


def in_system(path: str) -> bool:
    """Whether a path is in the folders of the system, where all programs are to be the machine's own."""
    return bool(_SYSTEM.fullmatch(path))


def check_machine(file: File, platform: Platform) -> Iterator[Finding]:
    """Compare one file with the platform.

    Object files count as well: a foreign ``.o`` in an image is as wrong as a program, and where it is not (a cross
    compiler's own), an exception says why. What no CPU runs belongs to every platform (:func:`elf.fits`).
    """
    header = file.content.elf
    if file.lost:
        found = f"a hard link to {printable(file.lost)}, which cannot be followed"
        yield at(file, "link-lost", found, "a file")
    elif isinstance(header, elf.CutShort):
        yield at(file, "elf-truncated", str(header), elf.expected(platform))
    elif header and not elf.fits(header, platform):
        yield at(file, "elf-machine", str(header), elf.expected(platform))
    elif file.content.dynamic and file.content.dynamic.damage:
        yield at(file, "elf-truncated", printable(file.content.dynamic.damage)[:200], "a whole file")
    elif foreign := next((it for it in file.content.objects if not elf.fits(it, platform)), None):
        yield at(file, "elf-machine", f"an archive of objects with a {foreign}", elf.expected(platform))


def check_programs(root: Root) -> tuple[list[Finding], int]:
    """Compare all files with the platform: the findings, and how many foreign ones stand beside one that fits.

    Some products ship the programs of several platforms in folders that are named after them (npm's ``prebuilds``,
    launchers): there each must have its like for this platform.
    """
    findings: list[Finding] = []
    bundles = _Bundles(root)
    bundled = 0
    for file in root.files:
        for finding in check_machine(file, root.platform):
            if finding.rule == "elf-machine" and bundles.has_sibling(file):
                bundled += 1
            else:
                findings.append(finding)
    return findings, bundled


class _Bundles:
    """The programs of one image that stand beside their like for other platforms."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def has_sibling(self, file: File) -> bool:
        """Whether a foreign file is one of several platforms' and there is one for this platform.

        Not so if a link without the word of its platform leads to it: that one is what is loaded.
        """
        header = file.content.elf
        if not isinstance(header, elf.ElfHeader) or in_system(file.path):
            return False
        if (family := _go_objects(file.path)) and family in self._objects:
            return True
        theirs = [names for names in TABLE if names.elf == (header.bits, header.order, header.machine)]
        ours = self._root.platform.names
        return any(
            not self._is_linked(file.path, names) and any(map(self._fits, _siblings(file.path, names, ours)))
            for names in theirs
        )

    def _fits(self, path: str) -> bool:
        there = self._root.find(path)
        return there is not None and is_program_for(there, self._root.platform)

    def _is_linked(self, path: str, names: Names) -> bool:
        """Whether a link gives a file or its folder a name without the words of its platform."""
        ends = [place for place, char in enumerate(path) if char == "/" and place] + [len(path)]
        word = _pattern(names)
        return any((path[:end], names.oci) in self._plain_links and not word.search(path, end) for end in ends)

    @cached_property
    def _plain_links(self) -> frozenset[tuple[str, str]]:
        """Where links lead, each with the platforms of which they have no word. RPM's links for debuggers are none."""
        return frozenset(
            (self._root.resolve(link), names.oci)
            for link in self._root.links
            if "/.build-id/" not in link
            for names in TABLE
            if not _pattern(names).search(link)
        )

    @cached_property
    def _objects(self) -> frozenset[tuple[str, str]]:
        """The families of Go's objects that have one for this platform."""
        objects = (
            file
            for file in self._root.files
            if file.path.endswith(".syso") and is_program_for(file, self._root.platform)
        )
        return frozenset(filter(None, (_go_objects(file.path) for file in objects)))


def _go_objects(path: str) -> tuple[str, str] | None:
    """The family of an object that comes with Go's source: its folder, and its name without the platform. Those of
    amd64 may lie in folders of their own (``internal/amd64v1/race_linux.syso``)."""
    folder, name = posixpath.split(path)
    if not name.endswith(".syso") or "/src/" not in folder:
        return None
    return _GO_INTERNAL.sub("", folder), name.partition("_")[0]


def _siblings(path: str, theirs: Names, ours: Names) -> Iterator[str]:
    """A path with one word of an architecture replaced, or all: each by ours of its kind (``sharp-linux-x64/…-x64``),
    where a word is of several kinds by one after the other, or all by one of ours."""
    pairs = list(zip(_words(theirs), _words(ours), strict=True))
    found = list(_pattern(theirs).finditer(path))[:_MOST]
    others = dict.fromkeys(other for _, other in pairs)
    for word in found:
        yield from (path[: word.start()] + other + path[word.end() :] for other in others)
    if len(found) > 1:
        words = dict(pairs)
        for replacement in (
            *(words | {word: other} for word, other in pairs),
            *(dict.fromkeys(words, it) for it in others),
        ):
            ends = [0, *(word.end() for word in found)]
            parts = (path[end : word.start()] + replacement[word[0]] for end, word in zip(ends, found, strict=False))
            yield "".join(parts) + path[ends[-1] :]


def _words(names: Names) -> list[str]:
    kinds = (names.oci, names.uname, names.debian, names.node, names.maven, names.rust.partition("-")[0])
    return [word.removeprefix("linux/").removeprefix("linux-").replace("/", "") for word in kinds]


@cache
def _pattern(names: Names) -> re.Pattern[str]:
    words = sorted(set(_words(names)), key=len, reverse=True)
    return re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, words))})(?![A-Za-z0-9])")


def is_program_for(file: File, platform: Platform) -> bool:
    """Whether a file is ELF that may be part of a platform's image."""
    return isinstance(file.content.elf, elf.ElfHeader) and elf.fits(file.content.elf, platform)
