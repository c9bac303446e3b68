"""What is there, what is missing, and what would mend it: decided from the facts alone."""

from __future__ import annotations

from archway.machine import remedies
from archway.machine.facts import Facts, RegistryPort, Wanted, loopback_port, version
from archway.machine.finding import Finding, Status
from archway.platforms import Platform
from archway.settings import DEBIAN_PACKAGES

IMAGE_FOR_ROOTFS = "docker.io/library/debian:trixie-slim"
INSTALL_ENGINE = "install Docker Engine (the package docker.io or docker-ce) from your distribution, or Docker Desktop"
FREE_MINIMUM = 5 * 2**30
OLD_QEMU = (9,)


def findings(facts: Facts, wanted: Wanted) -> tuple[Finding, ...]:
    """Everything that the monorepo needs of a machine, in the order in which it is mended."""
    return (
        _python(facts),
        _git(facts, wanted),
        _client(facts, wanted),
        _buildx(facts, wanted),
        _engine(facts, wanted),
        *_answering_engine(facts),
        _bootstrap(facts, wanted),
        *(_emulation(facts, wanted, platform) for platform in remedies.foreign(facts, wanted)),
        _registry(facts, wanted),
    )


def _python(facts: Facts) -> Finding:
    fine = version(facts.python) >= (3, 11)
    return Finding(
        name="python",
        needed_for="archway",
        status=Status.OK if fine else Status.BROKEN,
        found=facts.python,
        blocks=True,
        advice="" if fine else "use Python 3.11 or newer",
    )


def _git(facts: Facts, wanted: Wanted) -> Finding:
    need = "the revision in labels, and finding what changed"
    if facts.git:
        return Finding(name="git", needed_for=need, status=Status.OK, found=facts.git)
    mend = remedies.install(facts, wanted)
    return Finding(
        name="git", needed_for=need, status=Status.MISSING, found="not on PATH", advice="install git", mend=mend
    )


def _client(facts: Facts, wanted: Wanted) -> Finding:
    need = "everything that is built"
    client = facts.engine.client
    if client and "podman" not in client:
        return Finding(name="docker", needed_for=need, status=Status.OK, found=f"client {client}", blocks=True)
    return Finding(
        name="docker",
        needed_for=need,
        status=Status.BROKEN if client else Status.MISSING,
        found=f"{client}, which stands in for docker" if client else "no docker on PATH",
        blocks=True,
        advice=INSTALL_ENGINE if facts.no_engine else "install Docker's client (docker-cli or docker-ce-cli)",
        mend=remedies.install(facts, wanted) if facts.no_engine and not client else None,
    )


def _buildx(facts: Facts, wanted: Wanted) -> Finding:
    need, found = "building", facts.engine.buildx
    if found and (version(found) >= version(remedies.BUILDX_MINIMUM) or not version(found)):
        return Finding(name="buildx", needed_for=need, status=Status.OK, found=found, blocks=True)
    return Finding(
        name="buildx",
        needed_for=need,
        status=Status.BROKEN if found else Status.MISSING,
        found=f"{found} is older than {remedies.BUILDX_MINIMUM}" if found else "the docker client has no such plugin",
        blocks=True,
        advice="install the plugin (docker-buildx, or docker-buildx-plugin of Docker's own packages)",
        mend=remedies.install(facts, wanted) if facts.no_engine and not found else None,
    )


def _engine(facts: Facts, wanted: Wanted) -> Finding:
    need, engine = "everything that is built", facts.engine
    if engine.server and version(engine.server) >= version(remedies.SERVER_MINIMUM):
        place = "" if facts.same_kernel else f" on {engine.system}, {engine.endpoint}"
        return Finding(name="engine", needed_for=need, status=Status.OK, found=engine.server + place, blocks=True)
    found, advice = _why_no_engine(facts)
    mend = None
    if facts.no_engine:
        mend = remedies.install(facts, wanted)
        advice = _why_not_installed(facts) if mend is None else advice
    elif not engine.server and "permission denied" not in engine.complaint.lower():
        mend = remedies.start_engine(facts)
    status = Status.MISSING if facts.no_engine else Status.BROKEN
    return Finding(name="engine", needed_for=need, status=status, found=found, blocks=True, advice=advice, mend=mend)


def _why_no_engine(facts: Facts) -> tuple[str, str]:
    """What is wrong with an engine that does not serve, and what a human does about it."""
    engine = facts.engine
    if engine.server:
        return (
            f"{engine.server} is older than {remedies.SERVER_MINIMUM}",
            "update Docker Engine the way it was installed",
        )
    if "permission denied" in engine.complaint.lower():
        return (
            f"this user may not open {engine.endpoint}",
            "sudo usermod -aG docker $USER, then log out and in again; or run inv with sudo",
        )
    if facts.no_engine:
        return "not installed", INSTALL_ENGINE
    if facts.local and facts.daemon_lives:
        return (
            "its process is there and does not answer",
            f"look into its log ({remedies.DOCKERD_LOG}, or journalctl -u docker), then restart it",
        )
    if facts.local:
        return "installed, not running", "start it: systemctl start docker, or dockerd"
    if facts.system == "darwin":
        return f"{engine.endpoint} does not answer", "start Docker Desktop (or colima, Rancher Desktop, OrbStack)"
    return (
        f"{engine.endpoint} does not answer",
        "DOCKER_HOST or the context (docker context ls) points there: start that engine, or unset DOCKER_HOST, or "
        "docker context use default",
    )


def _why_not_installed(facts: Facts) -> str:
    if facts.debian:
        return f"apt names no Debian archive for {facts.codename}: add it to /etc/apt/sources.list.d, then inv setup"
    return INSTALL_ENGINE


def _answering_engine(facts: Facts) -> tuple[Finding, ...]:
    """What only an engine that answers can tell."""
    engine = facts.engine
    if not engine.server:
        return ()
    store = Finding(
        name="image store",
        needed_for="manifest lists without a registry",
        status=Status.OK if engine.containerd_store else Status.OPTIONAL_MISSING,
        found="containerd's" if engine.containerd_store else "the old one",
        advice=""
        if engine.containerd_store
        else f'{{"features": {{"containerd-snapshotter": true}}}} in {remedies.DAEMON_JSON}, then restart the engine '
        "(its images must be pulled or built again); or use a registry",
    )
    if engine.free is None:
        return (store,)
    full = engine.free < FREE_MINIMUM
    disk = Finding(
        name="disk space",
        needed_for="building",
        status=Status.BROKEN if full else Status.OK,
        found=f"{engine.free / 2**30:.1f} GiB free in {engine.folder}",
        blocks=True,
        advice=f"{FREE_MINIMUM / 2**30:.0f} GiB should be free: docker buildx prune, docker image prune"
        if full
        else "",
    )
    return (store, disk)


def _bootstrap(facts: Facts, wanted: Wanted) -> Finding:
    name, need = "root file systems", "the bootstrap image, which all others stand on"
    if wanted.rootfs != DEBIAN_PACKAGES:
        return Finding(name=name, needed_for=need, status=Status.OK, found=f"from {wanted.rootfs}", blocks=True)
    missing = [program for program in ("mmdebstrap", "fakeroot") if program not in facts.programs]
    missing += [] if facts.keyring else ["debian-archive-keyring"]
    if not missing:
        return Finding(name=name, needed_for=need, status=Status.OK, found="mmdebstrap, fakeroot", blocks=True)
    mend = remedies.install(facts, wanted)
    other = f'set rootfs = "{IMAGE_FOR_ROOTFS}" in [tool.archway]'
    return Finding(
        name=name,
        needed_for=need,
        status=Status.MISSING,
        found=f"no {', '.join(missing)}",
        blocks=True,
        advice=f"apt-get install {' '.join(missing)}; or {other}" if "apt-get" in facts.programs else other,
        mend=mend,
    )


def _emulation(facts: Facts, wanted: Wanted, platform: Platform) -> Finding:
    status, found, advice, mend = Status.MISSING, "", "", None
    binfmt = facts.binfmt
    entry = binfmt.entry(platform)
    if not facts.same_kernel:
        fine = str(platform) in facts.engine.platforms
        status, found = (Status.OK, "by the engine") if fine else (Status.MISSING, "the engine does not list it")
        advice = "" if fine else _advice_elsewhere(facts, platform)
    elif binfmt.runs(platform) and entry:
        status, found, advice = Status.OK, *_qemu(entry.version)
    else:
        status, found = _why_no_emulation(facts, platform)
        mend = remedies.register(facts, platform) or remedies.install(facts, wanted)
        advice = f"install QEMU's user emulation, statically linked, and register it for {platform} with flag F"
    return Finding(
        name=f"emulation {platform}",
        needed_for=f"running {platform}: inv test, --strategy emulated",
        status=status,
        found=found,
        advice=advice,
        mend=mend,
    )


def _qemu(text: str) -> tuple[str, str]:
    """What to say about QEMU's version: old ones crash, which looks like a fault of the program that runs."""
    found = version(text)
    if found and found < OLD_QEMU:
        return (
            f"QEMU {text}, which is old",
            "QEMU before 9 crashes some programs (exit code 139, signal 11): use the strategies native, cross or node",
        )
    return (f"QEMU {text}" if text else "registered"), ""


def _advice_elsewhere(facts: Facts, platform: Platform) -> str:
    if not facts.engine.server:
        return "the engine must answer first"
    return (
        f"on the engine's machine: inv setup, or docker run --privileged --rm tonistiigi/binfmt --install "
        f"{platform.architecture}"
    )


def _why_no_emulation(facts: Facts, platform: Platform) -> tuple[Status, str]:
    binfmt = facts.binfmt
    if not binfmt.supported:
        return Status.BROKEN, "this kernel has no binfmt_misc"
    if not binfmt.mounted:
        return Status.MISSING, "binfmt_misc is not mounted (a reboot undoes it)"
    if not binfmt.enabled:
        return Status.BROKEN, "binfmt_misc is switched off"
    if entry := binfmt.entry(platform):
        return Status.BROKEN, entry.fault
    ready = " (a reboot undoes it)" if binfmt.recipe(platform) else ""
    return Status.MISSING, f"no registration{ready}"


def _registry(facts: Facts, wanted: Wanted) -> Finding:
    need = "publishing"
    port = loopback_port(wanted.registry)
    if port is None:
        return Finding(name="registry", needed_for=need, status=Status.OK, found=f"{wanted.registry}, not asked")
    if facts.registry is RegistryPort.REGISTRY:
        return Finding(name="registry", needed_for=need, status=Status.OK, found=f"answers at {wanted.registry}")
    if facts.registry is RegistryPort.OTHER:
        return Finding(
            name="registry",
            needed_for=need,
            status=Status.BROKEN,
            found=f"another program listens on port {port}",
            advice='set registry = "localhost:PORT" with a free port in [tool.archway]',
        )
    return Finding(
        name="registry",
        needed_for=need,
        status=Status.OPTIONAL_MISSING,
        found=f"nothing listens at {wanted.registry}",
        advice=f"docker run -d -p 127.0.0.1:{port}:5000 registry:2",
        mend=remedies.serve_registry(facts, wanted) or remedies.install(facts, wanted),
    )
