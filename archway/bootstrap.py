"""The first root file system: Debian trixie, made from Debian's packages, or an image that somebody names.

Everything else is made inside of builds, by the tools of the image ``bootstrap``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from archway import log
from archway.engine import Engine
from archway.errors import MachineError, PackageSourceError
from archway.lists import join
from archway.plan import ROOTFS
from archway.platforms import Platform
from archway.process import run
from archway.references import Reference
from archway.settings import DEBIAN_PACKAGES, Settings

SUITE = "trixie"
DEBIAN_IMAGE = "docker.io/library/debian:trixie-slim"
"""What the setting rootfs should name on a machine that is no Debian."""
_UNREACHABLE = ("Failed to fetch", "Temporary failure", "Could not connect", "Unable to connect", "Could not resolve")


def is_made_here(settings: Settings) -> bool:
    """Whether the first root file system is made on this machine, and not an image of some registry."""
    return settings.rootfs == DEBIAN_PACKAGES


def rootfs(engine: Engine, settings: Settings, platforms: Iterable[Platform], *, renew: bool = False) -> str:
    """The name of an image that holds the first root file system for some platforms; what is missing is made.

    :param renew: make it again, with the packages of today
    :raises MachineError: mmdebstrap is missing or failed
    :raises PackageSourceError: Debian's packages could not be fetched
    """
    if not is_made_here(settings):
        return settings.rootfs
    members = {
        platform: Reference(
            repository=f"{settings.registry}/{settings.organization}/{ROOTFS}", tag=f"{SUITE}-{platform.tag}"
        )
        for platform in platforms
    }
    for platform, reference in members.items():
        if renew or engine.image(str(reference)) is None:
            _make(engine, settings, platform, reference)
    return str(join(engine, settings, members))


def _make(engine: Engine, settings: Settings, platform: Platform, reference: Reference) -> None:
    settings.state.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.state, prefix="rootfs-") as scratch, log.step(f"{ROOTFS} {platform.tag}"):
        archive = Path(scratch) / "rootfs.tar"
        make_archive(archive, platform, sources=settings.secrets().get("apt-sources"))
        engine.load_rootfs(archive, str(reference), platform)
    log.done(f"{ROOTFS} {platform.tag}: Debian {SUITE} from its packages")


def make_archive(archive: Path, platform: Platform, *, sources: Path | None = None) -> None:
    """Write a minimal Debian root file system as a tar archive, without root and without emulation.

    :param sources: a sources.list to use instead of Debian's own mirror
    :raises MachineError: mmdebstrap is missing or failed
    :raises PackageSourceError: Debian's packages could not be fetched
    """
    result = run(
        [
            "fakeroot", "mmdebstrap", "--mode=chrootless", "--variant=minbase",
            f"--architectures={platform.names.debian}", SUITE, str(archive), *([str(sources)] if sources else []),
        ]
    )  # fmt: skip
    if result.ok:
        return
    tail = "\n".join(line for line in result.stderr.splitlines()[-12:] if line.strip())
    if result.exit_code == 127 or "mmdebstrap: not found" in result.stderr:
        raise MachineError(
            "mmdebstrap or fakeroot is missing",
            why="they make the first root file system",
            hint=f"run: inv setup\nor name an image: [tool.archway] rootfs = {DEBIAN_IMAGE!r}",
        )
    if any(sign in result.stderr for sign in _UNREACHABLE):
        raise PackageSourceError(
            "Debian's packages could not be fetched",
            why=tail,
            hint="check the network, a proxy, or the setting apt_sources",
        )
    raise MachineError(f"mmdebstrap failed with exit code {result.exit_code}", why=tail)
