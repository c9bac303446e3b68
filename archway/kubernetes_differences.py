"""What an object of an API server lacks of what is written in a file."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archway.kubernetes_documents import short

_PLAIN = re.compile("[A-Za-z0-9_-]+")


def differences(wanted: object, found: object, path: str = "") -> Iterator[str]:
    """Where the one is not in the other: each place with what was wanted and what is there.

    Mappings may hold more than is wanted. Lists must be as long, and have the same in the same places. ``null`` is
    nothing as well: Kubernetes leaves it out.
    """
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            place = _below(path, key)
            if key in found:
                yield from differences(value, found[key], place)
            elif value is not None:
                yield f"{place}: wanted {short(value)}, is missing"
    elif isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            yield f"{path}: wanted {_items(wanted)}, has {_items(found)}: {short(found)}"
            return
        for number, (one, other) in enumerate(zip(wanted, found, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    elif not _same(wanted, found):
        yield f"{path or 'the object'}: wanted {short(wanted)}, is {short(found)}"


def _same(wanted: object, found: object) -> bool:
    """Whether two scalars are equal in JSON, where true is not 1."""
    return isinstance(wanted, bool) == isinstance(found, bool) and wanted == found


def _below(path: str, key: str) -> str:
    """``metadata.labels["app.kubernetes.io/name"]``"""
    if not _PLAIN.fullmatch(key):
        return f"{path}[{short(key)}]"
    return f"{path}.{key}" if path else key


def _items(items: list[object]) -> str:
    return f"{len(items)} item{'' if len(items) == 1 else 's'}"
