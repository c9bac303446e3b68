"""Native libraries in archives, judged by family: which have nothing for a platform, and which are not what they say.

A JAR may hold a library for every platform, or stand beside its twin for another one. So no single library is wrong:
a family is, if it has code for other platforms of Linux and none for this one. A family is what has the same path but
for the words of architectures and systems (``linux/amd64/libx.so`` and ``linux/aarch64/libx.so``), among the archives
of one folder. The folders inside count, since two libraries may hold files of one name (JLine has its own libjansi.so).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from archway.platforms import TABLE, Platform
from archway.verify import elf
from archway.verify.bundle import Native

# Words that the table of platforms does not have, or has for one platform where others mean another by them
# (Node.js says ppc64 for both byte orders): none of them is a platform that archway knows.
_OTHERS = (
    "x86", "x86_32", "i386", "i486", "i586", "i686", "ia32", "ia64", "x32", "arm", "armel", "armv4", "armv5", "armv6",
    "armv6l", "armv8", "arm32", "arm_64", "aarch64_be", "ppc", "ppc_32", "ppc_64", "ppc64", "powerpc", "powerpc64",
    "s390", "s390_31", "sparc", "sparc64", "sparcv9", "mips", "mips64", "mipsel", "mips64el", "mips_64", "mipsel_64",
    "mips64le", "riscv", "riscv32", "loongarch64", "loongarch_64", "loong64",
)  # fmt: skip
_SYSTEMS = (
    "linux", "linux32", "linux64", "linux_32", "linux_64", "gnu", "glibc", "musl", "gnueabi", "gnueabihf",
    "musleabihf", "unknown", "pc",
)  # fmt: skip
# Their files are ELF too, and nothing to Linux.
_FOREIGN_SYSTEMS = (
    "android", "freebsd", "openbsd", "netbsd", "dragonfly", "dragonflybsd", "sunos", "solaris", "aix", "hpux",
    "haiku",
)  # fmt: skip

_KNOWN = {
    re.sub("[_-]", "", word): Platform.parse(row.oci)
    for row in TABLE
    for word in (
        row.oci.removeprefix("linux/"), row.uname, row.debian, row.qemu, row.rust.partition("-")[0],
        row.maven.removeprefix("linux-"), Platform.parse(row.oci).tag,
    )
    if word not in _OTHERS
} | {"x64": Platform.parse("amd64")}  # fmt: skip


def _pattern(words: Iterable[str]) -> str:
    """Whole words; where one has a low line, there may be a dash or nothing."""
    longest_first = sorted(set(words), key=len, reverse=True)
    return rf"(?<![a-z0-9])({'|'.join(word.replace('_', '[_-]?') for word in longest_first)})(?![a-z0-9])"


_ARCHITECTURES = ["x86_64", "aarch_64", "arm_32", "ppcle_64", "s390_64", *_KNOWN, *_OTHERS]
_ARCHITECTURE = re.compile(_pattern(_ARCHITECTURES), re.IGNORECASE)
_WORDS = re.compile(rf"[-_.]{{0,2}}{_pattern([*_ARCHITECTURES, *_SYSTEMS])}", re.IGNORECASE)
_FOREIGN_SYSTEM = re.compile(_pattern(f"{word}(?:32|64)?" for word in _FOREIGN_SYSTEMS), re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Missing:
    """A family of native libraries without one for the platform.

    ``path`` is that of the first library, in its archive (``x.jar!/lib/libx.so``), and not yet printable. ``platforms``
    are those that there is one for.
    """

    path: str
    library: str
    family: str
    platforms: tuple[str, ...]


def missing(natives: Iterable[tuple[str, Native]], platform: Platform) -> list[Missing]:
    """The families that have libraries for other platforms of Linux only.

    :param natives: each with the path of its archive in the image
    """
    families: dict[tuple[str, str], list[tuple[str, Native, elf.ElfHeader]]] = {}
    for archive, native in natives:
        if native.header and not _FOREIGN_SYSTEM.search(native.path):
            path = f"{archive}!/{native.path}"
            families.setdefault(_family(path), []).append((path, native, native.header))
    return [_missing(members) for members in families.values() if not any(elf.fits(m[2], platform) for m in members)]


def _missing(members: list[tuple[str, Native, elf.ElfHeader]]) -> Missing:
    path, native, _ = members[0]
    own = posixpath.basename(path)
    return Missing(
        path=path,
        library=native.library,
        family=posixpath.basename(_without_words(own)) or own,
        platforms=tuple(dict.fromkeys(_platform_of(header) for _, _, header in members)),
    )


def _family(path: str) -> tuple[str, str]:
    """What two libraries of one family have in common: the folder of their archives, and the path inside."""
    archive, _, inside = path.rpartition("!/")
    return _without_words(posixpath.dirname(archive)), _without_words(inside)


def _without_words(path: str) -> str:
    parts = (_WORDS.sub("", part).lstrip("-_") for part in path.split("/"))
    return "/".join(filter(None, parts))


def _platform_of(header: elf.ElfHeader) -> str:
    """The OCI name of what a file is for; what it says of itself where archway knows no such platform."""
    for row in TABLE:
        if row.elf == (header.bits, header.order, header.machine):
            return row.oci
    return str(header).removesuffix(f" {elf.KINDS.get(header.kind, f'type {header.kind}')}")


def misplaced(natives: Iterable[tuple[str, Native]]) -> list[tuple[str, Native, Platform]]:
    """The libraries whose path names a platform that archway knows, and that are for another: with the one named.

    The last such word counts: ``native/linux64/aarch64/libx.so`` is to be for arm64.
    """
    return list(_misplaced(natives))


def _misplaced(natives: Iterable[tuple[str, Native]]) -> Iterator[tuple[str, Native, Platform]]:
    for archive, native in natives:
        words = _ARCHITECTURE.findall(native.path.rpartition("!/")[2])
        named = _KNOWN.get(re.sub("[_-]", "", words[-1].lower())) if words else None
        if named and native.header and not elf.fits(native.header, named):
            yield archive, native, named
