"""Remembers which images were proven, by digest: what a digest names never changes, so one proof is enough."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from archway import platforms, verify
from archway.platforms import Platform
from archway.verify import Allowed, Report


class Proofs:
    """The proofs of one monorepo, a file each, in a folder that may be deleted at any time.

    A proof holds for the rules that it was made by: with another version of them or other exceptions it is made again.
    """

    def __init__(self, state: Path) -> None:
        self.folder = state / "proofs"

    def holds(self, digest: str, platform: Platform, allow: Sequence[Allowed]) -> bool:
        """Whether the image of a manifest's digest was proven to be of the platform."""
        path = self._path(digest, platform, allow)
        return path.is_file() and path.read_text(encoding="utf-8", errors="replace").startswith('{"proven": true')

    def add(self, report: Report, allow: Sequence[Allowed]) -> None:
        """Remember what a report proves; one with findings proves nothing."""
        if not report.ok:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        for digest in report.digests:
            path = self._path(digest, report.platform, allow)
            made = path.with_name(f"{path.name}.{os.getpid()}")
            made.write_text(json.dumps({"proven": True, "digest": digest, "name": report.name}), encoding="utf-8")
            made.replace(path)

    def _path(self, digest: str, platform: Platform, allow: Sequence[Allowed]) -> Path:
        key = json.dumps([digest, str(platform), sorted(entry.path for entry in allow), _rules()])
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


@cache
def _rules() -> str:
    """The identity of the code that proves, and of the table that says what a platform's programs are."""
    whole = hashlib.sha256()
    for path in (*sorted(Path(verify.__file__).parent.glob("*.py")), Path(platforms.__file__)):
        whole.update(path.read_bytes())
    return whole.hexdigest()
