"""The figures that docs/figures.md explains: ratios of times measured in one run on one machine.

    python -m archway.bench [--rounds N] [--product NAME] [--without-emulation]

Machines differ and are noisy, so only ratios count: each round builds a product's own steps without cache, natively
and for a foreign platform, one after the other.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

from archway import log
from archway.build import Building
from archway.catalog import Catalog
from archway.engine import Engine
from archway.errors import ArchwayError
from archway.plan import Strategy, make_plan
from archway.platforms import Platform
from archway.selection import requests
from archway.settings import find_root, load


class Bench:
    """Builds of one product, timed."""

    def __init__(self, product: str, root: Path) -> None:
        self.engine = Engine()
        self.catalog = Catalog(load(root))
        self.wanted = requests(self.catalog, products=[product])
        here = self.engine.platform
        self.foreign = next(platform for platform in self.catalog.settings.platforms if platform != here)

    def build(self, platform: Platform, *, cache: bool, strategy: Strategy | None = None) -> float:
        """Seconds of one build: of the product's own steps where its parents are up to date."""
        steps = make_plan(self.catalog, self.wanted, [platform], build_platform=self.engine.platform, strategy=strategy)
        building = Building(self.engine, self.catalog.settings, cache=cache, same_strategy=strategy is not None)
        started = time.monotonic()
        building.run(steps)
        return time.monotonic() - started

    def cold(self, platform: Platform, strategy: Strategy | None = None) -> float:
        """Seconds of the product's own steps without cache."""
        return self.build(platform, cache=False, strategy=strategy)


def figures(product: str, rounds: int, *, emulation: bool, root: Path) -> list[list[str]]:
    """Rows of the table: figure, value, wanted."""
    bench = Bench(product, root)
    here, foreign = bench.engine.platform, bench.foreign
    for platform in (here, foreign):
        bench.build(platform, cache=True)
    pairs = [(bench.cold(here), bench.cold(foreign)) for _ in range(rounds)]
    native, cross = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(cross / native for native, cross in pairs)
    rows = [
        [f"{product} {here.tag} native", f"{native:.1f} s", ""],
        [f"{product} {foreign.tag} cross", f"{cross:.1f} s", ""],
        ["cross ÷ native", f"{ratio:.2f}", "at most 1.2"],
    ]
    if emulation:
        bench.build(foreign, cache=True, strategy=Strategy.EMULATED)
        emulated = bench.cold(foreign, Strategy.EMULATED)
        again = bench.cold(foreign)
        rows += [
            [f"{product} {foreign.tag} emulated", f"{emulated:.1f} s", ""],
            ["emulated ÷ cross", f"{emulated / again:.1f}", "5 or more is expected"],
        ]
    rows.append(["second build, nothing changed", f"{command(root, 'build', '--product', product):.2f} s", "under 2 s"])
    rows.append(["inv --list", f"{command(root, '--list'):.2f} s", "under 0.4 s"])
    return rows


def command(root: Path, *words: str) -> float:
    """Median seconds of five runs of ``inv`` with these words."""
    times = []
    for _ in range(5):
        started = time.monotonic()
        subprocess.run([sys.executable, "-m", "invoke", *words], cwd=root, check=True, capture_output=True, timeout=600)
        times.append(time.monotonic() - started)
    return statistics.median(times)


def main(words: Sequence[str] | None = None) -> int:
    """Print the figures; the exit code is the error's, if there is one."""
    parser = argparse.ArgumentParser(prog="python -m archway.bench", description="Prints the figures of this machine.")
    parser.add_argument("--product", default="hive", help="what is built (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="cold builds for each platform (default: %(default)s)")
    parser.add_argument("--without-emulation", action="store_true", help="leave out the slow emulated build")
    options = parser.parse_args(words)
    if options.rounds < 1:
        parser.error("--rounds must be at least 1")
    try:
        rows = figures(
            options.product, options.rounds, emulation=not options.without_emulation, root=find_root(Path.cwd())
        )
    except ArchwayError as failed:
        log.error(str(failed))
        return failed.exit_code
    log.data.print(log.table("", ["figure", "here", "wanted"], rows))
    log.data.print(Text(f"medians of {options.rounds} rounds; ratios of builds in one round"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
