"""Facts about the rules on Python packages."""

from __future__ import annotations

import pytest

from archway.platforms import Platform
from tests.unit.archives import ARM64, Entry, elf, entry, symlink, tar
from tests.unit.proofs import found

SITE = "usr/lib/python3/dist-packages"
OURS = "any, or one for aarch64"


def wheel(*tags: str) -> Entry:
    text = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n" + "".join(f"Tag: {tag}\n" for tag in tags)
    return entry(f"{SITE}/x-1.dist-info/WHEEL", text.encode())


def test_foreign_wheel_is_found() -> None:
    """A package whose every tag is of another platform is found."""
    tags = "cp311-cp311-manylinux_2_17_x86_64.manylinux_2_28_x86_64"

    assert found(tar(wheel(tags))) == [
        ("wheel-platform", f"/{SITE}/x-1.dist-info/WHEEL", "manylinux_2_17_x86_64, manylinux_2_28_x86_64", OURS)
    ]


@pytest.mark.parametrize(
    "tags",
    [
        ["py3-none-any"],
        ["py2-none-any", "py3-none-any"],
        ["cp311-cp311-manylinux_2_17_aarch64.manylinux_2_28_aarch64"],
        ["cp311-abi3-musllinux_1_2_aarch64"],
        ["cp311-cp311-linux_aarch64"],
        ["cp311-cp311-macosx_11_0_universal2.manylinux_2_28_aarch64"],
        [],
    ],
)
def test_wheel_that_is_fine(tags: list[str]) -> None:
    """A package for any platform, or with a tag of this one, is fine."""
    assert found(tar(wheel(*tags))) == []


def test_foreign_module_is_found() -> None:
    """A module whose name is of another platform is never loaded, whatever code it holds."""
    path = f"{SITE}/x.cpython-311-x86_64-linux-gnu.so"

    assert found(tar(entry(path, elf(ARM64)))) == [
        ("wheel-platform", f"/{path}", "a module named for x86_64", "one named for aarch64")
    ]


@pytest.mark.parametrize("machine", ["arm", "powerpc64le", "i386", "s390x", "riscv64"])
def test_names_of_machines_in_modules(machine: str) -> None:
    """The machine in a module's name is that of GNU's compilers."""
    path = f"{SITE}/x.cpython-311-{machine}-linux-{'gnueabihf' if machine == 'arm' else 'gnu'}.so"
    ((rule, _, shown, _),) = found(tar(entry(path, elf(ARM64))))

    assert (rule, shown) == ("wheel-platform", f"a module named for {machine}")


@pytest.mark.parametrize(
    ("platform", "name"),
    [("arm/v7", "x.cpython-311-arm-linux-gnueabihf.so"), ("ppc64le", "x.cpython-311-powerpc64le-linux-gnu.so")],
)
def test_module_named_for_this_platform(platform: str, name: str) -> None:
    """A platform's own name there is not always that of its kernel."""
    assert found(tar(entry(f"{SITE}/{name}", b"x")), platform=Platform.parse(platform)) == []


@pytest.mark.parametrize("name", ["x.cpython-311-aarch64-linux-gnu.so", "x.abi3.so", "x.so", "x-x86_64-linux-gnu.so"])
def test_module_that_is_fine(name: str) -> None:
    """A module named for this platform, or for none, is fine."""
    assert found(tar(entry(f"{SITE}/{name}", elf(ARM64)))) == []


def compiled(version: int, name: str = "x") -> Entry:
    return entry(f"{SITE}/x/__pycache__/{name}.cpython-{version}.pyc", b"bytecode")


def test_foreign_bytecode_is_found() -> None:
    """Modules compiled by a Python that is not there are found, a finding for a folder."""
    python = entry("usr/bin/python3.13", elf(ARM64))
    shown = "2 modules compiled by CPython 3.11"

    assert found(tar(python, compiled(311), compiled(311, "y"), compiled(313))) == [
        (
            "leftover-bytecode",
            f"/{SITE}/x/__pycache__/x.cpython-311.pyc",
            shown,
            "an interpreter of that version, or none compiled",
        )
    ]


@pytest.mark.parametrize(
    "python",
    [
        entry("usr/local/bin/python3.11", elf(ARM64)),
        symlink("usr/bin/python3.11", "/opt/python"),
        entry("usr/lib/libpython3.11.so.1.0", elf(ARM64)),
    ],
)
def test_bytecode_of_a_python_that_is_there(python: Entry) -> None:
    """The Python that compiled a module may be a program, a link or a library."""
    assert found(tar(python, compiled(311))) == []


@pytest.mark.parametrize("folder", ["usr/share/gcc-11/python/libstdcxx", "usr/share/gdb/auto-load/usr/lib64"])
def test_bytecode_for_the_debugger_is_fine(folder: str) -> None:
    """A distribution brings modules for its debugger without their Python."""
    assert found(tar(entry(f"{folder}/__pycache__/x.cpython-39.pyc", b"bytecode"))) == []


def test_modules_without_bytecode_are_fine() -> None:
    """Source, and bytecode that another implementation wrote, say nothing of a CPython."""
    layer = tar(entry(f"{SITE}/x/x.py"), entry(f"{SITE}/x/__pycache__/x.pypy310.pyc", b"x"), entry("x.cpython-311.pyc"))

    assert found(layer) == []
