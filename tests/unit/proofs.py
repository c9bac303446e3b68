"""Small images for tests of the rules, and what is found in them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

from archway.platforms import Platform
from archway.verify import Allowed, Report, check_archive
from archway.verify.dynamic import Dynamic
from tests.unit.archives import ARM64, Made, oci
from tests.unit.elves import Elf, written

AMD64_PLATFORM, ARM64_PLATFORM, RISCV64_PLATFORM = (Platform.parse(word) for word in ("amd64", "arm64", "riscv64"))

Found = tuple[str, str, str, str]
"""Rule, path, what was found, and what was expected."""


def report(
    *layers: bytes,
    platform: Platform = ARM64_PLATFORM,
    env: Sequence[str] = (),
    allow: Sequence[Allowed] = (),
    own: frozenset[str] = frozenset(),
) -> Report:
    """The report of an image of these layers, the lowest first."""
    data = oci(Made(layers=layers, platform=str(platform), env=env))
    return check_archive(io.BytesIO(data), platform, allow=allow, own=own)


def found(
    *layers: bytes,
    platform: Platform = ARM64_PLATFORM,
    env: Sequence[str] = (),
    allow: Sequence[Allowed] = (),
    own: frozenset[str] = frozenset(),
) -> list[Found]:
    """The findings of an image of these layers."""
    made = report(*layers, platform=platform, env=env, allow=allow, own=own)
    return [(it.rule, it.path, it.found, it.expected) for it in made.findings]


def linked(
    machine: int = ARM64,
    *,
    interpreter: str = "",
    soname: str = "",
    needed: Sequence[str] = (),
    runpath: Sequence[str] = (),
    required: Sequence[tuple[str, str]] = (),
    weak: Sequence[tuple[str, str]] = (),
    defined: Sequence[str] = (),
) -> bytes:
    """A program or library that says this to the dynamic linker."""
    said = Dynamic(
        interpreter=interpreter, soname=soname, needed=tuple(needed), runpath=tuple(runpath), required=tuple(required),
        defined=tuple(defined),
    )  # fmt: skip
    return written(Elf(is_=said, machine=machine, weak=weak))


def packed(*entries: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive: a JAR, a NAR, a wheel."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
    return buffer.getvalue()
