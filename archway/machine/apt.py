"""Debian's packages: the commands that install them, and what apt's complaints mean.

Debian 12's engine is too old (20.10), and its QEMU needs shared libraries. It takes the next release's engine, buildx
and QEMU, which need nothing newer of it; pins see to it that nothing else moves.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from archway.machine.commands import Command, write
from archway.machine.facts import NEWER, Facts, Source

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SOURCES_FILE = f"/etc/apt/sources.list.d/archway-{NEWER}.sources"
PREFERENCES = "/etc/apt/preferences.d/archway"
POLICY = "/usr/sbin/policy-rc.d"

ENGINE = ("docker.io", "docker-cli", "docker-buildx", "containerd")
QEMU = ("qemu-user", "qemu-user-binfmt")
APT = ("env", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120")

UPDATE = Command(argv=(*APT, "update"), may_fail=True)
"""May fail, because one dead source of somebody else's must not stop an installation that does not need it."""

COMPLAINTS = (
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
)  # fmt: skip


def explain(output: str) -> tuple[str, str]:
    """What the output of a failed apt means: the reason, and what to do about it; empty if it is none of the known."""
    for pattern, why, hint in COMPLAINTS:
        if re.search(pattern, output):
            return why, hint
    return "", ""


def install_commands(packages: Sequence[str], facts: Facts) -> tuple[Command, ...] | None:
    """The commands that install packages; None when this release needs a source that apt does not know."""
    commands = [UPDATE]
    newer = [package for package in packages if package in (*ENGINE, *QEMU)] if facts.codename == "bookworm" else []
    if newer:
        prepared = _newer(newer, facts)
        if prepared is None:
            return None
        commands += prepared
        commands.append(UPDATE)
    if "docker-registry" in packages:
        commands.append(_registry_off(facts))
    commands.append(_install(packages, facts))
    return tuple(commands)


def _install(packages: Sequence[str], facts: Facts) -> Command:
    argv = (*APT, "install", "--no-install-recommends", *packages)
    if facts.systemd or facts.policy:
        return Command(argv=argv)
    # Without systemd the packages run init scripts; the engine's fails where it may not raise limits, and apt with it.
    deny = f"trap 'rm -f {POLICY}' EXIT; printf '#!/bin/sh\\nexit 101\\n' >{POLICY}; chmod 755 {POLICY}"
    return Command(argv=("sh", "-c", f"{deny}; {shlex.join(argv)}"))


def _registry_off(facts: Facts) -> Command:
    """Keep the package's own service from starting: it listens on every address, not only on the loopback one."""
    if facts.systemd:
        return Command(argv=("systemctl", "mask", "docker-registry.service"))
    return write("/etc/default/docker-registry", "exit 0  # archway runs it, on the loopback address only\n")


def _newer(packages: Sequence[str], facts: Facts) -> list[Command] | None:
    """Add the next release as a source for these packages alone."""
    pins = "archway-engine" if ENGINE[0] in packages else "archway-qemu"
    names = " ".join(QEMU if pins.endswith("qemu") else (*ENGINE, *QEMU))
    prefer = write(f"/etc/apt/preferences.d/{pins}", _pins(names, 990))
    if any(source.codename == NEWER and source.file != SOURCES_FILE for source in facts.sources):
        return [prefer]  # somebody uses the next release already, and has decided what else moves
    if not (text := newer_sources(facts.sources, facts.codename)):
        return None
    return [
        # The keyring of the first Debian 12 does not hold the next release's keys.
        _install(("debian-archive-keyring", "ca-certificates"), facts),
        write(f"/etc/apt/preferences.d/archway-{NEWER}", _pins("*", 1)),
        prefer,
        write(SOURCES_FILE, text),
    ]


def _pins(names: str, priority: int) -> str:
    return "\n".join(
        f"Package: {names}\nPin: release n={suite}\nPin-Priority: {priority}\n"
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
