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
_PACKAGES = re.compile(r".*/(?:node_modules|site-packages|dist-packages)/.*")
_BLANKS = re.compile(r"[ \t]+")


def check_scripts(root: Root) -> Iterator[Finding]:
    """The executable scripts whose interpreter is not in the image; the documentation's examples are never run.

    Packages of Node.js and Python bring scripts along that nothing runs (tests, build tools): of theirs, those count
    that a command leads to.
    """
    commands = _commands(root)
    for file in root.files:
        if not file.content.script or not file.mode & _EXECUTABLE or _EXAMPLES.fullmatch(file.path):
            continue
        if _PACKAGES.fullmatch(file.path) and file.path not in commands:
            continue
        for wanted in interpreters(file.content.script):
            if not _there(root, wanted):
                yield at(file, "script-interpreter", "none in the image", wanted)
                break  # without env nothing looks for the program


def interpreters(line: str) -> list[str]:
    """What a first line needs: the path that the kernel starts, and the name that ``env`` looks for in PATH."""
    first, *rest = _BLANKS.split(line, maxsplit=1)
    if posixpath.basename(first) != "env":
        return [first] if first else []
    text = "".join(rest)
    parts = text.split() if text.startswith("-") else _BLANKS.split(text)  # -S splits at all white space
    words = [word for word in parts if word and not word.startswith("-") and not _ASSIGNMENT.fullmatch(word)]
    return [first, *words[:1]]


def _commands(root: Root) -> set[str]:
    """The files that the symbolic links in PATH and in the ``.bin`` folders of packages lead to."""
    folders = {path for folder in root.search_path for path in (posixpath.normpath(folder), root.resolve(folder))}
    return {
        root.resolve(link)
        for link in root.links
        if (folder := posixpath.dirname(link)) in folders or posixpath.basename(folder) == ".bin"
    }


def _there(root: Root, wanted: str) -> bool:
    if "/" in wanted:
        return root.find(wanted) is not None
    return any(root.find(posixpath.join(folder, wanted)) for folder in root.search_path)
