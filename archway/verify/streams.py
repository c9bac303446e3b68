"""The data of layers on its way: unpacked, and compared with its digest."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

from archway.errors import VerifyError

GZIP = b"\x1f\x8b"
_UNPACKED = 1 << 18
_UNREADABLE = {b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz", b"BZh": "bzip2"}


def checked(pieces: Iterator[bytes], digest: str, where: str) -> Iterator[bytes]:
    """Hand the data on, and compare its digest at the end; no digest, nothing to compare."""
    if not digest:
        yield from pieces
        return
    algorithm, _, expected = digest.partition(":")
    found = hashlib.new(algorithm)
    for piece in pieces:
        found.update(piece)
        yield piece
    if found.hexdigest() != expected:
        raise VerifyError(
            "the data is not what its digest says", where=where,
            why=f"expected {digest}, found {algorithm}:{found.hexdigest()}", hint="save the image again",
        )  # fmt: skip


def unpack(pieces: Iterator[bytes], where: str) -> Iterator[bytes]:
    """A layer as plain tar. Its first bytes tell how it is compressed; media types are not always right."""
    first = next(pieces, b"")
    for magic, name in _UNREADABLE.items():
        if first.startswith(magic):
            raise VerifyError(
                f"the layer is compressed with {name}", where=where, why="archway reads plain and gzip layers",
                hint="build the image with --output type=image,compression=gzip,force-compression=true",
            )  # fmt: skip
    whole = chain((first,) if first else (), pieces)
    return _gunzip(whole, where) if first.startswith(GZIP) else whole


def _gunzip(pieces: Iterable[bytes], where: str) -> Iterator[bytes]:
    """Unpack gzip, which may consist of several members (pigz, eStargz), never more than a piece at once."""
    engine = zlib.decompressobj(wbits=31)
    try:
        for packed in pieces:
            rest = packed
            while rest := rest.lstrip(b"\0") if engine.eof else rest:
                if engine.eof:
                    engine = zlib.decompressobj(wbits=31)
                if piece := engine.decompress(rest, _UNPACKED):
                    yield piece
                rest = engine.unused_data if engine.eof else engine.unconsumed_tail
    except zlib.error as error:
        raise VerifyError(
            "the layer cannot be unpacked", where=where, why=f"its gzip data is damaged: {error}"
        ) from error
    if not engine.eof:
        raise VerifyError("the layer cannot be unpacked", where=where, why="its gzip data is cut short")
