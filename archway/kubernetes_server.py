"""A Kubernetes API server for one test: the monorepo's own image, in a container of its own."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from archway.build import Building
from archway.catalog import Catalog, Image
from archway.docker import last_lines
from archway.engine import Engine
from archway.errors import ArchwayError, Location, MachineError, MetadataError
from archway.kubernetes_api import ApiError, KubernetesApi, access_of
from archway.kubernetes_containers import Container, Wish, running
from archway.metadata import find_line
from archway.plan import plan_image
from archway.platforms import Platform
from archway.settings import Settings
from archway.smoke_checks import LOOPBACK
from archway.targets import Step

SERVER = "kube-apiserver"
"""The image of the monorepo."""
PORT = 6443
KUBECONFIG = "/run/kubernetes-api/kubeconfig"
"""Where the image's container has it as soon as the server is ready."""
START = 120.0
"""Seconds within which it must be; it takes about five."""
PAUSE = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiServer:
    """A server that is ready."""

    container: Container
    api: KubernetesApi

    def require(self) -> None:
        """:raises MachineError: it has ended"""
        if self.container.exit_code is not None:
            raise _gone(self.container)


def server_steps(catalog: Catalog, platform: Platform, *, wanted_by: Image) -> tuple[Step, ...]:
    """The plan for the server's image.

    :raises MetadataError: the monorepo has no such image
    """
    if SERVER not in catalog:
        line = find_line(wanted_by.metadata_path.read_text(encoding="utf-8"), ("kubernetes",))
        raise MetadataError(
            f"[kubernetes] needs the image {SERVER}, which this monorepo does not have",
            where=Location(wanted_by.shown(wanted_by.metadata_path), line),
            why="the operator is run against the Kubernetes API server in it",
            hint=f"copy the folder {SERVER} from archway's own repository, or remove [kubernetes]",
        )
    return plan_image(catalog, SERVER, platform)


def build_server(engine: Engine, settings: Settings, steps: tuple[Step, ...]) -> str:
    """Build the server's image if that is due.

    :returns: the image's id
    """
    Building(engine=engine, settings=settings).run(steps)
    found = engine.image(str(steps[-1].reference))
    if found is None:
        raise MachineError(f"{steps[-1].target} is gone again", hint="run it again")
    return found.id


@contextmanager
def api_server(
    engine: Engine, image: str, *, name: str, labels: Mapping[str, str], folder: Path, logfile: Path
) -> Iterator[ApiServer]:
    """A fresh server, which ends with what is done here. What it printed is in the log file then.

    :param folder: gets its ``kubeconfig``, which leads to it from a container that shares its network
    :raises MachineError: it does not start
    """
    wish = Wish(name=name, image=image, platform=engine.platform, labels=labels, ports=(PORT,))
    with running(engine, wish) as container:
        try:
            yield _ready(container, folder / "kubeconfig")
        finally:
            # An engine that is gone is told by what found that out.
            with suppress(ArchwayError):
                logfile.write_text("".join(f"{line}\n" for line in container.lines()), encoding="utf-8")


def _ready(container: Container, kubeconfig: Path) -> ApiServer:
    import yaml

    end = time.monotonic() + START
    while not container.fetch(KUBECONFIG, kubeconfig):
        if container.exit_code is not None:
            raise _gone(container)
        if time.monotonic() > end:
            raise MachineError(
                f"the Kubernetes API server was not ready within {START:g} s", why=_last(container),
                hint="is the machine very busy? run it again",
            )  # fmt: skip
        time.sleep(PAUSE)
    port = container.engine.published(container.name, PORT)
    if port is None:
        raise _gone(container)
    # The operator has a user of its own, and our umask may be a strict one.
    kubeconfig.parent.chmod(0o755)
    kubeconfig.chmod(0o644)
    try:
        api = KubernetesApi(LOOPBACK, port, access_of(yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))))
    except (ApiError, yaml.YAMLError, ssl.SSLError) as wrong:
        raise MachineError(f"the image {SERVER} gives no kubeconfig that can be used", why=str(wrong)) from None
    return ApiServer(container=container, api=api)


def _gone(container: Container) -> MachineError:
    return MachineError(
        f"the Kubernetes API server ended with exit code {container.exit_code}", why=_last(container),
        hint=f"does the image {SERVER} pass its own test? inv test --image {SERVER}",
    )  # fmt: skip


def _last(container: Container) -> str:
    return last_lines("\n".join(container.lines()), 12)
