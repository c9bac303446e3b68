"""Compares two states of a Cargo.lock, and brings the changes that are wanted from one into the other.

Cargo rewrites the whole file: in its newest format, with line feeds, with comments moved. So what it decided is taken
over into the user's own text, and everything else of that stays as it is, byte by byte.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote

WANTED = ("openssl-src", "openssl-sys")
"""What vendoring adds: the package openssl-src, and edges to these two."""

_HEADER = re.compile(r"(?m)^(?=\[)")
_DEPENDENCIES = re.compile(r"(?ms)^dependencies = \[\n.*?^\]\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A table of the lock as it is written, down to the line before the next one."""

    text: str

    @property
    def key(self) -> tuple[str, ...]:
        """What tells packages apart. Formats differ in how they quote the addresses of git repositories."""
        entry = self._entry
        return tuple(unquote(str(entry.get(word, ""))) for word in ("name", "version", "source", "checksum"))

    @property
    def is_package(self) -> bool:
        return self.text.startswith("[[package]]")

    @property
    def edges(self) -> list[str]:
        found = self._entry.get("dependencies", [])
        return [str(edge) for edge in found] if isinstance(found, list) else []

    @property
    def _entry(self) -> dict[str, object]:
        entry: dict[str, object] = tomllib.loads(self.text)["package"][0]
        return entry

    def with_edges(self, edges: Iterable[str]) -> Block:
        """The same package with other edges."""
        lines = "".join(f' "{edge}",\n' for edge in edges)
        listed = f"dependencies = [\n{lines}]\n" if lines else ""
        if _DEPENDENCIES.search(self.text):
            return Block(_DEPENDENCIES.sub(lambda _: listed, self.text))
        end = len(self.text.rstrip("\n")) + 1
        return Block(self.text[:end] + listed + self.text[end:])


def unwanted_changes(smaller: bytes, larger: bytes) -> list[str]:
    """What is different, beside openssl-src and edges to it and to openssl-sys; one sentence each."""
    old, new = _packages(_text(smaller)), _packages(_text(larger))
    changes = [f"{_told(key)} would go" for key in old if key not in new]
    changes += [f"{_told(key)} would come" for key in new if key not in old and key[0] != WANTED[0]]
    for key in old.keys() & new.keys():
        different = set(old[key].edges) ^ set(new[key].edges)
        if any(edge.split()[0] not in WANTED or edge in old[key].edges for edge in different):
            changes.append(f"{_told(key)} would need other packages: {', '.join(sorted(different))}")
    return sorted(changes)


def carried_over(own: bytes, decided: bytes) -> bytes:
    """The user's lock with the packages and edges that Cargo decided on, in the user's format and line endings."""
    text = _text(own)
    old, new = _packages(text), _packages(_text(decided))
    head, *blocks = (Block(part) for part in _HEADER.split(text))
    kept = [
        block if not block.is_package or set(block.edges) == set(new[block.key].edges)
        else block.with_edges(new[block.key].edges)
        for block in blocks if not block.is_package or block.key in new
    ]  # fmt: skip
    for key in new.keys() - old.keys():
        # Packages are sorted, and openssl-src is never the last: openssl-sys follows.
        place = next(number for number, block in enumerate(kept) if block.is_package and block.key > key)
        kept.insert(place, Block(new[key].text.rstrip("\n") + "\n\n"))
    made = "".join(block.text for block in (head, *kept))
    return (made.replace("\n", "\r\n") if b"\r\n" in own else made).encode()


def _text(lock: bytes) -> str:
    return lock.decode("utf-8").replace("\r\n", "\n")


def _packages(text: str) -> dict[tuple[str, ...], Block]:
    blocks = [Block(part) for part in _HEADER.split(text)]
    return {block.key: block for block in blocks if block.is_package}


def _told(key: tuple[str, ...]) -> str:
    return f"{key[0]} {key[1]}"
