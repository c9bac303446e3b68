"""Remembers what was proven, by digest: what a digest names never changes, so one look is enough.

All of it lies in folders below ``.archway`` that may be deleted at any time, and holds for the rules it was made by.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

from archway import log, platforms, rules, verify
from archway.platforms import Platform
from archway.verify import Allowed, Report, Scan
from archway.verify.findings import report_of
from archway.verify.scan import from_json

_UNUSED = 30 * 86_400
"""Seconds after which a scan that nothing asked for is forgotten."""


class Proofs:
    """The reports of one monorepo's proofs. With other exceptions, or another authority of this machine, an image is
    looked at again."""

    def __init__(self, state: Path) -> None:
        self.folder = state / "proofs" / _rules()

    def find(
        self, digest: str, platform: Platform | None, allow: Sequence[Allowed], own: frozenset[str] = frozenset()
    ) -> Report | None:
        """The report of a manifest's digest, if it was made before; of a list's members, whose platform is None."""
        text = _read(self._path(digest, platform, allow, own))
        with suppress(ValueError, TypeError, RecursionError):
            return report_of(json.loads(text)) if text else None
        return None

    def holds(
        self, digest: str, platform: Platform, allow: Sequence[Allowed], own: frozenset[str] = frozenset()
    ) -> bool:
        """Whether an image was looked at before, and nothing was found."""
        report = self.find(digest, platform, allow, own)
        return report is not None and report.ok

    def add(self, report: Report, allow: Sequence[Allowed], own: frozenset[str] = frozenset()) -> None:
        """Remember what an image's proof has found."""
        for digest in report.digests:
            made = replace(report, digests=(digest,)) if len(report.digests) == 1 else report
            _write(self._path(digest, made.platform, allow, own), json.dumps(made.as_data()))

    def _path(self, digest: str, platform: Platform | None, allow: Sequence[Allowed], own: frozenset[str]) -> Path:
        exceptions = sorted([it.path, it.rule, it.reason, it.source, *map(str, it.platforms)] for it in allow)
        key = json.dumps([digest, str(platform), exceptions, sorted(own)])
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()}.json"


class Layers:
    """The scans of layers that were read before."""

    def __init__(self, state: Path) -> None:
        self.folder = state / "layers" / _rules()
        self._tidied = False

    def get(self, digest: str) -> Scan | None:
        """The scan of a layer, if it was read before."""
        path = self._path(digest)
        text = _read(path) if digest else ""
        with suppress(ValueError):
            if text and (found := from_json(text)):
                with suppress(OSError):
                    os.utime(path)
                return found
        return None

    def holds(self, digest: str) -> bool:
        """Whether a layer was read before, and can be read again from here."""
        return self.get(digest) is not None

    def hold(self, digests: Iterable[str]) -> bool:
        """Whether there is something for each; what it is, only reading tells."""
        return all(self._path(digest).is_file() for digest in digests)

    def add(self, digest: str, made: Scan) -> None:
        """Remember a scan; one with a text that cannot be written is made again the next time."""
        with suppress(ValueError):
            _write(self._path(digest), made.as_json())
        self._forget()

    def _path(self, digest: str) -> Path:
        return self.folder / f"{hashlib.sha256(digest.encode()).hexdigest()}.json"

    def _forget(self) -> None:
        limit = time.time() - _UNUSED
        if self._tidied:
            return
        self._tidied = True
        for path in self.folder.glob("*"):
            with suppress(OSError):
                if path.stat().st_mtime < limit:
                    path.unlink()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _write(path: Path, text: str) -> None:
    """Remember a text. That it cannot be is no reason to end a proof; the next one takes longer."""
    try:
        _try_write(path, text)
    except OSError as failed:
        _warn(f"{path.parent}: what was verified cannot be remembered: {failed.strerror}")


@cache
def _warn(text: str) -> None:
    log.warn(text)


def _try_write(path: Path, text: str) -> None:
    if not path.parent.is_dir():
        for old in _others(path.parent):
            shutil.rmtree(old, ignore_errors=True)
        path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{uuid.uuid4().hex}.new")
    made.write_text(text, encoding="utf-8")
    made.replace(path)


def _others(folder: Path) -> Iterator[Path]:
    """What was remembered for other rules."""
    if folder.parent.is_dir():
        yield from (other for other in folder.parent.iterdir() if other.is_dir() and other != folder)


@cache
def _rules() -> str:
    """The identity of the code that proves, of its rules, and of the table of what a platform's programs are."""
    whole = hashlib.sha256()
    for path in (*sorted(Path(verify.__file__).parent.glob("*.py")), Path(rules.__file__), Path(platforms.__file__)):
        whole.update(path.read_bytes())
    return whole.hexdigest()[:16]
