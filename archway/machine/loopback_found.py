"""What is found of the registry on the loopback address. Changes nothing."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from archway import process
from archway.errors import MachineError, UsageError
from archway.machine.facts import RegistryPort, Wanted, loopback_port
from archway.machine.probe import listening, which
from archway.machine.probe_docker import read_engine

LISTEN = psutil.CONN_LISTEN
PID = re.compile(r"[1-9][0-9]{0,8}\s*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What is where the registry should be.

    :ivar own: the process that archway started for this monorepo, if it lives
    :ivar own_ports: where that listens; empty if this user may not see it
    :ivar container: archway's container, if it publishes the port
    :ivar listener: what listens there, in words
    """

    port: int
    folder: Path
    answers: RegistryPort
    own: psutil.Process | None = None
    own_ports: frozenset[int] = frozenset()
    container: str = ""
    listener: str = ""

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        return self.answers is RegistryPort.REGISTRY

    @property
    def own_here(self) -> bool:
        return self.own is not None and (not self.own_ports or self.port in self.own_ports)

    @property
    def by_archway(self) -> bool:
        return self.own_here or bool(self.container)

    @property
    def data(self) -> str:
        """Where its data is; empty if only whoever started it knows."""
        if self.container:
            return f"docker volume {self.container}"
        return "" if self.running and not self.own_here else str(self.folder / "data")


def look(wanted: Wanted) -> Found:
    """What is there. Changes nothing.

    :raises UsageError: the settings name a registry elsewhere
    """
    port = loopback_port(wanted.registry)
    if port is None or not 0 < port < 65536:
        raise UsageError(
            f"the registry {wanted.registry} is at no port of this machine's loopback address",
            why="there is nothing to start or stop here: it is elsewhere",
            hint="for one on this machine: registry = 'localhost:5000' in [tool.archway], or INVOKE_ARCHWAY_REGISTRY",
        )
    folder = wanted.root / ".archway" / "registry"
    own = own_process(folder)
    found = Found(port=port, folder=folder, answers=listening(port), own=own, own_ports=ports(own))
    if found.answers is RegistryPort.NOTHING:
        return found
    if found.own_here:
        return replace(found, listener=told(own))
    container = _container(port)
    return replace(found, container=container, listener=f"container {container}" if container else told(_at(port)))


def refusal(found: Found) -> MachineError | None:
    """Why no registry can be started there, if one cannot."""
    if found.own and not found.own_here:
        return on_other_port(found)
    if found.by_archway:
        return MachineError(
            f"the registry on {found.address} is there and does not answer",
            why=f"it is {found.listener or told(found.own)}",
            hint="run: inv registry down, then inv registry up",
        )
    if found.answers is RegistryPort.OTHER:
        return MachineError(
            f"another program listens on {found.address}, which is no registry",
            why=f"it is {found.listener}",
            hint="stop that program, or choose another port: registry in [tool.archway]",
        )
    return None


def on_other_port(found: Found) -> MachineError:
    port = min(found.own_ports)
    return MachineError(
        f"this monorepo's registry runs on port {port}, not on {found.port} as the settings say",
        why=f"it is {told(found.own)}",
        hint=f"stop it first: INVOKE_ARCHWAY_REGISTRY=localhost:{port} inv registry down",
    )


def own_process(folder: Path) -> psutil.Process | None:
    """The process that a registry's folder names, if it really is a registry with the settings of that folder."""
    file = folder / "registry.pid"
    try:
        text = file.read_bytes()[:20].decode("ascii", "replace") if file.is_file() else ""
        found = psutil.Process(int(text)) if PID.fullmatch(text) else None
        words = found.cmdline() if found else []
    except (OSError, psutil.Error):
        return None
    right = words[1:] == ["serve", str(folder / "config.yml")] and Path(words[0]).name == "docker-registry"
    return found if right else None


def ports(listener: psutil.Process | None) -> frozenset[int]:
    """Where a process listens; empty if it does not, or if this user may not see it."""
    try:
        sockets = listener.net_connections(kind="tcp") if listener else []
    except psutil.Error:
        return frozenset()
    return frozenset(socket.laddr.port for socket in sockets if socket.laddr and socket.status == LISTEN)


def _at(port: int) -> psutil.Process | None:
    """What listens on a port of the loopback address, if this user may see it."""
    try:
        sockets = psutil.net_connections(kind="tcp")
        here = [socket for socket in sockets if socket.laddr and socket.laddr.port == port and socket.status == LISTEN]
        pids = [socket.pid for socket in here if socket.pid]
        return psutil.Process(pids[0]) if pids else None
    except psutil.Error:
        return None


def told(one: psutil.Process | None) -> str:
    """A process in words."""
    if one is None:
        return "a process that this user may not see"
    try:
        return f"process {one.pid} of {one.username()}: {shlex.join(one.cmdline()) or one.name()}"
    except psutil.Error:
        return f"process {one.pid}"


def _container(port: int) -> str:
    """Archway's container, if there is one that publishes the port."""
    if not which("docker") or not read_engine(client=True).endpoint.startswith("unix://"):
        return ""  # a container of an engine on another machine does not listen here
    name = f"archway-registry-{port}"
    published = process.run(("docker", "port", name, "5000/tcp"), timeout=10)
    return name if published.ok and str(port) in {line.rpartition(":")[2] for line in published.stdout.split()} else ""
