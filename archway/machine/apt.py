"""Debian's packages: the commands that install them, and what apt's complaints mean.

Debian 12's engine is too old (20.10), and its QEMU needs shared libraries. It takes the next release's engine, buildx
and QEMU, which need nothing newer of it; pins keep the rest at Debian 12.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from archway.machine.commands import Command, write
from archway.machine.facts import NEWER, Facts, Source

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SOURCES_FILE = f"/etc/apt/sources.list.d/archway-{NEWER}.sources"
NOTHING_ELSE = f"/etc/apt/preferences.d/archway-{NEWER}"
PREFERENCES = {"engine": "/etc/apt/preferences.d/archway-engine", "qemu": "/etc/apt/preferences.d/archway-qemu"}
OURS = (SOURCES_FILE, NOTHING_ELSE, *PREFERENCES.values())
"""What is written on Debian 12, and must go when that becomes Debian 13: it would keep its packages from coming."""

POLICY = "/usr/sbin/policy-rc.d"
MARK = "# written by archway for the time of an installation: no service is started"

ENGINE = ("docker.io", "docker-cli", "docker-buildx", "containerd")
QEMU = ("qemu-user", "qemu-user-binfmt")
APT = ("env", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120")

UPDATE = Command(argv=(*APT, "update"), may_fail=True)
"""May fail, because one dead source of somebody else's must not stop an installation that does not need it."""

COMPLAINTS = (
    (r"[Pp]ackages need to be removed",
     "packages that are installed contradict these, and archway removes none",
     "keep them, and get what is missing from where they come from; or remove them yourself, then try again"),
    (r"Temporary failure resolving|Could not resolve|Name or service not known",
     "the name of a package source cannot be resolved", "check the network and /etc/resolv.conf"),
    (r"407 |Proxy Authentication Required",
     "the proxy wants a login", "set Acquire::http::Proxy in /etc/apt/apt.conf.d with the proxy's user and password"),
    (r"Certificate verification failed|certificate is NOT trusted|server certificate",
     "the certificate of a package source is not trusted",
     "behind a proxy with an authority of its own, put its certificate into /usr/local/share/ca-certificates and run "
     "update-ca-certificates"),
    (r"NO_PUBKEY|not signed|EXPKEYSIG|signatures? couldn't be verified|Missing key|signature verification failed",
     "the signature of a package source cannot be checked",
     f"the package debian-archive-keyring is old or missing, or the mirror signs with a key of its own: see {KEYRING}"),
    (r"not valid yet|Release file.*expired",
     "a package list is from the future or expired", "check this machine's clock"),
    (r"Could not connect|Connection timed out|Connection refused|Network is unreachable|Connection failed"
     r"|Unable to connect|No route to host",
     "a package source does not answer", "check the network, the proxy and the addresses in /etc/apt/sources.list.d"),
    (r"Could not get lock|Unable to acquire the dpkg frontend lock",
     "another program installs packages", "wait for it to end, then try again"),
    (r"dpkg was interrupted", "an earlier installation was interrupted", "run: dpkg --configure -a"),
    (r"No space left on device|enough free space", "the disk is full", "make room, then try again"),
    (r"Unable to locate package|no installation candidate",
     "the package sources do not have a package", "check that /etc/apt/sources.list.d names Debian's component main"),
    (r"unmet dependencies|held broken packages|Unable to correct problems",
     "packages contradict those that are installed or held", "see which in the lines above (apt-mark showhold)"),
)  # fmt: skip


def explain(output: str) -> tuple[str, str]:
    """What the output of a failed apt means: the reason, and what to do about it; empty if it is none of the known."""
    for pattern, why, hint in COMPLAINTS:
        if re.search(pattern, output):
            named = re.search(r"packages will be REMOVED:\n((?:  .*\n)+)", output)
            return f"{why}: {' '.join(named[1].split())}" if named else why, hint
    return "", ""


def install_commands(packages: Sequence[str], facts: Facts) -> tuple[Command, ...] | None:
    """The commands that install packages; None when this release needs a source that apt does not know.

    No service is started meanwhile: the engine must find its settings first, the registry's would listen on every
    address, and where there is no systemd the engine's init script fails, and apt with it.
    """
    commands = [UPDATE]
    newer = [package for package in packages if package in (*ENGINE, *QEMU)] if facts.codename == "bookworm" else []
    if newer:
        prepared = _newer(newer, facts)
        if prepared is None:
            return None
        commands += [*prepared, UPDATE]
    if not facts.policy:
        commands.append(write(POLICY, f"#!/bin/sh\n{MARK}\nexit 101\n", mode="755"))
    return (*commands, *_install(packages))


def cleaning(packages: Sequence[str], facts: Facts) -> tuple[Command, ...]:
    """What must be run after an installation, however it ended."""
    registry = (_registry_off(facts),) if "docker-registry" in packages else ()
    return registry if facts.policy else (*registry, Command(argv=("rm", "-f", POLICY)))


def _install(packages: Sequence[str]) -> tuple[Command, Command]:
    """Download, which takes long and may be interrupted; then install, which may not."""
    install = ("install", "--no-remove", "--no-install-recommends")
    return (
        Command(argv=(*APT, *install, "--download-only", *packages)),
        Command(argv=(*APT, *install, *packages), must_finish=True),
    )


def _registry_off(facts: Facts) -> Command:
    """The package's own service listens on every address; archway runs the program on the loopback one instead."""
    if facts.systemd:
        return Command(argv=("systemctl", "disable", "--now", "docker-registry.service"), may_fail=True)
    return Command(argv=("update-rc.d", "docker-registry", "disable"), may_fail=True)


def _newer(packages: Sequence[str], facts: Facts) -> list[Command] | None:
    """Add the next release as a source for these packages alone."""
    prefer = [
        write(PREFERENCES[kind], _pins(" ".join(names), 990))
        for kind, group in (("engine", ENGINE), ("qemu", QEMU))
        if (names := [package for package in packages if package in group])
    ]
    text = newer_sources(facts.sources, facts.codename)
    if any(_somebody_elses(source, text) for source in facts.sources):
        return prefer  # who uses the next release already has decided what else moves
    if not text:
        return None
    return [
        # The keyring of the first Debian 12 does not hold the next release's keys.
        *_install(("debian-archive-keyring", "ca-certificates")),
        write(NOTHING_ELSE, _pins("*", 1)),
        *prefer,
        write(SOURCES_FILE, f"# {REASON}\n{text}"),
    ]


REASON = (
    f"Written by archway (inv setup) to take Docker and QEMU from {NEWER}, and nothing else. "
    f"Delete this file before you upgrade the machine to {NEWER}."
)


def _somebody_elses(source: Source, ours: str) -> bool:
    """Whether a source is Debian's next release, and not by archway; other vendors name their releases alike."""
    if source.file == SOURCES_FILE:
        return False
    if source.origin:
        return (source.origin, source.codename) == ("Debian", NEWER)
    return source.release == NEWER and f"URIs: {source.uri}\n" in ours


def _pins(names: str, priority: int) -> str:
    return "\n".join(
        f"Explanation: {REASON}\nPackage: {names}\nPin: release o=Debian,n={suite}\nPin-Priority: {priority}\n"
        for suite in (NEWER, f"{NEWER}-security")
    )


def newer_sources(sources: Sequence[Source], codename: str) -> str:
    """The sources file of the next release, from the host's own mirrors of this one; empty if it has none."""
    stanzas = {
        f"{NEWER}{part}": uri
        for part, label in (("", "Debian"), ("-security", "Debian-Security"))
        if (uri := _mirror(sources, f"{codename}{part}", label))
    }
    if NEWER not in stanzas:
        return ""
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\nSigned-By: {KEYRING}\n"
        for suite, uri in stanzas.items()
    )


def _mirror(sources: Sequence[Source], release: str, label: str) -> str:
    """The address of Debian's own archive; other vendors name their releases alike, so the origin decides if known."""
    usable = [source for source in sources if source.component == "main" and not source.uri.startswith("cdrom:")]
    known = [source for source in usable if source.origin]
    if known:
        wanted = ("Debian", label, release)
        fitting = [source for source in known if (source.origin, source.label, source.codename) == wanted]
    else:
        fitting = [source for source in usable if source.release == release]
    return fitting[0].uri if fitting else ""
