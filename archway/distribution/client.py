"""Reads and writes the repositories of a registry.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlencode

from archway.distribution import blobs, tags, transport, trouble
from archway.distribution.authorization import Scopes
from archway.distribution.documents import (
    DIGEST,
    DOCUMENT_LIMIT,
    MEDIA_TYPES,
    Config,
    Descriptor,
    Manifest,
    Stored,
    read,
)  # fmt: skip
from archway.distribution.session import Session
from archway.distribution.transport import Ask
from archway.distribution.trouble import Answer
from archway.errors import RegistryError, did_you_mean

_LISTED = 20
"""So many tags are listed when none is near."""


class Registry:
    """A registry of images, by its name in the names of images: ``localhost:5000``.

    :param plain_http: speak HTTP to it; on loopback that is found out
    :param ca: certificates of authorities to trust besides the machine's
    """

    def __init__(self, host: str, *, plain_http: bool = False, ca: Path | None = None) -> None:
        self.host = host
        self.session = Session(host, plain_http=plain_http, ca=ca)

    def __repr__(self) -> str:
        return f"Registry({self.host!r})"

    def repository(self, path: str) -> Repository:
        return Repository(self, path)

    @property
    def answers(self) -> bool:
        """Whether something that is a registry answers, be it with a wish for credentials."""
        return self.session.answers

    @property
    def is_plain_http(self) -> bool:
        """Whether it is spoken to in plain HTTP.

        :raises RegistryError: it is on loopback, where that is found out, and cannot be reached
        """
        return self.session.is_plain


@dataclass(frozen=True)
class Repository:
    """A repository of a registry: ``archway/hive``. It need not be there."""

    registry: Registry
    path: str

    def __str__(self) -> str:
        return f"{self.registry.host}/{self.path}"

    def get(self, reference: str, *, patience: float = 0.0) -> Stored | None:
        """A manifest, by tag or digest; None if it is not there.

        :param patience: seconds for which one that is not there is asked for again, by who just pushed it
        :raises RegistryError: it cannot be read, or is not what its digest says
        """
        deadline = time.monotonic() + patience
        for delay in transport.delays():
            stored, left = self._get(reference), deadline - time.monotonic()
            if stored or left <= 0:
                return stored
            transport.pause(min(delay, left))
        raise AssertionError("delays never end")

    def _get(self, reference: str) -> Stored | None:
        where = self._where(reference)
        answer = self._manifest("GET", reference)
        if answer.is_missing:
            return None
        if not answer.ok:
            raise self.registry.session.error(answer, where)
        if trouble.is_page(answer):
            raise trouble.no_registry(self.registry.host, where=where, why=trouble.said(answer))
        named = reference if ":" in reference else answer.headers.get("Docker-Content-Digest", "")
        if named:
            blobs.check(answer.data, named, where)
        kind = answer.kind if answer.kind in MEDIA_TYPES else read(Manifest, answer.data, where).media_type
        if kind not in MEDIA_TYPES:
            why = trouble.printable(f"its media type is {kind or answer.kind or 'not said'}")
            raise RegistryError("a manifest of a kind that archway does not know", where=where, why=why)
        return Stored(data=answer.data, media_type=kind)

    def digest(self, reference: str) -> str | None:
        """The digest of a manifest, by tag or digest; None if it is not there.

        :raises RegistryError: it cannot be found out
        """
        answer = self._manifest("HEAD", reference)
        if answer.ok and DIGEST.fullmatch(found := answer.header("Docker-Content-Digest")):
            return found
        if answer.status == 404 and answer.kind == "application/json":
            return None
        if answer.status >= 500 or answer.status == 429:
            raise self.registry.session.error(answer, self._where(reference))
        stored = self._get(reference)  # which also has the registry's message, where a HEAD has none
        return stored.digest if stored else None

    def _manifest(self, method: str, reference: str) -> Answer:
        headers = {"Accept": ", ".join(MEDIA_TYPES)}
        return self.registry.session.send(
            self._ask(method, f"manifests/{reference}", reference, headers=headers), self._pull
        )

    def config(self, stored: Stored) -> Config:
        """The configuration of an image.

        :raises RegistryError: it cannot be read, or is not what its digest says
        """
        where, descriptor = self._where(stored.digest), stored.manifest.config
        if not descriptor:
            raise RegistryError("is no image: it has no configuration", where=where)
        if descriptor.size > DOCUMENT_LIMIT:
            raise trouble.too_large(DOCUMENT_LIMIT, where=where)
        return read(Config, b"".join(self.blob(descriptor)), where)

    def tags(self) -> list[str]:
        """All tags; none if the repository is not there.

        :raises RegistryError: they cannot be read
        """
        return tags.read_all(self.registry.session, self._ask("GET", "tags/list"), self._pull)

    def put(self, reference: str, stored: Stored) -> None:
        """Write a manifest, under a tag or its digest.

        :raises RegistryError: the registry does not take it
        """
        where, headers = self._where(reference), {"Content-Type": stored.media_type}
        ask = self._ask("PUT", f"manifests/{reference}", reference, headers=headers, body=stored.data)
        answer = self.registry.session.send(ask, self._push)
        if not answer.ok:
            raise self.registry.session.error(answer, where, push=True)
        if named := answer.headers.get("Docker-Content-Digest"):
            blobs.check(stored.data, named, where)

    def blob(self, descriptor: Descriptor) -> Iterator[bytes]:
        """The bytes of a layer or a configuration. They are what they should be if this comes to its end.

        :raises RegistryError: they cannot be read, or are not what the digest says
        """
        ask = self._ask("GET", f"blobs/{descriptor.digest}", descriptor.digest)
        return blobs.download(self.registry.session, ask, self._pull, descriptor)

    def has_blob(self, digest: str) -> bool:
        """:raises RegistryError: it cannot be found out"""
        answer = self.registry.session.send(self._ask("HEAD", f"blobs/{digest}", digest), self._pull)
        if answer.ok or answer.status == 404:
            return answer.ok
        raise self.registry.session.error(answer, self._where(digest))

    def missing_blobs(self, stored: Stored) -> list[str]:
        """The digests of an image's configuration and layers that the repository does not have.

        :raises RegistryError: it cannot be found out
        """
        return [blob.digest for blob in stored.manifest.blobs if not self.has_blob(blob.digest)]

    def copy_blob(self, source: Repository, descriptor: Descriptor) -> bool:
        """Have what another repository has. False if it was there.

        :raises RegistryError: it cannot be read there or not be written here
        """
        if self.has_blob(descriptor.digest):
            return False
        if source.registry.host == self.registry.host and self._mount(source, descriptor.digest):
            return True
        with blobs.spool(source.blob(descriptor)) as file:
            return self._upload(file, descriptor)

    def _upload(self, file: IO[bytes], descriptor: Descriptor) -> bool:
        """Send a file's bytes; an upload that is cut begins anew, unless the registry has them after all."""
        left = transport.TRIES
        for delay in transport.delays():
            left -= 1
            try:
                self._send(file, descriptor)
                return True
            except RegistryError as failed:
                if not left or not failed.passing or isinstance(failed, trouble.LaterError):
                    raise
            transport.pause(delay)
            if self.has_blob(descriptor.digest):
                return True
        raise AssertionError("delays never end")

    def _send(self, file: IO[bytes], descriptor: Descriptor) -> None:
        url, where = self._upload_url(self._start({}, self._push)), self._where(descriptor.digest)
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(descriptor.size)}
        url += f"{'&' if '?' in url else '?'}{urlencode({'digest': descriptor.digest})}"
        answer = self.registry.session.send(
            Ask(method="PUT", url=url, where=where, headers=headers, body=file, tries=1), self._push
        )
        if not answer.ok:
            error = self.registry.session.error(answer, where, push=True)
            error.passing = error.passing or "BLOB_UPLOAD_UNKNOWN" in answer.codes
            raise error

    def _mount(self, source: Repository, digest: str) -> bool:
        scopes = (*self._push, *source._pull)
        answer = self._start({"mount": digest, "from": source.path}, scopes)
        if answer.status != 201:
            self._cancel(answer)
        return answer.status == 201

    def check_push(self) -> None:
        """Begin to write and leave it.

        :raises RegistryError: what a push would fail with
        """
        self._cancel(self._start({}, self._push))

    def _start(self, query: dict[str, str], scopes: Scopes) -> Answer:
        path = f"blobs/uploads/{'?' + urlencode(query) if query else ''}"
        ask = self._ask("POST", path, headers={"Content-Length": "0"})
        answer = self.registry.session.send(ask, scopes)
        if answer.status not in (201, 202):
            raise self.registry.session.error(answer, str(self), push=True)
        return answer

    def _cancel(self, started: Answer) -> None:
        """Tell a registry that no more comes; many do not listen, and forget it by themselves."""
        with contextlib.suppress(RegistryError):
            ask = Ask(method="DELETE", url=self._upload_url(started), where=str(self), tries=1)
            self.registry.session.send(ask, self._push)

    def _upload_url(self, started: Answer) -> str:
        if location := started.headers.get("Location"):
            return self.registry.session.follow(started, location, str(self))
        raise trouble.no_registry(self.registry.host, where=str(self), why="it does not say where an upload goes")

    def nearest_tag(self, tag: str) -> str:
        """A hint for a tag that is not there."""
        try:
            there = self.tags()
        except RegistryError:
            return ""
        hint = did_you_mean(tag, there)
        return "" if len(there) > _LISTED and not hint.startswith("did you mean") else hint

    def _where(self, reference: str) -> str:
        return f"{self}{'@' if ':' in reference else ':'}{reference}"

    def _ask(
        self, method: str, path: str, reference: str = "", *, headers: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> Ask:  # fmt: skip
        where = self._where(reference) if reference else str(self)
        return Ask(method=method, url=f"/v2/{self.path}/{path}", where=where, headers=headers or {}, body=body)

    @property
    def _pull(self) -> Scopes:
        return (f"repository:{self.path}:pull",)

    @property
    def _push(self) -> Scopes:
        return (f"repository:{self.path}:pull,push",)
