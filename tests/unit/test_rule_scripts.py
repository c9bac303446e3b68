"""Facts about the rule on scripts."""

from __future__ import annotations

import pytest

from archway.verify.tar import printable
from tests.unit.archives import ARM64, Entry, elf, entry, symlink, tar
from tests.unit.proofs import found

ENV = entry("usr/bin/env", elf(ARM64))


def script(line: bytes, path: str = "usr/bin/x", mode: int = 0o755) -> Entry:
    return entry(path, b"#!" + line + b"\ntrue\n", mode=mode)


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (b"/usr/bin/python3", "/usr/bin/python3"),
        (b" /usr/bin/python3 -I", "/usr/bin/python3"),
        (b"/usr/bin/python3\t-I", "/usr/bin/python3"),
        (b"\t/usr/bin/python3 \t", "/usr/bin/python3"),
        (b"/usr/bin/python3\0x", "/usr/bin/python3"),
        (b"/usr/bin/env\tpython3", "python3"),
        (b"/usr/bin/env python3\r", "python3\\r"),
        (b"/usr/bin/env -S python3\r", "python3"),
        (b"/usr/bin/env python3", "python3"),
        (b"/usr/bin/env -S A=b python3 -u", "python3"),
        (b"/bin/\xff\x1b", "/bin/\\xff\\x1b"),
    ],
)
def test_missing_script_interpreter_is_found(line: bytes, wanted: str) -> None:
    """A script whose interpreter is not in the image is found, also behind env."""
    assert found(tar(ENV, script(line))) == [("script-interpreter", "/usr/bin/x", "none in the image", wanted)]


@pytest.mark.parametrize("line", [b"/bin/sh\r", b"/bin/sh\x0b", b"/bin/sh\xa0"])
def test_line_that_the_kernel_does_not_strip(line: bytes) -> None:
    """A carriage return belongs to the name of the interpreter: the kernel does not find it."""
    wanted = printable(line.decode("utf-8", "surrogateescape"))

    assert found(tar(entry("bin/sh", elf(ARM64)), script(line))) == [
        ("script-interpreter", "/usr/bin/x", "none in the image", wanted)
    ]


@pytest.mark.parametrize("python", [[], [entry("usr/bin/python3", elf(ARM64))]])
def test_missing_env_is_found(python: list[Entry]) -> None:
    """A script behind an env that is not in the image does not start, whatever else is there."""
    assert found(tar(script(b"/usr/bin/env python3"), *python)) == [
        ("script-interpreter", "/usr/bin/x", "none in the image", "/usr/bin/env")
    ]


TOOL = "usr/lib/node_modules/npm/bin/npm-cli.js"


@pytest.mark.parametrize("path", [TOOL, "app/node_modules/.bin/x", "opt/lib/site-packages/x", "usr/dist-packages/a/x"])
def test_script_of_a_package(path: str) -> None:
    """What a package of Node.js or Python holds is no command by itself."""
    links = [symlink("opt/x", f"/{path}"), symlink("usr/bin/y", f"/{path}/no")]

    assert found(tar(script(b"/usr/bin/python3", path), *links)) == []


@pytest.mark.parametrize(
    "links",
    [
        [symlink("usr/bin/npm", "../lib/node_modules/npm/bin/npm-cli.js")],
        [symlink("bin", "usr/bin"), symlink("usr/bin/npm", "/opt/npm"), symlink("opt/npm", f"/{TOOL}")],
        [symlink("app/node_modules/.bin/npm", f"/{TOOL}")],
    ],
)
def test_command_of_a_package(links: list[Entry]) -> None:
    """A package's script that a link in PATH or in .bin leads to is a command."""
    assert found(tar(script(b"/usr/bin/python3", TOOL), *links)) == [
        ("script-interpreter", f"/{TOOL}", "none in the image", "/usr/bin/python3")
    ]


@pytest.mark.parametrize(
    "entries",
    [
        [script(b"/usr/bin/python3"), entry("usr/bin/python3", elf(ARM64))],
        [ENV, script(b"/usr/bin/env python3"), entry("usr/local/bin/python3", elf(ARM64))],
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
        [script(b" \t")],
        [ENV, script(b"/usr/bin/env")],
        [script(b"/bin/\xff\t-e"), entry("bin/\udcff", elf(ARM64))],
        [entry("usr/bin/x", b"# !/usr/bin/python3\n", mode=0o755)],
    ],
)
def test_script_that_is_fine(entries: list[Entry]) -> None:
    """An interpreter may lie behind links or in PATH; what is not executable, or an example, is never started."""
    assert found(tar(*entries)) == []


def test_path_of_the_image() -> None:
    """env looks for an interpreter in the image's own PATH."""
    layer = tar(ENV, script(b"/usr/bin/env node"), entry("opt/node/bin/node", elf(ARM64)))

    assert found(layer, env=("PATH=/bin:/opt/node/bin",)) == []
    assert [it[3] for it in found(layer)] == ["node"]


def test_interpreter_in_a_circle() -> None:
    """Links in a circle lead to no interpreter."""
    layer = tar(script(b"/bin/sh"), symlink("bin/sh", "bash"), symlink("bin/bash", "sh"))

    assert found(layer) == [("script-interpreter", "/usr/bin/x", "none in the image", "/bin/sh")]
