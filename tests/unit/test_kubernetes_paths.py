"""Where an API server has its objects, and when it has taken a definition."""

from __future__ import annotations

import pytest

from archway.errors import Location
from archway.kubernetes_documents import KubernetesObject
from archway.kubernetes_paths import (
    Resource,
    group_path,
    object_path,
    resources,
    served_versions,
    unfulfilled,
)

LISTED = {
    "kind": "APIResourceList",
    "resources": [
        {"name": "deployments", "kind": "Deployment", "namespaced": True},
        {"name": "deployments/scale", "kind": "Scale", "namespaced": True},
        {"name": "deployments/status", "kind": "Deployment", "namespaced": False},
        {"name": "nodes", "kind": "Node", "namespaced": False},
        {"name": 1, "kind": "Odd"},
        "odd",
    ],
}


def made(api_version: str, kind: str, name: str, namespace: str = "default") -> KubernetesObject:
    return KubernetesObject(
        api_version=api_version, kind=kind, name=name, namespace=namespace, body={}, where=Location("x.yaml", 1)
    )  # fmt: skip


def test_core_is_elsewhere_than_the_groups() -> None:
    """The first API has a path of its own."""
    assert group_path("v1") == "/api/v1"
    assert group_path("apps/v1") == "/apis/apps/v1"
    assert group_path("../a b/v1") == "/apis/../a%20b/v1"


def test_kinds_have_the_names_that_the_server_tells() -> None:
    """Subresources are no kinds, and what has another form is passed over."""
    assert resources(LISTED) == {
        "Deployment": Resource(name="deployments", kind="Deployment", namespaced=True),
        "Node": Resource(name="nodes", kind="Node", namespaced=False),
    }


@pytest.mark.parametrize("document", [None, [], {}, {"resources": None}, {"resources": {"a": 1}}])
def test_other_documents_have_no_kinds(document: object) -> None:
    """A server that says something else knows nothing."""
    assert resources(document) == {}


def test_path_has_a_namespace_where_the_kind_has() -> None:
    """The namespace of an object counts only where its kind is in namespaces."""
    known = resources(LISTED)

    assert object_path(made("apps/v1", "Deployment", "a", "b"), known["Deployment"]) == (
        "/apis/apps/v1/namespaces/b/deployments/a"
    )
    assert object_path(made("v1", "Node", "a"), known["Node"]) == "/api/v1/nodes/a"
    assert object_path(made("v1", "Node", "a:b"), known["Node"]) == "/api/v1/nodes/a%3Ab"


def test_definition_tells_what_it_adds() -> None:
    """Each version that is served, by its whole name."""
    spec = {
        "group": "a.example.org",
        "names": {"kind": "Thing"},
        "versions": [{"name": "v1", "served": True}, {"name": "v2", "served": False}, "odd"],
    }

    assert served_versions({"spec": spec}) == (("a.example.org/v1", "Thing"),)
    assert served_versions({}) == ()


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        ([{"type": "Established", "status": "True"}], ""),
        ([{"type": "Established", "status": "False", "message": "wait"}], "wait"),
        (
            [
                {"type": "Established", "status": "False"},
                {"type": "NamesAccepted", "status": "False", "message": '"things" is taken'},
            ],
            '"things" is taken',
        ),
        ([], "it is not established"),
        (["odd"], "it is not established"),
        (None, "it is not established"),
    ],
)
def test_definition_is_established_or_says_why_not(conditions: object, told: str) -> None:
    """The server's own reason counts."""
    assert told == unfulfilled({"status": {"conditions": conditions}})


@pytest.mark.parametrize("document", [None, [], {}, {"status": []}])
def test_definition_that_is_not_there_is_not_established(document: object) -> None:
    """Nor is one of another form."""
    assert unfulfilled(document) == "it is not established"
