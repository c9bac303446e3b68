"""What the dynamic loader will look for: itself, the libraries, and their versions.

The rules of the search: ld.so(8) of glibc; musl knows ``/etc/ld-musl-ARCH.path`` instead of ``ld.so.conf``.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from archway.verify import elf
from archway.verify.dynamic import Dynamic
from archway.verify.findings import Finding, count
from archway.verify.machine import in_system, is_program_for
from archway.verify.root import Root, at
from archway.verify.rootfs import File

_MOST = 64  # folders of one kind: a hostile file names thousands, for thousands of libraries
_MOST_FINDINGS = 20  # of one file
_FOLDERS = ("/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib", "/usr/local/lib64")
_LIBCS = {
    "glibc": re.compile(r"libc\.so\.6(?:\.1)?|ld-linux[^/]*\.so\.\d+|ld64\.so\.\d+"),
    "musl": re.compile(r"libc\.musl-[^/]+|ld-musl-[^/]+|libc\.so"),
}


class _Versions(NamedTuple):
    """The versions that a library defines, and the newest of each kind."""

    all: frozenset[str]
    newest: Mapping[str, str]


class Linking:
    """The loader's view of one image."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._fitting: dict[str, list[File]] = defaultdict(list)
        self._foreign: dict[str, File] = {}
        self._versions: dict[str, _Versions] = {}
        for file in root.files:
            self._add(posixpath.basename(file.path), file)
        for link in root.links:  # libz.so.1 is most often a link, with the library's own name behind it
            if there := root.find(link):
                self._add(posixpath.basename(link), there)

    def _add(self, name: str, file: File) -> None:
        """A library counts by the name of its file: the loader opens that, whatever name it has inside."""
        if self._fits(file):
            self._fitting[name].append(file)
        elif isinstance(file.content.elf, elf.ElfHeader):
            self._foreign.setdefault(name, file)

    def check(self) -> Iterator[Finding]:
        """What the loader will not find, of every program and library of the platform."""
        for file in self._root.files:
            dynamic = file.content.dynamic
            if not dynamic or not self._fits(file) or self._is_other_libc(file, dynamic):
                continue
            findings = [*self._interpreter(file, dynamic), *self._libraries(file, dynamic)]
            yield from findings[:_MOST_FINDINGS]
            if more := findings[_MOST_FINDINGS:]:
                yield at(file, more[0].rule, f"{count(len(more), 'finding')} more", "the libraries that it needs")

    def _is_other_libc(self, file: File, dynamic: Dynamic) -> bool:
        """Whether a library of a package (npm's ``prebuilds``) is for the C library that is not there, beside one for
        that which is: the package takes the right one."""
        theirs = _libc(dynamic.needed)
        if not theirs or theirs in self._libcs or dynamic.interpreter or in_system(file.path):
            return False
        return not self._libcs.isdisjoint(self._libcs_of_folders[posixpath.dirname(file.path)])

    @cached_property
    def _libcs(self) -> frozenset[str]:
        return frozenset(filter(None, (_libc([name]) for name in self._fitting)))

    @cached_property
    def _libcs_of_folders(self) -> Mapping[str, set[str]]:
        folders: dict[str, set[str]] = defaultdict(set)
        for file in self._root.files:
            if file.content.dynamic and self._fits(file):
                folders[posixpath.dirname(file.path)].add(_libc(file.content.dynamic.needed))
        return folders

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
            versions = self._versions_of(library)
            if versions.all and (wanted := set(required[name]) - versions.all):
                newest = max(sorted(wanted), key=_age)
                there = versions.newest.get(_kind(newest), "none")
                yield at(file, "elf-version", f"{library.path} with {there}", f"{newest} of {name}")

    def _versions_of(self, library: File) -> _Versions:
        """Made once for each library: it may define many, and many may need it."""
        if library.path not in self._versions:
            defined = library.content.dynamic.defined if library.content.dynamic else ()
            newest: dict[str, str] = {}
            for version in defined:
                newest[_kind(version)] = max(newest.get(_kind(version), version), version, key=_age)
            self._versions[library.path] = _Versions(all=frozenset(defined), newest=newest)
        return self._versions[library.path]

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
        return is_program_for(file, self._root.platform)

    @cached_property
    def _commands(self) -> frozenset[str]:
        """The folders of PATH, as they are named and as they are."""
        folders = self._root.search_path
        return frozenset((*folders, *(self._root.resolve(folder) for folder in folders)))

    @cached_property
    def _folders(self) -> tuple[str, ...]:
        triplet = self._root.platform.names.gnu
        told = self._root.env.get("LD_LIBRARY_PATH", "").split(":")
        for file in self._root.files:
            if file.path.startswith("/etc/ld"):
                told += [place for line in file.content.lines for place in line.replace(":", " ").split()]
        multiarch = (f"/lib/{triplet}", f"/usr/lib/{triplet}", f"/usr/local/lib/{triplet}")
        places = list(dict.fromkeys(place for place in told if place.startswith("/")))[:_MOST]
        real = map(self._root.resolve, (*places, *multiarch, *_FOLDERS))
        return tuple(dict.fromkeys(filter(None, real)))


def _libc(names: Iterable[str]) -> str:
    """The C library that one of these names is of; empty if none is."""
    return next((libc for name in names for libc, pattern in _LIBCS.items() if pattern.fullmatch(name)), "")


def _kind(version: str) -> str:
    return version.partition("_")[0]


def _age(version: str) -> tuple[int, ...]:
    """``GLIBC_2.38`` as numbers, so that 2.4 is older than 2.38."""
    return tuple(int(part) for part in version.rpartition("_")[2].split(".") if part.isdecimal() and len(part) < 9)
