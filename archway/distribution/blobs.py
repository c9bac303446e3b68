"""Moves blobs, which may be large: in pieces, going on where a connection was cut, checked at the end."""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import IO

from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from archway.distribution import transport, trouble
from archway.distribution.authorization import Scopes
from archway.distribution.documents import Descriptor
from archway.distribution.session import Session
from archway.distribution.transport import Ask
from archway.distribution.trouble import Answer
from archway.errors import NoSpaceError, RegistryError

_PIECE = 1 << 20


def check(data: bytes, digest: str, where: str) -> None:
    """:raises RegistryError: the data is not what its digest says"""
    _compare(_hash(digest, where, data), digest, where)


def _hash(digest: str, where: str, data: bytes = b"") -> hashlib._Hash:
    algorithm = digest.partition(":")[0]
    if algorithm not in ("sha256", "sha512"):
        raise RegistryError("a digest of an unknown kind", where=where, why=trouble.printable(digest))
    return hashlib.new(algorithm, data)


def _compare(found: hashlib._Hash, digest: str, where: str) -> None:
    if f"{found.name}:{found.hexdigest()}" != digest:
        raise RegistryError(
            "the registry gave something else than was asked for", where=where,
            why=f"{trouble.printable(digest)} is its digest,\n{found.name}:{found.hexdigest()} that of what came",
            hint="if a proxy stands in between, ask without it; else push the image again",
        )  # fmt: skip


def download(session: Session, ask: Ask, scopes: Scopes, descriptor: Descriptor) -> Iterator[bytes]:
    """The bytes of a blob. They are what they should be if this comes to its end.

    :raises RegistryError: they cannot be read, or are not what the digest says
    """
    found, done, left = _hash(descriptor.digest, ask.where), 0, transport.TRIES
    for delay in transport.delays():
        left -= 1
        try:
            for piece in _pieces(session, ask, scopes, done):
                found.update(piece)
                done += len(piece)
                if done > descriptor.size:
                    raise _wrong_size(descriptor, ask.where, "more")
                yield piece
            break
        except HTTPError as cut:
            if not left or not trouble.is_passing(cut):
                raise trouble.of_exception(cut, host=session.host, where=ask.where) from None
        transport.pause(delay)
    if done < descriptor.size:
        raise _wrong_size(descriptor, ask.where, "less")
    _compare(found, descriptor.digest, ask.where)


def _wrong_size(descriptor: Descriptor, where: str, what: str) -> RegistryError:
    return RegistryError(f"the registry gave {what} than the {descriptor.size} bytes that it should have", where=where)


def _pieces(session: Session, ask: Ask, scopes: Scopes, start: int) -> Iterator[bytes]:
    """The bytes from a place on; a registry that knows no ranges sends all, of which the first are left out."""
    if start:
        ask = replace(ask, headers={**ask.headers, "Range": f"bytes={start}-"})
    response = session.stream(ask, scopes)
    if isinstance(response, Answer):
        if response.status == 416:  # nothing was left
            return
        raise session.error(response, ask.where)
    try:
        skip = start if response.status == 200 else start - _first(response, start)
        for piece in response.stream(_PIECE, decode_content=False):
            if kept := piece[skip:]:
                yield kept
            skip = max(0, skip - len(piece))
    finally:
        response.close()


def _first(response: BaseHTTPResponse, start: int) -> int:
    """Where an answer to a range begins, which may be earlier than what was asked for."""
    unit, _, span = response.headers.get("Content-Range", "").partition(" ")
    first = span.partition("-")[0]
    return min(int(first), start) if unit == "bytes" and first.isdecimal() and len(first) < 20 else start


@contextmanager
def spool(pieces: Iterator[bytes]) -> Iterator[IO[bytes]]:
    """Pieces in a file that is there for a while, so that they can be sent more than once.

    :raises NoSpaceError: the disk is full
    """
    with tempfile.TemporaryFile(prefix="archway-") as file:
        try:
            for piece in pieces:
                file.write(piece)
            file.flush()
        except OSError as failed:
            if failed.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            hint = "free some space there, or set TMPDIR to a folder on another disk"
            raise NoSpaceError("the disk is full", where=tempfile.gettempdir(), hint=hint) from None
        yield file
