"""Writes an image of a registry as an archive, in the form of ``docker image save``."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from archway.distribution.client import Repository
from archway.distribution.documents import Stored
from archway.distribution.layout import blob_path


def download(
    repository: Repository, stored: Stored, archive: Path, *, without: Callable[[str], bool] = lambda _: False
) -> None:
    """Write an image's manifest, configuration and layers as an OCI layout in a tar archive.

    https://github.com/opencontainers/image-spec/blob/main/image-layout.md

    :param without: whether a layer of that digest is left out, because it is known already
    :raises RegistryError: something of it cannot be read, or is not what its digest says
    """
    top = {"mediaType": stored.media_type, "digest": stored.digest, "size": len(stored.data)}
    with tarfile.open(archive, "w") as tar:
        _add(tar, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        _add(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": [top]}).encode())
        _add(tar, blob_path(stored.digest), stored.data)
        layers = {layer.digest for layer in stored.manifest.layers or ()}
        for blob in stored.manifest.blobs:
            if blob.digest in layers and without(blob.digest):
                continue
            tar.addfile(_entry(blob_path(blob.digest), blob.size), io.BufferedReader(_Pieces(repository.blob(blob))))


def _entry(path: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.size = size
    return entry


def _add(tar: tarfile.TarFile, path: str, data: bytes) -> None:
    tar.addfile(_entry(path, len(data)), io.BytesIO(data))


class _Pieces(io.RawIOBase):
    """An iterator of bytes, as a file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count
