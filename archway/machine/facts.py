"""The facts of a machine, read once, and what the monorepo wants of it. Data only."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from archway.errors import UsageError
from archway.machine.binfmt import Binfmt
from archway.platforms import Platform

LOCAL_ENDPOINTS = ("unix:///var/run/docker.sock", "unix:///run/docker.sock")


class Wanted(Protocol):
    """The settings that decide what a machine needs."""

    @property
    def rootfs(self) -> str: ...
    @property
    def registry(self) -> str: ...
    @property
    def platforms(self) -> tuple[Platform, ...]: ...
    @property
    def root(self) -> Path: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One package source that apt is set up with. Before the first ``apt-get update`` only the release is known."""

    uri: str
    release: str
    component: str
    codename: str = ""
    origin: str = ""
    label: str = ""
    file: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Engine:
    """What the Docker client says. Empty text: there is no client, no plugin, no answer.

    :ivar complaint: what the client said instead of an answer
    :ivar platforms: what the engine lists; asked only of an engine that does not run on this kernel
    :ivar free: bytes, where the engine keeps its images; None if that is not on this machine
    """

    endpoint: str = LOCAL_ENDPOINTS[0]
    client: str = ""
    buildx: str = ""
    server: str = ""
    complaint: str = ""
    system: str = ""
    kernel: str = ""
    architecture: str = ""
    containerd_store: bool = False
    folder: str = ""
    free: int | None = None
    platforms: tuple[str, ...] = ()


class RegistryPort(StrEnum):
    """What listens where the registry should."""

    NOTHING = "nothing"
    REGISTRY = "a registry"
    OTHER = "another program"


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """A machine. A file that this user may not see counts as there: it is never written.

    :ivar system: as ``sys.platform`` says: linux, darwin
    :ivar machine: the processor as ``uname -m`` says
    :ivar programs: those of the programs asked for that are there
    :ivar client_package: the Debian package that the docker client belongs to; asked only where no engine answers
    :ivar switched_off: systemd's word for a unit of the engine that does not start by itself: disabled, masked
    :ivar keyring: Debian's archive keyring is there
    :ivar policy: somebody's /usr/sbin/policy-rc.d is there, which says whether packages may start services
    :ivar left_over: files that archway wrote and that only do harm now
    :ivar daemon_json: /etc/docker/daemon.json is there
    :ivar daemon_lives: the process that the engine's pid file names is an engine
    :ivar mtu: of the network that leads out, if it is below the usual 1500
    :ivar free: bytes, where the monorepo is; None if that is where the engine keeps its images, or unknown
    """

    system: str = "linux"
    distribution: str = "debian"
    codename: str = "trixie"
    kernel: str = ""
    machine: str = "x86_64"
    python: str = "3.11"
    git: str = ""
    root: bool = True
    systemd: bool = False
    programs: frozenset[str] = frozenset()
    client_package: str = ""
    switched_off: str = ""
    keyring: bool = True
    policy: bool = False
    left_over: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    daemon_json: bool = False
    daemon_lives: bool = False
    mtu: int | None = None
    free: int | None = None
    engine: Engine = field(default_factory=Engine)
    binfmt: Binfmt = field(default_factory=Binfmt)
    registry: RegistryPort = RegistryPort.NOTHING

    @property
    def sudo(self) -> bool:
        return "sudo" in self.programs

    @property
    def debian(self) -> bool:
        """Packages can be installed with what was measured on Debian 12 and 13."""
        return self.distribution == "debian" and "apt-get" in self.programs and self.codename in CODENAMES

    @property
    def processor(self) -> str:
        """What the engine's machine runs by itself, in that machine's words."""
        return self.engine.architecture or self.machine

    @property
    def native(self) -> Platform | None:
        """The same as a platform; None if archway does not know it (i686, loongarch64)."""
        try:
            return Platform.parse(self.processor)
        except UsageError:
            return None

    @property
    def local(self) -> bool:
        """The client is set up for an engine on this machine's usual socket."""
        return self.system == "linux" and self.engine.endpoint in LOCAL_ENDPOINTS

    @property
    def wsl(self) -> bool:
        return "microsoft" in self.kernel.lower()

    @property
    def same_kernel(self) -> bool:
        """The engine's containers run on this kernel (not in the virtual machine of a desktop product)."""
        if not self.engine.server:
            return self.local
        unix = self.engine.endpoint.startswith("unix://")
        return (
            self.system == "linux"
            and unix
            and self.engine.kernel == self.kernel
            and "Desktop" not in self.engine.system
        )

    @property
    def denied(self) -> bool:
        """This user may not open the engine's socket."""
        return "permission denied" in self.engine.complaint.lower()

    @property
    def docker_client(self) -> bool:
        """The docker on PATH is Docker's."""
        return bool(self.engine.client) and "podman" not in self.engine.client

    @property
    def broken_client(self) -> bool:
        """There is a docker on PATH that does not even tell its version: one of another architecture, for example."""
        return "docker" in self.programs and not self.engine.client

    @property
    def engine_elsewhere(self) -> str:
        """Why an engine is the user's business though none is here; empty if archway may install one."""
        if "podman" in self.engine.client:
            return f"docker is {self.engine.client}"
        if self.broken_client:
            return "the docker on PATH cannot be executed"
        if self.client_package not in ("", *DEBIAN_CLIENTS):
            return f"the client is of the package {self.client_package}"
        if self.wsl:
            return "this is WSL, where the engine usually is Docker Desktop's"
        return ""

    @property
    def no_engine(self) -> bool:
        """No engine answers, none could be started, and nothing says that one is meant to be elsewhere."""
        nothing = not self.engine.server and not self.denied and "dockerd" not in self.programs
        return self.local and nothing and not self.engine_elsewhere


NEWER = "trixie"
CODENAMES = ("bookworm", NEWER, "forky", "duke", "sid")
"""Of Debian. The first has an engine that is too old, so it gets the next one's."""
DEBIAN_CLIENTS = ("docker-cli", "docker.io")


def loopback_port(registry: str) -> int | None:
    """The port of a registry on the loopback address; None if it is on another machine."""
    address = registry.partition("/")[0]
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        host, port = address, "80"
    if host == "localhost":
        return int(port)
    try:
        return int(port) if ipaddress.ip_address(host.strip("[]")).is_loopback else None
    except ValueError:
        return None


def version(text: str) -> tuple[int, ...]:
    """The numbers of a version as the engine, its plugins and QEMU write it: ``v0.13.1+ds1``, ``26.1.5+dfsg1``."""
    found = re.search(r"\d+(\.\d+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
