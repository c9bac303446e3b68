"""Facts of machines give findings."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from archway.errors import MachineError
from archway.machine.binfmt import Binfmt, line
from archway.machine.checks import findings
from archway.machine.facts import Facts, RegistryPort, loopback_port, version
from archway.machine.finding import Finding, Status, as_json, judge
from archway.platforms import Platform
from tests.unit.machines import (
    ARM64,
    BARE_12,
    BARE_12_NO_SYSTEMD,
    BARE_13,
    MAC,
    READY,
    RECIPE,
    UBUNTU,
    Settings,
    entry,
    silent,
)  # fmt: skip

NOT_RUNNING = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
DENIED = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"
EMULATION = "emulation linux/arm64"


def found(facts: Facts, name: str, settings: Settings | None = None) -> Finding:
    (one,) = (finding for finding in findings(facts, settings or Settings()) if finding.name == name)
    return one


def test_ready() -> None:
    """On a machine that has everything all is well, nothing is to be mended and nothing advised."""
    every = findings(READY, Settings())

    assert {Status.OK} == {finding.status for finding in every}
    assert [finding.name for finding in every if finding.mend or finding.advice] == []
    judge(every)


@pytest.mark.parametrize("facts", [BARE_12, BARE_12_NO_SYSTEMD, BARE_13])
def test_bare_debian(facts: Facts) -> None:
    """A bare Debian lacks everything, cannot build, and one installation mends what packages can."""
    every = findings(facts, Settings())
    missing = {finding.name for finding in every if not finding.ok}
    remedies = {finding.remedy for finding in every if finding.mend}

    assert {"git", "docker", "buildx", "engine", "root file systems", EMULATION, "registry"} == missing
    assert len(remedies) == 1
    with pytest.raises(MachineError, match="a build would fail") as error:
        judge(every)
    assert error.value.hint == "run: inv setup"


def test_bare_debian_without_sources() -> None:
    """Debian 12 whose apt knows no Debian archive (a CD only) is told so, since the engine comes from there."""
    engine = found(replace(BARE_12, sources=()), "engine")

    assert engine.mend is None
    assert "apt names no Debian archive for bookworm" in engine.advice


def test_ubuntu() -> None:
    """Elsewhere than on Debian nothing is installed; the advice names the engine and another source of root files."""
    every = findings(UBUNTU, Settings())

    assert [finding.name for finding in every if finding.mend] == []
    assert "install Docker Engine" in found(UBUNTU, "engine").advice
    assert "debian:trixie-slim" in found(UBUNTU, "root file systems").advice


def test_mac() -> None:
    """On macOS the engine's virtual machine emulates; root file systems must come from an image."""
    assert found(MAC, "engine").status == Status.OK
    assert "28.5.2 on Docker Desktop" in found(MAC, "engine").found
    assert found(MAC, "emulation linux/amd64").status == Status.OK
    assert found(MAC, "root file systems").status == Status.MISSING
    image = Settings(rootfs="debian:trixie-slim")
    assert found(MAC, "root file systems", image).status == Status.OK
    judge(findings(MAC, image))


def test_mac_registry() -> None:
    """Where there are no Debian packages the registry runs as a container, on the loopback address only."""
    remedy = found(MAC, "registry").remedy

    assert "-p 127.0.0.1:5000:5000" in remedy[-1].shell
    assert "docker start archway-registry-5000 || " in remedy[-1].shell


def test_registry_of_a_remote_engine() -> None:
    """On an engine of another machine no registry is started: its port would be that machine's."""
    remote = replace(MAC, engine=replace(MAC.engine, endpoint="ssh://builder"))

    assert found(remote, "registry").mend is None


def test_mac_engine_silent() -> None:
    """On macOS an engine that does not answer is started by hand."""
    engine = found(silent(MAC, NOT_RUNNING), "engine")

    assert engine.status == Status.BROKEN
    assert "start Docker Desktop" in engine.advice
    assert engine.mend is None


def test_not_running() -> None:
    """An engine that is installed and does not run is started, not installed."""
    engine = found(replace(silent(READY, NOT_RUNNING), daemon_lives=False), "engine")

    assert (engine.status, engine.found) == (Status.BROKEN, "installed, not running")
    assert engine.mend
    assert engine.mend.title == "start the engine"


def test_hanging() -> None:
    """An engine whose process is there and does not answer is left to the user: a second one would harm."""
    engine = found(silent(READY, NOT_RUNNING), "engine")

    assert "does not answer" in engine.found
    assert engine.mend is None


@pytest.mark.parametrize("programs", [READY.programs, READY.programs - {"dockerd"}])
def test_no_rights(programs: frozenset[str]) -> None:
    """A socket that this user may not open is a matter of groups, never of installing."""
    engine = found(replace(silent(READY, DENIED), programs=programs, root=False), "engine")

    assert "may not open unix:///var/run/docker.sock" in engine.found
    assert "usermod -aG docker" in engine.advice
    assert engine.mend is None


@pytest.mark.parametrize("facts", [BARE_13, READY])
def test_elsewhere(facts: Facts) -> None:
    """DOCKER_HOST that points to an engine which does not answer is said, and nothing is installed or started here."""
    engine = found(silent(facts, "no route", endpoint="tcp://192.0.2.1:2375", client="28"), "engine")

    assert engine.found == "tcp://192.0.2.1:2375 does not answer"
    assert "DOCKER_HOST" in engine.advice
    assert engine.mend is None


@pytest.mark.parametrize(("server", "old"), [("20.10.24+dfsg1", True), ("22.06.0", True), ("23.0.6", False)])
def test_engine_too_old(server: str, old: bool) -> None:
    """Debian 12's own engine is too old; it is the user's, so it is left alone."""
    engine = found(replace(READY, engine=replace(READY.engine, server=server)), "engine")

    assert (Status.BROKEN if old else Status.OK) == engine.status
    assert old == ("older than 23.0" in engine.found)
    assert engine.mend is None


@pytest.mark.parametrize("word", ["disabled", "masked"])
def test_switched_off(word: str) -> None:
    """An engine that somebody switched off in systemd (for a rootless one, say) is not started."""
    facts = replace(silent(READY, NOT_RUNNING), daemon_lives=False, systemd=True, switched_off=word)
    engine = found(facts, "engine")

    assert engine.found == f"installed, {word} in systemd"
    assert "rootless" in engine.advice
    assert engine.mend is None


ELSEWHERE = {
    "podman's stand-in": {"client": "podman version 5.4.2", "package": "podman-docker"},
    "podman by another way": {"client": "podman version 5.4.2"},
    "Docker's own client": {"client": "28.5.2", "package": "docker-ce-cli"},
    "WSL": {"client": "28.5.2", "kernel": "5.15.167.4-microsoft-standard-WSL2"},
    "WSL, Desktop stopped": {"client": "", "kernel": "5.15.167.4-microsoft-standard-WSL2"},
    "a client that cannot be executed": {"client": "", "docker": "yes"},
}


@pytest.mark.parametrize("case", ELSEWHERE.values(), ids=ELSEWHERE)
def test_engine_is_the_users(case: dict[str, str]) -> None:
    """A client that hints at another engine is no reason to install one beside it: no finding says or does so."""
    docker = {"docker"} if case["client"] or "docker" in case else set()
    facts = replace(
        BARE_13,
        kernel=case.get("kernel", BARE_13.kernel),
        client_package=case.get("package", ""),
        programs=BARE_13.programs | docker,
        engine=replace(BARE_13.engine, client=case["client"], complaint=NOT_RUNNING),
    )

    for name in ("docker", "buildx", "engine"):
        finding = found(facts, name)
        assert finding.mend is None
        assert "docker.io" not in str(finding.remedy)
    assert "archway installs none" in found(facts, "engine").advice
    assert not any("docker.io" in str(finding.remedy) for finding in findings(facts, Settings()))


@pytest.mark.parametrize("package", ["", "docker-cli"])
def test_engine_beside_a_bare_client(package: str) -> None:
    """A static client that no package brought, or Debian's own, is no engine: that is installed, the client is kept."""
    facts = replace(
        BARE_12_NO_SYSTEMD,
        programs=BARE_12_NO_SYSTEMD.programs | {"docker"},
        client_package=package,
        engine=replace(BARE_12.engine, client="28.2.2", complaint=NOT_RUNNING),
    )
    mend = found(facts, "engine").mend

    assert found(facts, "docker").ok
    assert mend
    assert mend.title.startswith("install docker.io, docker-buildx, containerd,")


def test_client_that_cannot_be_executed() -> None:
    """A docker of another architecture on PATH is named as the fault."""
    client = found(replace(BARE_13, programs=BARE_13.programs | {"docker"}), "docker")

    assert (client.status, client.found) == (Status.BROKEN, "docker on PATH cannot be executed")


@pytest.mark.parametrize("processor", ["i686", "armv8l", "loongarch64"])
def test_unknown_processor(processor: str) -> None:
    """A processor that archway does not know is a finding like others, and no platform is called foreign there."""
    facts = replace(BARE_13, machine=processor)
    every = findings(facts, Settings())

    assert found(facts, "processor").found == f"{processor}, which archway does not know"
    assert [finding.name for finding in every if finding.name.startswith("emulation")] == []
    with pytest.raises(MachineError, match="a build would fail"):
        judge(every)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"kernel": "6.10.14-linuxkit"}, False),
        ({"system": "Docker Desktop"}, False),
        ({"endpoint": "tcp://192.0.2.1:2375"}, False),
        ({"endpoint": "unix:///run/user/1000/docker.sock"}, True),
    ],
)
def test_same_kernel(change: dict[str, str], same: bool) -> None:
    """An engine shares this kernel if it is reached by a socket, tells this kernel, and is no desktop product."""
    assert same == replace(READY, engine=replace(READY.engine, **change)).same_kernel  # type: ignore[arg-type]


def test_left_over() -> None:
    """What archway wrote and what only does harm now is removed."""
    finding = found(replace(READY, left_over=("/etc/apt/preferences.d/archway-trixie",)), "left-over files")

    assert (finding.status, finding.blocks) == (Status.BROKEN, False)
    assert [command.shell for command in finding.remedy] == ["rm -f /etc/apt/preferences.d/archway-trixie"]


@pytest.mark.parametrize(("free", "fine"), [(2**29, False), (2**31, True)])
def test_disk_of_the_monorepo(free: int, fine: bool) -> None:
    """A monorepo on a disk of its own needs room there as well."""
    finding = found(replace(READY, free=free), "disk space here")

    assert fine == finding.ok
    assert "free in /mono" in finding.found


@pytest.mark.parametrize("buildx", ["", "v0.10.4"])
def test_buildx(buildx: str) -> None:
    """A working engine without a fitting buildx blocks, and its packages are left to the user."""
    finding = found(replace(READY, engine=replace(READY.engine, buildx=buildx)), "buildx")

    assert finding.blocks
    assert not finding.ok
    assert finding.mend is None


def test_podman() -> None:
    """Podman's stand-in for the docker client is not taken for Docker."""
    finding = found(replace(READY, engine=replace(READY.engine, client="podman version 4.3.1")), "docker")

    assert finding.status == Status.BROKEN


def test_image_store() -> None:
    """Without containerd's image store builds work, and an engine that is there is not changed."""
    finding = found(replace(READY, engine=replace(READY.engine, containerd_store=False)), "image store")

    assert (finding.status, finding.blocks, finding.mend) == (Status.OPTIONAL_MISSING, False, None)


def test_disk() -> None:
    """Less than 5 GiB for the engine is broken."""
    finding = found(replace(READY, engine=replace(READY.engine, free=4 * 2**30)), "disk space")

    assert (finding.status, finding.blocks) == (Status.BROKEN, True)
    assert "4.0 GiB free" in finding.found


def test_without_flag_f() -> None:
    """A registration without flag F is said before building, and does not block builds that need no emulation (D3)."""
    binfmt = Binfmt(entries=(entry(name="other", flags="PO"),), recipes=(RECIPE,))
    finding = found(replace(READY, binfmt=binfmt), EMULATION)

    assert (finding.status, finding.blocks) == (Status.BROKEN, False)
    assert finding.found == "other was registered without flag F: works on this machine, fails in containers"


@pytest.mark.parametrize("binfmt", [Binfmt(recipes=(RECIPE,)), Binfmt(mounted=False, recipes=(RECIPE,))])
def test_lost_after_reboot(binfmt: Binfmt) -> None:
    """A registration that a reboot undid is said with its likely cause, and needs no package (D2)."""
    finding = found(replace(READY, binfmt=binfmt), EMULATION)

    assert finding.status == Status.MISSING
    assert "a reboot undoes it" in finding.found
    assert finding.mend
    assert finding.mend.title == "register QEMU for linux/arm64"


def test_any_packager() -> None:
    """A right registration is left alone, whatever its name, even if its interpreter is no longer there."""
    given = replace(
        entry(name="from-an-image", flags="F"), static=False, version="", interpreter="/usr/bin/qemu-aarch64"
    )

    assert found(replace(READY, binfmt=Binfmt(entries=(given,))), EMULATION).status == Status.OK


def test_no_kernel_support() -> None:
    """A kernel without binfmt_misc is said; no command would help."""
    finding = found(replace(READY, binfmt=Binfmt(supported=False, mounted=False)), EMULATION)

    assert (finding.found, finding.mend) == ("this kernel has no binfmt_misc", None)


def test_old_qemu() -> None:
    """An old QEMU is named together with the strategies that avoid it (D1)."""
    old = replace(entry(), version="7.2.22")
    finding = found(replace(READY, binfmt=Binfmt(entries=(old,))), EMULATION)

    assert finding.found == "QEMU 7.2.22, which is old"
    assert "exit code 139" in finding.advice


def test_remote_engine_without_emulation() -> None:
    """Where the engine is another machine's, its own list counts, and the advice is for that machine."""
    remote = replace(READY.engine, endpoint="ssh://builder", kernel="5.15", platforms=("linux/amd64",))
    finding = found(replace(READY, engine=remote), EMULATION)

    assert finding.status == Status.MISSING
    assert "on the engine's machine" in finding.advice
    assert finding.mend is None


def test_arm_programs_of_32_bits() -> None:
    """An arm64 machine that runs 32-bit programs by itself needs no emulation for them."""
    settings = Settings(platforms=(ARM64, Platform.parse("arm/v7")))
    engine = replace(READY.engine, architecture="aarch64", platforms=("linux/arm64", "linux/arm/v7"))
    names = [finding.name for finding in findings(replace(READY, engine=engine), settings)]

    assert "emulation linux/arm/v7" not in names


def test_registry_port_taken() -> None:
    """Another program on the registry's port (macOS has one on 5000) is told apart from no registry."""
    finding = found(replace(READY, registry=RegistryPort.OTHER), "registry")

    assert finding.status == Status.BROKEN
    assert finding.found == "another program listens on port 5000"


def test_registry_elsewhere() -> None:
    """A registry on another machine is neither asked nor started."""
    facts = replace(READY, registry=RegistryPort.NOTHING)

    assert found(facts, "registry", Settings(registry="registry.example.org")).status == Status.OK


@pytest.mark.parametrize(
    ("registry", "port"),
    [
        ("localhost:5000", 5000),
        ("localhost:5000/archway", 5000),
        ("127.0.0.1:5001", 5001),
        ("[::1]:5000", 5000),
        ("localhost", 80),
        ("registry.example.org", None),
        ("registry.example.org:5000", None),
        ("192.0.2.7:5000", None),
    ],
)
def test_loopback_port(registry: str, port: int | None) -> None:
    """Only a registry on the loopback address is one that archway may start."""
    assert port == loopback_port(registry)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("26.1.5+dfsg1", (26, 1, 5)), ("v0.29.1-desktop.1", (0, 29, 1)), ("23.0", (23, 0)), ("library-import", ())],
)
def test_version(text: str, numbers: tuple[int, ...]) -> None:
    """Versions are compared by their numbers, however the packager decorates them."""
    assert numbers == version(text)


def test_json() -> None:
    """The findings as JSON hold the exact commands."""
    told = json.loads(as_json(findings(replace(READY, binfmt=Binfmt(recipes=(RECIPE,))), Settings())))
    (emulation,) = (one for one in told if one["name"] == EMULATION)

    assert emulation["status"] == "missing"
    assert [f"tee /proc/sys/fs/binfmt_misc/register <<'END'\n{line(RECIPE)}\nEND"] == emulation["remedy"]
