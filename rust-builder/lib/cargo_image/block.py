"""The lines that are added to a Cargo.toml: how they are spelled, put in and taken out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MARK = "# Added by cargo-image: OpenSSL is built from source into the program. To take it out: cargo-image openssl --undo"
_BLOCK = re.compile(rb"(?:\r?\n)?%s\r?\n[^\r\n]*\r?\n[^\r\n]*(?:\r?\n|\Z)" % re.escape(MARK.encode()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """An entry in a table of dependencies. ``values`` are strings, as ``version``, ``package`` and ``path`` are."""

    key: str
    values: Mapping[str, str]
    features: tuple[str, ...]

    def inline(self) -> str:
        """The entry as one line."""
        words = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in self.values.items()]
        return f"{self.key} = {{ {', '.join([*words, f'features = {json.dumps(self.features)}'])} }}"


def spellings(target: str, entry: Entry) -> Iterator[tuple[str, str]]:
    """Two lines that add the entry for a target, in the order in which they are tried.

    TOML has no second table of one name, so the plain spelling serves only where the target has no table yet, and the
    second where it has one without this entry. The others have a table for themselves.
    """
    yield f"[target.{target}.dependencies]", entry.inline()
    yield f"[target.{target}]", f"dependencies.{entry.inline()}"
    architecture, _, rest = target.partition("-")
