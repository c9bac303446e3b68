"""Variables that build scripts will see: those of this process, and Cargo's own from ``[env]`` of its configuration.

The order is that of The Cargo Book, "Configuration": a nearer folder wins over a farther one, those win over
CARGO_HOME; a variable that is set already wins over all of them, but for entries with ``force``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Variable:
    """A variable, and where it was set: a file, or nothing for the environment."""

    name: str
    value: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.name}={self.value} in {self.where or 'the environment'}"


def for_target(name: str, target: str, known: Mapping[str, Variable]) -> Variable | None:
    """What a crate like openssl-sys reads: the variable with the target before its name, or the one without."""
    prefixed = f"{target.upper().replace('-', '_')}_{name}"
    return known.get(prefixed) or known.get(name)


def known_variables(folder: Path, environment: Mapping[str, str]) -> dict[str, Variable]:
    """All variables that a build in this folder has."""
    known: dict[str, Variable] = {}
    forced: set[str] = set()
    for file in reversed(list(_files(folder, environment))):
        for name, entry in _entries(file).items():
            table = entry if isinstance(entry, dict) else {"value": entry}
            known[name] = Variable(name=name, value=str(table.get("value", "")), where=str(file))
            (forced.add if table.get("force") is True else forced.discard)(name)
    own = {name: Variable(name=name, value=value) for name, value in environment.items() if name not in forced}
    return {**known, **own}


def _files(folder: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    home = Path(environment.get("CARGO_HOME") or Path(environment.get("HOME") or Path.home()) / ".cargo")
    here = folder.resolve()
    for where in dict.fromkeys([*(parent / ".cargo" for parent in (here, *here.parents)), home]):
        # Cargo reads the old name if both are there.
        if found := next((where / name for name in ("config", "config.toml") if (where / name).is_file()), None):
            yield found


def _entries(file: Path) -> Mapping[str, Any]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # Cargo refuses it with a better message.
    env = table.get("env")
    return env if isinstance(env, dict) else {}
