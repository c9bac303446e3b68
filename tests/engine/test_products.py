"""A product of each kind, built for the other platform on this machine, proven, and really started there.

Jars by a lock (zookeeper), a Go module (opa), wheels (airflow, without starting it: that takes minutes under QEMU);
an archive with Java in it is hive, in test_hive.py. All the others are built, proven and run by ``nox -s catalogue``.
"""

from __future__ import annotations

import json

import pytest

from archway.platforms import Platform
from tests.engine.run import REPOSITORY, Inv


def built(inv: Inv, product: str, platform: Platform) -> None:
    """Builds a product, which proves it; nothing may need emulation."""
    ran = inv(REPOSITORY, "build", "--product", product, "--arch", platform.tag, "--json")

    assert ran.exit_code == 0, ran.stderr
    (outcome,) = [outcome for outcome in json.loads(ran.stdout) if outcome["requested"]]
    assert outcome["strategy"] == "cross"
    assert outcome["foreign-runs"] == []


@pytest.mark.parametrize("product", ["zookeeper", "opa"])
def test_product_works_on_the_other_platform(inv: Inv, foreign: Platform, product: str) -> None:
    """Its server is started under QEMU, does a client's work, and ends well when it is told to."""
    built(inv, product, foreign)
    ran = inv(REPOSITORY, "test", "--product", product, "--arch", foreign.tag, "--json")

    assert ran.exit_code == 0, ran.stderr
    results = json.loads(ran.stdout)
    assert product in {result["test"] for result in results}
    assert all(result["passed"] for result in results), results


def test_wheels_are_those_of_the_other_platform(inv: Inv, foreign: Platform) -> None:
    """Some hundred packages with extension modules are installed for a platform on which none of them runs here."""
    built(inv, "airflow", foreign)
    ran = inv(REPOSITORY, "verify", "--product", "airflow", "--arch", foreign.tag, "--json")

    assert ran.exit_code == 0, ran.stderr
    (image,) = [proof for proof in json.loads(ran.stdout) if proof["subject"] == "image"]
    assert image["elf_files"] > 300
