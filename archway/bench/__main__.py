"""The figures that docs/figures.md explains, measured on this machine.

python -m archway.bench [catalogue] [--check] [--product NAME] [--rounds N] [--emulated-rounds N] [--rust-rounds N]
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from archway import log
from archway.bench.catalogue import catalogue_figures
from archway.bench.products import Bench, Inv, InvError
from archway.bench.rust import rust_figures
from archway.errors import ArchwayError
from archway.settings import find_root


def main(words: Sequence[str] | None = None) -> int:
    """Print the figures. With ``--check`` the exit code is 1 when a limit is missed; an error has its own."""
    parser = argparse.ArgumentParser(prog="python -m archway.bench", description="Prints the figures of this machine.")
    parser.add_argument("what", nargs="?", choices=["catalogue"], help="every product, instead of one and the operator")
    parser.add_argument("--product", default="hive", help="what is built (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int,
        help="pairs of cross and native builds; 0 leaves the product out (default: 3, and 1 for the catalogue)",
    )  # fmt: skip
    parser.add_argument(
        "--emulated-rounds", type=int, default=1,
        help="pairs of emulated and cross builds, which take long; 0 leaves them out (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--rust-rounds", type=int, default=1,
        help="rounds of the operator's builds, which take long; 0 leaves them out (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--check", action="store_true", help="fail when a figure is over its limit")
    options = parser.parse_args(words)
    rounds = (1 if options.what else 3) if options.rounds is None else options.rounds
    if options.what and rounds < 1:
        parser.error("the catalogue needs a round")
    if rounds < 0 or options.emulated_rounds < 0 or options.rust_rounds < 0:
        parser.error("the numbers of rounds must be at least 0")
    try:
        inv = Inv(find_root(Path.cwd()))
        if options.what == "catalogue":
            found = catalogue_figures(inv, rounds=rounds)
        else:
            found = Bench(inv, options.product).figures(rounds, options.emulated_rounds) if rounds else []
            found += rust_figures(inv.root, rounds=options.rust_rounds, emulated=bool(options.emulated_rounds))
    except ArchwayError as failed:
        log.error(str(failed))
        return failed.ended if isinstance(failed, InvError) else failed.exit_code
    except KeyboardInterrupt:
        log.error("interrupted")
        return 130
    log.data.print(log.table("", ["figure", "median", "of", "wanted"], [figure.row for figure in found]))
    missed = [figure for figure in found if figure.missed]
    for figure in missed:
        log.warn(f"over its limit: {', '.join(figure.row)}")
    return 1 if missed and options.check else 0


def _terminated(_number: int, _frame: object) -> None:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(main())
