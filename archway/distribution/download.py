"""Writes an image of a registry as an archive, in the form of ``docker image save``."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from archway.distribution.client import Repository
from archway.distribution.documents import Stored
from archway.distribution.layout import blob_path
from archway.platforms import Platform


def download(
    repository: Repository,
    stored: Stored,
    archive: Path,
    *,
    without: Callable[[str], bool] = lambda _: False,
    platforms: Sequence[Platform] = (),
) -> None:
    """Write an image, or a list with its images, as an OCI layout in a tar archive.

    https://github.com/opencontainers/image-spec/blob/main/image-layout.md

    :param without: whether a layer of that digest is left out, because it is known already
    :param platforms: of a list, only the images that it has for these; without any, all
    :raises RegistryError: something of it cannot be read, or is not what its digest says
    """
    top = {"mediaType": stored.media_type, "digest": stored.digest, "size": len(stored.data)}
    written: set[str] = set()
    pending = [stored]
    with tarfile.open(archive, "w") as tar:
        _add(tar, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        _add(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": [top]}).encode())
        while pending:
            document = pending.pop()
            if document.digest in written:
                continue
            written.add(document.digest)
            _add(tar, blob_path(document.digest), document.data)
            layers = {layer.digest for layer in document.manifest.layers}
            for blob in () if document.is_list else document.manifest.blobs:
                if blob.digest not in written and not (blob.digest in layers and without(blob.digest)):
                    written.add(blob.digest)
                    pieces = io.BufferedReader(_Pieces(repository.blob(blob)))
                    tar.addfile(_entry(blob_path(blob.digest), blob.size), pieces)
            pending += _children(repository, document, platforms)


def _children(repository: Repository, document: Stored, platforms: Sequence[Platform]) -> Iterator[Stored]:
    for entry in document.manifest.manifests or ():
        known = entry.platform.known if entry.platform else None
        unwanted = platforms and entry.platform and known not in platforms
        if not entry.is_attestation and not unwanted and (child := repository.get(entry.digest)):
            yield child


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
