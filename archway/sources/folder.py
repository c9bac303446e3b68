"""A source that is a folder of the monorepo."""

from __future__ import annotations

from pathlib import Path

from archway.errors import MetadataError, did_you_mean
from archway.sources.place import Place


def find_folder(place: Place, path: str) -> Path:
    """The folder, with links resolved.

    :param path: relative to the image's folder
    :raises MetadataError: it is not there, is no folder inside of the monorepo, or is no Cargo project
    """
    root = place.image.root.resolve()
    wanted = place.image.folder / path
    try:
        folder = wanted.resolve()
    except (OSError, RuntimeError) as wrong:  # links in a circle
        raise MetadataError(
            f"source.path = {path!r} cannot be read", where=place.line("path"), why=str(wrong)
        ) from None
    if folder != root and root not in folder.parents:
        raise MetadataError(
            f"source.path = {path!r} lies outside of the monorepo", where=place.line("path"),
            why=f"it is {folder}", hint="copy the project here, or name it by git and commit",
        )  # fmt: skip
    if folder == root:
        raise MetadataError(
            f"source.path = {path!r} is the whole monorepo", where=place.line("path"),
            why="each build would change what the image is made of: logs, caches, other images",
            hint="give the project, or the workspace, a folder of its own",
        )  # fmt: skip
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise MetadataError(
            f"source.path = {path!r} {what}", where=place.line("path"), why="it is relative to the image's folder",
            hint=_near(folder),
        )  # fmt: skip
    if not (folder / "Cargo.toml").is_file():
        raise MetadataError(f"source.path = {path!r} holds no Cargo.toml", where=place.line("path"))
    return folder


def _near(folder: Path) -> str:
    """Folders beside the one that is not there, if one has nearly its name."""
    if not folder.parent.is_dir():
        return ""
    hint = did_you_mean(folder.name, (other.name for other in folder.parent.iterdir() if other.is_dir()))
    return hint if hint.startswith("did you mean") else ""
