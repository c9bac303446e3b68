"""What the dynamic loader will look for: itself, the libraries, and their versions.

The rules of the search: ld.so(8) of glibc; musl knows ``/etc/ld-musl-ARCH.path`` instead of ``ld.so.conf``.
"""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property

from archway.verify import elf
from archway.verify.dynamic import Dynamic
from archway.verify.findings import Finding
from archway.verify.root import Root, at
from archway.verify.rootfs import File

_MOST = 64  # folders of one kind: a hostile file names thousands, for thousands of libraries
_FOLDERS = ("/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64")
_TRIPLETS = {"armv7l": "arm-linux-gnueabihf", "ppc64le": "powerpc64le-linux-gnu"}


class Linking:
    """The loader's view of one image."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._fitting: dict[str, list[File]] = defaultdict(list)
        self._foreign: dict[str, File] = {}
        for file in root.files:
            header = file.content.elf
            if isinstance(header, elf.ElfHeader):
                for name in {
                    posixpath.basename(file.path),
                    file.content.dynamic.soname if file.content.dynamic else "",
                } - {""}:
                    if elf.fits(header, root.platform):
                        self._fitting[name].append(file)
                    else:
                        self._foreign.setdefault(name, file)
        for link in root.links:  # libz.so.1 is most often a link, with the library's own name behind it
            if (there := root.find(link)) and there.content.elf:
                name = posixpath.basename(link)
                header = there.content.elf
                if isinstance(header, elf.ElfHeader) and elf.fits(header, root.platform):
                    self._fitting[name].append(there)

    def check(self) -> Iterator[Finding]:
        """What the loader will not find, of every program and library of the platform."""
        for file in self._root.files:
            header, dynamic = file.content.elf, file.content.dynamic
            if dynamic and isinstance(header, elf.ElfHeader) and elf.fits(header, self._root.platform):
                yield from self._interpreter(file, dynamic)
                yield from self._libraries(file, dynamic)

    def _interpreter(self, file: File, dynamic: Dynamic) -> Iterator[Finding]:
        wanted = dynamic.interpreter
        if not wanted or file.path == wanted:
            return
        there = self._root.find(wanted) if wanted.startswith("/") else None
        if there is None:
            yield at(file, "elf-interpreter", "none in the image", wanted)
        elif not self._fits(there):
            found = f"{wanted}, {f'a {there.content.elf}' if there.content.elf else 'which is no program'}"
            yield at(file, "elf-interpreter", found, elf.expected(self._root.platform))

    def _libraries(self, file: File, dynamic: Dynamic) -> Iterator[Finding]:
        required: dict[str, list[str]] = defaultdict(list)
        for name, version in dynamic.required:
            required[name].append(version)
        origin = posixpath.dirname(self._root.resolve(file.path) or file.path)
        own = [place.replace("$ORIGIN", origin).replace("${ORIGIN}", origin) for place in dynamic.runpath[:_MOST]]
        folders = (*filter(None, map(self._root.resolve, own)), *self._folders)
        strict = not own and bool(dynamic.interpreter) and posixpath.dirname(file.path) in self._commands
        for name in dict.fromkeys(dynamic.needed):
            library = self._library(name, folders, strict=strict)
            if library is None:
                foreign = self._foreign.get(posixpath.basename(name))
                found = f"{foreign.path}, a {foreign.content.elf}" if foreign else self._elsewhere(name)
                yield at(file, "elf-needed", found, name)
                continue
            defined = library.content.dynamic.defined if library.content.dynamic else ()
            wanted = set(required[name]).difference(defined) if defined and name in required else ()
            if wanted:
                newest = max(sorted(wanted), key=_age)
                there = max((one for one in defined if _kind(one) == _kind(newest)), key=_age, default="none")
                yield at(file, "elf-version", f"{library.path} with {there}", f"{newest} of {name}")

    def _elsewhere(self, name: str) -> str:
        others = self._fitting.get(posixpath.basename(name))
        return f"{others[0].path}, where the loader does not look" if others else "none in the image"

    def _library(self, name: str, folders: Iterable[str], *, strict: bool) -> File | None:
        """The library that the loader takes. What a program's own scripts tell the loader cannot be known, so outside
        of the folders in PATH, if not strict, a library of that name counts wherever it lies."""
        if name.startswith("/"):
            there = self._root.find(name)
            return there if there and self._fits(there) else None
        if posixpath.basename(name) not in self._fitting:
            return None
        for folder in folders:
            there = self._root.find_in(folder, name)
            if there and self._fits(there):
                return there
        return None if strict else self._fitting[posixpath.basename(name)][0]

    def _fits(self, file: File) -> bool:
        return isinstance(file.content.elf, elf.ElfHeader) and elf.fits(file.content.elf, self._root.platform)

    @cached_property
    def _commands(self) -> frozenset[str]:
        """The folders of PATH, as they are named and as they are."""
        folders = self._root.search_path
        return frozenset((*folders, *(self._root.resolve(folder) for folder in folders)))

    @cached_property
    def _folders(self) -> tuple[str, ...]:
        names = self._root.platform.names
        triplet = _TRIPLETS.get(names.uname, f"{names.uname}-linux-gnu")
        told = self._root.env.get("LD_LIBRARY_PATH", "").split(":")
        for file in self._root.files:
            if file.path.startswith("/etc/ld"):
                told += [place for line in file.content.lines for place in line.replace(":", " ").split()]
        multiarch = (f"/lib/{triplet}", f"/usr/lib/{triplet}", f"/usr/local/lib/{triplet}")
        places = list(dict.fromkeys(place for place in told if place.startswith("/")))[:_MOST]
        real = map(self._root.resolve, (*places, *multiarch, *_FOLDERS))
        return tuple(dict.fromkeys(filter(None, real)))


def _kind(version: str) -> str:
    return version.partition("_")[0]


def _age(version: str) -> tuple[int, ...]:
    """``GLIBC_2.38`` as numbers, so that 2.4 is older than 2.38."""
    return tuple(int(part) for part in version.rpartition("_")[2].split(".") if part.isdecimal() and len(part) < 9)
