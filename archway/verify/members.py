"""Compares the members of a list: the same release should hold the same files on every platform."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from archway.platforms import TABLE, Platform
from archway.verify.elf import ElfHeader
from archway.verify.findings import Finding
from archway.verify.rootfs import flatten
from archway.verify.scan import Scan
from archway.verify.tar import Budget, Limits, printable

_MOST = 200
_OTHERS = ("i386", "i686", "x86-64", "x86_32", "armv8", "powerpc64le", "riscv64gc", "aarch_64", "ppcle_64", "s390_64")
_WORDS = sorted(
    {
        word.replace("linux/", "").replace("/", "")
        for names in TABLE
        for word in (names.oci, names.uname, names.debian, names.node, names.qemu, names.maven.removeprefix("linux-"))
    }.union(_OTHERS),
    key=len,
    reverse=True,
)
_WORD = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(map(re.escape, _WORDS))})(?![A-Za-z0-9])")

_LOADER = re.compile(r"/ld-(?:linux|musl)?[-a-z0-9_]*\.so\.\d+$")  # glibc's own name for each architecture


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """The scans of one member's layers, the lowest first, and what names the layers' bytes, in the same order."""

    platform: Platform
    layers: Sequence[str]
    scans: Sequence[Scan]


def compare(members: Sequence[Member], limits: Limits | None = None) -> Iterator[tuple[Platform | None, Finding]]:
    """What the members of one list should have in common and have not, and the other way round: each finding with the
    platform that it is about, if it is about one.

    :raises VerifyError: a member has more files than the limits allow
    """
    for finding in _shared_layers(members):
        yield None, finding
    paths = {member.platform: _paths(member, limits or Limits()) for member in members}
    for platform, there in paths.items():
        others = [path for other, path in paths.items() if other != platform]
        alone = [path for plain, path in there.items() if others and not any(plain in one for one in others)]
        for path in sorted(alone)[:_MOST]:
            found = f"only for {platform}"
            yield platform, Finding(rule="list-files", path=printable(path), found=found, expected="in every member")
        if len(alone) > _MOST:
            found = f"{len(alone) - _MOST} files more that are only for {platform}"
            yield platform, Finding(rule="list-files", found=found, expected="the same files in every member")


def _shared_layers(members: Sequence[Member]) -> Iterator[Finding]:
    """Layers that are the same for two members and hold programs of one of them alone.

    With programs of both a layer is a bundle of them: the rules on each image say whether it is whole. Layers are
    compared by what they hold, since the same files may be compressed in two ways.
    """
    seen: dict[object, tuple[Platform, str]] = {}
    for member in members:
        for layer, scan in dict(zip(member.layers, member.scans, strict=True)).items():
            if not scan.holds_programs:
                continue
            other, named = seen.setdefault((scan.entries, scan.contents), (member.platform, layer))
            if other != member.platform and _has_programs(scan, other) != _has_programs(scan, member.platform):
                what = "one layer" if named == layer else "two layers of the same files"
                found = f"{what} in the images for {other} and {member.platform}"
                yield Finding(rule="list-shared-layer", found=found, expected="a layer for each", layer=layer)


def _has_programs(scan: Scan, platform: Platform) -> bool:
    """Whether a layer has code for the platform's own processor, and not only what fits every one."""
    headers = (content.elf for content in scan.contents)
    return any(isinstance(it, ElfHeader) and (it.bits, it.order, it.machine) == platform.names.elf for it in headers)


def _paths(member: Member, limits: Limits) -> Mapping[str, str]:
    """The regular files of an image, by their path without the words of architectures."""
    budget = Budget(limits, where=str(member.platform))
    files = (file.path for file in flatten(member.scans, budget) if not file.target)
    return {_WORD.sub("*", _LOADER.sub("/ld.so", path)): path for path in files}
