"""Image archives, as ``docker image save`` writes them: what images are in one, and their layers as streams.

Two forms are read: the OCI layout (``index.json`` and blobs named by digest; engines since 25) and the older one of
Docker (``manifest.json`` and ``layer.tar`` files). An archive of the containerd store has both; its ``index.json`` is
taken, for ``manifest.json`` names the machine's own platform only.
"""

from __future__ import annotations

import posixpath
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from archway.errors import VerifyError
from archway.verify.documents import Config, DockerManifest, IndexOrManifest, Model, parse
from archway.verify.streams import GZIP, checked, unpack
from archway.verify.tar import (
    SYMLINK,
    Budget,
    FileSource,
    Limits,
    Stream,
    cut_short,
    members,
    normal_path,
    printable,
    weight,
)

_PIECE = 1 << 16
_DOCUMENT_LIMIT = 4 << 20
_DOCUMENT_WEIGHT = 8  # so many times its size a document counts, as names: what is read of it takes more room


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """A layer of an image. ``digest`` is of the blob as it is stored, ``diff_id`` of the tar archive in it; what is
    not empty is checked while the layer is read."""

    name: str
    path: str
    digest: str = ""
    diff_id: str = ""
    archive: Archive = field(repr=False, compare=False)

    @property
    def identity(self) -> str:
        """What names its bytes: its digest, or the one of what is in it."""
        return self.digest or self.diff_id

    def open(self) -> Stream:
        """The layer as a tar archive. A wrong digest is only known at its end, which therefore must be read."""
        where = f"{self.archive.where}: {printable(self.name)}"
        stored = checked(self.archive.pieces(self.path), self.digest, where)
        return Stream(checked(unpack(stored, where), self.diff_id, where), where=where, budget=self.archive.budget)


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """One image of an archive: what its configuration says, and its layers, the lowest first.

    ``platform`` is the configuration's, as it is written there; ``described`` is what the index says, if anything.
    """

    name: str
    digest: str
    platform: str
    described: str = ""
    labels: Mapping[str, str]
    env: Sequence[str] = ()
    layers: Sequence[Layer]


@contextmanager
def open_archive(source: Path | str | BinaryIO, *, limits: Limits | None = None) -> Iterator[Archive]:
    """Open an image archive: a path, or a file that can be sought in.

    :raises VerifyError: it cannot be read, or is no tar archive; also later, for all that is read of it
    """
    with ExitStack() as stack:
        where = str(source if isinstance(source, Path | str) else getattr(source, "name", "archive"))
        path = Path(source) if isinstance(source, Path | str) else None
        if isinstance(source, Path | str):
            with _readable(where):
                source = stack.enter_context(Path(source).open("rb"))
        yield Archive(source, where=where, limits=limits or Limits(), path=path)


class Archive:
    """An image archive, opened with :func:`open_archive`."""

    def __init__(self, file: BinaryIO, *, where: str, limits: Limits, path: Path | None = None) -> None:
        self.where = where
        self.path = path
        self.limits = limits
        self.budget = Budget(limits, where=where)
        self.absent: list[str] = []
        """What an index names and the archive lacks: a store holds only the platforms that were pulled or built."""
        self._file = file
        with _readable(where):
            self._places = self._index()

    def images(self) -> Iterator[Image]:
        """The images of the archive, without attestations.

        :raises VerifyError: it is no image archive, or a document of it is missing, damaged or senseless
        """
        if "/index.json" in self._places:
            yield from self._oci_images()
        elif "/manifest.json" in self._places:
            yield from self._docker_images()
        else:
            raise VerifyError(
                "this is no image archive", where=self.where, why="it holds neither index.json nor manifest.json",
                hint="write one with: docker image save -o FILE IMAGE",
            )  # fmt: skip

    def size(self, path: str) -> int:
        """The size of one file of the archive, in bytes; 0 where it has none."""
        place: tuple[int, int] | str | None = self._places.get(path)
        return place[1] if isinstance(place, tuple) else 0

    def pieces(self, path: str) -> Iterator[bytes]:
        """The bytes of one file of the archive."""
        at, size = self._place(path)
        while size:
            with _readable(self.where):
                self._file.seek(at)
                piece = self._file.read(min(size, _PIECE))
            if not piece:
                raise cut_short(self.where)
            self.budget.spend(data=len(piece))
            at, size = at + len(piece), size - len(piece)
            yield piece

    def _index(self) -> dict[str, tuple[int, int] | str]:
        """Where each file is, or which other file it links to (the older form links equal layers)."""
        if self._file.read(2) == GZIP:
            raise VerifyError("the archive is compressed", where=self.where, hint="unpack it first: gunzip FILE")
        places: dict[str, tuple[int, int] | str] = {}
        for member in members(FileSource(self._file, where=self.where)):
            path = normal_path(member.path, self.where)
            self.budget.spend(entries=1, names=weight(path) + weight(member.link))
            if member.is_file:
                places[path] = (member.offset, member.size)
            elif member.link:
                folder = posixpath.dirname(path) if member.kind == SYMLINK else "/"
                places[path] = normal_path(posixpath.join(folder, member.link), self.where)
        return places

    def _place(self, path: str) -> tuple[int, int]:
        place: tuple[int, int] | str | None = path
        for _ in range(8):  # links may lead to links, or in a circle
            if isinstance(place, str):
                place = self._places.get(place)
        if isinstance(place, tuple):
            return place
        raise VerifyError(f"{printable(path)} is not in the archive", where=self.where, hint="save the image again")

    def _document(self, kind: type[Model], path: str, digest: str = "") -> Model:
        where = f"{self.where}: {printable(path)}"
        if self._place(path)[1] > _DOCUMENT_LIMIT:
            raise VerifyError("this is no JSON document", where=where, why=f"it is larger than {_DOCUMENT_LIMIT} bytes")
        self.budget.spend(names=self._place(path)[1] * _DOCUMENT_WEIGHT)  # one may be named for a thousand platforms
        return parse(kind, b"".join(checked(self.pieces(path), digest, where)), where)

    def _oci_images(self) -> Iterator[Image]:
        index = self._document(IndexOrManifest, "/index.json")
        pending = deque((child, child.name) for child in index.manifests or ())
        seen: set[tuple[str, str]] = set()
        while pending:
            descriptor, name = pending.popleft()
            digest, platform = descriptor.digest, str(descriptor.platform or "")
            # An image that the index gives two platforms is given twice; an index never is, so that this ends.
            if platform == "unknown/unknown" or {(digest, platform), (digest, "index")} & seen:
                continue
            seen.add((digest, platform))
            if _blob(digest) not in self._places:
                self.absent.append(platform or digest)
                continue
            document = self._document(IndexOrManifest, _blob(digest), digest)
            if document.manifests is not None and document.layers is not None:
                raise VerifyError("a document is both index and manifest", where=f"{self.where}: {digest}")
            if document.manifests is not None:
                seen.add((digest, "index"))
                pending.extend((child, name) for child in document.manifests)
            else:
                yield self._oci_image(document, name=name, digest=digest, described=platform)

    def _oci_image(self, manifest: IndexOrManifest, *, name: str, digest: str, described: str) -> Image:
        if manifest.config is None:
            raise VerifyError("a manifest names no configuration", where=f"{self.where}: {digest}")
        config = self._document(Config, _blob(manifest.config.digest), manifest.config.digest)
        self._diff_ids(config, manifest.layers)
        layers = tuple(
            Layer(name=layer.digest, path=_blob(layer.digest), digest=layer.digest, archive=self)
            for layer in manifest.layers or ()
        )
        return Image(
            name=name, digest=digest, platform=config.platform, described=described, labels=config.labels,
            env=config.env, layers=layers,
        )  # fmt: skip

    def _docker_images(self) -> Iterator[Image]:
        for entry in self._document(DockerManifest, "/manifest.json").root:
            path = normal_path(entry.config, self.where)
            named = re.fullmatch(r"(?:.*/)?([0-9a-f]{64})(?:\.json)?", path)
            digest = f"sha256:{named[1]}" if named else ""
            config = self._document(Config, path, digest)
            tag = entry.tags[0] if entry.tags else ""
            # The names of the files say nothing here: what the layers are, only the configuration tells.
            layers = tuple(
                Layer(name=name, path=normal_path(name, self.where), diff_id=diff_id, archive=self)
                for name, diff_id in zip(entry.layers or (), self._diff_ids(config, entry.layers), strict=True)
            )
            yield Image(
                name=tag, digest=digest, platform=config.platform, labels=config.labels, env=config.env, layers=layers
            )

    def _diff_ids(self, config: Config, layers: Sequence[object] | None) -> Sequence[str]:
        found, named = len(layers or ()), config.rootfs.diff_ids or ()
        self.budget.spend(entries=found)  # one manifest may be named for a thousand platforms
        if found != len(named):
            raise VerifyError(f"an image has {found} layers, its configuration names {len(named)}", where=self.where)
        return named


def _blob(digest: str) -> str:
    return f"/blobs/{digest.replace(':', '/')}"


@contextmanager
def _readable(where: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a closed file, a path with a zero byte
        why = (isinstance(error, OSError) and error.strerror) or str(error)
        raise VerifyError("the archive cannot be read", where=where, why=why) from error
