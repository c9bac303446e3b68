"""Show the registry on the loopback address, and how much it holds."""

from __future__ import annotations

import contextlib
import http.client
import json as documents
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from rich.text import Text

from archway import log
from archway.errors import MachineError
from archway.machine.facts import Wanted
from archway.machine.loopback_found import Found, look, refusal

PATIENCE = 30.0
"""Seconds that a registry may take to tell what it holds."""

# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags
NEXT = re.compile(r'<(?:https?://[^/>]*)?(/v2/[^>\s]*)>\s*;\s*rel="?next')


def status(wanted: Wanted, *, json: bool = False) -> None:
    """Show on stdout what is there.

    :raises MachineError: no registry runs
    """
    found = look(wanted)
    shown = describe(found, held=count(found.port) if found.running else None)
    log.data.print(Text(documents.dumps(shown, indent=2)) if json else log.table("", ["what", "found"], rows(shown)))
    if not found.running:
        raise refusal(found) or MachineError(f"no registry runs on {found.address}", hint="run: inv registry up")


def describe(found: Found, *, held: tuple[int, int] | None) -> dict[str, str | int | bool | None]:
    """What is there, for programs. None is what cannot be told."""
    return {
        "address": found.address,
        "running": found.running,
        "started_by_archway": found.by_archway,
        "listener": found.listener or None,
        "data": found.data or None,
        "bytes": size(Path(found.data)) if found.data and not found.container else None,
        "repositories": held[0] if held else None,
        "tags": held[1] if held else None,
    }


def rows(shown: dict[str, str | int | bool | None]) -> list[list[str]]:
    """The same for people."""
    words = {None: "unknown" if shown["running"] else "-", True: "yes", False: "no"}
    made = []
    for name, value in shown.items():
        text = f"{value / 10**6:.1f} MB" if name == "bytes" and isinstance(value, int) else str(value)
        made.append([name.replace("_", " "), words[value] if value is None or isinstance(value, bool) else text])
    return made


def size(folder: Path) -> int | None:
    """Bytes of all files in a folder, none if it is not there; None if some of it cannot be read."""

    def refuse(failed: OSError) -> None:
        if not isinstance(failed, FileNotFoundError):
            raise failed

    total = 0
    try:
        for path, _, names in os.walk(folder, onerror=refuse):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    total += (Path(path) / name).lstat().st_size
    except OSError:
        return None
    return total


def count(port: int) -> tuple[int, int] | None:
    """How many repositories and tags a registry has; None if it does not tell."""
    end = time.monotonic() + PATIENCE
    try:
        repositories = list(_listed(port, "/v2/_catalog", "repositories", end))
        tags = sum(1 for name in repositories for _ in _listed(port, f"/v2/{quote(name)}/tags/list", "tags", end))
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return None
    return len(repositories), tags


def _listed(port: int, path: str, key: str, end: float) -> Iterator[str]:
    """The names of a list that comes in pages."""
    while path:
        if time.monotonic() > end:
            raise TimeoutError
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as asked:
            asked.request("GET", path)
            answer = asked.getresponse()
            document = documents.loads(answer.read(10_000_000))
        if answer.status == 404:
            return  # a repository whose last tag was deleted
        names = document.get(key) if answer.status == 200 and isinstance(document, dict) else ""
        if not isinstance(names, list | None):
            raise ValueError(key)
        yield from (str(name) for name in names or ())
        following = NEXT.match(answer.getheader("Link", ""))
        path = following[1] if following else ""
