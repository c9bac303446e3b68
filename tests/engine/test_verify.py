"""A deliberately mixed Hive, caught before it is built, after it was built, and wherever else it may lie."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archway.engine import Engine
from archway.platforms import Platform
from tests.engine.hive import Built
from tests.engine.run import ORGANIZATION, Inv
from tests.images import program
from tests.monorepo import Monorepo

Names = Callable[[], list[str]]


def leveldbjni(*platforms: Platform) -> bytes:
    """A JAR laid out as leveldbjni-all 1.8, with a library for some platforms only."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as jar:
        jar.writestr(
            "META-INF/maven/org.fusesource.leveldbjni/leveldbjni-all/pom.properties",
            "groupId=org.fusesource.leveldbjni\nartifactId=leveldbjni-all\nversion=1.8\n",
        )
        for platform in platforms:
            folder = "linux64" if platform.architecture == "amd64" else f"linux64/{platform.names.uname}"
            jar.writestr(f"META-INF/native/{folder}/libleveldbjni.so", program(platform) + bytes(4096))
    return whole.getvalue()


@pytest.fixture
def ground(hive: Built, foreign: Platform) -> str:
    """Hive as an image from elsewhere, for the platform of each build."""
    return hive.name("hive", foreign).removesuffix(foreign.tag) + "$TARGETARCH"


@pytest.fixture
def mixed(hive: Built, engine: Engine, foreign: Platform, tmp_path: Path) -> Iterator[str]:
    """Hive for the foreign platform, with a library of this one, made without archway."""
    name = f"localhost:5000/{ORGANIZATION}/mixed:1"
    (tmp_path / "libz.so.1").write_bytes(program(engine.platform))
    (tmp_path / "Dockerfile").write_text(
        f"FROM {hive.name('hive', foreign)}\nCOPY libz.so.1 /opt/native/\n", encoding="utf-8"
    )
    build = ["docker", "build", "-q", "--provenance=false", "--platform", str(foreign), "-t", name, str(tmp_path)]
    subprocess.run(build, check=True, capture_output=True)
    yield name
    subprocess.run(["docker", "image", "rm", "-f", name], check=True, capture_output=True)


def test_pinned_final_stage_is_refused_before_building(
    monorepo: Monorepo, inv: Inv, names: Names, ground: str, foreign: Platform
) -> None:
    """A final stage on the build platform is refused with its line, and nothing is built."""
    monorepo.image("test-app", f"FROM --platform=$BUILDPLATFORM {ground.replace('$TARGETARCH', foreign.tag)}\n")

    ran = inv(monorepo.root, "build", "--image", "test-app", "--arch", foreign.tag)

    assert ran.exit_code == 9, ran.stderr
    assert "final-platform: test-app/Dockerfile:1:" in ran.stderr
    assert names() == []


def test_base_of_another_platform_is_refused_before_building(
    monorepo: Monorepo, inv: Inv, names: Names, ground: str, engine: Engine, foreign: Platform
) -> None:
    """A base that there is for this machine only is refused for another platform, with its line and what it is for."""
    monorepo.image("test-app", f"FROM {ground.replace('$TARGETARCH', engine.platform.tag)}\n")

    ran = inv(monorepo.root, "build", "--image", "test-app", "--arch", foreign.tag)

    assert ran.exit_code == 9, ran.stderr
    (told,) = (line for line in ran.stderr.splitlines() if "base-platform: test-app/Dockerfile:1:" in line)
    assert told.endswith(f"expected {foreign}")
    assert str(engine.platform) in told
    assert names() == []


def test_library_of_this_machine_is_caught_after_building(
    monorepo: Monorepo, inv: Inv, names: Names, ground: str, engine: Engine, foreign: Platform
) -> None:
    """A library of the machine that builds, copied into the foreign Hive, is found by its path; no name is given."""
    monorepo.image("test-app", f"FROM {ground}\nCOPY libz.so.1 /opt/native/\n")
    (monorepo.root / "test-app/libz.so.1").write_bytes(program(engine.platform))

    ran = inv(monorepo.root, "build", "--image", "test-app", "--arch", foreign.tag)

    assert ran.exit_code == 9, ran.stderr
    assert "elf-machine: /opt/native/libz.so.1: found" in ran.stderr
    assert names() == []


def test_jar_without_the_platform_is_caught_after_building(
    monorepo: Monorepo, inv: Inv, names: Names, ground: str, engine: Engine, foreign: Platform
) -> None:
    """leveldbjni with this machine's library only is a finding of the foreign Hive (C2), and an exception with its
    reason lets it pass."""
    monorepo.image("test-app", f"FROM {ground}\nCOPY leveldbjni.jar /opt/hive/lib/\n")
    (monorepo.root / "test-app/leveldbjni.jar").write_bytes(leveldbjni(engine.platform))

    refused = inv(monorepo.root, "build", "--image", "test-app", "--arch", foreign.tag)
    allow = '[[verify.allow]]\nrule = "native-missing"\npath = "/opt/hive/lib/*.jar!/META-INF/**"\nreason = "unused"\n'
    allow += '[[verify.allow]]\nrule = "elf-needed"\npath = "/usr/lib/jvm/**"\nreason = "no screen, no sound"\n'
    monorepo.image("test-app", f"FROM {ground}\nCOPY leveldbjni.jar /opt/hive/lib/\n", metadata="", releases="")
    with (monorepo.root / "test-app/image.toml").open("a", encoding="utf-8") as file:
        file.write(allow)
    passed = inv(monorepo.root, "build", "--image", "test-app", "--arch", foreign.tag)

    assert refused.exit_code == 9, refused.stderr
    assert "native-missing: /opt/hive/lib/leveldbjni.jar!/META-INF/native/linux64" in refused.stderr
    assert "org.fusesource.leveldbjni:leveldbjni-all:1.8" in refused.stderr
    assert passed.exit_code == 0, passed.stderr
    assert len(names()) == 1


def test_any_reference_is_proven(inv: Inv, monorepo: Monorepo, mixed: str, foreign: Platform) -> None:
    """An image that archway did not build is proven as the engine has it, and as its registry has it."""
    monorepo.image("test-app", "FROM scratch\nCOPY Dockerfile /\n")
    here = inv(monorepo.root, "verify", "--ref", mixed, "--json")
    subprocess.run(["docker", "push", "-q", mixed], check=True, capture_output=True)
    subprocess.run(["docker", "image", "rm", "-f", mixed], check=True, capture_output=True)
    there = inv(monorepo.root, "verify", "--ref", mixed, "--json", "--arch", foreign.tag)
    subprocess.run(["docker", "pull", "-q", "--platform", str(foreign), mixed], check=True, capture_output=True)

    for ran in (here, there):
        assert ran.exit_code == 9, ran.stderr
        (report,) = json.loads(ran.stdout)
        found = [(finding["rule"], finding["path"]) for finding in report["findings"]]
        assert ("elf-machine", "/opt/native/libz.so.1") in found
        assert report["platform"] == str(foreign)
