"""Files that outputs are written to: refused before the work when they cannot be."""

from __future__ import annotations

import re
from pathlib import Path

from archway.errors import UsageError
from archway.files import beside

# XML 1.0 has no way to write the others, and JSON none that all readers take.
_UNWRITABLE = re.compile("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def check_writable(name: str) -> Path:
    """The file that results will go to. Its folder is made, so that hours of work do not end at a missing one.

    :raises UsageError: it is no name of a file
    :raises OSError: nothing can be written there
    """
    if name in ("", "-"):
        raise UsageError("a file is needed for the results", hint="for results on stdout: --json")
    path = Path(name).resolve()  # what a link leads to is replaced, not the link
    if path.exists() and not path.is_file():
        what = "is a folder" if path.is_dir() else "is not an ordinary file"
        raise UsageError(what, where=name, hint="name a file for the results; for results on stdout: --json")
    path.parent.mkdir(parents=True, exist_ok=True)
    with beside(path) as tried:
        tried.touch(exist_ok=False)
    return path


def legible(text: str) -> str:
    """A text that every reader of XML and JSON takes: control characters and halves of characters become ``\\xNN``."""
    return _UNWRITABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)
