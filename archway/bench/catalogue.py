"""Every product of the monorepo: how long it takes, how large it is, and what all of them need together."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence

from archway import log
from archway.bench.products import ORGANIZATION, Bench, Figure, Inv, Pairs, Targets, ratio, remove
from archway.catalog import Catalog
from archway.errors import UsageError
from archway.plan import make_plan
from archway.platforms import Platform
from archway.selection import Request
from archway.settings import load
from archway.targets import Step, Target

MEGABYTE = 1e6


def catalogue_figures(inv: Inv, *, rounds: int) -> list[Figure]:
    """All of them, in the order of docs/figures.md.

    :param rounds: pairs of a cross build and a native one, for each product
    :raises UsageError: there is no product
    """
    catalog = Catalog(load(inv.root).with_options(organization=ORGANIZATION))
    products = sorted(image.name for image in catalog if image.kind == "product")
    if not products:
        raise UsageError("there is no product to measure", hint="products/NAME/ is where archway looks for them")
    targets = Bench(inv, products[0]).targets()
    try:
        pairs = {name: product_pairs(Bench(inv, name), targets, rounds=rounds) for name in products}
        steps = planned(catalog, products, targets)
        return figures(pairs, targets, steps, sizes(inv, steps))
    finally:
        remove(targets.repositories)


def product_pairs(bench: Bench, targets: Targets, *, rounds: int) -> Pairs:
    """Cold builds of one product, cross and native, after what it stands on was built."""
    log.note(f"· building what {bench.product} stands on")
    bench.build(f"{targets.native},{targets.foreign}")
    return [(bench.cold(targets.foreign), bench.cold(targets.native)) for _ in range(rounds)]


def planned(catalog: Catalog, products: Sequence[str], targets: Targets) -> tuple[Step, ...]:
    """How the products are built for both platforms, with all that they stand on."""
    native, foreign = Platform.parse(targets.native), Platform.parse(targets.foreign)
    images = [catalog.image(name) for name in products]
    wanted = [Request(image=image, release=image.release(), platforms=(native, foreign)) for image in images]
    return make_plan(catalog, wanted, build_platform=native)


def shipped(steps: Sequence[Step]) -> dict[Target, Target | None]:
    """The products and what their final stages start from, each with what it starts from itself."""
    known = {step.target: step for step in steps}
    found: dict[Target, Target | None] = {}
    for step in steps:
        at: Target | None = step.target if step.requested else None
        while at in known and at not in found:
            found[at] = known[at].base
            at = known[at].base
    return found


def sizes(inv: Inv, steps: Sequence[Step]) -> dict[Target, int]:
    """Bytes of the root file systems, as the proof has read them."""
    wanted = shipped(steps)
    targets = {str(step.reference): step.target for step in steps if step.target in wanted}
    names = sorted({f"{target.image}={target.version}" for target in wanted})
    proofs = json.loads(inv("verify", "--image", ",".join(names), "--json"))
    return {targets[proof["name"]]: int(proof["size"]) for proof in proofs if proof["name"] in targets}


def figures(
    pairs: Mapping[str, Pairs], targets: Targets, steps: Sequence[Step], found: Mapping[Target, int]
) -> list[Figure]:
    """What the builds and the proofs say."""
    lines: list[Figure] = []
    for name, measured in pairs.items():
        cross, native = zip(*measured, strict=True)
        lines += [
            Figure(name=f"{name} {targets.native}, native", values=native),
            Figure(name=f"{name} {targets.foreign}, cross", values=cross),
            ratio(f"{name}: cross ÷ native", measured, limit=1.2),
        ]
        lines += [
            Figure(name=f"{target}, size", values=(size / MEGABYTE,), unit="MB")
            for target, size in found.items() if target.image == name
        ]  # fmt: skip
    everything = [pair for measured in pairs.values() for pair in measured]
    seconds = sum(statistics.fmean(map(sum, measured)) for measured in pairs.values())
    bytes_ = total(shipped(steps), found)
    return [
        *lines,
        ratio("all products: cross ÷ native", everything, limit=1.1),
        Figure(name="all products, both platforms, own steps", values=(seconds,)),
        Figure(name="all products, both platforms, what they share once", values=(bytes_ / MEGABYTE,), unit="MB"),
    ]


def total(bases: Mapping[Target, Target | None], found: Mapping[Target, int]) -> int:
    """Bytes of all images together, with what several stand on counted once."""
    return sum(found[target] - (found[base] if base else 0) for target, base in bases.items())
