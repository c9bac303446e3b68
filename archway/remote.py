"""The registries that a monorepo's settings lead to."""

from __future__ import annotations

from functools import cache

from archway.distribution import Registry, Repository
from archway.references import Reference
from archway.settings import Settings


def repository_of(settings: Settings, reference: Reference) -> Repository:
    """The repository of a reference; one connection (and login) for each registry."""
    return _registry(settings, reference.registry).repository(reference.path)


@cache
def _registry(settings: Settings, host: str) -> Registry:
    return Registry(host, plain_http=host in settings.insecure_registries, ca=settings.secrets().get("ca"))
