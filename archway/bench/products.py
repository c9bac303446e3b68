"""Builds of a product, timed.

All of it is done by ``inv`` in processes of its own, so what is measured is what a user gets, with the same settings.
Only the organization is the bench's own: an interrupted bench leaves no emulated image under a shipped name.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from archway import log
from archway.bench.proofs import proof_pairs
from archway.docker import last_lines
from archway.engine import Engine
from archway.errors import ArchwayError, UsageError
from archway.platforms import Platform
from archway.process import run

ORGANIZATION = "archway-bench"
REPEATS = 5
"""How often a command of seconds is timed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A median, and what it may be at most."""

    name: str
    values: tuple[float, ...]
    unit: str = "s"
    limit: float | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def missed(self) -> bool:
        return self.limit is not None and self.median > self.limit

    @property
    def row(self) -> list[str]:
        limit = "" if self.limit is None else f"at most {self.limit:g}{self.unit and ' ' + self.unit}"
        return [self.name, f"{self.median:.2f}{self.unit and ' ' + self.unit}", str(len(self.values)), limit]


Pairs = Sequence[tuple[float, float]]


def ratio(name: str, pairs: Pairs, *, limit: float | None = None) -> Figure:
    """How much longer the first of two builds takes that were made one after the other."""
    return Figure(name=name, values=tuple(first / second for first, second in pairs), unit="", limit=limit)


def build_figures(product: str, targets: Targets, rounds: Pairs, emulated_rounds: Pairs) -> list[Figure]:
    """What the cold builds say.

    :param rounds: seconds of a cross build and of a native one
    :param emulated_rounds: seconds of an emulated build and of a cross one
    """
    cross, native = zip(*rounds, strict=True)
    found = [
        Figure(name=f"{product} {targets.native}, native", values=native),
        Figure(name=f"{product} {targets.foreign}, cross", values=cross),
        ratio("cross ÷ native", rounds, limit=1.2),
    ]
    if emulated_rounds:
        emulated, _ = zip(*emulated_rounds, strict=True)
        found += [
            Figure(name=f"{product} {targets.foreign}, emulated", values=emulated),
            ratio("emulated ÷ cross", emulated_rounds),
        ]
    return found


class InvError(ArchwayError):
    """An ``inv`` that the bench runs failed."""

    def __init__(self, words: Sequence[str], *, ended: int, said: str) -> None:
        super().__init__(f"inv {' '.join(words)} ended with exit code {ended}", why=last_lines(said, 25))
        self.ended = ended


class Inv:
    """``inv`` in a monorepo, under the bench's organization."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.env = {**os.environ, "INVOKE_ARCHWAY_ORGANIZATION": ORGANIZATION, "NO_COLOR": "1"}

    def __call__(self, *words: str) -> str:
        """What it prints on stdout.

        :raises InvError: it failed
        """
        done = run([sys.executable, "-m", "invoke", *words], cwd=self.root, env=self.env)
        if not done.ok:
            raise InvError(words, ended=done.exit_code, said=done.stderr or done.stdout)
        return done.stdout

    def timed(self, *words: str) -> tuple[float, ...]:
        """Seconds of the whole command, several times."""
        return tuple(self._timed(*words) for _ in range(REPEATS))

    def _timed(self, *words: str) -> float:
        started = time.monotonic()
        self(*words)
        return time.monotonic() - started


@dataclass(frozen=True, kw_only=True, slots=True)
class Targets:
    """The two platforms that are compared, and where their images stand."""

    native: str
    foreign: str
    image: str
    """The native one's name."""
    repositories: str
    """A pattern of all repositories of the bench."""

    @classmethod
    def of(cls, plan: Sequence[Mapping[str, Any]]) -> Targets:
        """Choose from a plan for all platforms.

        :raises UsageError: it has not both a native and a cross target
        """
        found = {str(step["strategy"]): step for step in reversed(plan) if step["requested"]}
        if not {"native", "cross"} <= found.keys():
            raise UsageError(
                "there is nothing to compare: the bench needs a native target and a cross one",
                why="\n".join(f"{step['target']}: {step['strategy']}" for step in plan if step["requested"]),
                hint="look at the platforms of the product's image.toml, and at the setting platforms",
            )
        return cls(
            native=_tag(found["native"]),
            foreign=_tag(found["cross"]),
            image=str(found["native"]["reference"]),
            repositories=f"{str(found['native']['reference']).rpartition('/')[0]}/*",
        )


def _tag(step: Mapping[str, Any]) -> str:
    return str(step["target"]).rpartition(" ")[2]


def remove(repositories: str) -> None:
    engine = Engine()
    if engine.answers:
        log.note(f"· removing {repositories}")
        for name in engine.names(repositories):
            engine.remove(name)


class Bench:
    """Builds of one product, timed."""

    def __init__(self, inv: Inv, product: str, *, option: str = "--product") -> None:
        self.inv = inv
        self.product = product
        self.option = option

    def figures(self, rounds: int, emulated_rounds: int) -> list[Figure]:
        """All figures, in the order of docs/figures.md."""
        targets = self.targets()
        try:
            return self._measured(targets, rounds, emulated_rounds)
        finally:
            remove(targets.repositories)

    def targets(self) -> Targets:
        """The platforms that are compared."""
        plan = json.loads(self.inv("build", self.option, self.product, "--arch", "all", "--dry-run", "--json"))
        return Targets.of(plan)

    def _measured(self, targets: Targets, rounds: int, emulated_rounds: int) -> list[Figure]:
        log.note("· building what the product stands on")
        for arch in (targets.native, targets.foreign):
            self.build(arch)
        pairs = [(self.cold(targets.foreign), self.cold(targets.native)) for _ in range(rounds)]
        emulated = []
        if emulated_rounds:
            log.note("· building what the emulated product stands on")
            self.build(targets.foreign, "--strategy", "emulated")
            emulated = [
                (self.cold(targets.foreign, "--strategy", "emulated"), self.cold(targets.foreign))
                for _ in range(emulated_rounds)
            ]
        log.note("· what costs nothing")
        again = self.inv.timed("build", "--product", self.product, "--arch", targets.native)
        listed = self.inv.timed("--list")
        self.inv("verify", "--product", self.product)
        verified = self.inv.timed("verify", "--product", self.product)
        proofs = proof_pairs(Engine(), targets.image, Platform.parse(targets.native), rounds=REPEATS)
        return [
            *build_figures(self.product, targets, pairs, emulated),
            Figure(name="second build, nothing changed", values=again, limit=2),
            Figure(name="inv --list", values=listed, limit=0.4),
            ratio("proof ÷ unpacking the layers", proofs, limit=1.5),
            Figure(name="second inv verify", values=verified, limit=2),
        ]

    def build(self, arch: str, *options: str) -> float:
        """Build the image for one or several platforms; the seconds that its own steps and their proof took."""
        outcomes = json.loads(self.inv("build", self.option, self.product, "--arch", arch, "--json", *options))
        return sum(float(outcome["seconds"]) for outcome in outcomes if outcome["requested"])

    def cold(self, arch: str, *options: str) -> float:
        """The same without cache: the product's own steps only."""
        seconds = self.build(arch, "--no-cache", *options)
        log.note(f"  {self.product} {' '.join((arch, *options))}: {seconds:.1f} s")
        return seconds
