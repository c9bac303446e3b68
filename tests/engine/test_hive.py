"""What the README promises: Hive for both platforms, by one command."""

from __future__ import annotations

import json
import subprocess
import time

from archway.engine import Engine
from archway.platforms import Platform
from tests.engine.conftest import ORGANIZATION, REPOSITORY, Inv

BOTH = "amd64,arm64"


def test_builds_for_both_platforms_and_says_how(inv: Inv, engine: Engine, foreign: Platform) -> None:
    """One command builds hive natively and for the other platform, the other one without emulation."""
    ran = inv(REPOSITORY, "build", "--product", "hive", "--arch", BOTH, "--json")

    assert ran.exit_code == 0, ran.stderr
    found = {entry["target"]: entry for entry in json.loads(ran.stdout)}
    assert found["hive 4.0.1 " + engine.platform.tag]["strategy"] == "native"
    assert found["hive 4.0.1 " + foreign.tag]["strategy"] == "cross"
    for entry in found.values():
        image = engine.image(entry["reference"])
        assert image is not None
        assert str(image.platform) == entry["platform"]


def test_second_build_costs_nothing(inv: Inv) -> None:
    """A second build of the same targets finds all up to date, in less than two seconds a target."""
    started = time.monotonic()
    ran = inv(REPOSITORY, "build", "--product", "hive", "--arch", BOTH)

    assert ran.exit_code == 0, ran.stderr
    assert ran.stderr.count("up to date") == 2
    assert time.monotonic() - started < 4


def test_verify_proves_both(inv: Inv) -> None:
    """The images that were built hold ELF files, and only such of their platform."""
    ran = inv(REPOSITORY, "verify", "--product", "hive", "--arch", BOTH, "--json")

    assert ran.exit_code == 0, ran.stderr
    reports = json.loads(ran.stdout)
    assert [report["platform"] for report in reports] == ["linux/amd64", "linux/arm64"]
    assert all(report["elf_files"] > 100 and not report["findings"] for report in reports)


def test_metastore_works_on_both(inv: Inv) -> None:
    """The metastore creates and lists a database on both platforms, one of them under QEMU."""
    ran = inv(REPOSITORY, "test", "--product", "hive", "--arch", BOTH, "--json")

    assert ran.exit_code == 0, ran.stderr
    results = json.loads(ran.stdout)
    assert [result["passed"] for result in results] == [True, True]
    assert all(result["ready"] > 0 for result in results)


def config_of(reference: str) -> dict[str, object]:
    done = subprocess.run(["docker", "image", "inspect", reference], capture_output=True, text=True, check=True)
    config = json.loads(done.stdout)[0]["Config"]
    assert isinstance(config, dict)
    return config


def test_image_is_fit_to_be_shipped(engine: Engine, foreign: Platform) -> None:
    """It has a user of its own, an init process, the OCI labels, and nothing of the build machine."""
    config = config_of(f"localhost:5000/{ORGANIZATION}/hive:4.0.1-0.1.0-dev-{foreign.tag}")

    assert config["User"] == "hive"
    entrypoint = config["Entrypoint"]
    assert isinstance(entrypoint, list)
    assert entrypoint[0] == "tini"
    labels = config["Labels"]
    assert isinstance(labels, dict)
    for key in ("title", "description", "version", "revision", "licenses", "created", "base.name"):
        assert labels.get(f"org.opencontainers.image.{key}"), key
    assert "java-base" in labels["org.opencontainers.image.base.name"]


def test_nothing_of_the_build_machine_is_shipped(engine: Engine) -> None:
    """No package lists, caches, logs, mirrors or certificate authorities of the build machine are in the image."""
    name = f"localhost:5000/{ORGANIZATION}/hive:4.0.1-0.1.0-dev-{engine.platform.tag}"
    script = """
        find /var/lib/apt/lists /var/cache/apt /root/.m2 /run/secrets /var/log -type f -size +0 2>/dev/null
        find / -xdev -name '*.deb' -o -xdev -name 'hsperfdata*' -not -path '/tmp/*'
        ls /usr/local/share/ca-certificates
        grep -c 'BEGIN CERTIFICATE' /etc/ssl/certs/ca-certificates.crt | sed 's/^/certificates /'
        find /usr/share/ca-certificates -name '*.crt' | wc -l | sed 's/^/debian has /'
        """
    done = subprocess.run(
        ["docker", "run", "--rm", "--user", "root", "--entrypoint", "sh", name, "-c", script],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = done.stdout.split("\n")

    certificates = next(line.split()[-1] for line in lines if line.startswith("certificates"))
    assert f"debian has {certificates}" in lines
    assert [line for line in lines if line and not line.startswith(("certificates", "debian has"))] == []
