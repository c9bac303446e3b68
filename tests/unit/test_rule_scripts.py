"""Facts about the rule on scripts."""

from __future__ import annotations

import pytest

from tests.unit.archives import ARM64, Entry, elf, entry, symlink, tar
from tests.unit.proofs import found


def script(line: bytes, path: str = "usr/bin/x", mode: int = 0o755) -> Entry:
    return entry(path, b"#!" + line + b"\ntrue\n", mode=mode)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (b"/usr/bin/python3", "/usr/bin/python3"),
        (b" /usr/bin/python3 -I", "/usr/bin/python3"),
        (b"/usr/bin/python3\r", "/usr/bin/python3"),
        (b"/usr/bin/env python3", "python3"),
        (b"/usr/bin/env -S A=b python3 -u", "python3"),
        (b"/bin/\xff\x1b", "/bin/\\xff\\x1b"),
    ],
)
def test_missing_script_interpreter_is_found(line: bytes, wanted: str) -> None:
    """A script whose interpreter is not in the image is found, also behind env."""
    assert found(tar(script(line))) == [("script-interpreter", "/usr/bin/x", "none in the image", wanted)]


@pytest.mark.parametrize(
    "entries",
    [
        [script(b"/usr/bin/python3"), entry("usr/bin/python3", elf(ARM64))],
        [script(b"/usr/bin/env python3"), entry("usr/local/bin/python3", elf(ARM64))],
        [
            script(b"/bin/sh"),
            symlink("bin", "usr/bin"),
            symlink("usr/bin/sh", "dash"),
            entry("usr/bin/dash", elf(ARM64)),
        ],
        [script(b"/usr/bin/python3", mode=0o644)],
        [script(b"/usr/bin/python3", path="usr/share/doc/x/run")],
        [script(b"/usr/bin/python3", path="usr/share/x/examples/run")],
        [script(b"")],
        [entry("usr/bin/x", b"# !/usr/bin/python3\n", mode=0o755)],
    ],
)
def test_script_that_is_fine(entries: list[Entry]) -> None:
    """An interpreter may lie behind links or in PATH; what is not executable, or an example, is never started."""
    assert found(tar(*entries)) == []


def test_path_of_the_image() -> None:
    """env looks for an interpreter in the image's own PATH."""
    layer = tar(script(b"/usr/bin/env node"), entry("opt/node/bin/node", elf(ARM64)))

    assert found(layer, env=("PATH=/bin:/opt/node/bin",)) == []
    assert [it[3] for it in found(layer)] == ["node"]


def test_interpreter_in_a_circle() -> None:
    """Links in a circle lead to no interpreter."""
    layer = tar(script(b"/bin/sh"), symlink("bin/sh", "bash"), symlink("bin/bash", "sh"))

    assert found(layer) == [("script-interpreter", "/usr/bin/x", "none in the image", "/bin/sh")]
