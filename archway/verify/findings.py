"""The proof of architecture: every ELF file of an image, and its configuration, compared with the wanted platform."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

from archway.errors import UsageError
from archway.platforms import Platform
from archway.verify import elf
from archway.verify.archive import Archive, Image, open_archive
from archway.verify.rootfs import File, flatten
from archway.verify.tar import Limits, printable

CONFIG_PLATFORM = "config-platform"
ELF_MACHINE = "elf-machine"
ELF_TRUNCATED = "elf-truncated"
EMPTY = "empty"
LINK_LOST = "link-lost"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that is not as the platform has it. ``path`` is empty where the image as a whole is meant."""

    rule: str
    path: str
    found: str
    expected: str
    layer: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.path or 'image'}: found {self.found}, expected {self.expected}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowed:
    """Files that may be otherwise, and why. In ``path``, ``*`` and ``?`` stay in one folder, ``**`` does not.

    A path is written as findings show it. What has no path, the image's own platform, is never allowed to be wrong.
    """

    path: str
    reason: str
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        words = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
        parts = re.split(r"(\*\*|\*|\?)", "/" + self.path.lstrip("/"))
        pattern = re.compile("".join(words.get(part) or re.escape(part) for part in parts))
        object.__setattr__(self, "_pattern", pattern)

    def matches(self, path: str) -> bool:
        return self._pattern.fullmatch(path) is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What a check has seen. ``size`` is of all files together. ``used`` has how many findings each exception
    silenced, ``unused`` those that silenced none and should be deleted. ``digests`` name what was looked at: the
    manifest of each image, or its configuration in an archive of the older form."""

    name: str
    platform: Platform
    findings: tuple[Finding, ...]
    elf_files: int
    files: int
    size: int
    used: tuple[tuple[Allowed, int], ...] = ()
    unused: tuple[Allowed, ...] = ()
    digests: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.findings

    def text(self, *, most: int = 20) -> str:
        """The report in a few lines."""
        return "\n".join(self._lines(most))

    def as_data(self) -> dict[str, object]:
        """The report for JSON."""
        used = [{"path": it.path, "reason": it.reason, "findings": count} for it, count in self.used]
        return asdict(self) | {
            "platform": str(self.platform),
            "ok": self.ok,
            "used": used,
            "unused": [{"path": it.path, "reason": it.reason} for it in self.unused],
        }

    def _lines(self, most: int) -> Iterator[str]:
        verdict = (
            f"is {self.platform}" if self.ok else f"is not {self.platform}: {_count(len(self.findings), 'finding')}"
        )
        yield f"{self.name} {verdict} ({self.elf_files} ELF of {_count(self.files, 'file')})"
        for finding in self.findings[:most]:
            yield f"  {finding}"
            if finding.layer:
                yield f"    in layer {finding.layer}"
        if len(self.findings) > most:
            yield f"  and {len(self.findings) - most} more"
        for allowed, count in self.used:
            yield f"  allowed: {allowed.path}: {_count(count, 'finding')} ({allowed.reason})"
        for allowed in self.unused:
            yield f"  allowed for nothing, delete it: {allowed.path} ({allowed.reason})"


def check_archive(
    source: Path | str | BinaryIO,
    platform: Platform,
    *,
    name: str = "",
    allow: Sequence[Allowed] = (),
    limits: Limits | None = None,
) -> Report:
    """Prove that an image archive holds an image of the platform, and nothing for another one.

    Of an archive with several images, those are checked that say they are for the platform, in the index or in
    their configuration; of an archive with one image, that one.

    :param name: what the report calls the image; else the archive's own name
    :raises VerifyError: the archive cannot be read, or is not what its digests say
    """
    with open_archive(source, limits=limits) as archive:
        images = list(archive.images())
        wanted = [image for image in images if str(platform) in _platforms(image)] if len(images) != 1 else images
        findings = list(_no_image(archive, images, platform)) if not wanted else []
        used: Counter[Allowed] = Counter()
        files = elf_files = size = 0
        for image in wanted:
            findings += _check_config(image, platform)
            before = files
            for file in flatten(image.layers, archive.budget):
                files += 1
                size += file.size
                elf_files += file.head.startswith(elf.MAGIC)
                for finding in check_file(file, platform):
                    if exception := next((one for one in allow if one.matches(finding.path)), None):
                        used[exception] += 1
                    else:
                        findings.append(finding)
            if files == before:
                findings.append(Finding(rule=EMPTY, path="", found="no file", expected="files to prove", layer=""))
        return Report(
            name=name or printable(archive.where), platform=platform, findings=tuple(findings), elf_files=elf_files,
            files=files, size=size, used=tuple(used.items()), unused=tuple(it for it in allow if it not in used),
            digests=tuple(image.digest for image in wanted),
        )  # fmt: skip


def check_file(file: File, platform: Platform) -> Iterator[Finding]:
    """Compare one file with the platform.

    Object files count as well: a foreign ``.o`` in an image is as wrong as a program, and where it is not (a cross
    compiler's own), an exception says why. What no CPU runs belongs to every platform (:func:`elf.fits`).
    """
    header = elf.read_header(file.head)
    if file.lost:
        yield _at(file, LINK_LOST, f"a hard link to {printable(file.lost)}, which cannot be followed", "a file")
    elif isinstance(header, elf.CutShort):
        yield _at(file, ELF_TRUNCATED, str(header), elf.expected(platform))
    elif header and not elf.fits(header, platform):
        yield _at(file, ELF_MACHINE, str(header), elf.expected(platform))


def _at(file: File, rule: str, found: str, expected: str) -> Finding:
    # Most findings say the same of other paths: a hundred thousand of them share their texts.
    found, expected, layer = map(sys.intern, (found, expected, printable(file.layer)))
    return Finding(rule=rule, path=printable(file.path), found=found, expected=expected, layer=layer)


def _check_config(image: Image, platform: Platform) -> Iterator[Finding]:
    for whose, text in (("configuration", image.platform), ("index", image.described)):
        if text and _same(text) != str(platform):
            found = f"{printable(text)} in its {whose}"
            yield Finding(rule=CONFIG_PLATFORM, path="", found=found, expected=str(platform), layer="")


def _no_image(archive: Archive, images: Iterable[Image], platform: Platform) -> Iterator[Finding]:
    there = sorted({image.platform for image in images})
    found = f"images for {', '.join(there)}" if there else "no image"
    if archive.absent:
        found += f"; named by the index, but not in the archive: {', '.join(archive.absent)}"
    yield Finding(rule=CONFIG_PLATFORM, path="", found=printable(found), expected=str(platform), layer="")


def _platforms(image: Image) -> set[str]:
    return {_same(image.platform), _same(image.described)}


def _same(text: str) -> str:
    """A platform of a document in archway's spelling (``arm64/v8`` is ``arm64``); unchanged where it has none."""
    if not re.fullmatch(r"linux/[a-z0-9/]+", text):  # Platform.parse takes what people type: capitals, "x64"
        return text
    try:
        return str(Platform.parse(text))
    except UsageError:
        return text


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
