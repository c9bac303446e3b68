"""Registrations of the kernel for programs of other platforms (binfmt_misc), judged by what they hold.

A registration may have any name and come from any packager: Debian's two generations of QEMU, or an image that was run
with ``--privileged``. What counts: that its magic takes the platform's programs, and that it works in containers.
"""

from __future__ import annotations

import contextlib
import re
import struct
from dataclasses import dataclass

from archway.platforms import Platform

MOUNT = "/proc/sys/fs/binfmt_misc"
ET_EXEC, ET_DYN = 2, 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One registration: active in the kernel, or ready for it in a file of binfmt.d.

    :ivar path: the file in /proc, or the file of binfmt.d
    :ivar static: of one that is only ready: its interpreter is there, and needs nothing of a container
    :ivar version: the version that the interpreter tells; empty where it cannot be known
    """

    path: str
    name: str
    interpreter: str
    flags: str
    magic: bytes
    mask: bytes
    offset: int = 0
    enabled: bool = True
    static: bool = False
    version: str = ""

    def __post_init__(self) -> None:
        """Refuse what the kernel would refuse.

        :raises ValueError: it would
        """
        if not self.name or not self.interpreter or not self.magic or self.offset < 0:
            raise ValueError(f"{self.path}: a registration has a name, an interpreter and a magic")
        if len(self.mask) not in (0, len(self.magic)):
            raise ValueError(f"{self.path}: the mask is as long as the magic")

    def takes(self, platform: Platform) -> bool:
        """Whether the kernel hands programs of the platform to this interpreter."""
        return all(self._takes(header(platform, kind)) for kind in (ET_EXEC, ET_DYN))

    def _takes(self, head: bytes) -> bool:
        part = head[self.offset : self.offset + len(self.magic)]
        mask = self.mask or b"\xff" * len(self.magic)
        return len(part) == len(self.magic) and all(
            (have & bits) == (want & bits) for have, want, bits in zip(part, self.magic, mask, strict=True)
        )

    @property
    def fault(self) -> str:
        """Why programs of the platform would not run in a container; empty if they would.

        With flag F the kernel opened the interpreter when it was registered: whatever file has that path today, gone
        or replaced, says nothing about it.
        """
        if not self.enabled:
            return f"{self.name} is switched off"
        if "F" not in self.flags:
            return f"{self.name} was registered without flag F: works on this machine, fails in containers"
        return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Binfmt:
    """What the kernel says.

    :ivar supported: the kernel has binfmt_misc, built in or as a module
    :ivar entries: the active registrations, the newest first: that is the one which the kernel takes
    :ivar names: all names that are taken, also by entries that cannot be read
    :ivar recipes: the registrations that lie ready in files
    """

    supported: bool = True
    mounted: bool = True
    enabled: bool = True
    entries: tuple[Entry, ...] = ()
    names: frozenset[str] = frozenset()
    recipes: tuple[Entry, ...] = ()

    def entry(self, platform: Platform) -> Entry | None:
        """The one that the kernel takes; it passes over those that are switched off, but they are worth telling."""
        taking = [entry for entry in self.entries if entry.takes(platform)]
        return next((entry for entry in taking if entry.enabled), taking[0] if taking else None)

    def recipe(self, platform: Platform) -> Entry | None:
        """The file to register from: its interpreter exists and needs nothing of the container."""
        return next((recipe for recipe in self.recipes if recipe.static and recipe.takes(platform)), None)

    def runs(self, platform: Platform) -> bool:
        entry = self.entry(platform)
        return self.mounted and self.enabled and entry is not None and not entry.fault


def header(platform: Platform, kind: int) -> bytes:
    """The first 20 bytes of every program of a platform, which is what registrations look at."""
    bits, order, machine = platform.names.elf
    ident = b"\x7fELF" + bytes([bits // 32, 1 if order == "little" else 2, 1]) + bytes(9)
    return ident + struct.pack("<HH" if order == "little" else ">HH", kind, machine)


def parse_active(path: str, text: str) -> Entry | None:
    """Read a file of /proc/sys/fs/binfmt_misc. None for an entry that looks at file names instead of contents."""
    words = dict(line.partition(" ")[::2] for line in text.splitlines() if line)
    if "magic" not in words:
        return None
    try:
        return Entry(
            path=path,
            name=path.rsplit("/", 1)[-1],
            interpreter=words.get("interpreter", ""),
            flags=words.get("flags:", ""),
            magic=bytes.fromhex(words["magic"]),
            mask=bytes.fromhex(words.get("mask", "")),
            offset=int(words.get("offset", "0")),
            enabled="enabled" in words,
        )
    except ValueError:
        return None


def parse_recipe(path: str, text: str) -> tuple[Entry, ...]:
    """Read a file of binfmt.d: ``:name:M:offset:magic:mask:interpreter:flags``, the first character separates.

    What is no such line, or one that the kernel would refuse, is passed over: these files are anybody's.
    """
    found = []
    for line in text.splitlines():
        if not line.strip() or line.startswith(("#", ";")):
            continue
        _, *fields = line.strip().split(line.strip()[0])
        if len(fields) != 7 or fields[1] != "M":
            continue
        name, _, offset, magic, mask, interpreter, flags = fields
        with contextlib.suppress(ValueError):
            found.append(
                Entry(
                    path=path,
                    name=name,
                    interpreter=interpreter,
                    flags=flags,
                    magic=_unescape(magic),
                    mask=_unescape(mask),
                    offset=int(offset or 0),
                )
            )
    return tuple(found)


def line(entry: Entry) -> str:
    """The line that registers an entry."""
    fields = ("", entry.name, "M", str(entry.offset or ""), _escape(entry.magic), _escape(entry.mask))
    return ":".join((*fields, entry.interpreter, entry.flags))


def _escape(octets: bytes) -> str:
    return "".join(f"\\x{octet:02x}" for octet in octets)


def _unescape(text: str) -> bytes:
    return re.sub(
        rb"\\x([0-9a-fA-F]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode("latin-1", "replace")
    )
