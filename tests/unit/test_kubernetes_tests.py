"""Which operators are tested against an API server, and what is told before anything is started."""

from __future__ import annotations

from typing import cast

import pytest

from archway.engine import Engine, LocalImage
from archway.errors import ArchwayError, MachineError, MetadataError
from archway.plan import make_plan
from archway.platforms import Platform
from archway.selection import Request
from archway.smoke_kubernetes import KubernetesTests, kubernetes_tests_of
from archway.targets import Step
from tests.monorepo import Monorepo

AMD64, ARM64 = Platform.parse("amd64"), Platform.parse("arm64")
TABLE = """
[[release]]
version = "1"
[kubernetes]
crds = ["/operator", "crds"]
resources = "test/given.yaml"
expect = "test/wanted.yaml"
"""
OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"


class Machine:
    """Stands in for an engine, which has every image, or none."""

    platform = AMD64
    endpoint = "unix:///var/run/docker.sock"
    built = True

    def image(self, name: str) -> LocalImage | None:
        return LocalImage(platform=AMD64, labels={}, repo_digest=None, id="sha256:a") if self.built else None


@pytest.fixture
def operator(monorepo: Monorepo) -> Monorepo:
    """An operator with its files, and the API server's image."""
    monorepo.image("op", "FROM scratch\n", releases=TABLE)
    monorepo.write("op/test/given.yaml", OBJECT)
    monorepo.write("op/test/wanted.yaml", OBJECT + "---\n" + OBJECT.replace("a}", "b}"))
    monorepo.image("kube-apiserver", "FROM scratch\n", "builder = true\n")
    monorepo.image("other", "FROM op\n")
    return monorepo


def planned(monorepo: Monorepo, *platforms: Platform, image: str = "op") -> tuple[Step, ...]:
    found = monorepo.catalog.image(image)
    wanted = Request(image=found, release=found.release(), platforms=platforms or (AMD64,))
    return make_plan(monorepo.catalog, [wanted], build_platform=AMD64)


def prepared(monorepo: Monorepo, machine: Machine | None = None) -> KubernetesTests:
    engine = cast("Engine", machine or Machine())
    return KubernetesTests(engine, monorepo.catalog.settings, monorepo.catalog, planned(monorepo))


def refused(monorepo: Monorepo) -> str:
    with pytest.raises(MetadataError) as refusal:
        prepared(monorepo)
    return str(refusal.value)


def test_operator_has_a_test(operator: Monorepo) -> None:
    """With the objects of its files."""
    (test,) = prepared(operator).tests

    assert str(test) == "op 1 amd64: reconciles against a Kubernetes API server"
    assert [one.name for one in test.resources] == ["a"]
    assert [one.name for one in test.expect] == ["a", "b"]


def test_only_what_was_asked_for_is_tested(operator: Monorepo) -> None:
    """Not what that stands on, and not what has no such table."""
    steps = planned(operator, image="other")

    assert kubernetes_tests_of(cast("Engine", Machine()), steps) == ()


def test_foreign_platforms_are_left_out_and_told(operator: Monorepo, capsys: pytest.CaptureFixture[str]) -> None:
    """An API server and an operator under QEMU would prove little and take long."""
    found = kubernetes_tests_of(cast("Engine", Machine()), planned(operator, AMD64, ARM64))

    assert [str(test.step.target) for test in found] == ["op 1 amd64"]
    told = capsys.readouterr().err
    assert "op 1 arm64: [kubernetes] is run on the machine's own platform only (amd64)" in told


def test_mistakes_of_all_files_are_told_together(operator: Monorepo) -> None:
    """The image.toml's line for a file that is not there, and a file's own for what is in it."""
    (operator.root / "op/test/given.yaml").unlink()
    operator.write("op/test/wanted.yaml", "kind: A\n---\na: [\n")

    told = refused(operator)

    assert "op/image.toml:8: kubernetes.resources: there is no file test/given.yaml in the image's folder" in told
    assert "op/test/wanted.yaml:4: is no valid YAML: " in told


@pytest.mark.parametrize("path", ["../secret.yaml", "/etc/passwd", "link.yaml"])
def test_files_are_the_images_own(operator: Monorepo, path: str) -> None:
    """A path leads out of the folder neither by itself nor by a link."""
    operator.write("secret.yaml", OBJECT)
    (operator.root / "op/link.yaml").symlink_to("../secret.yaml")
    operator.image("op", "FROM scratch\n", releases=TABLE.replace("test/given.yaml", path))

    assert f"op/image.toml:8: kubernetes.resources: {path} is not in the image's folder" in refused(operator)


def test_monorepo_without_a_server_is_told(operator: Monorepo) -> None:
    """With what it is needed for, and where it comes from."""
    (operator.root / "kube-apiserver/image.toml").unlink()

    told = refused(operator)

    assert "op/image.toml:6: [kubernetes] needs the image kube-apiserver" in told
    assert "copy the folder kube-apiserver" in told


def test_image_that_is_not_built_is_told(operator: Monorepo) -> None:
    """Before a server is built for it."""
    machine = Machine()
    machine.built = False

    with pytest.raises(MachineError, match="not built: op 1 amd64"):
        prepared(operator, machine)


def test_engine_of_another_machine_is_told(operator: Monorepo) -> None:
    """The server's port is on loopback there."""
    machine = Machine()
    machine.endpoint = "ssh://build.example.org"

    with pytest.raises(ArchwayError, match="its API server cannot be asked from here"):
        prepared(operator, machine)


def test_nothing_is_run_where_nothing_is_to_be_tested(operator: Monorepo) -> None:
    """No server is built either."""
    engine = cast("Engine", Machine())
    none = KubernetesTests(engine, operator.catalog.settings, operator.catalog, planned(operator, image="other"))

    assert none.targets == frozenset()
    assert list(none.run()) == []
