"""The commands that mend something, from the facts alone."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

from archway.machine import apt
from archway.machine.binfmt import ET_DYN, ET_EXEC, MOUNT, Entry, header, line, with_flag_f
from archway.machine.commands import Command, Remedy, detached, tell_kernel, write
from archway.machine.facts import Facts, RegistryPort, Wanted, loopback_port
from archway.platforms import Platform
from archway.settings import DEBIAN_PACKAGES

DAEMON_JSON = "/etc/docker/daemon.json"
DOCKERD_LOG = "/var/log/dockerd.log"
PID_FILE = "/run/docker.pid"
CONTAINER = "archway-registry"

CLIENT_MINIMUM = "0"
SERVER_MINIMUM = "23.0"
BUILDX_MINIMUM = "0.11"

REGISTRY_CONFIG = """\
version: 0.1
log:
  level: warn
storage:
  filesystem:
    rootdirectory: {data}
  delete:
    enabled: true
http:
  addr: 127.0.0.1:{port}
"""


def foreign(facts: Facts, wanted: Wanted) -> tuple[Platform, ...]:
    """The wanted platforms that the engine's processor does not run by itself."""
    native = engine_platform(facts)
    listed = facts.engine.platforms
    return tuple(
        platform
        for platform in wanted.platforms
        if platform != native and not (may_run_natively(facts, platform) and str(platform) in listed)
    )


def may_run_natively(facts: Facts, platform: Platform) -> bool:
    """Most 64-bit Arm processors run programs of 32 bits as well; only the engine knows of this one."""
    return (str(engine_platform(facts)), str(platform)) == ("linux/arm64", "linux/arm/v7")


def engine_platform(facts: Facts) -> Platform:
    return Platform.parse(facts.engine.architecture) if facts.engine.architecture else facts.native


def missing_packages(facts: Facts, wanted: Wanted) -> tuple[str, ...]:
    """Everything that Debian's packages can mend, so that apt runs once."""
    found: list[str] = []
    if facts.no_engine:
        found += (*apt.ENGINE, "iptables", "ca-certificates")
    if wanted.rootfs == DEBIAN_PACKAGES:
        found += [name for name in ("mmdebstrap", "fakeroot") if name not in facts.programs]
        found += [] if facts.keyring else ["debian-archive-keyring"]
    if _needs_qemu(facts, wanted):
        found += apt.QEMU if facts.systemd else apt.QEMU[:1]
    if loopback_port(wanted.registry) and facts.registry is RegistryPort.NOTHING:
        found += [] if "docker-registry" in facts.programs else ["docker-registry"]
    found += [] if "git" in facts.programs else ["git"]
    return tuple(found)


def _needs_qemu(facts: Facts, wanted: Wanted) -> bool:
    return (
        facts.same_kernel
        and facts.binfmt.supported
        and any(
            not facts.binfmt.runs(platform) and not facts.binfmt.recipe(platform) for platform in foreign(facts, wanted)
        )
    )


def install(facts: Facts, wanted: Wanted) -> Remedy | None:
    """Install all that is missing. None where packages are not Debian's: there the user decides."""
    packages = missing_packages(facts, wanted)
    if not facts.debian or not packages:
        return None
    commands = apt.install_commands(packages, facts)
    if commands is None:
        return None
    if facts.no_engine and not facts.daemon_json:
        # Before the packages: systemd starts the engine as soon as it is installed.
        commands = (write(DAEMON_JSON, daemon_json(facts)), *commands)
    return Remedy(
        title=f"install {', '.join(packages)}", commands=commands, expected=_installed(packages, facts, wanted)
    )


def _installed(packages: tuple[str, ...], facts: Facts, wanted: Wanted) -> Facts:
    programs = {"docker.io": "dockerd", "docker-cli": "docker"}
    engine = facts.engine
    if facts.no_engine:
        engine = replace(engine, client=engine.client or CLIENT_MINIMUM, buildx=engine.buildx or BUILDX_MINIMUM)
    recipes = facts.binfmt.recipes
    if apt.QEMU[0] in packages:
        folder = "/usr/lib/binfmt.d" if facts.systemd else "/usr/share/qemu/binfmt.d"
        recipes += tuple(_packaged(folder, platform) for platform in foreign(facts, wanted))
    return replace(
        facts,
        programs=facts.programs | {programs.get(package, package) for package in packages},
        keyring=True,
        git=facts.git or CLIENT_MINIMUM,
        daemon_json=facts.daemon_json or facts.no_engine,
        engine=engine,
        binfmt=replace(facts.binfmt, recipes=recipes),
    )


def _packaged(folder: str, platform: Platform) -> Entry:
    """The registration that Debian's package of QEMU 10 brings."""
    qemu = platform.names.qemu
    executable, shared = header(platform, ET_EXEC), header(platform, ET_DYN)
    return Entry(
        path=f"{folder}/qemu-{qemu}.conf",
        name=f"qemu-{qemu}",
        interpreter=f"/usr/libexec/qemu-binfmt/{qemu}-binfmt-P",
        flags="OPF",
        magic=executable,
        mask=bytes(0xFF & ~(a ^ b) for a, b in zip(executable, shared, strict=True)),
        static=True,
    )


def daemon_json(facts: Facts) -> str:
    """The settings of an engine that archway installs: it can hold manifest lists, and downloads do not hang."""
    settings: dict[str, object] = {"features": {"containerd-snapshotter": True}}
    if facts.mtu:
        settings["mtu"] = facts.mtu
    return json.dumps(settings, indent=2) + "\n"


def start_engine(facts: Facts) -> Remedy | None:
    """Start the engine that is installed here. None if there is none, or its process is there and hangs."""
    if "dockerd" not in facts.programs or not facts.local or facts.daemon_lives:
        return None
    answers = ("docker", "version")
    commands: list[Command] = []
    if facts.systemd:
        reason = ("journalctl", "--unit=docker", "--lines=12", "--no-pager", "--output=cat")
        commands.append(Command(argv=("systemctl", "enable", "--now", "docker"), until=answers, reason=reason))
    else:
        if facts.stale:
            commands.append(Command(argv=("rm", "-f", *facts.stale)))
        commands.append(detached(("dockerd", "--pidfile", PID_FILE), log=DOCKERD_LOG, until=answers))
    engine = replace(
        facts.engine,
        server=SERVER_MINIMUM,
        complaint="",
        kernel=facts.kernel,
        architecture=facts.native.names.uname,
        containerd_store=True,
    )
    return Remedy(title="start the engine", commands=tuple(commands), expected=replace(facts, engine=engine))


def register(facts: Facts, platform: Platform) -> Remedy | None:
    """Hand programs of a platform to QEMU. None if there is no QEMU for it, or the kernel cannot."""
    binfmt = facts.binfmt
    recipe = binfmt.recipe(platform)
    if not facts.same_kernel or not binfmt.supported or recipe is None:
        return None
    commands: list[Command] = []
    if not binfmt.mounted:
        commands.append(Command(argv=("mount", "-t", "binfmt_misc", "binfmt_misc", MOUNT)))
    if not binfmt.enabled:
        commands.append(tell_kernel(f"{MOUNT}/status", "1"))
    entries = binfmt.entries
    if (newest := binfmt.entry(platform)) is None or newest.fault:
        # A name is taken once, and the newest registration wins: the faulty ones go first.
        faulty = [entry for entry in entries if entry.name == recipe.name or (entry.takes(platform) and entry.fault)]
        commands += [tell_kernel(entry.path, "-1") for entry in faulty]
        copied = Command(argv=("cp", recipe.path, f"{MOUNT}/register"))
        commands.append(copied if "F" in recipe.flags else tell_kernel(f"{MOUNT}/register", line(recipe)))
        entries = (with_flag_f(recipe), *(entry for entry in entries if entry not in faulty))
    expected = replace(binfmt, mounted=True, enabled=True, entries=entries)
    return Remedy(
        title=f"register QEMU for {platform}", commands=tuple(commands), expected=replace(facts, binfmt=expected)
    )


def serve_registry(facts: Facts, wanted: Wanted) -> Remedy | None:
    """Start a registry on the loopback address: Debian's program, else its image."""
    port = loopback_port(wanted.registry)
    if port is None or facts.registry is not RegistryPort.NOTHING:
        return None
    answers = ("python3", "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)")
    if "docker-registry" in facts.programs:
        commands = _program(str(wanted.root / ".archway" / "registry"), port, answers)
    elif facts.engine.server and not facts.debian:
        commands = _container(port, answers)
    else:
        return None
    expected = replace(facts, registry=RegistryPort.REGISTRY)
    return Remedy(title=f"start a registry on 127.0.0.1:{port}", commands=commands, expected=expected)


def _program(folder: str, port: int, answers: tuple[str, ...]) -> tuple[Command, ...]:
    config = f"{folder}/config.yml"
    return (
        write(config, REGISTRY_CONFIG.format(data=json.dumps(f"{folder}/data"), port=port), root=False),
        detached(
            ("docker-registry", "serve", config),
            log=f"{folder}/registry.log",
            pid_file=f"{folder}/registry.pid",
            root=False,
            until=answers,
        ),
    )


def _container(port: int, answers: tuple[str, ...]) -> tuple[Command, ...]:
    run = (
        f"docker run -d --restart unless-stopped --name {CONTAINER} -p 127.0.0.1:{port}:5000 "
        f"-v {CONTAINER}:/var/lib/registry -e REGISTRY_STORAGE_DELETE_ENABLED=true registry:2"
    )
    return (
        # One that was stopped keeps the name; what it holds is in the volume.
        Command(argv=("docker", "rm", "-f", CONTAINER), root=False, may_fail=True),
        Command(argv=tuple(shlex.split(run)), root=False, until=answers),
    )
