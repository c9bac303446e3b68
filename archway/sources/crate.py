"""A source that is a crate. Cargo fetches it, in a builder image: it knows the registry, its mirrors and its logins."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from archway import log
from archway.engine import Engine
from archway.errors import (
    ArchwayError,
    BuildError,
    ChecksumError,
    MetadataError,
    PackageSourceError,
)
from archway.extraction import extract
from archway.scratch import scratch
from archway.settings import Settings
from archway.sources.archive import unpack
from archway.sources.place import Place
from archway.sources.shelf import keep

# `cargo info` fetches just this crate, whatever it depends on and whether it is a library or a program. Cargo compares
# it with its registry's checksum. Its home is a new one, so that what is found there is this very download.
# It does not say why it has found nothing; resolving a dependency does.
_SCRIPT = """\
config=${{CARGO_HOME:-$HOME/.cargo}}
CARGO_HOME=$(mktemp -d)
export CARGO_HOME CARGO_TERM_COLOR=never
for file in config config.toml credentials.toml; do
    if [ -e "$config/$file" ]; then cp "$config/$file" "$CARGO_HOME/"; fi
done
cd "$(mktemp -d)"
# It takes a name that is nearly right, too; so the file must have the very name.
if cargo info --quiet '{crate}@{version}' > info 2> trouble \\
    && cp "$CARGO_HOME"/registry/cache/*/'{crate}-{version}.crate' /out/crate 2>> trouble; then
    exit 0
fi
cat trouble >&2
mkdir src
touch src/lib.rs
cat > Cargo.toml <<'end'
[package]
name = "archway-asks"
version = "0.0.0"
edition = "2021"
[dependencies]
{crate} = "={version}"
end
cargo generate-lockfile
exit 1
"""
_NO_CRATE = re.compile(r"no matching package( named .*)? found")
_YANKED = re.compile(r"is yanked")
_NO_VERSION = re.compile(r"failed to select a version for the requirement")
_UNREACHABLE = re.compile(
    r"failed to (download from|query replaced source)|download of .* failed|spurious network error|\[\d+\] [A-Z].*"
)


def fetch_crate(engine: Engine, settings: Settings, place: Place, *, builder: str | None) -> Path:
    """The folder of a crate, from the archive that image.toml pins.

    :param builder: the reference of an image of the engine with cargo
    :raises MetadataError: there is no such crate or version, its sha256 is missing, or no image with cargo is used
    :raises ChecksumError: the archive is another one
    :raises PackageSourceError: the registry could not be reached
    """
    source = place.source
    if builder is None:
        raise MetadataError(
            f"{place} cannot be fetched", where=place.line("crate"), why="only cargo knows where crates are",
            hint="the Dockerfile must use the image rust-builder",
        )  # fmt: skip
    download = partial(_download, engine, settings, place, builder)
    if source.sha256 is None:
        return _tell_sum(settings, place, download)
    name = f"crate-{source.crate}-{source.version}-{source.sha256}"
    return keep(settings, name, str(place), partial(_fetch, place, download))


def _fetch(place: Place, download: Callable[[Path], Path], files: Path, meanwhile: Path) -> None:
    archive = download(meanwhile / "out")
    found = sha256(archive)
    if found != place.source.sha256:
        raise ChecksumError(
            f"{place} is not the crate that image.toml pins", where=place.line("sha256"),
            why=f"pinned is {place.source.sha256}\nthere is  {found}",
            hint="a registry never changes a crate: find out why before you change the checksum",
        )  # fmt: skip
    try:
        unpack(archive, files, top=f"{place.source.crate}-{place.source.version}")
    except ValueError as wrong:
        raise BuildError(f"{place} cannot be unpacked", where=place.line("crate"), why=str(wrong)) from None


def _tell_sum(settings: Settings, place: Place, download: Callable[[Path], Path]) -> Path:
    with scratch(settings.state, "source") as folder:
        found = sha256(download(folder))
    raise MetadataError(
        f"{place} is not pinned: sha256 is missing", where=place.line("sha256"),
        hint=f'write what its registry has now:\nsha256 = "{found}"',
    )  # fmt: skip


def _download(engine: Engine, settings: Settings, place: Place, builder: str, out: Path) -> Path:
    script = _SCRIPT.format(crate=place.source.crate, version=place.source.version)
    try:
        extract(engine, settings, image=builder, script=script, contexts={}, out=out, what=f"crate {place}")
    except BuildError as failed:
        raise cause(place, failed) from None
    log.done(f"crate {place}: fetched")
    return out / "crate"


def cause(place: Place, failed: BuildError) -> ArchwayError:
    """What cargo's words mean.

    :param failed: the error of a step; ``why`` has what cargo has said last
    """
    crate, version, said = place.source.crate, place.source.version, failed.why
    if _YANKED.search(said):
        return MetadataError(
            f"{crate} {version} was yanked: its authors have taken it back", where=place.line("version"),
            hint="take another version, or the project's git repository",
        )  # fmt: skip
    if _NO_VERSION.search(said):
        there = re.search(r"candidate versions found which didn't match: (.*)", said)
        return MetadataError(
            f"{crate} has no version {version}", where=place.line("version"),
            hint=f"there is: {there[1]}" if there else "",
        )  # fmt: skip
    if _NO_CRATE.search(said):
        near = re.search(r"(?:perhaps you meant|packages with similar names):\s+(.*)", said)
        return MetadataError(
            f"there is no crate {crate}", where=place.line("crate"), hint=f"did you mean {near[1]}?" if near else ""
        )
    if type(failed) is BuildError and _UNREACHABLE.search(said):
        hint = "check the network and proxy; for a company's certificate authority see docs/settings.md"
        return PackageSourceError(
            f"{place}: the registry of crates could not be reached", why=said, hint=f"{hint}\n{failed.hint}"
        )
    return failed


def sha256(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
