"""Read what the kernel does with programs of other platforms. Cheap: a few small files."""

from __future__ import annotations

import platform as host
import struct
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from archway import process
from archway.machine.binfmt import MOUNT, Binfmt, Entry, parse_active, parse_recipe
from archway.machine.files import Files
from archway.platforms import Platform

RECIPES = ("/etc/binfmt.d", "/run/binfmt.d", "/usr/lib/binfmt.d")
WITHOUT_SYSTEMD = "/usr/share/qemu/binfmt.d"
"""Where Debian's qemu-user has its recipes; qemu-user-binfmt, which links them for systemd, needs systemd."""


def read_binfmt(files: Files, platforms: Sequence[Platform], *, versions: bool) -> Binfmt:
    """What takes programs of these platforms, and what could.

    :param versions: ask the interpreters for their versions
    """
    mounted = bool(files.text(f"{MOUNT}/status"))
    names = [name for name in files.names(MOUNT) if name not in ("register", "status")] if mounted else []
    # The kernel takes the newest; sorting keeps the order of those of one moment, which is the newest first as well.
    names.sort(key=lambda name: _changed(files, f"{MOUNT}/{name}"), reverse=True)
    active = [parse_active(f"{MOUNT}/{name}", files.text(f"{MOUNT}/{name}")) for name in names]
    entries = [entry for entry in active if entry and any(entry.takes(some) for some in platforms)]
    folders = RECIPES if not files.absent("/run/systemd/system") else (*RECIPES, WITHOUT_SYSTEMD)
    recipes = [recipe for folder in folders for recipe in _recipes(files, folder)]
    return Binfmt(
        supported=mounted or _supports(files),
        mounted=mounted,
        enabled=not mounted or files.text(f"{MOUNT}/status").strip() == "enabled",
        entries=tuple(replace(entry, version=_version(files, entry)) if versions else entry for entry in entries),
        names=frozenset(names),
        recipes=tuple(
            replace(recipe, static=is_static(files.at(recipe.interpreter)))
            for recipe in recipes
            if any(recipe.takes(some) for some in platforms)
        ),
    )


def _changed(files: Files, path: str) -> int:
    """When a registration was made."""
    try:
        return files.at(path).stat().st_mtime_ns
    except OSError:
        return 0


def _recipes(files: Files, folder: str) -> tuple[Entry, ...]:
    names = sorted(name for name in files.names(folder) if name.endswith(".conf"))
    return tuple(
        recipe for name in names for recipe in parse_recipe(f"{folder}/{name}", files.text(f"{folder}/{name}"))
    )


def _supports(files: Files) -> bool:
    """Built in or loaded already, or a module that mounting loads."""
    modules = f"/lib/modules/{host.release()}/kernel/fs"
    return "binfmt_misc" in files.text("/proc/filesystems") or any(
        name.startswith("binfmt_misc.ko") for name in files.names(modules)
    )


def _version(files: Files, entry: Entry) -> str:
    """What the interpreter tells, if the file that has its path is the one that the kernel opened.

    The kernel may hold another one, of a container that is gone: then a file here is newer than the registration, or
    it needs shared libraries, with which it would not do for containers.
    """
    # The registered name may be a link with a meaning of its own, by which QEMU refuses to be called by hand.
    interpreter = files.at(entry.interpreter).resolve()
    try:
        newer = interpreter.stat().st_ctime_ns > _changed(files, entry.path)
    except OSError:
        return ""
    if newer or not is_static(interpreter):
        return ""
    told = process.run((str(interpreter), "--version"), timeout=5).stdout
    return told.partition("version ")[2].split(" ", 1)[0].strip() if told.startswith("qemu-") else ""


def is_static(path: Path) -> bool:
    """Whether a program of 64 bits, least byte first, as all that archway's hosts run, asks for no loader."""
    try:
        with path.open("rb") as program:
            head = program.read(64)
            if head[:6] != b"\x7fELF\x02\x01":
                return False
            (offset,) = struct.unpack_from("<Q", head, 32)
            size, count = struct.unpack_from("<HH", head, 54)
            program.seek(offset)
            table = program.read(size * count)
        interp = 3  # PT_INTERP
        return count > 0 and all(struct.unpack_from("<I", table, index * size) != (interp,) for index in range(count))
    except (OSError, struct.error, OverflowError, ValueError):
        return False
