"""The monorepo's operators: built for both platforms on this machine, proven, and run."""

from __future__ import annotations

import json

import pytest

from archway.bench.rust import checkout
from archway.engine import Engine
from archway.platforms import Platform
from tests.engine.run import REPOSITORY, Inv
from tests.engine.rust import Rust, needed_by, program

PLATFORMS = [Platform.parse("amd64"), Platform.parse("arm64")]
TAGS = [platform.tag for platform in PLATFORMS]


@pytest.mark.parametrize("platform", PLATFORMS, ids=TAGS)
def test_openssl_is_in_the_operator(rust: Rust, platform: Platform) -> None:
    """Built without a change of its files, it needs no libssl on either platform, and tells its crates."""
    found = program(rust.built("kafka-operator", platform), platform, "/usr/local/bin/kafka-operator")

    assert [name for name in needed_by(found) if "ssl" in name or "crypto" in name] == []
    assert "libc.so.6" in needed_by(found)
    assert b".dep-v0" in found


def test_operator_works_on_both_platforms(rust: Rust, engine: Engine) -> None:
    """It prints its version and resources on each, and on the machine's own does its work with a real API server."""
    for platform in PLATFORMS:
        rust.built("kafka-operator", platform)
    results = rust("test", "--operator", "kafka", "--arch", "amd64,arm64")

    assert all(result["passed"] for result in results), results
    own = {(result["platform"], result["test"]) for result in results if result["test"] != "base"}
    assert own == {
        *((str(platform), "kafka-operator") for platform in PLATFORMS),
        (str(engine.platform), "Kubernetes API server"),
    }


def test_both_members_are_alike(rust: Rust) -> None:
    """The proof of the list finds the same files in both, each for its platform."""
    for platform in PLATFORMS:
        rust.built("kafka-operator", platform)
    ran = rust.run("verify", "--operator", "kafka", "--arch", "amd64,arm64")

    assert ran.exit_code == 0, ran.stderr


def test_crate_of_somebody_else_is_an_image(rust: Rust, foreign: Platform) -> None:
    """A crate from its registry is built with its own lock and without a change, for the other platform, and runs."""
    rust.built("titlecase", foreign)
    results = rust("test", "--image", "titlecase", "--arch", foreign.tag)

    assert {result["test"] for result in results} == {"base", "titlecase"}
    assert all(result["passed"] for result in results), results


def test_native_code_of_every_kind_crosses(rust: Rust, foreign: Platform) -> None:
    """C and C++ that is compiled, made by cmake, or linked to Debian's: for the other platform, and it runs there."""
    rust.built("natives", foreign)
    results = rust("test", "--image", "natives", "--arch", foreign.tag)

    assert {result["test"] for result in results} == {"base", "natives"}
    assert all(result["passed"] for result in results), results


def test_operator_needs_openssl_through_kube(rust: Rust) -> None:
    """The task tells where OpenSSL is needed, by which chain, and changes no file unless it is told to."""
    before = (REPOSITORY / "operators/kafka/Cargo.toml").read_bytes()
    ran = rust.run("patch-openssl", "--operator", "kafka", "--json")
    verdicts = json.loads(ran.stdout)[0]["verdicts"]

    assert ran.exit_code == 0, ran.stderr
    assert [(verdict["platform"], verdict["state"]) for verdict in verdicts] == [
        (str(platform), "needed") for platform in PLATFORMS
    ]
    assert verdicts[0]["chain"][0].startswith("kafka-operator ")
    assert verdicts[0]["chain"][-1].startswith("openssl-sys ")
    assert (REPOSITORY / "operators/kafka/Cargo.toml").read_bytes() == before


def test_crate_without_openssl_needs_nothing(rust: Rust) -> None:
    """A program that brings another TLS is left as it is."""
    (answer,) = rust("patch-openssl", "--operator", "cloudflare-dns")

    assert {verdict["state"] for verdict in answer["verdicts"]} == {"not needed"}
    assert answer["changes"] == []


DIGEST = f"sha256:{'a' * 64}"
PUBLISHED = f"""\
[[image]]
name = "kafka"
version = "4.4.0"
release = "0.1.0"
default = true
reference = "registry.example/archway/kafka:4.4.0-0.1.0"
digest = "{DIGEST}"
[image.members]
"linux/amd64" = "{DIGEST}"
"""
CLUSTER = """\
apiVersion: kafka.archway.dev/v1alpha1
kind: KafkaCluster
metadata: { name: any }
spec: { brokers: { replicas: 1 }, storage: { size: 1Gi } }
"""
EXPECTED = f"""\
apiVersion: apps/v1
kind: StatefulSet
metadata: {{ name: any }}
spec:
  template:
    spec:
      containers:
        - image: registry.example/archway/kafka@{DIGEST}
"""


def test_cluster_that_names_no_image_gets_the_published_one(inv: Inv, rust: Rust, engine: Engine) -> None:
    """By digest, from images.lock.toml of the checkout that the operator was built in."""
    rust.built("kafka-operator", engine.platform)
    with checkout(REPOSITORY) as copy:
        (copy / "images.lock.toml").write_text(PUBLISHED)
        (copy / "products/kafka").mkdir(exist_ok=True)
        (copy / "products/kafka/image.toml").write_text('release = [{ version = "4.4.0" }]\n')
        (copy / "products/kafka/Dockerfile").write_text("FROM base\n")
        (copy / "operators/kafka/test/cluster.yaml").write_text(CLUSTER)
        (copy / "operators/kafka/test/expected.yaml").write_text(EXPECTED)
        built = inv(copy, "build", "--operator", "kafka")
        tested = inv(copy, "test", "--operator", "kafka")

    assert built.exit_code == 0, built.stderr
    assert tested.exit_code == 0, tested.stderr
