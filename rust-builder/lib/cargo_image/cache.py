"""What BuildKit's cache mount keeps between builds. Everything works without it; with it less is fetched and compiled.

Archives of crates are shared by all. Compiled dependencies are kept apart by builder, package and platform: programs
of build scripts must not meet another GLIBC or compiler than the one that made them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOUNT = Path("/var/cache/cargo")
LIMIT = 4_000_000_000
"""Bytes of compiled dependencies that are kept for one package and platform; then they are compiled anew."""
HOST = "release"
"""The folder of what runs on the build machine: build scripts and macros. That of the target is named by its triple."""
_BUILDER = Path("/usr/local/share/cargo-image/builder")


def _crates() -> Path:
    return Path(os.environ["CARGO_HOME"]) / "registry" / "cache"


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
    for archive in MOUNT.glob("crates/*/*.crate"):
        wanted = sums.get(archive.name)
        if wanted and hashlib.sha256(archive.read_bytes()).hexdigest() == wanted:
            _copy(archive, _crates() / archive.parent.name / archive.name)


def save_crates() -> None:
    """Give the archives that were fetched to the mount."""
    if MOUNT.is_dir():
        for archive in _crates().glob("*/*.crate"):
            kept = MOUNT / "crates" / archive.parent.name / archive.name
            if not kept.exists():
                _copy(archive, kept)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.copyfile(source, part)
    part.replace(target)


@contextmanager
def of_target(target: Path, *, package: str, triple: str, anew: bool = False) -> Iterator[None]:
    """Start from what was compiled for this package and platform by this very builder, and keep what there is then."""
    kept = MOUNT / "target" / _builder() / package / triple
    if not anew:
        _seed(kept, target)
    yield
    if not MOUNT.is_dir():
        return
    size = sum(path.lstat().st_size for path in target.rglob("*") if not path.is_dir())
    part = kept.with_name(f"{triple}.{os.getpid()}.part")
    if size <= LIMIT:
        shutil.copytree(target, part, symlinks=True)
    shutil.rmtree(kept, ignore_errors=True)
    if part.exists():
        part.replace(kept)


def _seed(kept: Path, target: Path) -> None:
    """Copy what is kept for a platform; else what another platform's build made for the build machine itself."""
    if kept.is_dir():
        shutil.copytree(kept, target, symlinks=True, dirs_exist_ok=True)
    elif other := next((path for path in kept.parent.glob(f"*/{HOST}") if path.parent.suffix != ".part"), None):
        shutil.copytree(other, target / HOST, symlinks=True, dirs_exist_ok=True)


def _builder() -> str:
    """What stands for this builder: it is written when its image is made."""
    return _BUILDER.read_text().strip()
