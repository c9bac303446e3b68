"""The first root file system: Debian trixie, made from Debian's packages, or an image that somebody names.

Everything else is made inside of builds, by the tools of the image ``bootstrap``.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from archway import log
from archway.docker import last_lines
from archway.engine import Engine
from archway.errors import BuildError, MachineError, NoSpaceError, PackageSourceError
from archway.platforms import Platform
from archway.process import run
from archway.references import Reference
from archway.settings import DEBIAN_IMAGE, DEBIAN_PACKAGES, Settings
from archway.targets import ROOTFS

SUITE = "trixie"
_FULL = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_UNREACHABLE = re.compile(
    r"failed to fetch|temporary failure|(could not|unable to) connect|could not resolve", re.IGNORECASE
)
# The examples of apt hold Debian's own sources. mmdebstrap leaves the ones that it was given, and the options for apt.
_FORGET_THIS_MACHINE = (
    'cd "$1/etc/apt" && rm -rf sources.list sources.list.d/* apt.conf.d/99mmdebstrap'
    ' && cp "$1/usr/share/doc/apt/examples/debian.sources" sources.list.d/'
)


def is_made_here(settings: Settings) -> bool:
    """Whether the first root file system is made on this machine, and not an image of some registry."""
    return settings.rootfs == DEBIAN_PACKAGES


def rootfs(
    engine: Engine, settings: Settings, platforms: Iterable[Platform], *, renew: bool = False
) -> dict[Platform, str]:
    """The names of images that hold the first root file system for some platforms; what is missing is made.

    :param renew: make it again, with the packages of today
    :raises MachineError: mmdebstrap is missing or failed
    :raises PackageSourceError: Debian's packages could not be fetched
    :raises NoSpaceError: the disk is full
    """
    found = {}
    for platform in platforms:
        repository = f"{settings.registry}/{settings.organization}/{ROOTFS}"
        reference = Reference(repository=repository, tag=f"{SUITE}-{platform.tag}")
        if renew or engine.image(str(reference)) is None:
            _make(engine, settings, platform, reference)
        found[platform] = str(reference)
    return found


def _make(engine: Engine, settings: Settings, platform: Platform, reference: Reference) -> None:
    logfile = settings.state / "logs" / f"{ROOTFS}-{platform.tag}.log"
    try:
        logfile.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=settings.state, prefix="rootfs-") as scratch, log.step(f"{ROOTFS} {platform.tag}"):
            archive = Path(scratch) / "rootfs.tar"
            done = run(mmdebstrap(archive, platform, settings.secrets()))
            output = f"{done.stdout}{done.stderr}"
            logfile.write_text(output)
            if not done.ok:
                raise cause(platform, done.exit_code, output, log=logfile.relative_to(settings.root).as_posix())
            engine.load_rootfs(archive, str(reference), platform)
    except OSError as failed:
        if failed.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _no_space(platform, why=str(failed)) from None
        raise
    log.done(f"{ROOTFS} {platform.tag}: Debian {SUITE} from its packages")


def mmdebstrap(archive: Path, platform: Platform, secrets: Mapping[str, Path]) -> list[str]:
    """The command that writes a minimal Debian root file system as a tar archive, without root and without emulation.

    :param secrets: ``apt-sources`` is a sources.list to use instead of Debian's own, ``ca`` whom to trust
    """
    return [
        "fakeroot", "mmdebstrap", "--mode=chrootless", "--variant=minbase",
        f"--architectures={platform.names.debian}",
        *([f'--aptopt=Acquire::https::CAInfo "{secrets["ca"]}"'] if "ca" in secrets else []),
        f"--customize-hook={_FORGET_THIS_MACHINE}",
        SUITE, str(archive), *([str(secrets["apt-sources"])] if "apt-sources" in secrets else []),
    ]  # fmt: skip


def cause(platform: Platform, exit_code: int, output: str, *, log: str) -> BuildError | MachineError:
    """The error that a failed mmdebstrap should end with.

    :param output: what it printed
    :param log: where all of that stands
    """
    tail = last_lines("\n".join(line for line in output.splitlines() if line.strip()), 12)
    if exit_code == 127 or "mmdebstrap: not found" in output:
        return MachineError(
            "mmdebstrap or fakeroot is missing",
            why="they make the first root file system",
            hint=f"run: inv setup\nor name an image: [tool.archway] rootfs = {DEBIAN_IMAGE!r}",
        )
    if _FULL.search(output):
        return _no_space(platform, why=tail, log=log)
    if _UNREACHABLE.search(output):
        return PackageSourceError(
            f"{ROOTFS} {platform.tag}: Debian's packages could not be fetched",
            why=tail,
            hint=f"check the network, a proxy, or the setting apt_sources\nall output: {log}",
        )
    return MachineError(
        f"{ROOTFS} {platform.tag}: mmdebstrap failed with exit code {exit_code}", why=tail, hint=f"all output: {log}"
    )


def _no_space(platform: Platform, *, why: str, log: str = "") -> NoSpaceError:
    hint = "mmdebstrap needs 500 MB in $TMPDIR (or /tmp), and its archive 250 MB in .archway"
    return NoSpaceError(
        f"{ROOTFS} {platform.tag}: the disk is full", why=why, hint=f"{hint}\nall output: {log}" if log else hint
    )
