"""Machines to decide about: the facts that the probe reads there."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path

from archway.machine.binfmt import ET_EXEC, MOUNT, Binfmt, Entry, header
from archway.machine.facts import Engine, Facts, RegistryPort, Source
from archway.machine.files import Files
from archway.platforms import Platform

AMD64 = Platform.parse("amd64")
ARM64 = Platform.parse("arm64")
KERNEL = "6.12.0"
MIRROR = "http://mirror.example.org/debian/"
SECURITY = "http://mirror.example.org/debian-security/"
BOOKWORM_SOURCES = (
    Source(uri="http://other.example.org/", release="bookworm", component="main", codename="bookworm", origin="Other"),
    Source(
        uri=MIRROR, release="bookworm", component="main", codename="bookworm", origin="Debian", label="Debian",
        file="/etc/apt/sources.list.d/debian.sources",
    ),
    Source(
        uri=SECURITY, release="bookworm-security", component="main", codename="bookworm-security", origin="Debian",
        label="Debian-Security", file="/etc/apt/sources.list.d/debian.sources",
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """What the monorepo wants, as its own pyproject.toml says it."""

    rootfs: str = "debian-packages"
    registry: str = "localhost:5000"
    platforms: tuple[Platform, ...] = (AMD64, ARM64)
    root: Path = Path("/mono")


def entry(*, name: str = "qemu-aarch64", platform: Platform = ARM64, flags: str = "POF", path: str = "") -> Entry:
    """A registration for a platform, right unless told otherwise."""
    return Entry(
        path=path or f"{MOUNT}/{name}",
        name=name,
        interpreter="/usr/libexec/qemu-binfmt/aarch64-binfmt-P",
        flags=flags,
        magic=header(platform, ET_EXEC),
        mask=b"\xff" * 7 + b"\x00" + b"\xff" * 8 + b"\xfe\xff\xff\xff",
        static=True,
        version="10.0.13",
    )


RECIPE = entry(path="/usr/share/qemu/binfmt.d/qemu-aarch64.conf")

ENGINE = Engine(
    client="28.2.2",
    buildx="0.13.1+ds1",
    server="26.1.5+dfsg1",
    system="Debian GNU/Linux 12 (bookworm)",
    kernel=KERNEL,
    architecture="x86_64",
    containerd_store=True,
    folder="/var/lib/docker",
    free=50 * 2**30,
)

BARE_13 = Facts(machine="x86_64", kernel=KERNEL, systemd=True, programs=frozenset({"apt-get"}))
BARE_12 = replace(BARE_13, codename="bookworm", sources=BOOKWORM_SOURCES)
BARE_12_NO_SYSTEMD = replace(BARE_12, systemd=False, binfmt=Binfmt(mounted=False), mtu=1400)
UBUNTU = replace(BARE_13, distribution="ubuntu", codename="noble", programs=frozenset({"apt-get", "git"}), git="2.43")

READY = replace(
    BARE_12_NO_SYSTEMD,
    git="2.39.5",
    programs=frozenset(
        {"apt-get", "containerd", "docker", "dockerd", "docker-registry", "fakeroot", "git", "mmdebstrap"}
    ),
    daemon_json=True,
    daemon_lives=True,
    engine=ENGINE,
    binfmt=Binfmt(entries=(entry(),), names=frozenset({"qemu-aarch64"}), recipes=(RECIPE,)),
    registry=RegistryPort.REGISTRY,
)

MAC = Facts(
    system="darwin",
    distribution="",
    codename="",
    kernel="24.1.0",
    machine="arm64",
    git="2.39.5",
    root=False,
    programs=frozenset({"docker", "git"}),
    keyring=False,
    binfmt=Binfmt(supported=False),
    engine=replace(
        ENGINE,
        endpoint="unix:///Users/me/.docker/run/docker.sock",
        buildx="v0.29.1-desktop.1",
        server="28.5.2",
        system="Docker Desktop",
        kernel="6.10.14-linuxkit",
        architecture="aarch64",
        platforms=("linux/arm64", "linux/amd64", "linux/arm/v7"),
        free=None,
    ),
)


def machine(root: Path, files: dict[str, str | bytes]) -> Files:
    """The files of a machine, beneath a folder of a test."""
    for name, text in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Files(root)


def program(folder: Path, name: str, script: str) -> None:
    """A program that does what a shell script says."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def elf(*, static: bool) -> bytes:
    """The head of a program of 64 bits with one entry in its table: PT_LOAD, or PT_INTERP, which names the loader."""
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    fields = struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return ident + fields + struct.pack("<I", 1 if static else 3) + bytes(52)


def silent(facts: Facts, complaint: str, **engine: str) -> Facts:
    """The same machine, whose engine does not answer but the client says this."""
    asked = replace(facts.engine, server="", kernel="", architecture="", folder="", complaint=complaint, **engine)  # type: ignore[arg-type]
    return replace(facts, engine=asked)
