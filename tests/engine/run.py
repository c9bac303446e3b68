"""How the engine tests run ``inv``, as a user runs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
ORGANIZATION = "archway-tests"


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str


Inv = Callable[..., Ran]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "invoke", *words]


def surroundings(**more: str) -> dict[str, str]:
    return {**os.environ, "INVOKE_ARCHWAY_ORGANIZATION": ORGANIZATION, "NO_COLOR": "1", **more}
