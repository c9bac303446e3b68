"""Compares two states of a Cargo.lock."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

SRC = "openssl-src"
"""The only package that vendoring may add."""


def unwanted_changes(before: bytes, after: bytes) -> list[str]:
    """What changed, beside openssl-src and the edges to it and to openssl-sys; one sentence each.

    The order does not matter: with the edit made and taken back, the smaller lock is ``before``.
    """
    old, new = _packages(before), _packages(after)
    changes = [f"{_told(key)} is gone" for key in old if key not in new]
    changes += [f"{_told(key)} is new" for key in new if key not in old and key[0] != SRC]
    for key in old.keys() & new.keys():
        more = [edge for edge in new[key] if edge not in old[key]]
        less = [edge for edge in old[key] if edge not in new[key]]
        if less or any(edge.split()[0] not in (SRC, "openssl-sys") for edge in more):
            changes.append(f"{_told(key)} needs other packages: {', '.join(less + more)}")
    if _rest(before) != _rest(after):
        changes.append("its head or tail is another")
    return sorted(changes)


def _packages(lock: bytes) -> dict[tuple[str, str, str, str], list[str]]:
    return {
        (entry["name"], entry["version"], entry.get("source", ""), entry.get("checksum", "")):
            entry.get("dependencies", [])
        for entry in _parse(lock).get("package", [])
    }  # fmt: skip


def _rest(lock: bytes) -> dict[str, Any]:
    return {key: value for key, value in _parse(lock).items() if key != "package"}


def _parse(lock: bytes) -> Mapping[str, Any]:
    return tomllib.loads(lock.decode("utf-8").replace("\r\n", "\n"))


def _told(key: tuple[str, str, str, str]) -> str:
    return f"{key[0]} {key[1]}"
