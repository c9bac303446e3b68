"""Registrations of the kernel are judged by what they hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from archway.machine.binfmt import Binfmt, line, parse_active, parse_recipe
from archway.platforms import Platform
from tests.unit.machines import AMD64, ARM64, RECIPE, entry

ACTIVE = """\
enabled
interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: POF
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
"""
CONF = (
    r":qemu-aarch64:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff"
    r"\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/libexec/qemu-binfmt/aarch64-binfmt-P:OPF"
)
LINES = {
    "linux/arm64": CONF,
    "linux/arm/v7": CONF.replace(r"\x46\x02\x01", r"\x46\x01\x01").replace(r"\xb7", r"\x28"),
    "linux/riscv64": CONF.replace(r"\xb7", r"\xf3"),
    "linux/s390x": (
        r":qemu-s390x:M::\x7f\x45\x4c\x46\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16:\xff\xff\xff"
        r"\xff\xff\xff\xff\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff:/usr/libexec/qemu-binfmt/s390x-binfmt-P:OPF"
    ),
    "linux/ppc64le": (
        r":qemu-ppc64le:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x15\x00:\xff\xff\xff"
        r"\xff\xff\xff\xff\xfc\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\x00:/usr/libexec/qemu-binfmt/ppc64le-binfmt-P:OPF"
    ),
    "linux/amd64": CONF.replace(r"\xb7", r"\x3e"),
}


def test_active() -> None:
    """A file of /proc/sys/fs/binfmt_misc is read whole, and takes exactly the programs of its platform."""
    found = parse_active("/proc/sys/fs/binfmt_misc/any", ACTIVE)

    assert found
    assert (found.name, found.flags, found.enabled, found.fault) == ("any", "POF", True, "")
    assert found.takes(ARM64)
    assert not found.takes(AMD64)


def test_active_by_extension() -> None:
    """An entry that looks at the names of files is none of ours."""
    assert parse_active("/proc/x", "enabled\ninterpreter /usr/bin/x\nflags: \nextension .x\n") is None


@pytest.mark.parametrize("name", LINES)
def test_recipe_takes_its_platform_only(name: str) -> None:
    """Debian's registration lines take their own platform and no other."""
    (recipe,) = parse_recipe("/usr/lib/binfmt.d/some.conf", LINES[name])

    assert [name] == [other for other in LINES if recipe.takes(Platform.parse(other))]


def test_recipe_skips_the_rest() -> None:
    """Comments, empty lines and entries by extension are not read as registrations."""
    text = "# comment\n\n;other\n:java:E::jar::/usr/bin/jexec:\n" + CONF

    assert [recipe.name for recipe in parse_recipe("x", text)] == ["qemu-aarch64"]


def test_line_round_trip() -> None:
    """The line written for a recipe is the line that was read."""
    (recipe,) = parse_recipe("x", CONF)

    assert line(recipe) == CONF


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"flags": "PO"}, "without flag F"),
        ({"enabled": False}, "switched off"),
        ({"static": False}, ""),
        ({"static": False, "interpreter": "/usr/bin/qemu-aarch64"}, ""),
    ],
)
def test_fault(change: dict[str, object], fault: str) -> None:
    """Without F or switched off fails in containers; with F the file that has the path today says nothing."""
    found = replace(entry(), **change)  # type: ignore[arg-type]

    assert fault in found.fault
    assert bool(fault) == bool(found.fault)


def test_newest_wins() -> None:
    """Of two registrations the kernel takes the newer one, so a faulty newer one hides a good one."""
    binfmt = Binfmt(entries=(entry(name="new", flags=""), entry(name="old")))

    assert not binfmt.runs(ARM64)


def test_switched_off_does_not_hide() -> None:
    """The kernel passes over a newer registration that is switched off; alone it is told as the fault."""
    off = replace(entry(name="new"), enabled=False)

    assert Binfmt(entries=(off, entry(name="old"))).runs(ARM64)
    assert Binfmt(entries=(off,)).entry(ARM64) == off


@pytest.mark.parametrize(
    "text",
    [
        ":a:M:zz:\\x7f:\\xff:/bin/a:F",
        ":a:M::\\x7fELF:\\xff:/bin/a:F",
        ":a:M:::::",
        ":a:M:-1:\\x7fELF::/bin/a:F",
        "::M::\\x7fELF::/bin/a:F",
        " :a",
        ":",
    ],
)
def test_foreign_recipes_are_passed_over(text: str) -> None:
    """What the kernel would refuse (offset, mask, no magic, no name) is no recipe and no traceback."""
    assert parse_recipe("x", f"{text}\n{CONF}")[:-1] == ()


@pytest.mark.parametrize(
    "change", [("offset 0", "offset zz"), ("mask ff", "mask f"), ("mask ff", "mask "), ("7f45", "")]
)
def test_foreign_entries_are_passed_over(change: tuple[str, str]) -> None:
    """A registration that cannot be read is no entry and no traceback."""
    assert parse_active("/proc/x", ACTIVE.replace(*change)) is None


def test_recipe_must_be_usable() -> None:
    """A recipe whose interpreter needs shared libraries is no recipe: Debian 12's qemu-user."""
    assert Binfmt(recipes=(replace(RECIPE, static=False),)).recipe(ARM64) is None
