"""Read the facts of this machine. Changes nothing; what does not answer is a fact, not an error."""

from __future__ import annotations

import http.client
import json
import os
import platform as host
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from archway import process
from archway.machine import apt, remedies
from archway.machine.binfmt import Binfmt
from archway.machine.facts import CODENAMES, Engine, Facts, RegistryPort, Source, Wanted, loopback_port
from archway.machine.files import Files
from archway.machine.probe_binfmt import read_binfmt
from archway.machine.probe_docker import read_engine, with_platforms

PROGRAMS = (
    "apt-get", "containerd", "docker", "dockerd", "docker-registry", "fakeroot", "git", "mmdebstrap", "sudo",
)  # fmt: skip


def probe(wanted: Wanted, files: Files | None = None) -> Facts:
    """Everything that is to be known before something is decided.

    :param files: of this machine; tests give some of another
    """
    files = files or Files()
    release = os_release(files)
    linux = sys.platform == "linux"
    programs = frozenset(name for name in PROGRAMS if which(name))
    facts = Facts(
        system=sys.platform,
        distribution=release.get("ID", ""),
        codename=release.get("VERSION_CODENAME", ""),
        kernel=host.release(),
        machine=host.machine(),
        python=host.python_version(),
        git=process.run(("git", "--version")).stdout.removeprefix("git version ").strip(),
        root=os.geteuid() == 0,
        systemd=not files.absent("/run/systemd/system"),
        programs=programs,
        keyring=not files.absent(apt.KEYRING),
        policy=not files.absent(apt.POLICY) and not _our_policy(files),
        left_over=_left_over(files, release.get("VERSION_CODENAME", "")),
        daemon_json=not files.absent(remedies.DAEMON_JSON),
        daemon_lives=_runs(files, remedies.PID_FILE, "dockerd"),
        mtu=_mtu(files) if linux else None,
        engine=read_engine(client="docker" in programs),
        binfmt=read_binfmt(files, wanted.platforms, versions=True) if linux else Binfmt(supported=False),
        registry=listening(loopback_port(wanted.registry)),
    )
    facts = replace(facts, free=_free_here(facts, wanted), engine=_with_free(facts))
    facts = replace(facts, engine=with_platforms(facts, wanted))
    if not facts.engine.server:
        facts = replace(facts, client_package=_client_package(facts), switched_off=_switched_off(facts))
    needs_source = facts.debian and facts.codename == "bookworm" and remedies.missing_packages(facts, wanted)
    return replace(facts, sources=_sources() if needs_source else ())


def which(name: str) -> str | None:
    """Where a program is; the folders of root's programs are often missing on other users' PATH."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin")))


def os_release(files: Files) -> dict[str, str]:
    """What os-release says, where there is one."""
    text = files.text("/etc/os-release") or files.text("/usr/lib/os-release")
    pairs = (line.partition("=") for line in text.splitlines())
    return {name: value.strip("'\"") for name, _, value in pairs}


def _our_policy(files: Files) -> bool:
    return apt.MARK in files.text(apt.POLICY)


def _left_over(files: Files, codename: str) -> tuple[str, ...]:
    """A policy of an installation that was killed; on a newer Debian, what the older one needed."""
    sources = [path for path in apt.OURS if not files.absent(path)]
    kept = sources if sources and _upgraded(codename) else []
    return (*kept, *([apt.POLICY] if _our_policy(files) else []))


def _upgraded(codename: str) -> bool:
    """Whether this is a newer Debian than 12, or is to become one: its sources are gone, and pins hold it back."""
    if codename != "bookworm":
        return codename in CODENAMES
    sources = _sources()
    return bool(sources) and not any("bookworm" in (source.release, source.codename) for source in sources)


def _with_free(facts: Facts) -> Engine:
    return replace(facts.engine, free=free(Path(facts.engine.folder)) if _engine_is_here(facts) else None)


def _free_here(facts: Facts, wanted: Wanted) -> int | None:
    try:
        shared = _engine_is_here(facts) and wanted.root.stat().st_dev == Path(facts.engine.folder).stat().st_dev
    except OSError:
        shared = False
    return None if shared else free(wanted.root)


def _engine_is_here(facts: Facts) -> bool:
    return bool(facts.engine.server) and facts.same_kernel


def free(folder: Path) -> int | None:
    """Bytes that are free in a folder; None if that cannot be told."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def _client_package(facts: Facts) -> str:
    """Whose the docker client is; empty for one that no package brought, or where there is no dpkg."""
    path = which("docker") if facts.debian else None
    if path is None:
        return ""
    if path.startswith(("/bin/", "/sbin/")):
        path = f"/usr{path}"  # packages name the files in /usr, PATH may name the link to it first
    return process.run(("dpkg-query", "--search", path)).stdout.partition(":")[0].strip()


def _switched_off(facts: Facts) -> str:
    if not facts.systemd or "dockerd" not in facts.programs:
        return ""
    told = process.run(("systemctl", "is-enabled", "docker.service"), timeout=5).stdout.strip()
    return told if told in ("disabled", "masked") else ""


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
        words = ["" if word.startswith("$(") else word for word in line.split("|")]
        if len(words) != 7:
            continue  # a label may hold anything
        uri, entry, release, component, codename, origin, label = words
        file = entry.rpartition(":")[0]
        found.append(
            Source(
                uri=uri, file=file, release=release, component=component, codename=codename, origin=origin, label=label
            )
        )
    return tuple(dict.fromkeys(found))


def _runs(files: Files, pid_file: str, name: str) -> bool:
    """Whether the process that a pid file names is that program."""
    pid = files.text(pid_file).strip()
    return pid.isdigit() and files.text(f"/proc/{pid}/comm").strip() == name


def _mtu(files: Files) -> int | None:
    """Of the interface of the default route, if it is below 1500."""
    routes = [line.split() for line in files.text("/proc/net/route").splitlines()[1:]]
    names = [words[0] for words in routes if len(words) > 1 and words[1] == "00000000"]
    mtu = files.text(f"/sys/class/net/{names[0]}/mtu").strip() if names else ""
    return int(mtu) if mtu.isdigit() and int(mtu) < 1500 else None


def listening(port: int | None) -> RegistryPort:
    """What listens on a port of the loopback address. A registry tells its protocol, or answers with JSON."""
    if port is None:
        return RegistryPort.NOTHING
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        asked.request("GET", "/v2/")
        answer = asked.getresponse()
        if "registry/2" in answer.getheader("Docker-Distribution-Api-Version", ""):
            return RegistryPort.REGISTRY
        json.loads(answer.read(100_000))
    except ConnectionRefusedError:
        return RegistryPort.NOTHING
    except (OSError, http.client.HTTPException, ValueError):
        return RegistryPort.OTHER
    finally:
        asked.close()
    return RegistryPort.REGISTRY if answer.status in (200, 401) else RegistryPort.OTHER
