"""Scripts: whether their interpreter is there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from archway.verify.findings import Finding
from archway.verify.root import Root, at

_EXECUTABLE = 0o111
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*")
_EXAMPLES = re.compile(r"/usr/(?:local/)?share/(?:doc|.+/examples)/.*")


def check_scripts(root: Root) -> Iterator[Finding]:
    """The executable scripts whose interpreter is not in the image; the documentation's examples are never run."""
    for file in root.files:
        if file.content.script and file.mode & _EXECUTABLE and not _EXAMPLES.fullmatch(file.path):
            wanted = interpreter(file.content.script)
            if wanted and not _there(root, wanted):
                yield at(file, "script-interpreter", "none in the image", wanted)


def interpreter(line: str) -> str:
    """The program that a first line names: its path, or the name that ``env`` looks for in PATH."""
    first, _, rest = line.strip().partition(" ")
    if posixpath.basename(first) != "env":
        return first
    words = [word for word in rest.split() if not word.startswith("-") and not _ASSIGNMENT.fullmatch(word)]
    return words[0] if words else first


def _there(root: Root, wanted: str) -> bool:
    if "/" in wanted:
        return root.find(wanted) is not None
    return any(root.find(posixpath.join(folder, wanted)) for folder in root.search_path)
