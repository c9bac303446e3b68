"""The data of layers on its way: unpacked, and compared with its digest."""

from __future__ import annotations

import hashlib
import sys
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain

from archway.errors import VerifyError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GZIP = b"\x1f\x8b"
_UNPACKED = 1 << 18
_ZSTD = (b"\x28\xb5\x2f\xfd", *(bytes((low, 0x2A, 0x4D, 0x18)) for low in range(0x50, 0x60)))  # a frame, one to skip
_UNREADABLE = {b"\xfd7zXZ": "xz", b"BZh": "bzip2"}


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
                f"the layer is compressed with {name}", where=where,
                why="archway reads plain, gzip and zstd layers, as engines do",
                hint="build the image with --output type=image,compression=gzip,force-compression=true",
            )  # fmt: skip
    whole = chain((first,) if first else (), pieces)
    if first.startswith(GZIP):
        return _gunzip(whole, where)
    return _unzstd(whole, where) if first.startswith(_ZSTD) else whole


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
        raise _damaged("gzip", where, f"damaged: {error}") from error
    if not engine.eof:
        raise _damaged("gzip", where, "cut short")


def _unzstd(pieces: Iterable[bytes], where: str) -> Iterator[bytes]:
    """Unpack zstd, which may consist of several frames (pzstd, zstd:chunked), never more than a piece at once.

    A window above 128 MiB is refused, as zstd itself does: so much would have to be kept of what was unpacked.
    """
    engine = zstd.ZstdDecompressor()
    try:
        for packed in pieces:
            rest = packed
            while rest or not (engine.eof or engine.needs_input):
                if engine.eof:
                    engine = zstd.ZstdDecompressor()
                if piece := engine.decompress(rest, _UNPACKED):
                    yield piece
                rest = engine.unused_data if engine.eof else b""
    except zstd.ZstdError as error:
        raise _damaged("zstd", where, f"damaged: {error}") from error
    if not engine.eof:
        raise _damaged("zstd", where, "cut short")


def _damaged(form: str, where: str, how: str) -> VerifyError:
    return VerifyError("the layer cannot be unpacked", where=where, why=f"its {form} data is {how}")
