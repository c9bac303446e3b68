"""The lines that are added to a Cargo.toml: how they are spelled, put in and taken out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

MARK = "# OpenSSL is built into the program; `inv patch-openssl --undo --write` takes this out again."

_OWN = rb"%s\r?\n[^\r\n]*\r?\n[^\r\n]*" % re.escape(MARK.encode())
# A file without a newline at its end got one in front of the first block, and lacks it behind the last.
_BLOCK = re.compile(rb"\r?\n%s\r?\n|\r?\n\r?\n%s\Z" % (_OWN, _OWN))

_ARCHITECTURES = {"armv7": "arm", "powerpc64le": "powerpc64", "riscv64gc": "riscv64"}
"""``target_arch`` where it is not the first word of the triple."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """An entry in a table of dependencies. ``values`` are strings, as ``version``, ``package`` and ``path`` are."""

    key: str
    values: Mapping[str, str]
    features: tuple[str, ...]

    def __str__(self) -> str:
        words = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in self.values.items()]
        return f"{self.key} = {{ {', '.join([*words, f'features = {json.dumps(self.features)}'])} }}"


def tables(target: str) -> Iterator[str]:
    """Names of tables of dependencies that hold for a target, in the order in which they are tried.

    TOML allows a table once, and an entry once in it. So each is there for when those before it are taken.
    """
    yield f"[target.{target}.dependencies]"
    architecture, _, _ = target.partition("-")
    words = [f'target_arch = "{_ARCHITECTURES.get(architecture, architecture)}"', 'target_os = "linux"']
    for more in ([], ['target_env = "gnu"']):
        yield f"[target.'cfg(all({', '.join([*words, *more])}))'.dependencies]"


def add(manifest: bytes, table: str, entry: Entry) -> bytes:
    """The manifest with a block at its end, in its own kind of line endings, and with or without the last one."""
    newline = b"\r\n" if b"\r\n" in manifest else b"\n"
    block = newline.join(line.encode() for line in (MARK, table, str(entry)))
    if manifest.endswith(b"\n"):
        return manifest + newline + block + newline
    return manifest + newline * 2 + block


def is_in(manifest: bytes, target: str) -> bool:
    """Whether a block for this target was added before."""
    lines = manifest.decode("utf-8", "replace").splitlines()
    names = set(tables(target))
    return any(mark == MARK and table in names for mark, table in pairwise(lines))


def remove(manifest: bytes) -> bytes:
    """The manifest as it was before all that :func:`add` added."""
    while (shorter := _BLOCK.sub(b"", manifest)) != manifest:
        manifest = shorter
    return manifest
