"""Docker's client, buildx and engine: what is there, what is missing, and what would mend it."""

from __future__ import annotations

from archway.machine import remedies
from archway.machine.facts import Facts, Wanted, version
from archway.machine.finding import Finding, Status

INSTALL_ENGINE = "install Docker Engine (the package docker.io or docker-ce) from your distribution, or Docker Desktop"
FREE_MINIMUM = 5 * 2**30


def findings(facts: Facts, wanted: Wanted) -> tuple[Finding, ...]:
    return (_client(facts, wanted), _buildx(facts, wanted), _engine(facts, wanted), *_answering(facts))


def _client(facts: Facts, wanted: Wanted) -> Finding:
    need = "everything that is built"
    client = facts.engine.client
    if facts.docker_client:
        return Finding(name="docker", needed_for=need, status=Status.OK, found=f"client {client}", blocks=True)
    found, advice = "no docker on PATH", "install Docker's client (docker-cli or docker-ce-cli)"
    if facts.broken_client:
        found = "docker on PATH cannot be executed"
        advice = "remove the one that `command -v docker` names, or replace it by one for this machine"
    elif client:
        found, advice = f"{client}, which stands in for docker", INSTALL_ENGINE
    return Finding(
        name="docker",
        needed_for=need,
        status=Status.BROKEN if "docker" in facts.programs else Status.MISSING,
        found=found,
        blocks=True,
        advice=INSTALL_ENGINE if facts.no_engine else advice,
        mend=remedies.install(facts, wanted) if facts.no_engine else None,
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
    elif not engine.server and not facts.denied:
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
    if facts.denied:
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
    if facts.local and "dockerd" in facts.programs:
        return _why_not_running(facts)
    if facts.local and facts.engine_elsewhere:
        return (
            "none answers",
            f"{facts.engine_elsewhere}, so archway installs none: start the one that you have, or {INSTALL_ENGINE}",
        )
    if facts.system == "darwin":
        return f"{engine.endpoint} does not answer", "start Docker Desktop (or colima, Rancher Desktop, OrbStack)"
    return (
        f"{engine.endpoint} does not answer",
        "DOCKER_HOST or the context (docker context ls) points there: start that engine, or unset DOCKER_HOST, or "
        "docker context use default",
    )


def _why_not_running(facts: Facts) -> tuple[str, str]:
    if facts.switched_off:
        return (
            f"installed, {facts.switched_off} in systemd",
            "somebody decided that, perhaps for a rootless engine (docker context use rootless); "
            "to have this one: systemctl enable --now docker",
        )
    return "installed, not running", "start it: systemctl start docker, or dockerd"


def _why_not_installed(facts: Facts) -> str:
    if facts.debian:
        return f"apt names no Debian archive for {facts.codename}: add it to /etc/apt/sources.list.d, then inv setup"
    return INSTALL_ENGINE


def _answering(facts: Facts) -> tuple[Finding, ...]:
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
