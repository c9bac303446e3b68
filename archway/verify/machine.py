"""Programs and libraries: which machine they are for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archway.platforms import TABLE, Names, Platform
from archway.verify import elf
from archway.verify.findings import Finding
from archway.verify.root import Root, at
from archway.verify.rootfs import File
from archway.verify.tar import printable

_MOST = 8  # words of architectures in one path
# Where a distribution and its compilers put the programs of the machine: what is foreign there is left over or mixed,
# also beside a folder with the right ones (/usr/lib/x86_64-linux-gnu).
_SYSTEM = re.compile(
    r"/(?:bin|sbin|lib[^/]*|usr)/(?!(?:local/)?(?:lib/node_modules|lib/python[^/]*/(?:site|dist)-packages)/).*"
)


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
    elif header and header.machine == platform.names.elf[2] and file.content.dynamic and file.content.dynamic.damage:
        yield at(file, "elf-truncated", file.content.dynamic.damage, "a whole file")


def check_programs(root: Root) -> tuple[list[Finding], int]:
    """Compare all files with the platform: the findings, and how many foreign ones stand beside one that fits.

    Some products ship the programs of several platforms in folders that are named after them (npm's ``prebuilds``,
    launchers): there each must have its like for this platform.
    """
    findings: list[Finding] = []
    bundled = 0
    for file in root.files:
        for finding in check_machine(file, root.platform):
            if finding.rule == "elf-machine" and _has_sibling(root, file):
                bundled += 1
            else:
                findings.append(finding)
    return findings, bundled


def _has_sibling(root: Root, file: File) -> bool:
    header = file.content.elf
    if not isinstance(header, elf.ElfHeader) or _SYSTEM.fullmatch(file.path):
        return False
    theirs = [names for names in TABLE if names.elf == (header.bits, header.order, header.machine)]
    siblings = (root.find(path) for names in theirs for path in _siblings(file.path, names, root.platform.names))
    return any(there and _fits(there, root.platform) for there in siblings)


def _siblings(path: str, theirs: Names, ours: Names) -> Iterator[str]:
    """A path with one word of an architecture replaced, or each by ours of its kind (``sharp-linux-x64/…-x64``)."""
    words = dict(zip(_words(theirs), _words(ours), strict=True))
    found = list(re.finditer(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, words))})(?![A-Za-z0-9])", path))[:_MOST]
    for word in found:
        yield from (path[: word.start()] + other + path[word.end() :] for other in dict.fromkeys(words.values()))
    if len(found) > 1:
        ends = [0, *(word.end() for word in found)]
        parts = (path[end : word.start()] + words[word[0]] for end, word in zip(ends, found, strict=False))
        yield "".join(parts) + path[ends[-1] :]


def _words(names: Names) -> list[str]:
    return [word.removeprefix("linux/").replace("/", "") for word in (names.oci, names.uname, names.debian, names.node)]


def _fits(file: File, platform: Platform) -> bool:
    return isinstance(file.content.elf, elf.ElfHeader) and elf.fits(file.content.elf, platform)
