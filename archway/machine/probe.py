"""Read the facts of this machine. Changes nothing; what does not answer is a fact, not an error."""

from __future__ import annotations

import http.client
import json
import os
import platform as host
import shutil
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from archway import process
from archway.machine import apt, remedies
from archway.machine.binfmt import MOUNT, Binfmt, Entry, parse_active, parse_recipe
from archway.machine.facts import Engine, Facts, RegistryPort, Source, Wanted, loopback_port
from archway.platforms import Platform

PROGRAMS = ("apt-get", "docker", "dockerd", "docker-registry", "fakeroot", "git", "mmdebstrap", "sudo")
PATIENCE = 20.0
"""Seconds that the client may take: an engine behind a dead network does not answer at all."""


def probe(wanted: Wanted) -> Facts:
    """Everything that is to be known before something is decided."""
    release = _os_release()
    linux = sys.platform == "linux"
    programs = frozenset(name for name in PROGRAMS if which(name))
    facts = Facts(
        system=sys.platform,
        distribution=release.get("ID", ""),
        codename=release.get("VERSION_CODENAME", ""),
        kernel=host.release(),
        native=Platform.native(),
        python=host.python_version(),
        git=process.run(("git", "--version")).stdout.removeprefix("git version ").strip(),
        root=os.geteuid() == 0,
        systemd=Path("/run/systemd/system").is_dir(),
        programs=programs,
        keyring=Path(apt.KEYRING).is_file(),
        policy=Path(apt.POLICY).exists(),
        daemon_json=Path(remedies.DAEMON_JSON).exists(),
        daemon_lives=_runs(Path(remedies.PID_FILE), "dockerd"),
        stale=tuple(_stale()) if linux else (),
        mtu=_mtu() if linux else None,
        engine=_engine("docker" in programs),
        registry=_registry(loopback_port(wanted.registry)),
    )
    facts = replace(
        facts, engine=_engine_place(facts, wanted), binfmt=_binfmt(wanted) if linux else Binfmt(supported=False)
    )
    needs_source = facts.debian and facts.codename == "bookworm" and remedies.missing_packages(facts, wanted)
    return replace(facts, sources=_sources() if needs_source else ())


def which(name: str) -> str | None:
    """Where a program is; the folders of root's programs are often missing on other users' PATH."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin")))


def _os_release() -> Mapping[str, str]:
    try:
        return host.freedesktop_os_release()
    except OSError:
        return {}


def _engine(client: bool) -> Engine:
    endpoint = os.environ.get("DOCKER_HOST", "")
    if not client:
        return replace(Engine(), endpoint=endpoint or Engine().endpoint)
    if not endpoint:
        shown = process.run(("docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"))
        endpoint = shown.stdout.strip() if shown.ok else Engine().endpoint
    named = process.run(("docker", "--version")).stdout.strip()
    told = process.run(("docker", "info", "--format", "{{json .}}"), timeout=PATIENCE)
    return read_info(told.stdout, endpoint=endpoint, named=named, complaint=told.stderr.strip())


def read_info(text: str, *, endpoint: str, named: str, complaint: str) -> Engine:
    """Read what ``docker info`` and ``docker --version`` print, whether the engine answers or not."""
    client = named.removeprefix("Docker version ").partition(",")[0]
    try:
        info: dict[str, Any] = json.loads(text)
    except ValueError:
        info = {}
    of_client = info.get("ClientInfo") or {}
    plugins = {plugin.get("Name"): plugin.get("Version", "") for plugin in of_client.get("Plugins") or ()}
    errors = "\n".join(info.get("ServerErrors") or ())
    status = [tuple(pair) for pair in info.get("DriverStatus") or ()]
    return Engine(
        endpoint=endpoint,
        client=client,
        buildx=plugins.get("buildx", ""),
        server=info.get("ServerVersion", ""),
        complaint="\n".join(filter(None, (complaint, errors))),
        system=info.get("OperatingSystem", ""),
        kernel=info.get("KernelVersion", ""),
        architecture=info.get("Architecture", ""),
        containerd_store=("driver-type", "io.containerd.snapshotter.v1") in status,
        folder=info.get("DockerRootDir", ""),
    )


def _engine_place(facts: Facts, wanted: Wanted) -> Engine:
    """What is to be asked of the engine's machine, be it this one or another."""
    engine = facts.engine
    if not engine.server:
        return engine
    if facts.same_kernel:
        engine = replace(engine, free=_free(Path(engine.folder)))
        if not any(remedies.may_run_natively(facts, platform) for platform in wanted.platforms):
            return engine  # after a registration is gone the engine goes on listing it: the kernel knows better
    context = process.run(("docker", "context", "show")).stdout.strip() or "default"
    shown = process.run(("docker", "buildx", "inspect", context), timeout=PATIENCE).stdout
    return replace(engine, platforms=read_platforms(shown))


def read_platforms(text: str) -> tuple[str, ...]:
    """The platforms that ``docker buildx inspect`` lists; a star marks those that the user set."""
    lists = [line.partition(":")[2] for line in text.splitlines() if line.startswith("Platforms:")]
    return tuple(name.strip().rstrip("*") for names in lists for name in names.split(","))


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _binfmt(wanted: Wanted) -> Binfmt:
    mount = Path(MOUNT)
    mounted = (mount / "status").exists()
    entries: list[Entry] = []
    if mounted:
        files = [path for path in mount.iterdir() if path.name not in ("register", "status")]
        files.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
        entries = [entry for path in files if (entry := parse_active(str(path), path.read_text()))]
    folders = ["/etc/binfmt.d", "/run/binfmt.d", "/usr/lib/binfmt.d"]
    if not Path("/run/systemd/system").is_dir():
        folders.append("/usr/share/qemu/binfmt.d")  # Debian's qemu-user without qemu-user-binfmt, which is for systemd
    recipes = [recipe for folder in folders for path in sorted(Path(folder).glob("*.conf")) for recipe in _read(path)]
    return Binfmt(
        supported=_supports_binfmt(),
        mounted=mounted,
        enabled=not mounted or (mount / "status").read_text().strip() == "enabled",
        entries=tuple(_inspected(entry) for entry in entries if any(entry.takes(some) for some in wanted.platforms)),
        recipes=tuple(_inspected(entry) for entry in recipes if any(entry.takes(some) for some in wanted.platforms)),
    )


def _read(path: Path) -> tuple[Entry, ...]:
    try:
        return parse_recipe(str(path), path.read_text(errors="replace"))
    except OSError:
        return ()


def _supports_binfmt() -> bool:
    """Built in or loaded already, or a module that mounting loads."""
    modules = Path("/lib/modules") / host.release()
    return "binfmt_misc" in Path("/proc/filesystems").read_text() or any(modules.glob("kernel/fs/binfmt_misc.ko*"))


def _inspected(entry: Entry) -> Entry:
    # The registered name may be a link with a meaning of its own, by which QEMU refuses to be called by hand.
    interpreter = Path(entry.interpreter).resolve()
    if not interpreter.is_file():
        return entry
    told = process.run((str(interpreter), "--version"), timeout=5).stdout
    number = told.partition("version ")[2].split(" ", 1)[0].strip() if told.startswith("qemu-") else ""
    return replace(entry, static=is_static(interpreter), version=number)


def is_static(path: Path) -> bool:
    """Whether a program of 64 bits, least byte first, as all that archway's hosts run, asks for no loader."""
    try:
        with path.open("rb") as program:
            head = program.read(64)
            if head[:6] != b"\x7fELF\x02\x01":
                return False
            (offset,) = struct.unpack_from("<Q", head, 32)
            size, count = struct.unpack_from("<HH", head, 54)
            program.seek(offset)
            table = program.read(size * count)
    except (OSError, struct.error):
        return False
    interp = 3  # PT_INTERP
    return all(struct.unpack_from("<I", table, index * size) != (interp,) for index in range(count))


def _sources() -> tuple[Source, ...]:
    columns = ("REPO_URI", "SOURCESENTRY", "RELEASE", "COMPONENT", "CODENAME", "ORIGIN", "LABEL")
    form = "|".join(f"$({column})" for column in columns)
    listed = ("apt-get", "indextargets", "--format", form, "Created-By: Packages")
    # Without this option apt lists nothing before the first `apt-get update`.
    unread = ("-o", "APT::Get::IndexTargets::ReleaseInfo=false")
    return read_sources(process.run(listed).stdout) or read_sources(process.run((*listed, *unread)).stdout)


def read_sources(text: str) -> tuple[Source, ...]:
    """Read apt's index targets; a column that apt does not know yet stays as it was asked for: ``$(ORIGIN)``."""
    found = []
    for line in text.splitlines():
        uri, entry, release, component, *known = ("" if word.startswith("$(") else word for word in line.split("|"))
        codename, origin, label = known
        file = entry.rpartition(":")[0]
        found.append(
            Source(
                uri=uri, file=file, release=release, component=component, codename=codename, origin=origin, label=label
            )
        )
    return tuple(dict.fromkeys(found))


def _runs(pid_file: Path, name: str) -> bool:
    """Whether the process that a pid file names is that program."""
    try:
        return Path(f"/proc/{int(pid_file.read_text())}/comm").read_text().strip() == name
    except (OSError, ValueError):
        return False


def _stale() -> Iterator[str]:
    for path, name in ((remedies.PID_FILE, "dockerd"), ("/run/docker/containerd/containerd.pid", "containerd")):
        if os.access(path, os.F_OK) and not _runs(Path(path), name):
            yield path


def _mtu() -> int | None:
    """Of the interface of the default route, if it is below 1500."""
    try:
        routes = [line.split() for line in Path("/proc/net/route").read_text().splitlines()[1:]]
        names = [name for name, destination, *_ in routes if destination == "00000000"]
        mtu = int(Path(f"/sys/class/net/{names[0]}/mtu").read_text())
    except (OSError, ValueError, IndexError):
        return None
    return mtu if mtu < 1500 else None


def _registry(port: int | None) -> RegistryPort:
    if port is None:
        return RegistryPort.NOTHING
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        asked.request("GET", "/v2/")
        answer = asked.getresponse()
        speaks = "registry/2" in answer.getheader("Docker-Distribution-Api-Version", "")
    except ConnectionRefusedError:
        return RegistryPort.NOTHING
    except (OSError, http.client.HTTPException):
        return RegistryPort.OTHER
    finally:
        asked.close()
    return RegistryPort.REGISTRY if speaks or answer.status == 200 else RegistryPort.OTHER
