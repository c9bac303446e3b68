"""What mends: the exact commands."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from archway.machine import apt, emulation, registry, remedies
from archway.machine.binfmt import Binfmt, Entry, line
from archway.machine.commands import Command, detached, for_user, script, tell_kernel, write
from archway.machine.facts import Facts, RegistryPort, Source
from archway.machine.setup import rehearsal
from tests.unit.machines import (
    ARM64,
    BARE_12,
    BARE_12_NO_SYSTEMD,
    BARE_13,
    BOOKWORM_SOURCES,
    MIRROR,
    READY,
    RECIPE,
    SECURITY,
    UBUNTU,
    Settings,
    entry,
    silent,
)  # fmt: skip

WANTED = Settings()


def installed(facts: Facts) -> list[str]:
    """The packages of the command that installs."""
    remedy = remedies.install(facts, WANTED)
    assert remedy
    words = next(command.argv for command in remedy.commands if command.must_finish and "qemu-user" in command.argv)
    return list(words[words.index("--no-install-recommends") + 1 :])


def files(commands: tuple[Command, ...]) -> dict[str, str]:
    """The files that are written, with their contents."""
    return {command.argv[-1]: command.stdin for command in commands if command.argv[0] == "install" and command.stdin}


def test_bare_13() -> None:
    """Debian 13 gets all from its own packages, in one installation."""
    remedy = remedies.install(BARE_13, WANTED)
    everything = (
        "docker.io docker-cli docker-buildx containerd iptables ca-certificates mmdebstrap fakeroot qemu-user "
        "qemu-user-binfmt docker-registry git"
    )

    assert remedy
    assert everything.split() == installed(BARE_13)
    assert list(files(remedy.commands)) == [apt.POLICY, remedies.DAEMON_JSON]


def test_bare_12() -> None:
    """Debian 12 gets the engine and QEMU of the next release from its own mirror, and nothing else moves."""
    remedy = remedies.install(BARE_12, WANTED)
    assert remedy
    written = files(remedy.commands)

    assert "\nPackage: *\nPin: release o=Debian,n=trixie\nPin-Priority: 1\n" in written[apt.NOTHING_ELSE]
    engine, qemu = (written[apt.PREFERENCES[kind]] for kind in ("engine", "qemu"))
    assert (
        "\nPackage: docker.io docker-cli docker-buildx containerd\n"
        "Pin: release o=Debian,n=trixie\nPin-Priority: 990\n" in engine
    )
    assert "\nPackage: qemu-user qemu-user-binfmt\n" in qemu
    assert "Pin: release o=Debian,n=trixie-security" in engine
    assert all("Delete this file before you upgrade" in written[path] for path in apt.OURS)
    sources = written[apt.SOURCES_FILE]
    assert f"URIs: {MIRROR}\nSuites: trixie\n" in sources
    assert f"URIs: {SECURITY}\nSuites: trixie-security\n" in sources
    assert sources.count(f"Signed-By: {apt.KEYRING}") == 2


def test_pins_before_source() -> None:
    """The pins are there before the source: an installation that breaks off leaves nothing that moves others."""
    remedy = remedies.install(BARE_12, WANTED)
    assert remedy
    names = list(files(remedy.commands))

    assert names.index("/etc/apt/preferences.d/archway-trixie") < names.index(apt.SOURCES_FILE)


def test_nothing_is_removed() -> None:
    """Packages of somebody's that contradict ours are never removed: every installation says so to apt, in English."""
    for facts in (BARE_12, BARE_12_NO_SYSTEMD, BARE_13):
        remedy = remedies.install(facts, WANTED)
        assert remedy
        apts = [command.argv for command in remedy.commands if "install" in command.argv and "apt-get" in command.argv]
        assert apts
        assert all("--no-remove" in argv and argv[:2] == ("env", "LC_ALL=C") for argv in apts)


def test_what_is_there_is_kept() -> None:
    """A containerd or client that is there is neither installed from elsewhere, nor moved by a pin."""
    client = replace(BARE_12.engine, client="28.2.2")
    facts = replace(BARE_12, programs=BARE_12.programs | {"containerd", "docker"}, engine=client)
    remedy = remedies.install(facts, WANTED)
    assert remedy

    assert installed(facts)[:2] == ["docker.io", "docker-buildx"]
    assert "containerd" not in installed(facts)
    assert "\nPackage: docker.io docker-buildx\n" in files(remedy.commands)[apt.PREFERENCES["engine"]]


def test_download_may_be_interrupted() -> None:
    """Only what changes packages must finish; the download before it, which takes long, may be interrupted."""
    remedy = remedies.install(BARE_13, WANTED)
    assert remedy
    download, install = (command for command in remedy.commands if "--no-remove" in command.argv)

    assert ("--download-only" in download.argv, download.must_finish) == (True, False)
    assert ("--download-only" in install.argv, install.must_finish) == (False, True)


def test_daemon_json_only_after_the_packages() -> None:
    """The engine's settings are written when the packages are there: nothing starts before, no failure leaves them."""
    remedy = remedies.install(BARE_12_NO_SYSTEMD, WANTED)

    assert remedy
    last = remedy.commands[-1]
    assert last.argv[-1] == "/etc/docker/daemon.json"
    assert json.loads(last.stdin or "") == {"features": {"containerd-snapshotter": True}, "mtu": 1400}


def test_engine_that_started_without_settings() -> None:
    """Where somebody's policy may have let systemd start the engine, it is started again with its settings."""
    remedy = remedies.install(replace(BARE_13, policy=True), WANTED)

    assert remedy
    assert remedy.commands[-1].shell == "systemctl try-restart docker"
    assert apt.POLICY not in files(remedy.commands)


def test_daemon_json_is_not_ours() -> None:
    """Settings of the engine that are there are never touched."""
    remedy = remedies.install(replace(BARE_13, daemon_json=True), WANTED)

    assert remedy
    assert list(files(remedy.commands)) == [apt.POLICY]


@pytest.mark.parametrize("facts", [BARE_12_NO_SYSTEMD, BARE_13])
def test_no_service_is_started(facts: Facts) -> None:
    """While packages are installed no service is started; the policy for that goes whatever happens."""
    remedy = remedies.install(facts, WANTED)
    assert remedy
    (policy,) = (command for command in remedy.commands if command.argv[-1] == apt.POLICY)

    assert (policy.argv, policy.stdin) == (
        ("install", "-D", "-m", "755", "/dev/stdin", apt.POLICY),
        f"#!/bin/sh\n{apt.MARK}\nexit 101\n",
    )
    assert remedy.commands.index(policy) < next(
        number for number, command in enumerate(remedy.commands) if "docker.io" in command.argv
    )
    assert remedy.afterwards[-1].shell == f"rm -f {apt.POLICY}"


def test_policy_of_somebodys() -> None:
    """A policy that is there is neither replaced nor removed."""
    remedy = remedies.install(replace(BARE_12_NO_SYSTEMD, policy=True), WANTED)

    assert remedy
    assert apt.POLICY not in " ".join(command.shell for command in remedy.all)


@pytest.mark.parametrize(
    ("facts", "off"),
    [
        (BARE_13, "systemctl disable --now docker-registry.service || true"),
        (BARE_12_NO_SYSTEMD, "update-rc.d docker-registry disable || true"),
    ],
)
def test_packaged_registry_is_off(facts: Facts, off: str) -> None:
    """The package's own service listens on every address: it is switched off, so that an admin can switch it on."""
    remedy = remedies.install(facts, WANTED)
    assert remedy

    assert off == remedy.afterwards[0].shell


def test_mirror_before_the_first_update() -> None:
    """Before the first update apt knows only addresses and releases; those give the mirror."""
    unread = tuple(Source(uri=one.uri, release=one.release, component="main") for one in BOOKWORM_SOURCES[1:])

    assert f"URIs: {MIRROR}\nSuites: trixie\n" in apt.newer_sources(unread, "bookworm")


def test_cdrom_is_no_mirror() -> None:
    """A CD of Debian 12 does not hold the next release."""
    disc = Source(uri="cdrom:[Debian]/", release="bookworm", component="main")

    assert apt.newer_sources((disc,), "bookworm") == ""


def test_somebody_elses_next_release() -> None:
    """Who has the next release as a source already has decided what moves: only our packages are preferred."""
    theirs = Source(uri=MIRROR, release="trixie", component="main", codename="trixie", origin="Debian", label="Debian")
    remedy = remedies.install(replace(BARE_12, daemon_json=True, sources=(*BOOKWORM_SOURCES, theirs)), WANTED)

    assert remedy
    assert list(files(remedy.commands)) == [apt.PREFERENCES["engine"], apt.PREFERENCES["qemu"], apt.POLICY]


@pytest.mark.parametrize(
    ("origin", "codename", "uri", "theirs"),
    [
        ("Docker", "trixie", "http://other.example.org/", False),
        ("Debian", "trixie-backports", MIRROR, False),
        ("", "", "http://other.example.org/", False),
        ("", "", MIRROR, True),
    ],
)
def test_other_vendors_name_their_releases_alike(origin: str, codename: str, uri: str, theirs: bool) -> None:
    """Only Debian's own next release counts as somebody's decision; before the first update its address tells."""
    source = Source(uri=uri, release="trixie", component="main", codename=codename, origin=origin)
    remedy = remedies.install(replace(BARE_12, sources=(*BOOKWORM_SOURCES, source)), WANTED)

    assert remedy
    assert theirs == (apt.SOURCES_FILE not in files(remedy.commands))


def test_our_own_next_release() -> None:
    """The source that archway wrote keeps its pins when it is written again."""
    ours = Source(uri=MIRROR, release="trixie", component="main", codename="trixie", file=apt.SOURCES_FILE)
    remedy = remedies.install(replace(BARE_12, sources=(*BOOKWORM_SOURCES, ours)), WANTED)

    assert remedy
    assert "/etc/apt/preferences.d/archway-trixie" in files(remedy.commands)


def test_working_engine_is_left_alone() -> None:
    """Beside a working engine only what else is missing is installed, and no pin moves the engine's packages."""
    facts = replace(
        READY, programs=READY.programs - {"mmdebstrap"}, binfmt=Binfmt(), engine=replace(READY.engine, server="24.0.7")
    )
    remedy = remedies.install(facts, WANTED)

    assert remedy
    assert installed(facts) == ["mmdebstrap", "qemu-user"]
    assert apt.PREFERENCES["engine"] not in files(remedy.commands)


@pytest.mark.parametrize("facts", [UBUNTU, READY])
def test_nothing_to_install(facts: Facts) -> None:
    """Nothing is installed where it is not Debian, or nothing is missing."""
    assert remedies.install(facts, WANTED) is None


def test_start_by_hand() -> None:
    """Without systemd the engine starts in a session of its own; pid files of dead engines go first."""
    remedy = remedies.start_engine(replace(silent(READY, "Cannot connect"), daemon_lives=False))

    assert remedy
    remove, start = remedy.commands
    assert remove.argv == ("sh", "-c", remedies.STALE)
    assert "setsid dockerd --pidfile /run/docker.pid </dev/null >>/var/log/dockerd.log 2>&1 &" in start.shell
    assert start.until == ("docker", "version")


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")
@pytest.mark.parametrize("content", ["4194304000", "", "nonsense", "other", "itself"])
def test_stale_pid_files(tmp_path: Path, content: str) -> None:
    """A pid file is removed if its process is gone or another program, and kept if it is the one that it names."""
    pid_file = tmp_path / "docker.pid"
    shutil.copy("/bin/sleep", tmp_path / "dockerd")
    name = str(tmp_path / "dockerd") if content == "itself" else "sleep"
    with subprocess.Popen([name, "20"]) as process:
        pid_file.write_text(str(process.pid) if content in ("other", "itself") else content)
        line = remedies.STALE.replace(remedies.PID_FILE, str(pid_file)).replace("/run/docker/", f"{tmp_path}/none/")
        subprocess.run(["sh", "-c", line], check=True)
        process.kill()

    assert pid_file.exists() == (content == "itself")


@pytest.mark.parametrize(
    "change",
    [
        {"engine": replace(READY.engine, server="", endpoint="tcp://192.0.2.1:2375")},
        {"programs": READY.programs - {"dockerd"}},
        {"daemon_lives": True},
        {"switched_off": "masked"},
        {"engine": replace(READY.engine, server="", client="")},
        {"engine": replace(READY.engine, server="", client="podman version 5.4.2")},
    ],
)
def test_engine_that_is_not_started(change: dict[str, Any]) -> None:
    """No engine is started that is elsewhere, not there, hanging, switched off, or that no client could ask."""
    facts = replace(silent(READY, "Cannot connect"), daemon_lives=False)

    assert remedies.start_engine(facts)
    assert remedies.start_engine(replace(facts, **change)) is None


def test_start_with_systemd() -> None:
    """With systemd the engine is started; whether it starts after a reboot was decided by who installed it."""
    remedy = remedies.start_engine(replace(silent(READY, "Cannot connect"), daemon_lives=False, systemd=True))

    assert remedy
    assert [command.argv for command in remedy.commands] == [("systemctl", "start", "docker")]


def test_register_after_reboot() -> None:
    """The one line of Debian's package is told to the kernel, after mounting."""
    remedy = emulation.register(replace(READY, binfmt=Binfmt(mounted=False, recipes=(RECIPE,))), ARM64)

    assert remedy
    assert [command.shell for command in remedy.commands] == [
        "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc",
        f"tee /proc/sys/fs/binfmt_misc/register <<'END'\n{line(RECIPE)}\nEND",
    ]


@pytest.mark.parametrize(
    ("faulty", "name"),
    [
        (entry(name="old", flags="PO"), "qemu-aarch64"),
        (entry(flags="PO"), "qemu-aarch64-archway"),
        (replace(entry(), enabled=False), "qemu-aarch64-archway"),
    ],
)
def test_register_again(faulty: Entry, name: str) -> None:
    """The right registration hides a faulty one, which is left as it is, under a name that is free."""
    binfmt = Binfmt(entries=(faulty,), names=frozenset({faulty.name}), recipes=(RECIPE,))
    remedy = emulation.register(replace(READY, binfmt=binfmt), ARM64)

    assert remedy
    assert [f"{line(replace(RECIPE, name=name))}\n"] == [command.stdin for command in remedy.commands]
    assert remedy.expected.binfmt.runs(ARM64)


def test_register_under_the_third_name() -> None:
    """A name counts as taken whatever has it, even what is not for this platform."""
    binfmt = Binfmt(names=frozenset({"qemu-aarch64", "qemu-aarch64-archway"}), recipes=(RECIPE,))
    remedy = emulation.register(replace(READY, binfmt=binfmt), ARM64)

    assert remedy
    assert (remedy.commands[0].stdin or "").startswith(":qemu-aarch64-archway1:")


def test_switch_on() -> None:
    """binfmt_misc that is switched off as a whole is switched on; a good registration needs nothing more."""
    binfmt = Binfmt(enabled=False, entries=(entry(),), recipes=(RECIPE,))
    remedy = emulation.register(replace(READY, binfmt=binfmt), ARM64)

    assert remedy
    assert [command.shell for command in remedy.commands] == ["tee /proc/sys/fs/binfmt_misc/status <<'END'\n1\nEND"]


def test_recipe_without_f() -> None:
    """A packager's line without F is registered with F added."""
    binfmt = Binfmt(recipes=(replace(RECIPE, flags="OP"),))
    remedy = emulation.register(replace(READY, binfmt=binfmt), ARM64)

    assert remedy
    (command,) = remedy.commands
    assert command.stdin
    assert command.stdin.strip().endswith(":OPF")


def test_registry_listens_on_loopback_only() -> None:
    """The registry listens on 127.0.0.1, can delete, keeps its data in the monorepo, and needs no root."""
    remedy = registry.serve(replace(READY, registry=RegistryPort.NOTHING), WANTED)

    assert remedy
    text = files(remedy.commands)["/mono/.archway/registry/config.yml"]
    assert "addr: 127.0.0.1:5000" in text
    assert 'rootdirectory: "/mono/.archway/registry/data"' in text
    assert "delete:\n    enabled: true" in text
    assert [command.root for command in remedy.commands] == [False, False]


@pytest.mark.parametrize("facts", [BARE_12, BARE_12_NO_SYSTEMD, BARE_13])
def test_rehearsal_is_complete(facts: Facts) -> None:
    """A dry run tells the whole way from a bare machine to a ready one."""
    applied, after = rehearsal(facts, WANTED)

    assert len(applied) == 4
    assert applied[0].title.startswith("install docker.io, ")
    assert [remedy.title for remedy in applied[1:]] == [
        "start the engine",
        "register QEMU for linux/arm64",
        "start a registry on 127.0.0.1:5000",
    ]
    assert ((), after) == rehearsal(after, WANTED)


def test_rehearsal_of_ready_machine() -> None:
    """On a ready machine nothing is to be done."""
    assert rehearsal(READY, WANTED) == ((), READY)


def test_shell_of_a_file() -> None:
    """A file that is written is printed with its contents, for a shell to write the same."""
    assert write("/etc/x", "a $b\n").shell == "install -D -m 644 /dev/stdin /etc/x <<'END'\na $b\nEND"


def test_shell_of_waiting() -> None:
    """Waiting is printed as a loop."""
    command = detached(("dockerd",), log="/var/log/x", until=("docker", "version"))

    assert command.shell.endswith("\nuntil docker version >/dev/null 2>&1; do sleep 1; done")


def test_root_needs_no_sudo() -> None:
    """Root runs the commands as they are."""
    commands = (tell_kernel("/proc/x", "1"),)

    assert commands == for_user(commands, root=True, sudo=True)


def test_sudo() -> None:
    """Others put sudo before what needs root, the waiting included, and nothing else."""
    commands = (
        detached(("dockerd",), log="/var/log/x", until=("docker", "version")),
        write("/mono/x", "", root=False),
    )
    given = for_user(commands, root=False, sudo=True)

    assert given
    assert given[0].argv[:2] == ("sudo", "sh")
    assert given[0].until == ("sudo", "docker", "version")
    assert commands[1] == given[1]


def test_neither_root_nor_sudo() -> None:
    """Without root and sudo only commands that need no root can be run."""
    free = (write("/mono/x", "", root=False),)

    assert for_user((tell_kernel("/proc/x", "1"),), root=False, sudo=False) is None
    assert free == for_user(free, root=False, sudo=False)
    assert "install" in script(free)


@pytest.mark.parametrize(
    ("output", "why"),
    [
        ("  Temporary failure resolving 'mirror.example.org'\nE: Unable to locate package hello", "cannot be resolved"),
        ("  Could not connect to 127.0.0.1:9 (127.0.0.1). - connect (111: Connection refused)", "does not answer"),
        (
            "  407  Proxy Authentication Required [IP: 127.0.0.1 3999]\n"
            "E: The repository 'http://mirror.example.org/debian trixie InRelease' is not signed.",
            "the proxy wants a login",
        ),
        (
            "The following signatures couldn't be verified because the public key is not available: NO_PUBKEY 6E",
            "signature",
        ),
        ("Sub-process /usr/bin/sqv returned an error code (1), error message is: Missing key 4C", "signature"),
        ("E: Release file for http://mirror.example.org/ is not valid yet (invalid for another 2d)", "from the future"),
        ("E: Unable to locate package docker-buildx", "do not have a package"),
        (
            "The following packages will be REMOVED:\n  containerd.io podman-docker\nThe following NEW packages\n"
            "E: Packages need to be removed but remove is disabled.",
            "contradict these, and archway removes none: containerd.io podman-docker",
        ),
        ("The following packages have unmet dependencies:\n docker.io : Depends: x", "contradict those"),
        ("E: Could not get lock /var/lib/dpkg/lock-frontend.", "another program installs"),
    ],
)
def test_explain(output: str, why: str) -> None:
    """What apt prints is told by its cause; the first cause counts, not what follows from it."""
    reason, hint = apt.explain(output)

    assert why in reason
    assert hint


def test_explain_unknown() -> None:
    """What is not known is not guessed."""
    assert apt.explain("E: something else") == ("", "")
