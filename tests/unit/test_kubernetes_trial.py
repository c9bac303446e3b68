"""How a trial of an operator goes on, and what is told when it does not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import pytest

from archway import kubernetes_trial
from archway.errors import Location
from archway.kubernetes_api import ApiError, KubernetesApi
from archway.kubernetes_containers import Container
from archway.kubernetes_documents import KubernetesObject
from archway.kubernetes_trial import (
    TrialError,
    at_most,
    create,
    definitions,
    establish,
    how_it_ended,
    lacking,
    reconcile,
    stop,
)

DEFINITION = (
    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\n"
    "spec: {group: g.x, names: {kind: A}, versions: [{name: v1, served: true}]}\n"
)


def made(name: str, **body: object) -> KubernetesObject:
    return KubernetesObject(
        api_version="v1", kind="ConfigMap", name=name, namespace="default", body=body, where=Location("x.yaml", 3)
    )  # fmt: skip


class Cluster:
    """Stands in for an API server: what it has, and what comes with each time that it is asked."""

    def __init__(self, *states: dict[str, object], refuses: str = "") -> None:
        self.states = list(states)
        self.refuses = refuses
        self.applied: list[str] = []

    def get(self, wanted: KubernetesObject) -> object:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return state.get(wanted.name)

    def apply(self, wanted: KubernetesObject) -> None:
        if self.refuses:
            raise ApiError(self.refuses, status=422)
        self.applied.append(wanted.name)

    def resource(self, api_version: str, kind: str) -> object:
        if (self.states[0].get("served") or "yes") == "no":
            raise ApiError(f"the server has no {kind} in {api_version}")
        return kind


class Program:
    """Stands in for a container."""

    def __init__(self, *lines: str, codes: tuple[int | None, ...] = (None,), stopped: int = 0) -> None:
        self.output = lines
        self.codes = list(codes)
        self.stopped = stopped

    @property
    def exit_code(self) -> int | None:
        return self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]

    def printed(self) -> Iterator[tuple[str, str]]:
        yield "stderr", "starting: [words"
        yield from (("stdout", line) for line in self.output)

    def stop(self) -> int:
        return self.stopped


def cluster(*states: dict[str, object], refuses: str = "") -> KubernetesApi:
    return cast("KubernetesApi", Cluster(*states, refuses=refuses))


def program(*lines: str, codes: tuple[int | None, ...] = (None,), stopped: int = 0) -> Container:
    return cast("Container", Program(*lines, codes=codes, stopped=stopped))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_trial, "PAUSE", 0)
    monkeypatch.setattr(kubernetes_trial, "PATIENCE", 0.05)


def test_definitions_are_what_stands_on_stdout() -> None:
    """What the command says on stderr is no part of them."""
    (one,) = definitions(program(*DEFINITION.splitlines(), codes=(None, 0)), timeout=5)

    assert one.name == "a"


@pytest.mark.parametrize(
    ("lines", "codes", "told"),
    [
        ((), (0,), "what the command crds prints: holds no object"),
        (("a: [",), (0,), "what the command crds prints:"),
        ((DEFINITION,), (3,), "the command crds ended with exit code 3"),
        ((), (127,), "the command crds is not there (exit code 127)"),
        ((), (None,), "the command crds took longer than 0.05 s"),
        (("apiVersion: v1\nkind: Pod\nmetadata: {name: p}",), (0,), "crds prints Pod p, which is no Custom"),
    ],
)
def test_other_output_is_no_definitions(lines: tuple[str, ...], codes: tuple[int | None, ...], told: str) -> None:
    """What is wrong with the command is told as such."""
    with pytest.raises(TrialError) as failed:
        definitions(program(*lines, codes=codes), timeout=0.05)

    assert told in failed.value.problem


def test_definitions_are_waited_for() -> None:
    """Until they are established and served."""
    (one,) = definitions(program(DEFINITION, codes=(0,)), timeout=5)
    ready = {"status": {"conditions": [{"type": "Established", "status": "True"}]}}

    establish(cluster({}, {"a": {}}, {"a": ready}), [one])

    with pytest.raises(TrialError) as failed:
        establish(cluster({"a": {"status": {"conditions": []}}}), [one])
    assert failed.value.details == ["it is not established"]
    with pytest.raises(TrialError) as failed:
        establish(cluster({"a": ready, "served": "no"}), [one])
    assert failed.value.details == ["the server has no A in g.x/v1"]


def test_objects_are_created_in_their_order() -> None:
    """The first that is refused ends it, with its line and the server's words."""
    ready = Cluster({})
    create(cast("KubernetesApi", ready), [made("b"), made("a")])
    assert ready.applied == ["b", "a"]

    with pytest.raises(TrialError) as failed:
        create(cluster({}, refuses="data: no"), [made("a")])
    assert failed.value.problem == "x.yaml:3: the API server does not take ConfigMap a"
    assert failed.value.details == ["data: no"]


def test_each_object_is_told_with_what_it_lacks() -> None:
    """Those that are not there, and those that are otherwise."""
    found = list(lacking(cluster({"a": {"data": {"x": 1}}}), [made("a", data={"x": 2}), made("b")]))

    assert found == ["ConfigMap a: data.x: wanted 2, is 1", "ConfigMap b: does not exist"]


def test_trouble_of_the_server_is_lacking_too() -> None:
    """No answer is no reason to give up before the time is over."""

    class Gone:
        def get(self, _wanted: KubernetesObject) -> object:
            raise ApiError("no answer: refused")

    assert list(lacking(cast("KubernetesApi", Gone()), [made("a")])) == ["ConfigMap a: no answer: refused"]


def test_operator_that_comes_to_it_passes() -> None:
    """As soon as nothing is lacking."""
    assert reconcile(cluster({}, {}, {"a": {}}), program(), [made("a")], timeout=5) >= 0


def test_time_is_limited() -> None:
    """What is lacking then is told, and of much only the beginning."""
    with pytest.raises(TrialError) as failed:
        reconcile(cluster({}), program(), [made(str(n)) for n in range(12)], timeout=0)

    assert failed.value.problem == "it took longer than its 0 s"
    assert failed.value.details[0] == "ConfigMap 0: does not exist"
    assert failed.value.details[9:] == ["ConfigMap 9: does not exist", "… and 2 more"]


@pytest.mark.parametrize("there", [{}, {"a": {}}])
def test_operator_that_ends_by_itself_fails(there: dict[str, object]) -> None:
    """At once, also when it has made everything: its pod would be started again and again."""
    with pytest.raises(TrialError, match="the operator ended with exit code 0, though nobody told it to end"):
        reconcile(cluster(there), program(codes=(0,)), [made("a")], timeout=60)


@pytest.mark.parametrize("code", [0, 143])
def test_operator_may_end_well_or_by_the_signal(code: int) -> None:
    """Both are what Kubernetes takes for the end of a pod."""
    assert stop(program(stopped=code)) == code


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (137, "the operator did not end within 10 s of SIGTERM"),
        (1, "told to end (SIGTERM), the operator ended with exit code 1"),
        (139, "told to end (SIGTERM), the operator crashed (SIGSEGV)"),
    ],
)
def test_operator_that_ends_otherwise_fails(code: int, told: str) -> None:
    """How it ended is told."""
    with pytest.raises(TrialError) as failed:
        stop(program(stopped=code))

    assert told == failed.value.problem


def test_exit_codes_have_words() -> None:
    """Those that the engine and the kernel give."""
    assert "SIGABRT" in how_it_ended(134)
    assert "out of memory?" in how_it_ended(137)
    assert "cannot be run" in how_it_ended(126)
    assert how_it_ended(2) == "ended with exit code 2"


def test_few_lines_are_told_whole() -> None:
    """Nothing is added where nothing is left out."""
    assert at_most(["a", "b"], 2) == ["a", "b"]
    assert at_most(["a", "b", "c"], 2) == ["a", "b", "… and 1 more"]
