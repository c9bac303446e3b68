"""Platforms and their many names.

The names of one platform stand in one row of one table, because most faults of multi-arch builds are a download
named with the word that another community uses (``x86_64``, ``amd64``, ``x64``).
"""

from __future__ import annotations

import platform as host
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from archway.errors import UsageError, did_you_mean


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """What other communities call one platform.

    ``gnu`` is the triplet of GNU's compilers, which names Debian's folders of libraries and Python's modules.
    ``elf`` is (class in bits, byte order, ``e_machine``) of the ELF header, from the System V ABI's registry.
    """

    oci: str
    uname: str
    debian: str
    rust: str
    maven: str
    node: str
    qemu: str
    gnu: str
    elf: tuple[int, str, int]


TABLE = (
    Names(oci="linux/amd64", uname="x86_64", debian="amd64", rust="x86_64-unknown-linux-gnu",
          maven="linux-x86_64", node="x64", qemu="x86_64", gnu="x86_64-linux-gnu", elf=(64, "little", 62)),
    Names(oci="linux/arm64", uname="aarch64", debian="arm64", rust="aarch64-unknown-linux-gnu",
          maven="linux-aarch_64", node="arm64", qemu="aarch64", gnu="aarch64-linux-gnu", elf=(64, "little", 183)),
    Names(oci="linux/arm/v7", uname="armv7l", debian="armhf", rust="armv7-unknown-linux-gnueabihf",
          maven="linux-arm_32", node="arm", qemu="arm", gnu="arm-linux-gnueabihf", elf=(32, "little", 40)),
    Names(oci="linux/ppc64le", uname="ppc64le", debian="ppc64el", rust="powerpc64le-unknown-linux-gnu",
          maven="linux-ppcle_64", node="ppc64", qemu="ppc64le", gnu="powerpc64le-linux-gnu", elf=(64, "little", 21)),
    Names(oci="linux/s390x", uname="s390x", debian="s390x", rust="s390x-unknown-linux-gnu",
          maven="linux-s390_64", node="s390x", qemu="s390x", gnu="s390x-linux-gnu", elf=(64, "big", 22)),
    Names(oci="linux/riscv64", uname="riscv64", debian="riscv64", rust="riscv64gc-unknown-linux-gnu",
          maven="linux-riscv64", node="riscv64", qemu="riscv64", gnu="riscv64-linux-gnu", elf=(64, "little", 243)),
)  # fmt: skip


@dataclass(frozen=True, order=True, slots=True)
class Platform:
    """An OCI platform. ``arm64`` and ``arm64/v8`` are one platform, always written without the variant."""

    os: str
    architecture: str
    variant: str = ""

    _by_word: ClassVar[dict[str, Platform]]

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read ``linux/arm64``, ``arm64``, ``aarch64``, ``linux/arm64/v8``, ``x86_64`` …

        :raises UsageError: the platform is none that archway knows
        """
        word = text.strip().lower()
        if found := cls._by_word.get(word):
            return found
        raise UsageError(
            f"{text!r} is no platform that archway knows",
            hint=did_you_mean(word, cls._by_word) if len(word) < 40 else "",
        )

    @classmethod
    def known(cls, text: str) -> Platform | None:
        """The platform of an OCI name; None if archway does not know it."""
        return cls._by_word.get(text.lower())

    @classmethod
    def native(cls) -> Platform:
        """The platform that this machine runs without emulation. What counts for builds is the engine's."""
        return cls.parse(host.machine())

    @property
    def names(self) -> Names:
        return _NAMES[self]

    @property
    def tag(self) -> str:
        """The platform as the last part of a tag: ``amd64``, ``arm64``, ``armv7``."""
        return f"{self.architecture}{self.variant}"

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


_NAMES = {Platform(*names.oci.split("/")): names for names in TABLE}
Platform._by_word = {
    word: platform
    for platform, names in _NAMES.items()
    for word in (names.oci, names.oci.removeprefix("linux/"), names.uname, names.debian, platform.tag)
} | {
    "linux/arm64/v8": Platform("linux", "arm64"),
    "arm64/v8": Platform("linux", "arm64"),
    "linux/amd64/v1": Platform("linux", "amd64"),
    "linux/arm": Platform("linux", "arm", "v7"),
    "x64": Platform("linux", "amd64"),
}


def parse_platforms(
    text: str, *, default: tuple[Platform, ...], native: Callable[[], Platform] | None = None
) -> tuple[Platform, ...]:
    """Read the value of ``--arch``: names with commas, ``native``, or ``all`` for ``default``, in their order.

    :param native: asked for what ``native`` means, if that is not this machine's platform (an engine may be elsewhere)
    :raises UsageError: a word is no platform, or there is none
    """
    found: list[Platform] = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        match word.lower():
            case "all":
                found += default
            case "native":
                found.append(native() if native else Platform.native())
            case _:
                found.append(Platform.parse(word))
    if not found:
        raise UsageError("--arch names no platform", hint="say --arch arm64, --arch amd64,arm64, native or all")
    return tuple(dict.fromkeys(found))
