"""What mends: the exact commands."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace

import pytest

from archway.machine import apt, remedies
from archway.machine.binfmt import Binfmt
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
    """The packages of the last command."""
    remedy = remedies.install(facts, WANTED)
    assert remedy
    words = (
        shlex.split(remedy.commands[-1].argv[-1]) if remedy.commands[-1].argv[0] == "sh" else remedy.commands[-1].argv
    )
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
    assert list(files(remedy.commands)) == ["/etc/docker/daemon.json"]


def test_bare_12() -> None:
    """Debian 12 gets the engine and QEMU of the next release from its own mirror, and nothing else moves."""
    remedy = remedies.install(BARE_12, WANTED)
    assert remedy
    written = files(remedy.commands)

    assert written["/etc/apt/preferences.d/archway-trixie"].startswith(
        "Package: *\nPin: release n=trixie\nPin-Priority: 1\n"
    )
    assert written["/etc/apt/preferences.d/archway-engine"].startswith(
        "Package: docker.io docker-cli docker-buildx containerd qemu-user qemu-user-binfmt\n"
        "Pin: release n=trixie\nPin-Priority: 990\n"
    )
    assert "Pin: release n=trixie-security" in written["/etc/apt/preferences.d/archway-engine"]
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


def test_daemon_json_comes_first() -> None:
    """The engine's settings are written before the packages: systemd starts the engine while they are installed."""
    remedy = remedies.install(BARE_12_NO_SYSTEMD, WANTED)

    assert remedy
    first = remedy.commands[0]
    assert first.argv[-1] == "/etc/docker/daemon.json"
    assert json.loads(first.stdin or "") == {"features": {"containerd-snapshotter": True}, "mtu": 1400}


def test_daemon_json_is_not_ours() -> None:
    """Settings of the engine that are there are never touched."""
    remedy = remedies.install(replace(BARE_13, daemon_json=True), WANTED)

    assert remedy
    assert files(remedy.commands) == {}


def test_without_systemd() -> None:
    """Without systemd the packages' init scripts are kept from running, and that is undone whatever happens."""
    remedy = remedies.install(BARE_12_NO_SYSTEMD, WANTED)

    assert remedy
    line = remedy.commands[-1].argv[-1]
    assert line.startswith("trap 'rm -f /usr/sbin/policy-rc.d' EXIT; ")
    allowed = remedies.install(replace(BARE_12_NO_SYSTEMD, policy=True), WANTED)
    assert allowed
    assert allowed.commands[-1].argv[0] == "env"


@pytest.mark.parametrize(
    ("facts", "off"),
    [
        (BARE_13, "systemctl mask docker-registry.service"),
        (BARE_12_NO_SYSTEMD, "install -D -m 644 /dev/stdin /etc/default/docker-registry"),
    ],
)
def test_packaged_registry_is_off(facts: Facts, off: str) -> None:
    """The package's own service, which listens on every address, never starts: that is settled before installing."""
    remedy = remedies.install(facts, WANTED)
    assert remedy

    assert off in remedy.commands[-2].shell


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
    assert list(files(remedy.commands)) == ["/etc/apt/preferences.d/archway-engine"]


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
    assert "docker" not in files(remedy.commands)["/etc/apt/preferences.d/archway-qemu"]


@pytest.mark.parametrize("facts", [UBUNTU, READY])
def test_nothing_to_install(facts: Facts) -> None:
    """Nothing is installed where it is not Debian, or nothing is missing."""
    assert remedies.install(facts, WANTED) is None


def test_start_by_hand() -> None:
    """Without systemd the engine starts in a session of its own; pid files of dead engines go first."""
    facts = replace(silent(READY, "Cannot connect"), daemon_lives=False, stale=("/run/docker.pid",))
    remedy = remedies.start_engine(facts)

    assert remedy
    remove, start = remedy.commands
    assert remove.argv == ("rm", "-f", "/run/docker.pid")
    assert "setsid dockerd --pidfile /run/docker.pid </dev/null >>/var/log/dockerd.log 2>&1 &" in start.shell
    assert start.until == ("docker", "version")


def test_start_with_systemd() -> None:
    """With systemd the engine is systemd's, now and after a reboot."""
    remedy = remedies.start_engine(replace(silent(READY, "Cannot connect"), daemon_lives=False, systemd=True))

    assert remedy
    assert [command.argv for command in remedy.commands] == [("systemctl", "enable", "--now", "docker")]


def test_register_after_reboot() -> None:
    """The one line of Debian's package is copied to the kernel, after mounting."""
    remedy = remedies.register(replace(READY, binfmt=Binfmt(mounted=False, recipes=(RECIPE,))), ARM64)

    assert remedy
    assert [command.shell for command in remedy.commands] == [
        "mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc",
        "cp /usr/share/qemu/binfmt.d/qemu-aarch64.conf /proc/sys/fs/binfmt_misc/register",
    ]


def test_register_again_with_f() -> None:
    """A registration without F goes before the right one comes, whatever its name; good ones of others stay."""
    other = entry(name="qemu-riscv64", platform=ARM64)
    binfmt = Binfmt(entries=(entry(name="old", flags="PO"), other), recipes=(RECIPE,))
    remedy = remedies.register(replace(READY, binfmt=binfmt), ARM64)

    assert remedy
    assert [
        "tee /proc/sys/fs/binfmt_misc/old <<'END'\n-1\nEND",
        f"cp {RECIPE.path} /proc/sys/fs/binfmt_misc/register",
    ] == [command.shell for command in remedy.commands]
    assert remedy.expected.binfmt.runs(ARM64)


def test_recipe_without_f() -> None:
    """A packager's line without F is registered with F added."""
    binfmt = Binfmt(recipes=(replace(RECIPE, flags="OP"),))
    remedy = remedies.register(replace(READY, binfmt=binfmt), ARM64)

    assert remedy
    (command,) = remedy.commands
    assert command.stdin
    assert command.stdin.strip().endswith(":OPF")


def test_registry_listens_on_loopback_only() -> None:
    """The registry listens on 127.0.0.1, can delete, keeps its data in the monorepo, and needs no root."""
    remedy = remedies.serve_registry(replace(READY, registry=RegistryPort.NOTHING), WANTED)

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
