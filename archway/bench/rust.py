"""How long Rust programs take: an operator for both platforms, and a small crate with and without emulation."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from archway import log
from archway.bench.products import Bench, Figure, Inv, Targets, ratio, remove
from archway.process import call

OPERATOR = "kafka"
SMALL = "small"
PROGRAM = Path("operators/kafka/src/main.rs")
"""The file that gets another line."""
SMALL_IMAGES = "*,products/*,operators/*,tests/rust/*"
"""The setting ``images`` with which the small crate is an image."""


@contextmanager
def checkout(root: Path) -> Iterator[Path]:
    """A copy of a monorepo's files, which may be changed."""
    with TemporaryDirectory(prefix="archway-bench-") as folder:
        names = call(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=root).split("\0")
        for name in filter(None, names):
            if (root / name).is_file():
                target = Path(folder, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, target, follow_symlinks=False)
        yield Path(folder)


def rust_figures(root: Path, *, rounds: int, emulated: bool) -> list[Figure]:
    """All of them, in the order of docs/figures.md; none without rounds."""
    if not rounds:
        return []
    targets = Bench(Inv(root), OPERATOR, option="--operator").targets()
    try:
        found = operator_figures(root, targets, rounds=rounds)
        return found + (emulation_figures(root, targets) if emulated else [])
    finally:
        remove(targets.repositories)


def operator_figures(root: Path, targets: Targets, *, rounds: int) -> list[Figure]:
    """The operator's figures.

    Without cache, everything that it stands on is compiled again, with OpenSSL on both platforms.
    """
    both = f"{targets.native},{targets.foreign}"
    with checkout(root) as folder:
        inv = Inv(folder)
        bench = Bench(inv, OPERATOR, option="--operator")
        log.note("· building what the operator stands on")
        inv("build", "--image", "rust-builder")
        inv("build", "--image", "base", "--arch", both)
        colds = [(bench.cold(targets.foreign), bench.cold(targets.native)) for _ in range(rounds)]
        log.note("· building the operator with cache")
        changed = []
        # The first one is not counted: a build without cache leaves nothing that one with cache could take.
        for number in range(rounds + 1):
            with (folder / PROGRAM).open("a", encoding="utf-8") as file:
                file.write(f"// line {number}, process {os.getpid()}\n")
            changed.append(bench.build(both))
            log.note(f"  {OPERATOR} {both}, one line changed: {changed[-1]:.1f} s")
    cross, native = zip(*colds, strict=True)
    return [
        Figure(name=f"operator {targets.native}, native, cold", values=native),
        Figure(name=f"operator {targets.foreign}, cross, cold", values=cross),
        ratio("operator: cross ÷ native, cold", colds, limit=1.25),
        ratio(
            "operator: one line changed ÷ cold, both platforms",
            [(change, sum(cold)) for change, cold in zip(changed[1:], colds, strict=True)], limit=0.25,
        ),
    ]  # fmt: skip


def emulation_figures(root: Path, targets: Targets) -> list[Figure]:
    """The small crate under QEMU, against the same cross-compiled."""
    inv = Inv(root)
    inv.env["INVOKE_ARCHWAY_IMAGES"] = SMALL_IMAGES
    bench = Bench(inv, SMALL, option="--image")
    log.note("· building what the emulated crate stands on")
    bench.build(targets.foreign, "--strategy", "emulated")
    pairs = [(bench.cold(targets.foreign, "--strategy", "emulated"), bench.cold(targets.foreign))]
    return [ratio("small crate: emulated ÷ cross, cold", pairs)]
