"""The proof of what an image holds: its layers are scanned, laid over each other, and held to the rules."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from archway.errors import UsageError
from archway.platforms import Platform
from archway.verify.archive import Archive, Image, open_archive
from archway.verify.findings import Allowed, Finding, Report, sift
from archway.verify.layers import Kept, Nowhere, scan_layers
from archway.verify.leftovers import check_leftovers
from archway.verify.linking import Linking
from archway.verify.machine import check_programs
from archway.verify.natives import check_archives
from archway.verify.pythons import check_bytecode, check_wheels
from archway.verify.root import Root
from archway.verify.rootfs import flatten
from archway.verify.scan import Scan
from archway.verify.scripts import check_scripts
from archway.verify.tar import Budget, Limits, printable


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What was seen of one image. ``bundled`` counts foreign programs beside one of the platform."""

    findings: list[Finding]
    files: int
    elf_files: int
    archives: int
    bundled: int
    size: int


def check_archive(
    source: Path | str | BinaryIO,
    platform: Platform,
    *,
    name: str = "",
    allow: Sequence[Allowed] = (),
    limits: Limits | None = None,
    kept: Kept | None = None,
    own: frozenset[str] = frozenset(),
) -> Report:
    """Prove that an image archive holds an image of the platform, and nothing that the rules forbid.

    Of an archive with several images, those are checked that say they are for the platform, in the index or in
    their configuration; of an archive with one image, that one.

    :param name: what the report calls the image; else the archive's own name
    :param kept: remembers the scans of layers; the archive may lack those that it has
    :param own: SHA-256 fingerprints of the build machine's own certificate authorities
    :raises VerifyError: the archive cannot be read, or is not what its digests say
    """
    with open_archive(source, limits=limits) as archive:
        images = list(archive.images())
        wanted = [image for image in images if str(platform) in _platforms(image)] if len(images) != 1 else images
        scans = scan_layers(archive, (layer for image in wanted for layer in image.layers), kept or Nowhere())
        seen = [
            check_image(
                [scans[layer.identity] for layer in image.layers], platform, archive.budget, env=image.env, own=own
            )
            for image in wanted
        ]
        config = [finding for image in wanted for finding in _check_config(image, platform)]
        config += _check_single(wanted, platform)
        absent = [] if wanted else list(_no_image(archive, images, platform))
        concerned = [one for one in allow if one.concerns(platform)]
        findings, used = sift([*absent, *config, *(f for one in seen for f in one.findings)], concerned)
        silenced = {exception for exception, _ in used}
        return Report(
            name=name or printable(archive.where), platform=platform, findings=findings, used=used,
            unused=tuple(one for one in concerned if one not in silenced),
            elf_files=sum(one.elf_files for one in seen), files=sum(one.files for one in seen),
            archives=sum(one.archives for one in seen), bundled=sum(one.bundled for one in seen),
            size=sum(one.size for one in seen), digests=tuple(image.digest for image in wanted),
            layers=tuple(layer.identity for layer in wanted[0].layers) if len(wanted) == 1 else (),
        )  # fmt: skip


def check_image(
    scans: Sequence[Scan],
    platform: Platform,
    budget: Budget,
    *,
    env: Sequence[str] = (),
    own: frozenset[str] = frozenset(),
) -> Seen:
    """Hold an image to the rules, by the scans of its layers, the lowest first."""
    root = Root(flatten(scans, budget), platform, env)
    findings, bundled = check_programs(root)
    findings += Linking(root).check()
    findings += check_archives(root)
    findings += check_wheels(root)
    findings += check_scripts(root)
    findings += check_leftovers(root, scans, own)
    findings += check_bytecode(root)
    if not root.files:
        findings.append(Finding(rule="empty", found="no file", expected="files to prove"))
    return Seen(
        findings=findings,
        bundled=bundled,
        files=len(root.files),
        elf_files=sum(file.content.elf is not None for file in root.files),
        archives=sum(file.content.bundle.archives for file in root.files if file.content.bundle),
        size=sum(file.size for file in root.files),
    )


def _check_config(image: Image, platform: Platform) -> Iterator[Finding]:
    for whose, text in (("configuration", image.platform), ("index", image.described)):
        if text and _same(text) != str(platform):
            yield Finding(rule="config-platform", found=f"{printable(text)} in its {whose}", expected=str(platform))


def _check_single(images: Sequence[Image], platform: Platform) -> Iterator[Finding]:
    """A list that has two images for one platform lets each engine choose."""
    named = {(image.name, image.digest) for image in images if _same(image.described) == str(platform)}
    for number in Counter(name for name, _ in named).values():
        if number > 1:
            found = f"{number} images for it in one list"
            yield Finding(rule="config-platform", found=found, expected=f"one for {platform}")


def _no_image(archive: Archive, images: Iterable[Image], platform: Platform) -> Iterator[Finding]:
    there = sorted({image.platform for image in images})
    found = f"images for {', '.join(there)}" if there else "no image"
    if archive.absent:
        found += f"; named by the index, but not in the archive: {', '.join(archive.absent)}"
    yield Finding(rule="config-platform", found=printable(found), expected=str(platform))


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
