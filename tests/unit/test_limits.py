"""Facts about the limits of a check: what they count, and that they bound the memory that it takes."""

from __future__ import annotations

import gc
import io
import tarfile
import tracemalloc
from collections.abc import Iterator

import pytest

from archway.errors import VerifyError
from archway.platforms import Platform
from archway.verify import Limits, check_archive
from archway.verify.tar import weight
from tests.unit.archives import Entry, Made, elf, entry, files, hard_link, oci, removed, symlink, tar

MANY, LONG = Limits(entries=2_500, names=1 << 19), Limits(entries=700, names=1 << 22)


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (Limits(data=10_000), "bytes of data"),
        (Limits(entries=5), "entries"),
        (Limits(names=30), "bytes of names and documents"),
    ],
)
def test_limits(limits: Limits, what: str) -> None:
    """A layer that asks for more than the limits is refused, and the message says which."""
    layer = tar(*(entry(f"folder{number}/file", b"x" * 600) for number in range(6)))
    with pytest.raises(VerifyError, match=f"more {what} than is read"):
        files(layer, limits=limits)


def test_implied_folders_count() -> None:
    """The folders that a path implies count as entries: they take memory as well."""
    with pytest.raises(VerifyError, match="more entries"):
        files(tar(entry("a/b/c/d/e/f")), limits=Limits(entries=5))


@pytest.mark.parametrize("name", ["a", "é", "日", "😀", "a\udcff", "a" * 500 + "😀"])
def test_weight(name: str) -> None:
    """A name weighs what Python takes for it, at least: one wide character makes the others wide as well."""
    assert len(name) <= name.__sizeof__() - "".__sizeof__() <= weight(name) + 100


def hostile(shape: str, count: int) -> Iterator[Entry]:
    """Entries of the kind that takes most room."""
    for number in range(count):
        match shape:
            case "deep" | "deep and wide":
                yield entry(f"{number}{'é' if shape == 'deep' else '😀'}/{'a/' * 240}f")
            case "foreign":
                yield entry(f"{number}", elf())
            case "long and wide":
                yield entry(f"{number}😀/" + "/".join(["a" * 250] * 12))
            case "wide":
                yield entry("😀" * 30 + f"{number}")
            case "lost":
                yield hard_link(f"{number}", "t/" * 30 + f"{number}")
            case "symlinks":
                yield symlink(f"{number}", "t/" * 30 + f"{number}")
            case "astray":
                yield entry(f"link/{number}") if number else symlink("link", "t")
            case "removed":
                yield removed(f"{number}")


@pytest.mark.parametrize(
    ("shape", "limits"),
    [
        *((shape, MANY) for shape in ("deep", "foreign", "wide", "lost", "symlinks", "astray", "removed")),
        *((shape, LONG) for shape in ("deep and wide", "long and wide")),
    ],
)
def test_memory(shape: str, limits: Limits) -> None:
    """Whatever an archive holds, a check takes no more memory than the limits give: names, and 1,000 bytes an entry."""
    layer = tar(*hostile(shape, limits.entries - 100), form=tarfile.GNU_FORMAT)
    archive = io.BytesIO(oci(Made(layers=[layer, tar()], platform="linux/arm64")))
    gc.collect()
    tracemalloc.start()
    try:
        report = check_archive(archive, Platform.parse("arm64"), limits=limits)
    except VerifyError as error:
        assert "than is read of any archive" in str(error)  # noqa: PT017 - both ends are right
    else:
        assert report.files or report.findings
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 1_000 * limits.entries + limits.names + 2**21  # what Python keeps between tests


def test_memory_by_default() -> None:
    """The limits that hold if nobody says otherwise keep a check at about a gigabyte."""
    limits = Limits()

    assert 1_000 * limits.entries + limits.names < 1.2e9
