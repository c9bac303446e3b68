"""The commands that mend something, from the facts alone."""

from __future__ import annotations

import json
from dataclasses import replace

from archway.machine import apt, emulation
from archway.machine.commands import Command, Remedy, detached, write
from archway.machine.facts import Facts, RegistryPort, Wanted, loopback_port
from archway.settings import DEBIAN_PACKAGES

DAEMON_JSON = "/etc/docker/daemon.json"
DOCKERD_LOG = "/var/log/dockerd.log"
PID_FILE = "/run/docker.pid"
CONTAINERD_PID_FILE = "/run/docker/containerd/containerd.pid"

SERVER_MINIMUM = "23.0"
BUILDX_MINIMUM = "0.11"


def missing_packages(facts: Facts, wanted: Wanted) -> tuple[str, ...]:
    """Everything that Debian's packages can mend, so that apt runs once."""
    found: list[str] = []
    if facts.no_engine:
        # What is there is not taken from Debian as well: a newer one would restart somebody's containers.
        there = {package for package, program in PROGRAMS.items() if program in facts.programs}
        found += [package for package in apt.ENGINE if package not in there]
        found += ["iptables", "ca-certificates"]
    if wanted.rootfs == DEBIAN_PACKAGES:
        found += [name for name in ("mmdebstrap", "fakeroot") if name not in facts.programs]
        found += [] if facts.keyring else ["debian-archive-keyring"]
    if emulation.needs_qemu(facts, wanted):
        found += apt.QEMU if facts.systemd else apt.QEMU[:1]
    if loopback_port(wanted.registry) and facts.registry is RegistryPort.NOTHING:
        found += [] if "docker-registry" in facts.programs else ["docker-registry"]
    found += [] if "git" in facts.programs else ["git"]
    return tuple(found)


PROGRAMS = {"docker.io": "dockerd", "docker-cli": "docker", "containerd": "containerd"}
"""The programs of the engine's packages."""


def install(facts: Facts, wanted: Wanted) -> Remedy | None:
    """Install all that is missing. None where packages are not Debian's: there the user decides."""
    packages = missing_packages(facts, wanted)
    if not facts.debian or not packages:
        return None
    commands = apt.install_commands(packages, facts)
    if commands is None:
        return None
    if facts.no_engine and not facts.daemon_json:
        commands += (write(DAEMON_JSON, daemon_json(facts)),)
        if facts.systemd and facts.policy:
            # Somebody's policy may have let the engine start without these settings.
            commands += (Command(argv=("systemctl", "try-restart", "docker")),)
    return Remedy(
        title=f"install {', '.join(packages)}",
        commands=commands,
        expected=_installed(packages, facts, wanted),
        afterwards=apt.cleaning(packages, facts),
    )


def _installed(packages: tuple[str, ...], facts: Facts, wanted: Wanted) -> Facts:
    engine, binfmt = facts.engine, facts.binfmt
    if facts.no_engine:
        engine = replace(engine, client=engine.client or "of Debian", buildx=engine.buildx or BUILDX_MINIMUM)
    if apt.QEMU[0] in packages:
        made = tuple(emulation.packaged(one, systemd=facts.systemd) for one in emulation.foreign(facts, wanted))
        binfmt = replace(binfmt, recipes=binfmt.recipes + made)
    return replace(
        facts,
        programs=facts.programs | {PROGRAMS.get(package, package) for package in packages},
        keyring=True,
        git=facts.git or "of Debian",
        daemon_json=facts.daemon_json or facts.no_engine,
        engine=engine,
        binfmt=binfmt,
    )


def daemon_json(facts: Facts) -> str:
    """The settings of an engine that archway installs: it can hold manifest lists, and downloads do not hang."""
    settings: dict[str, object] = {"features": {"containerd-snapshotter": True}}
    if facts.mtu:
        settings["mtu"] = facts.mtu
    return json.dumps(settings, indent=2) + "\n"


def start_engine(facts: Facts) -> Remedy | None:
    """Start the engine that is installed here. None if there is none, or it hangs, or somebody switched it off.

    Without a client nothing would tell whether it answers.
    """
    installed = "dockerd" in facts.programs and facts.local and facts.docker_client
    if not installed or facts.daemon_lives or facts.switched_off:
        return None
    answers = ("docker", "version")
    if facts.systemd:
        reason = ("journalctl", "--unit=docker", "--lines=12", "--no-pager", "--output=cat")
        commands = [Command(argv=("systemctl", "start", "docker"), until=answers, reason=reason)]
    else:
        commands = [
            Command(argv=("sh", "-c", STALE)),
            detached(("dockerd", "--pidfile", PID_FILE), log=DOCKERD_LOG, until=answers),
        ]
    engine = replace(
        facts.engine,
        server=SERVER_MINIMUM,
        complaint="",
        kernel=facts.kernel,
        architecture=facts.machine,
        containerd_store=True,
    )
    return Remedy(title="start the engine", commands=tuple(commands), expected=replace(facts, engine=engine))


STALE = (
    'stale() { test -f "$1" && ! grep -qsx "$2" "/proc/$(cat "$1")/comm" && rm -f "$1"; }; '
    f"stale {PID_FILE} dockerd; stale {CONTAINERD_PID_FILE} containerd; true"
)
"""Removes pid files whose process is gone, or another program by now: they would keep the engine from starting. Only
root can see all of them."""


def clean(facts: Facts) -> Remedy | None:
    """Remove what archway wrote once and what only does harm now."""
    if not facts.left_over:
        return None
    return Remedy(
        title="remove files that archway no longer needs",
        commands=(Command(argv=("rm", "-f", *facts.left_over)),),
        expected=replace(facts, left_over=()),
    )
