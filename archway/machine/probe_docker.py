"""Ask the Docker client: what it is, whether an engine answers, and what that is like."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from archway import process
from archway.machine import emulation
from archway.machine.facts import LOCAL_ENDPOINTS, Engine, Facts, Wanted

PATIENCE = 20.0
"""Seconds that the client may take: an engine behind a dead network does not answer at all."""


def read_engine(*, client: bool) -> Engine:
    """What the client says; without one, only where it would look."""
    endpoint = os.environ.get("DOCKER_HOST", "")
    if not client:
        return Engine(endpoint=endpoint or LOCAL_ENDPOINTS[0])
    if not endpoint:
        shown = _docker("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
        endpoint = shown.stdout.strip() if shown.ok else LOCAL_ENDPOINTS[0]
    named = _docker("--version").stdout.strip()
    told = _docker("info", "--format", "{{json .}}")
    return read_info(told.stdout, endpoint=endpoint, named=named, complaint=told.stderr.strip())


def _docker(*arguments: str) -> process.Result:
    return process.run(("docker", *arguments), timeout=PATIENCE)


def read_info(text: str, *, endpoint: str, named: str, complaint: str) -> Engine:
    """Read what ``docker info`` and ``docker --version`` print, whether the engine answers or not."""
    try:
        info = _table(json.loads(text))
    except ValueError:
        info = {}
    plugins = [_table(plugin) for plugin in _list(_table(info.get("ClientInfo")).get("Plugins"))]
    errors = [str(error) for error in _list(info.get("ServerErrors"))]
    return Engine(
        endpoint=endpoint,
        client=named.removeprefix("Docker version ").partition(",")[0],
        buildx=next((_text(plugin, "Version") for plugin in plugins if plugin.get("Name") == "buildx"), ""),
        server=_text(info, "ServerVersion"),
        complaint="\n".join(filter(None, (complaint, *errors))),
        system=_text(info, "OperatingSystem"),
        kernel=_text(info, "KernelVersion"),
        architecture=_text(info, "Architecture"),
        containerd_store=["driver-type", "io.containerd.snapshotter.v1"] in _list(info.get("DriverStatus")),
        folder=_text(info, "DockerRootDir"),
    )


def _table(value: object) -> dict[str, Any]:
    """What another program printed may be anything."""
    return value if isinstance(value, dict) else {}


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list) else ()


def _text(table: dict[str, Any], key: str) -> str:
    value = table.get(key)
    return value if isinstance(value, str) else ""


def with_platforms(facts: Facts, wanted: Wanted) -> Engine:
    """The engine with the platforms that it lists, where only it knows them."""
    native = facts.native
    asks = not facts.same_kernel or any(native and emulation.may_run(native, one) for one in wanted.platforms)
    if not facts.engine.server or not asks:
        return facts.engine  # after a registration is gone the engine goes on listing it: the kernel knows better
    context = _docker("context", "show").stdout.strip() or "default"
    return replace(facts.engine, platforms=read_platforms(_docker("buildx", "inspect", context).stdout))


def read_platforms(text: str) -> tuple[str, ...]:
    """The platforms that ``docker buildx inspect`` lists; a star marks those that the user set."""
    lists = [line.partition(":")[2] for line in text.splitlines() if line.startswith("Platforms:")]
    return tuple(name.strip().rstrip("*") for names in lists for name in names.split(","))
