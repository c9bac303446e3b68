"""Where an API server has the objects of a kind, as it tells itself.

https://kubernetes.io/docs/reference/using-api/api-concepts/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from archway.kubernetes_documents import KubernetesObject


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """What the paths of a kind's objects are made of."""

    name: str
    """In the plural: ``configmaps``."""
    kind: str
    namespaced: bool


def group_path(api_version: str) -> str:
    """The path of an API's version, which tells its kinds: ``/api/v1``, ``/apis/apps/v1``."""
    return "/".join(["/apis" if "/" in api_version else "/api", *(quote(part, "") for part in api_version.split("/"))])


def resources(document: object) -> dict[str, Resource]:
    """The resources that an API's version tells (an ``APIResourceList``), by kind, without subresources."""
    return {found.kind: found for found in _resources(document)}


def _resources(document: object) -> Iterator[Resource]:
    listed = document.get("resources") if isinstance(document, Mapping) else None
    for entry in listed if isinstance(listed, list) else []:
        if not isinstance(entry, Mapping):
            continue
        name, kind = entry.get("name"), entry.get("kind")
        if isinstance(name, str) and isinstance(kind, str) and "/" not in name:
            yield Resource(name=name, kind=kind, namespaced=entry.get("namespaced") is True)


def object_path(wanted: KubernetesObject, resource: Resource) -> str:
    """The path of one object."""
    space = ["namespaces", wanted.namespace] if resource.namespaced else []
    parts = [*space, resource.name, wanted.name]
    return "/".join([group_path(wanted.api_version), *(quote(part, "") for part in parts)])


def served_versions(definition: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    """What a CustomResourceDefinition adds to an API server: pairs of apiVersion and kind."""
    spec = _table(definition.get("spec"))
    versions = spec.get("versions")
    kind = _table(spec.get("names")).get("kind")
    return tuple(
        (f"{spec.get('group')}/{entry.get('name')}", str(kind))
        for entry in (versions if isinstance(versions, list) else [])
        if isinstance(entry, Mapping) and entry.get("served") is True
    )


def unfulfilled(definition: object) -> str:
    """Why a CustomResourceDefinition of an API server is not established; empty when it is."""
    listed = _table(_table(definition).get("status")).get("conditions")
    entries = [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []
    conditions = {str(entry.get("type")): entry for entry in entries}
    if _table(conditions.get("Established")).get("status") == "True":
        return ""
    refused = [entry for entry in conditions.values() if entry.get("status") == "False" and entry.get("message")]
    return "; ".join(str(entry["message"]) for entry in refused) or "it is not established"


def _table(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
