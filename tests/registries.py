"""Registries for tests: one in memory, one that stands in front of another, and the real one."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

PIECE = 1 << 16
SAYS_WHAT_IT_WANTS = True
"""Whether a server with TLS answers a client that does not speak it, as Go's do; others end the connection."""
OTHER_WAY = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


@dataclass(kw_only=True)
class Fault:
    """What goes wrong, with requests that fit, so many times.

    :ivar method: empty for any
    :ivar path: a pattern that is searched for in path and query
    :ivar status: is answered, instead of what was asked for
    :ivar cut: the connection ends in the middle of the request's body, or else of the answer
    :ivar lag: the request is done, and for so many requests what it wrote is not there
    """

    method: str = ""
    path: str = ""
    status: int = 0
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: bool = False
    lag: int = 0


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked."""

    method: str
    path: str
    headers: Mapping[str, str] = field(repr=False)

    @property
    def authorized(self) -> bool:
        return "authorization" in self.headers


class _Cut(Exception):  # noqa: N818 - no error: the test wants it
    """The connection ends here."""


class _Server:
    """A server on loopback, in threads, which does wrong what it is told to."""

    handler: ClassVar[type[_Handler]]

    def __init__(self, *, context: ssl.SSLContext | None = None) -> None:
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.lock = threading.RLock()
        self.hidden: dict[str, int] = {}
        handler = type("Handler", (self.handler,), {"owner": self})
        self._http = _Http(("127.0.0.1", 0), handler)
        self._http.context = context
        self.scheme = "https" if context else "http"
        self.host = f"localhost:{self._http.server_port}"

    def __enter__(self):  # type: ignore[no-untyped-def]
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.end_connections()
        self._http.server_close()

    def fault(self, **what: object) -> Fault:
        """Let something go wrong; the arguments are those of :class:`Fault`."""
        made = Fault(**what)  # type: ignore[arg-type]
        self.faults.append(made)
        return made

    def asked(self, method: str = "", path: str = "") -> list[Request]:
        """The requests that fit."""
        return [r for r in list(self.requests) if method in ("", r.method) and re.search(path, r.path)]

    def next_fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times and fault.method in ("", method) and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return None

    def is_hidden(self, path: str) -> bool:
        """Whether a manifest that was written is not seen yet."""
        with self.lock:
            left = self.hidden.get(path, 0)
            self.hidden[path] = left - 1
        return left > 0


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    context: ssl.SSLContext | None = None

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self._connections: set[socket.socket] = set()

    def finish_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        try:
            if not (ready := self._shake_hands(request)):
                return
        except OSError:
            return
        request = ready
        self._connections.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            self._connections.discard(request)
            request.close()

    def _shake_hands(self, request: socket.socket) -> socket.socket | None:
        """The connection, with TLS where that is wanted; None for a client that speaks the other way."""
        is_handshake = request.recv(1, socket.MSG_PEEK) == b"\x16"
        if self.context and is_handshake:
            request.settimeout(10)
            return self.context.wrap_socket(request, server_side=True)
        if not self.context and not is_handshake:
            return request
        request.recv(PIECE)
        # Docker takes an answer that begins with HTTP for a sign that a registry on loopback speaks no TLS.
        request.sendall(b"" if self.context and not SAYS_WHAT_IT_WANTS else OTHER_WAY)
        return None

    def end_connections(self) -> None:
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients go away in these tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: _Server
    fault: Fault | None = None
    has_read = False

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Say nothing."""

    def _serve(self) -> None:
        self.has_read = False
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.owner.requests.append(Request(method=self.command, path=self.path, headers=headers))
        self.fault = self.owner.next_fault(self.command, self.path)
        try:
            if self.fault and self.fault.cut and (self.length or self.is_chunked):
                self.rfile.read(max(1, self.length // 2)) if self.length else self.rfile.readline()
                raise _Cut
            if self.fault and self.fault.status:
                self.drain()
                self.answer(self.fault.status, self.fault.body, self.fault.headers)
            else:
                self.serve()
                self.drain()
        except (_Cut, ConnectionError, http.client.HTTPException, TimeoutError):
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

    def serve(self) -> None:
        raise NotImplementedError

    @property
    def length(self) -> int:
        return int(self.headers.get("Content-Length") or 0)

    @property
    def is_chunked(self) -> bool:
        return "chunked" in self.headers.get("Transfer-Encoding", "").lower()

    def pieces(self) -> Iterator[bytes]:
        """The request's body, in pieces."""
        if self.has_read:
            return
        self.has_read = True
        if not self.is_chunked:
            yield from self._exactly(self.length)
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield from self._exactly(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            data = self.rfile.read(min(size, PIECE))
            if not data:
                raise _Cut
            size -= len(data)
            yield data

    def drain(self) -> None:
        for _ in self.pieces():
            pass

    def answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        self.begin(status, {"Content-Length": str(len(body)), **(headers or {})})
        self.write(body, len(body))

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        if self.fault and self.fault.cut and (self.command == "HEAD" or not int(headers.get("Content-Length", 1))):
            raise _Cut
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def write(self, data: bytes, total: int) -> None:
        """Send a part of the body, or half of it where the connection shall be cut."""
        if self.command == "HEAD":
            return
        if self.fault and self.fault.cut:
            self.wfile.write(data[: min(len(data), max(1, total // 2))])
            raise _Cut
        self.wfile.write(data)


# --- in memory ---------------------------------------------------------------------------------------------------


class _MemoryHandler(_Handler):
    owner: MemoryRegistry

    def serve(self) -> None:
        parts = urlsplit(self.path)  # whole URLs are for proxies, whose part this can play
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/token":
            self._token(parse_qs(parts.query))
        elif not self._allowed(parts.path, query):
            return
        elif parts.path == "/v2/":
            self._json(200, {})
        elif found := re.fullmatch(r"/v2/(.+)/tags/list", parts.path):
            self._tags(found[1], query)
        elif found := re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", parts.path):
            self._manifest(found[1], found[2])
        elif found := re.fullmatch(r"/v2/(.+)/blobs/uploads/([^/]*)", parts.path):
            self._upload(found[1], found[2], query)
        elif found := re.fullmatch(r"/v2/(.+)/blobs/([^/]+)", parts.path):
            self._blob(found[1], found[2])
        else:
            self.answer(404, b"404 page not found\n", {"Content-Type": "text/plain"})

    def _json(self, status: int, what: object, headers: Mapping[str, str] | None = None) -> None:
        self.answer(status, json.dumps(what).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _error(self, status: int, code: str, headers: Mapping[str, str] | None = None) -> None:
        self._json(status, {"errors": [{"code": code, "message": code.lower().replace("_", " ")}]}, headers)

    # who asks

    def _user(self, header: str) -> bool:
        scheme, _, value = header.partition(" ")
        if scheme != "Basic":
            return False
        name, _, password = base64.b64decode(value).decode().partition(":")
        return self.owner.users.get(name) == password

    def _token(self, query: dict[str, list[str]]) -> None:
        scopes, header = query.get("scope", []), self.headers.get("Authorization", "")
        if self.command == "POST":
            form = parse_qs(b"".join(self.pieces()).decode())
            if form.get("refresh_token", [""])[0] not in self.owner.identity_tokens:
                return self._error(401, "UNAUTHORIZED")
            scopes = form["scope"][0].split()
        elif header and not self._user(header):
            return self._error(401, "UNAUTHORIZED")
        elif not header:
            scopes = [f"{scope.rpartition(':')[0]}:pull" for scope in scopes] if self.owner.anonymous else []
        token = uuid.uuid4().hex
        self.owner.tokens[token] = set(scopes)
        return self._json(200, {"token": token})

    def _allowed(self, path: str, query: Mapping[str, str]) -> bool:
        owner, header = self.owner, self.headers.get("Authorization", "")
        if owner.auth == "deny" and path != "/v2/":
            self.drain()
            self._error(403, "DENIED")
            return False
        if owner.auth == "basic" and not self._user(header):
            self.drain()
            self._error(401, "UNAUTHORIZED", {"WWW-Authenticate": 'Basic realm="tests"'})
            return False
        if owner.auth == "bearer":
            found = re.match(r"/v2/(.+?)/(manifests|blobs|tags)/", path)
            needed = [(found[1], "pull" if self.command in ("GET", "HEAD") else "push")] if found else []
            needed += [(query["from"], "pull")] if "from" in query else []
            has = owner.tokens.get(header.removeprefix("Bearer "))
            if has is None or not all(any(_covers(scope, *need) for scope in has) for need in needed):
                scope = f',scope="repository:{needed[0][0]}:{needed[0][1]}"' if needed else ""
                error = ',error="insufficient_scope"' if has is not None else ""
                realm = owner.realm or f"{owner.scheme}://{owner.host}/token"
                self.drain()
                challenge = f'Bearer realm="{realm}",service="tests"{scope}{error}'
                self._error(401, "UNAUTHORIZED", {"WWW-Authenticate": challenge})
                return False
        return True

    # what is there

    def _tags(self, repository: str, query: Mapping[str, str]) -> None:
        if repository not in self.owner.tags:
            return self._error(404, "NAME_UNKNOWN")
        tags = sorted(tag for tag in self.owner.tags[repository] if tag > query.get("last", ""))
        count = int(query.get("n", self.owner.page))
        headers = {}
        if len(tags) > count:
            headers["Link"] = f'</v2/{repository}/tags/list?last={tags[count - 1]}&n={count}>; rel="next"'
        return self._json(200, {"name": repository, "tags": tags[:count] or None}, headers)

    def _manifest(self, repository: str, reference: str) -> None:
        owner = self.owner
        if self.command == "PUT":
            data = b"".join(self.pieces())
            digest = owner.put(repository, reference, data, self.headers.get("Content-Type", ""))
            if self.fault and self.fault.lag:
                owner.hidden |= {f"{repository} {reference}": self.fault.lag}
            return self.answer(201, b"", {"Docker-Content-Digest": digest})
        digest = reference if ":" in reference else owner.tags.get(repository, {}).get(reference, "")
        if (repository, digest) not in owner.manifests or owner.is_hidden(f"{repository} {reference}"):
            return self._error(404, "MANIFEST_UNKNOWN" if repository in owner.tags else "NAME_UNKNOWN")
        if self.command == "DELETE":
            del owner.manifests[repository, digest]
            return self.answer(202)
        data, kind = owner.manifests[repository, digest]
        return self.answer(200, data, {"Content-Type": kind, "Docker-Content-Digest": digest})

    def _blob(self, repository: str, digest: str) -> None:
        if (repository, digest) not in self.owner.linked:
            return self._error(404, "BLOB_UNKNOWN")
        data, span = self.owner.blobs[digest], self.headers.get("Range")
        if not span:
            return self.answer(200, data, {"Content-Type": "application/octet-stream"})
        start = int(span.removeprefix("bytes=").partition("-")[0])
        return self.answer(206, data[start:], {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})

    def _upload(self, repository: str, upload: str, query: Mapping[str, str]) -> None:
        owner, data = self.owner, b"".join(self.pieces())
        if self.command == "POST":
            mounted = query.get("mount", "")
            if owner.mounts and (query.get("from"), mounted) in owner.linked:
                owner.linked.add((repository, mounted))
                return self.answer(201, b"", {"Docker-Content-Digest": mounted})
            upload = uuid.uuid4().hex
            owner.uploads[upload] = b""
            return self.answer(202, b"", {"Location": f"/v2/{repository}/blobs/uploads/{upload}?state=x"})
        if upload not in owner.uploads:
            return self._error(404, "BLOB_UPLOAD_UNKNOWN")
        if self.command == "DELETE":
            del owner.uploads[upload]
            return self.answer(204)
        owner.uploads[upload] += data
        if self.command == "PATCH":
            return self.answer(202, b"", {"Location": f"/v2/{repository}/blobs/uploads/{upload}?state=y"})
        whole = owner.uploads.pop(upload)
        if query.get("digest") != digest_of(whole):
            return self._error(400, "DIGEST_INVALID")
        owner.add_blob(repository, whole)
        return self.answer(201, b"", {"Docker-Content-Digest": digest_of(whole)})


def _covers(scope: str, repository: str, action: str) -> bool:
    kind, _, rest = scope.partition(":")
    name, _, actions = rest.rpartition(":")
    return kind == "repository" and name == repository and action in actions.split(",")


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class MemoryRegistry(_Server):
    """A registry in this process, used in a ``with`` block; ``host`` is its name in the names of images.

    :ivar auth: empty, basic, bearer, or deny
    :ivar anonymous: with bearer, everybody may pull
    :ivar realm: where tokens come from; by default from here
    :ivar mounts: whether blobs may be mounted
    :ivar page: how many tags are listed at once
    """

    handler = _MemoryHandler

    def __init__(self, *, context: ssl.SSLContext | None = None, auth: str = "") -> None:
        super().__init__(context=context)
        self.auth = auth
        self.anonymous = False
        self.realm = ""
        self.users = {"user": "secret"}
        self.identity_tokens = {"identity"}
        self.tokens: dict[str, set[str]] = {}
        self.mounts = True
        self.page = 1000
        self.blobs: dict[str, bytes] = {}
        self.linked: set[tuple[str | None, str]] = set()
        self.manifests: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.tags: dict[str, dict[str, str]] = {}
        self.uploads: dict[str, bytes] = {}

    def put(self, repository: str, reference: str, data: bytes, media_type: str) -> str:
        """Have a manifest; its digest."""
        digest = digest_of(data)
        with self.lock:
            self.manifests[repository, digest] = (data, media_type)
            tags = self.tags.setdefault(repository, {})
            if ":" not in reference:
                tags[reference] = digest
        return digest

    def add_blob(self, repository: str, data: bytes) -> str:
        """Have a blob; its digest."""
        digest = digest_of(data)
        self.blobs[digest] = data
        self.linked.add((repository, digest))
        return digest


# --- in front of another -----------------------------------------------------------------------------------------

_HOP = ("connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "trailer", "upgrade", "expect")


class _ProxyHandler(_Handler):
    owner: Proxy

    def serve(self) -> None:
        if self.owner.on_request:
            self.owner.on_request(self.command, self.path)
        upstream = http.client.HTTPConnection(self.owner.upstream, timeout=60)
        try:
            self._forward(upstream)
            self._give_back(upstream.getresponse())
        finally:
            upstream.close()

    def _forward(self, upstream: http.client.HTTPConnection) -> None:
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP:
                upstream.putheader(name, value)
        if self.is_chunked:
            upstream.putheader("Transfer-Encoding", "chunked")
        upstream.endheaders()
        for piece in self.pieces():
            upstream.send(b"%x\r\n%b\r\n" % (len(piece), piece) if self.is_chunked else piece)
        if self.is_chunked:
            upstream.send(b"0\r\n\r\n")

    def _give_back(self, response: http.client.HTTPResponse) -> None:
        headers = {name: value for name, value in response.getheaders() if name.lower() not in _HOP}
        for name, value in headers.items():
            if name.lower() == "location":
                headers[name] = value.replace(f"//{self.owner.upstream}/", f"//{self.owner.host}/", 1)
        empty = self.command == "HEAD" or response.status in (204, 304)
        length = response.getheader("Content-Length")
        chunked = length is None and not empty
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        self.begin(response.status, headers)
        if empty:
            return
        while data := response.read(PIECE):
            if chunked:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            self.write(data, int(length or 0))
        if chunked:
            self.write(b"0\r\n\r\n", 0)


class Proxy(_Server):
    """Stands in front of a registry on loopback; pushes of the engine go through it as well.

    :param upstream: the registry's host and port
    :param on_request: is called with method and path before a request goes on
    """

    handler = _ProxyHandler

    def __init__(self, upstream: str, *, on_request: Callable[[str, str], None] | None = None) -> None:
        super().__init__()
        self.upstream = upstream
        self.on_request = on_request


# --- the real one ------------------------------------------------------------------------------------------------


def need_program() -> str:
    """Debian's docker-registry. In CI a missing one is a failure, elsewhere a reason to skip."""
    if program := shutil.which("docker-registry"):
        return program
    missing = "no docker-registry on this machine: apt-get install docker-registry"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


@contextmanager
def docker_registry(folder: Path, *, more: str = "") -> Iterator[str]:
    """Debian's registry on a free port of loopback, with its data in a folder; its host and port.

    :param more: further lines of its configuration
    """
    program = need_program()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n{more}"
    )
    with (folder / "registry.log").open("wb") as said:
        serving = subprocess.Popen([program, "serve", str(config)], stdout=said, stderr=said)
    try:
        deadline = time.monotonic() + 20
        while not _listens(port):
            assert serving.poll() is None, (folder / "registry.log").read_text()
            assert time.monotonic() < deadline, "docker-registry does not listen"
            time.sleep(0.05)
        yield f"localhost:{port}"
    finally:
        serving.terminate()
        serving.wait(timeout=10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
