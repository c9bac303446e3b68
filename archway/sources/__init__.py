"""Where the Cargo project of a release comes from: a folder of the monorepo, a crate, or a commit of a git repository.

What is fetched is pinned by image.toml (``sha256``, ``commit``), compared with that, and kept in ``.archway/sources``.
"""

from __future__ import annotations

from pathlib import Path

from archway.catalog import Image
from archway.engine import Engine
from archway.errors import MetadataError
from archway.inputs import context_digest
from archway.metadata_cargo import Source
from archway.settings import Settings
from archway.sources.crate import fetch_crate
from archway.sources.folder import find_folder
from archway.sources.git import fetch_git
from archway.sources.place import Place


def fetch(engine: Engine, settings: Settings, source: Source, image: Image, *, builder: str | None = None) -> Path:
    """The folder on this machine that holds the Cargo project. It is only read: it may be that of the monorepo.

    :param builder: the reference of an image of the engine that has cargo, which knows the registry of crates
    :raises MetadataError: image.toml names what does not exist, or does not pin it
    :raises ChecksumError: what is there is not what image.toml pins
    :raises PackageSourceError: it could not be reached
    :raises MachineError: this machine lacks git
    """
    place = Place(image=image, source=source)
    if source.path is not None:
        return find_folder(place, source.path)
    if source.git is not None:
        found = fetch_git(settings, place, source.git)
    else:
        found = fetch_crate(engine, settings, place, builder=builder)
    if not (found / "Cargo.toml").is_file():
        raise MetadataError(
            f"{place} holds no Cargo.toml", where=place.line("git" if source.git else "crate"),
            hint="only a project whose Cargo.toml is in the top folder can be built",
        )  # fmt: skip
    return found


def identity(source: Source, image: Image) -> list[str]:
    """What stands for a source in an input digest. No network is asked.

    A pin that is missing or wrong is told when the source is fetched.

    :raises MetadataError: it is a folder that is not fit
    """
    if source.path is not None:
        return ["path", context_digest(find_folder(Place(image=image, source=source), source.path))]
    if source.git is not None:
        return ["git", source.git, source.tag or "", source.commit or ""]
    return ["crate", source.crate or "", source.version or "", source.sha256 or ""]
