"""Operators against a real API server: a small one in a shell script passes, and is told what it lacks when it fails.

The API server's image is built once, which takes minutes; later runs of the tests find it under their organization.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from archway.engine import Engine
from tests.engine.conftest import wait_until
from tests.engine.run import REPOSITORY, Inv, Ran, command, surroundings
from tests.monorepo import Monorepo

OPERATOR = r"""
#!/bin/bash
set -eu
field() { sed -n "s/.*$1: \([^ }]*\).*/\1/p" "$KUBECONFIG"; }
ask() {
    printf '%s\r\n' "$1 $2 HTTP/1.0" "Authorization: Bearer $(field token)" 'Content-Type: application/json' \
        "Content-Length: ${#3}" '' "$3" \
        | openssl s_client -quiet -verify_quiet -verify_return_error -CAfile "$HOME/ca" -connect 127.0.0.1:6443 \
        2> /dev/null
}
case $1 in
crds)
    echo 'a word on stderr' >&2
    cat /crds.yaml
    exit ;;
ends) echo 'cannot go on'; exit 7 ;;
deaf) trap '' TERM ;;
*) trap 'echo ending; exit 0' TERM ;;
esac
export HOME=$(mktemp -d)
field certificate-authority-data | base64 --decode > "$HOME/ca"
greeting=/apis/tests.archway.dev/v1/namespaces/default/greetings/hello
text=
while [ -z "$text" ]; do
    text=$(ask GET "$greeting" '' | sed -n 's/.*"text":"\([^"]*\)".*/\1/p')
done
echo "greeting: $text"
ask POST /api/v1/namespaces/default/configmaps \
    '{"metadata":{"name":"hello","labels":{"by":"test"}},"data":{"text":"'"$text"'"}}' > "$HOME/answer"
head -n 1 "$HOME/answer"
while :; do sleep 0.1; done
"""
CRDS = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: greetings.tests.archway.dev
spec:
  group: tests.archway.dev
  names: {kind: Greeting, plural: greetings}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {text: {type: string}}}}
"""
GREETING = """\
apiVersion: tests.archway.dev/v1
kind: Greeting
metadata: {name: hello}
spec: {text: good day}
"""
EXPECT = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: hello, labels: {by: test}}
data: {text: good day}
"""
METADATA = """\
description = "An operator for tests"
licenses = "Apache-2.0"
[[release]]
version = "1"
[kubernetes]
crds = ["/operator", "crds"]
command = ["/operator", "MODE"]
resources = "test/greeting.yaml"
expect = "test/expect.yaml"
timeout = 20
"""


@pytest.fixture
def files(monorepo: Monorepo) -> Monorepo:
    """The monorepo with the operator, and with this repository's API server."""
    for image in ("bootstrap", "kube-apiserver"):
        shutil.copytree(REPOSITORY / image, monorepo.root / image)
    monorepo.write("test-operator/Dockerfile", "FROM bootstrap\nCOPY --chmod=755 operator /\nCOPY crds.yaml /\n")
    monorepo.write("test-operator/image.toml", METADATA.replace("MODE", "works"))
    monorepo.write("test-operator/operator", OPERATOR.lstrip())
    monorepo.write("test-operator/crds.yaml", CRDS)
    monorepo.write("test-operator/test/greeting.yaml", GREETING)
    monorepo.write("test-operator/test/expect.yaml", EXPECT)
    return monorepo


@pytest.fixture
def operator(files: Monorepo, inv: Inv, engine: Engine) -> Monorepo:
    """The same, built."""
    built = inv(files.root, "build", "--image", "test-operator,kube-apiserver")
    assert built.exit_code == 0, built.stderr
    return files


def left() -> list[str]:
    """The containers of tests of these tests' operator."""
    label = "dev.archway.kubernetes"
    found = ["docker", "ps", "--all", "--filter", f"label={label}", "--format", f'{{{{.Label "{label}"}}}}']
    listed = subprocess.run(found, capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if line.startswith("test-operator 1 ")]


def tried(inv: Inv, monorepo: Monorepo, mode: str = "works", *words: str) -> Ran:
    monorepo.write("test-operator/image.toml", METADATA.replace("MODE", mode))
    return inv(monorepo.root, "test", "--image", "test-operator", *words)


def log_of(root: Path, engine: Engine) -> str:
    return (root / f".archway/logs/test-operator-1-{engine.platform.tag}.kubernetes.log").read_text()


def test_working_operator_passes(operator: Monorepo, inv: Inv, engine: Engine) -> None:
    """It has made the ConfigMap, and ended when it was told to; the result stands among those of the smoke tests."""
    ran = tried(inv, operator, "works", "--json")

    assert ran.exit_code == 0, ran.stderr
    assert f"test-operator 1 {engine.platform.tag}: reconciles against a Kubernetes API server passed in" in ran.stderr
    (result,) = json.loads(ran.stdout)
    assert result["passed"] is True
    assert result["test"] == "Kubernetes API server"
    assert result["exit-code"] == 0
    assert 0 < result["ready"] < result["seconds"]
    assert log_of(operator.root, engine) == "greeting: good day\nHTTP/1.0 201 Created\nending\n"
    assert left() == []


def test_missing_field_is_named(operator: Monorepo, inv: Inv, engine: Engine) -> None:
    """What the operator made is compared with what was expected of it, and its last words are shown."""
    operator.write("test-operator/test/expect.yaml", EXPECT.replace("good day}", "good night, more: x}"))

    operator.write("test-operator/image.toml", METADATA.replace("MODE", "works").replace("20", "12"))

    ran = inv(operator.root, "test", "--image", "test-operator")

    assert ran.exit_code == 10
    assert "it took longer than its 12 s\n" in ran.stderr
    assert 'ConfigMap hello: data.text: wanted "good night", is "good day"' in ran.stderr
    assert 'ConfigMap hello: data.more: wanted "x", is missing' in ran.stderr
    assert "greeting: good day" in ran.stderr
    assert f".archway/logs/test-operator-1-{engine.platform.tag}.kubernetes.log" in ran.stderr
    assert left() == []


def test_operator_that_ends_early_is_told(operator: Monorepo, inv: Inv, engine: Engine) -> None:
    """It fails at once, with its last lines; what it should have made does not exist."""
    ran = tried(inv, operator, "ends", "--json")

    assert ran.exit_code == 10
    (result,) = json.loads(ran.stdout)
    assert "the operator ended with exit code 7, though nobody told it to end" in result["failure"]
    assert "ConfigMap hello: does not exist" in result["failure"]
    assert "cannot go on" in result["failure"]
    assert result["seconds"] < 20
    assert left() == []


def test_command_that_is_not_there_is_told(operator: Monorepo, inv: Inv) -> None:
    """The definitions are asked for first, so that no API server is started for an image without them."""
    operator.write("test-operator/image.toml", METADATA.replace('"/operator", "crds"', '"/nope"'))

    ran = inv(operator.root, "test", "--image", "test-operator")

    assert ran.exit_code == 10
    assert "the command crds is not there (exit code 127)" in ran.stderr
    assert "/nope" in ran.stderr
    assert left() == []


def test_operator_that_does_not_end_is_told(operator: Monorepo, inv: Inv) -> None:
    """An operator that hears no SIGTERM would hold up every update of its pod."""
    ran = tried(inv, operator, "deaf")

    assert ran.exit_code == 10
    assert "the operator did not end within 10 s of SIGTERM" in ran.stderr
    assert left() == []


def test_object_that_the_server_refuses_is_told(operator: Monorepo, inv: Inv) -> None:
    """The API server's own words are shown, and the line of the object."""
    operator.write("test-operator/test/greeting.yaml", GREETING.replace("good day", "[1]"))

    ran = tried(inv, operator)

    assert ran.exit_code == 10
    assert "test-operator/test/greeting.yaml:1: the API server does not take Greeting hello" in ran.stderr
    assert "spec.text" in ran.stderr
    assert left() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_test_leaves_no_containers(operator: Monorepo, engine: Engine, number: int) -> None:
    """Both containers end with the command, and what the operator had printed is kept."""
    operator.write("test-operator/test/expect.yaml", EXPECT.replace("good day", "good night"))
    words = command("test", "--image", "test-operator")
    with subprocess.Popen(words, cwd=operator.root, env=surroundings(), stderr=subprocess.DEVNULL) as running:
        wait_until(lambda: len(left()) == 2, seconds=60)
        os.kill(running.pid, number)

    assert running.returncode == (143 if number == signal.SIGTERM else 130)
    assert left() == []


def test_monorepo_without_the_server_is_told_before_anything_runs(files: Monorepo, inv: Inv) -> None:
    """The image is named, and where it comes from."""
    shutil.rmtree(files.root / "kube-apiserver")

    ran = tried(inv, files)

    assert ran.exit_code == 3
    assert "test-operator/image.toml:5: [kubernetes] needs the image kube-apiserver" in ran.stderr
