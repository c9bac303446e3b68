"""Python packages: built for this platform, and compiled by an interpreter that is there.

Formats: the core metadata specification's WHEEL file, PEP 425's tags, PEP 3149's names of modules, PEP 3147's cache.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from archway.platforms import TABLE, Names
from archway.verify.findings import Finding, count
from archway.verify.root import Root, at
from archway.verify.rootfs import File

_MODULE = re.compile(
    r".*\.(?:cpython-\d+[a-z]*|pypy\d+-[^.]+|abi3)-(?P<machine>[a-z0-9_]+)-linux-(?:gnu|musl)[a-z]*\.so"
)
_COMPILED = re.compile(r"(?P<folder>.*)/__pycache__/[^/]+\.cpython-(?P<version>\d{2,4})(?:\.opt-\d)?\.pyc")
_PYTHON = re.compile(r".*/(?:python|libpython)(?P<major>\d)\.(?P<minor>\d+)[a-z]*(?:\.so.*)?")
# Modules for the debugger: they belong to the distribution's own Python, which need not be there.
_DEBUGGERS = re.compile(r"/usr/share/(?:gcc[^/]*/python|gdb)/.+")
_OTHERS = frozenset(("i386", "i686", "armv6l", "ppc64", "powerpc64", "loongarch64"))  # no platforms of archway
_TAG = re.compile(r"Tag: *[^-]+-[^-]+-(?P<platform>\S+)")


def check_wheels(root: Root) -> Iterator[Finding]:
    """Packages whose WHEEL file, or modules whose name, is of another platform."""
    ours = root.platform.names.uname
    others = _OTHERS.union(*map(_machines, TABLE)) - _machines(root.platform.names)
    for file in root.files:
        if file.path.endswith("/WHEEL") and (tags := _platforms(file)):
            foreign = [tag for tag in tags if tag != "any" and not tag.endswith(ours)]
            if foreign and len(foreign) == len(tags):
                yield at(file, "wheel-platform", ", ".join(foreign[:4]), f"any, or one for {ours}")
        elif (module := _MODULE.fullmatch(file.path)) and module["machine"] in others:
            yield at(file, "wheel-platform", f"a module named for {module['machine']}", f"one named for {ours}")


def _machines(names: Names) -> set[str]:
    return {names.uname, names.gnu.partition("-")[0]}


def _platforms(file: File) -> list[str]:
    return [tag for line in file.content.lines if (found := _TAG.match(line)) for tag in found["platform"].split(".")]


def check_bytecode(root: Root) -> Iterator[Finding]:
    """Compiled modules of a CPython that the image does not have, a finding a folder."""
    there = {f"{found['major']}{found['minor']}" for file in root.files if (found := _PYTHON.fullmatch(file.path))}
    there |= {f"{found['major']}{found['minor']}" for link in root.links if (found := _PYTHON.fullmatch(link))}
    compiled: dict[tuple[str, str], list[File]] = {}
    for file in root.files:
        found = _COMPILED.fullmatch(file.path)
        if found and found["version"] not in there and not _DEBUGGERS.fullmatch(file.path):
            compiled.setdefault((found["folder"], found["version"]), []).append(file)
    for (_, version), files in sorted(compiled.items()):
        shown = f"{count(len(files), 'module')} compiled by CPython {version[0]}.{version[1:]}"
        yield at(files[0], "leftover-bytecode", shown, "an interpreter of that version, or none compiled")
