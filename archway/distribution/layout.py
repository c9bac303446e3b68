"""Reads manifests from an archive that ``docker image save`` wrote, as they are read from a registry."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from archway.distribution.documents import DOCUMENT_LIMIT, Config, Manifest, Stored, read
from archway.errors import RegistryError


def blob_path(digest: str) -> str:
    """Where a layout has what a digest names."""
    return f"blobs/{digest.replace(':', '/')}"


class Layout:
    """An OCI layout in a tar archive. https://github.com/opencontainers/image-spec/blob/main/image-layout.md"""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    @property
    def top(self) -> str:
        """The digest of the one image or list that was saved."""
        entries = read(Manifest, self._read("index.json"), "index.json").manifests or []
        if len({entry.digest for entry in entries}) != 1:
            raise RegistryError(f"the archive holds {len(entries)} images, not one")
        return entries[0].digest

    def get(self, digest: str) -> Stored | None:
        """A manifest; None if the archive does not hold it."""
        try:
            data = self._read(blob_path(digest))
        except KeyError:
            return None
        return Stored(data, read(Manifest, data, digest).media_type)

    def config(self, stored: Stored) -> Config:
        """The configuration of an image."""
        config = stored.manifest.config
        if config is None:
            raise RegistryError(f"{stored.digest} is no image")
        return read(Config, self._read(blob_path(config.digest)), config.digest)

    def _read(self, path: str) -> bytes:
        file = self._tar.extractfile(path)
        if file is None:
            raise RegistryError(f"{path} is no file in the archive")
        with file:
            return file.read(DOCUMENT_LIMIT)


@contextmanager
def open_layout(archive: Path) -> Iterator[Layout]:
    """Open an archive of one image or list."""
    with tarfile.open(archive) as tar:
        yield Layout(tar)
