"""Changes of files that are planned first, and made together or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cargo_image.errors import CargoImageError

Edits = dict[Path, tuple[bytes, bytes]]
"""Files, each with its bytes before and after."""


def apply(edits: Mapping[Path, tuple[bytes, bytes]]) -> None:
    """Write the files: each in one step, and all or none.

    :raises CargoImageError: a file was changed meanwhile, or cannot be written
    """
    for path, (before, _) in edits.items():
        if path.read_bytes() != before:
            raise CargoImageError("was changed meanwhile", where=path, hint="start again")
    done: list[Path] = []
    try:
        for path, (_, after) in edits.items():
            _replace(path, after)
            done.append(path)
    except OSError as failed:
        for written in done:
            _replace(written, edits[written][0])
        raise CargoImageError(
            "cannot be written", where=path, why=failed.strerror or str(failed),
            hint="copy the project to where it may be changed",
        ) from None  # fmt: skip


def _replace(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        part.chmod(path.stat().st_mode & 0o7777)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
