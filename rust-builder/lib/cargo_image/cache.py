"""What BuildKit's cache mount keeps between builds. Everything works without it; with it less is fetched and compiled.

Archives of crates are shared by all. Compiled dependencies are kept apart by builder, package and platform: programs
of build scripts must not meet another GLIBC or compiler than the one that made them.

Builds of several platforms share the mount at the same time, and any of them may be interrupted. So what is kept is
written aside under a name of its own, and renamed when it is whole; and no failure here fails a build.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOUNT = Path("/var/cache/cargo")
LIMIT = 4_000_000_000
"""Bytes of compiled dependencies that are kept for one package and platform; then they are compiled anew."""
HOST = "release"
"""The folder of what runs on the build machine: build scripts and macros. That of the target is named by its triple."""
PART = ".part"
"""How names of what is being written end."""
LEFT_BEHIND = 3600
"""Seconds after which nobody writes a part any more."""
UNUSED = 14 * 86_400
"""Seconds after which what another builder compiled is removed: most likely that builder is gone."""
WRAPPER = Path("/usr/local/bin/rustc-remapped")
"""The program through which Cargo calls rustc."""


def seed_crates(folder: Path) -> None:
    """Take the archives that the lock names from the mount, if they are what it says.

    Cargo compares an archive with the lock when it downloads one, not when it finds one.
    """
    lock = folder / "Cargo.lock"
    try:
        packages = tomllib.loads(lock.read_text(encoding="utf-8")).get("package", [])
    except (OSError, ValueError):
        return  # Cargo says it better.
    sums = {f"{package.get('name')}-{package.get('version')}.crate": package.get("checksum") for package in packages}
    with _harmless("no crates are taken from the cache"):
        for archive in MOUNT.glob("crates/*/*.crate"):
            wanted = sums.get(archive.name)
            if wanted and hashlib.sha256(archive.read_bytes()).hexdigest() == wanted:
                _copy(archive, _crates() / archive.parent.name / archive.name)


def save_crates() -> None:
    """Give the archives that were fetched to the mount."""
    if not MOUNT.is_dir():
        return
    with _harmless("the crates are not kept"):
        _sweep()
        for archive in _crates().glob("*/*.crate"):
            kept = MOUNT / "crates" / archive.parent.name / archive.name
            if not kept.exists():
                _copy(archive, kept)


@contextmanager
def of_target(target: Path, *, package: str, triple: str, anew: bool = False) -> Iterator[None]:
    """Start from what was compiled for this package and platform by this very builder, and keep what there is then."""
    if not MOUNT.is_dir():
        yield
        return
    kept: Path | None = None
    with _harmless("nothing that was compiled before is taken"):
        kept = MOUNT / "target" / _builder() / package / triple
        if not anew:
            _seed(kept, target)
    yield
    if kept is not None:
        with _harmless("what was compiled is not kept"):
            _save(target, kept)
            _sweep()


@contextmanager
def _harmless(loss: str) -> Iterator[None]:
    """A failure of the mount is told and costs time only. ``shutil.Error`` is an OSError too."""
    try:
        yield
    except (OSError, subprocess.CalledProcessError) as failed:
        print(f"cargo-image: note: {loss}: {str(failed)[:500]}", file=sys.stderr, flush=True)


def _crates() -> Path:
    return Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo") / "registry" / "cache"


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=PART, dir=target.parent)
    os.close(handle)
    part = Path(name)
    try:
        shutil.copyfile(source, part)
        part.chmod(0o644)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _seed(kept: Path, target: Path) -> None:
    """Copy what is kept for a platform; else what another platform's build made for the build machine itself."""
    try:
        if kept.is_dir():
            _copy_whole(kept, target, ".")
        else:
            others = (path.parent for path in sorted(kept.parent.glob(f"*/{HOST}")))
            if other := next((path for path in others if path.suffix != PART), None):
                _copy_whole(other, target, HOST)
    except OSError:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _copy_whole(kept: Path, target: Path, folder: str) -> None:
    """Copy a folder of a platform's, which another build may swap at any time.

    Who swaps removes the old one only after it has another name; so if the name means the same folder before and
    after, nothing was missing. While the folder is open, no other one can get its inode.
    """
    handle = os.open(kept, os.O_RDONLY | os.O_DIRECTORY)
    try:
        shutil.copytree(kept / folder, target / folder, symlinks=True, dirs_exist_ok=True)
        if not os.path.samestat(os.fstat(handle), kept.stat()):
            raise OSError(f"{kept} was swapped by another build")
    finally:
        os.close(handle)


def _save(target: Path, kept: Path) -> None:
    """Put what was compiled in the place of what is kept. At no time there is half of it."""
    size = sum(path.lstat().st_size for path in target.rglob("*") if not path.is_dir())
    kept.parent.mkdir(parents=True, exist_ok=True)
    os.utime(kept.parent.parent)  # this builder is in use
    part = Path(tempfile.mkdtemp(suffix=PART, dir=MOUNT))
    try:
        if size <= LIMIT:
            shutil.copytree(target, part / "new", symlinks=True)
        if kept.exists():
            kept.rename(part / "old")
        if size <= LIMIT:
            (part / "new").rename(kept)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sweep() -> None:
    """Remove the parts of builds that were interrupted, and what builders compiled that are not used any more."""
    for pattern in (f"*{PART}", f"crates/*/*{PART}", f"target/*/*/*{PART}"):
        for part in MOUNT.glob(pattern):
            try:
                left = time.time() - part.lstat().st_mtime > LEFT_BEHIND
            except FileNotFoundError:
                continue  # Its build has just finished with it.
            if left and part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            elif left:
                part.unlink(missing_ok=True)
    for builder in MOUNT.glob("target/*"):
        if time.time() - builder.stat().st_mtime > UNUSED:
            shutil.rmtree(builder, ignore_errors=True)


def _builder() -> str:
    """What stands for all that has a part in what is compiled: the compiler, Debian's packages, and this program."""
    found = hashlib.sha256()
    for command in (["rustc", "-vV"], ["dpkg-query", "--show"]):
        found.update(subprocess.run(command, capture_output=True, check=True).stdout)
    for file in [*sorted(Path(__file__).parent.glob("*.py")), WRAPPER]:
        found.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()[:16]
