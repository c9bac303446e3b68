"""Requests to a registry: which way they go, and when they are sent again. Knows nothing of repositories."""

from __future__ import annotations

import base64
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar
from urllib.parse import unquote, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationValueError, ProtocolError, SSLError
from urllib3.response import BaseHTTPResponse

from archway.distribution import trouble
from archway.distribution.addresses import is_loopback, join, origin, proxy_for, split
from archway.distribution.credentials import DOCKER_HUB
from archway.distribution.documents import DOCUMENT_LIMIT
from archway.distribution.trouble import Answer
from archway.errors import RegistryError

TRIES = 5
FIRST_DELAY = 0.5
LONGEST_DELAY = 8.0
TIMEOUT = urllib3.Timeout(connect=10, read=60)
CERTIFICATES = Path("/etc/docker/certs.d")
PATIENCE = 60.0
"""Seconds for all of a document."""
_REDIRECTS = 5

T = TypeVar("T")


def pause(seconds: float) -> None:
    """Wait; the one place that does, for tests to replace."""
    time.sleep(seconds)


def delays() -> Iterator[float]:
    """How long to wait before the second, third, … try."""
    delay = FIRST_DELAY
    while True:
        yield min(delay, LONGEST_DELAY)
        delay = min(delay * 2, LONGEST_DELAY)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A request.

    :ivar url: whole, or a path of the registry
    :ivar body: a file is sent from its start in each try; its length is in the headers
    """

    method: str
    url: str
    where: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | IO[bytes] | None = field(default=None, repr=False)
    tries: int | None = None


class Transport:
    """The way to one registry."""

    def __init__(self, host: str, *, plain_http: bool = False, ca: Path | None = None) -> None:
        self.host = host
        self._address = "registry-1.docker.io" if host == DOCKER_HUB else host
        self._plain_http = plain_http
        self._ca = ca
        self._scheme = ""
        self._pools: dict[tuple[bool, str], urllib3.PoolManager] = {}
        self._lock = threading.RLock()

    def send(self, ask: Ask) -> Answer:
        """Ask, and read the answer, whatever its status is.

        :raises RegistryError: there was none, or it is too large
        """
        return self._tried(ask, lambda response: _whole(response, ask))

    def stream(self, ask: Ask) -> Answer | BaseHTTPResponse:
        """Ask; of an answer that is what was asked for, nothing is read, and the caller closes it.

        :raises RegistryError: there was none
        """
        return self._tried(ask, lambda response: response if response.status in (200, 206) else _whole(response, ask))

    def url(self, path: str, *, base: str = "", where: str = "") -> str:
        """The whole URL of a path, or of a Location or Link that an answer has."""
        with self._lock:
            self._scheme = self._scheme or self._find_scheme(where or self.host)
        root = f"{self._scheme}://{self._address}"
        found = join(base or root, path, where=where or self.host)
        # Proxies that end TLS make some registries believe that they are spoken to in plain HTTP.
        if self._scheme == "https" and found.startswith(f"http://{self._address}/"):
            found = found.replace("http:", "https:", 1)
        return found

    @property
    def is_plain(self) -> bool:
        """Whether the registry is spoken to in plain HTTP."""
        return self.url("/").startswith("http:")

    def is_own(self, url: str) -> bool:
        """Whether a URL is the registry's own, so that it may see credentials."""
        return origin(url, where=self.host) == origin(self.url("/"), where=self.host)

    def _tried(self, ask: Ask, finish: Callable[[BaseHTTPResponse], T]) -> T:
        left = ask.tries or TRIES
        for delay in delays():
            left -= 1
            try:
                response = self._follow(ask)
                result = finish(response)
            except LocationValueError as wrong:
                why = trouble.printable(str(wrong))
                raise RegistryError("leads to an address that is none", where=ask.where, why=why) from None
            except HTTPError as broken:
                if not left or not trouble.is_passing(broken):
                    raise trouble.of_exception(broken, host=self.host, where=ask.where) from None
                pause(delay)
                continue
            if not isinstance(result, Answer) or not result.is_passing or not left or result.is_far_off:
                return result
            after = result.retry_after
            pause(delay if after is None else after)
        raise AssertionError("delays never end")

    def _follow(self, ask: Ask) -> BaseHTTPResponse:
        """Send once, and follow where a registry leads to for a blob; credentials stay at home."""
        url, headers = self.url(ask.url, where=ask.where), {"User-Agent": "archway", **ask.headers}
        for _ in range(_REDIRECTS + 1):
            if ask.body is not None and not isinstance(ask.body, bytes):
                ask.body.seek(0)
            response = self._pool(url).request(
                ask.method, url, body=ask.body, headers=headers, retries=False, redirect=False, timeout=TIMEOUT,
                preload_content=False, decode_content=False,
            )  # fmt: skip
            target = response.get_redirect_location()
            if not target or ask.method not in ("GET", "HEAD"):
                return response
            response.close()
            before, url = url, join(url, target, where=ask.where)
            if origin(url, where=ask.where) != origin(before, where=ask.where):
                headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        raise RegistryError("leads from one address to the next without end", where=ask.where)

    def _find_scheme(self, where: str) -> str:
        """Plain HTTP or not. On loopback both are usual, so it is found out."""
        if self._plain_http or not is_loopback(self.host):
            return "http" if self._plain_http else "https"
        try:
            probed = self._probe("http")
        except ProtocolError:
            try:
                self._probe("https")
            except SSLError as wrong:
                return "http" if trouble.is_plain(wrong) or trouble.is_passing(wrong) else "https"
            except HTTPError:
                return "http"
            return "https"
        except HTTPError as broken:
            raise trouble.of_exception(broken, host=self.host, where=where) from None
        return "https" if b"HTTP request to an HTTPS server" in probed else "http"

    def _probe(self, scheme: str) -> bytes:
        url = f"{scheme}://{self._address}/v2/"
        response = self._pool(url).request(
            "GET", url, headers={"User-Agent": "archway"}, retries=False, redirect=False, timeout=TIMEOUT,
            preload_content=False, decode_content=False,
        )  # fmt: skip
        try:
            return response.read(4096) if response.status == 400 else b""
        finally:
            response.close()

    def _pool(self, url: str) -> urllib3.PoolManager:
        parts = split(url, where=self.host)
        own = parts.netloc == self._address
        proxy = proxy_for(parts.scheme, parts.netloc)
        with self._lock:
            if (own, proxy) not in self._pools:
                self._pools[own, proxy] = _pool(_context(self.host if own else "", self._ca), proxy)
            return self._pools[own, proxy]


def _whole(response: BaseHTTPResponse, ask: Ask) -> Answer:
    limit, data, end = DOCUMENT_LIMIT, bytearray(), time.monotonic() + PATIENCE
    try:
        while piece := response.read1(65536):
            if time.monotonic() > end:
                raise trouble.too_slow(PATIENCE, where=ask.where)
            data += piece
            if len(data) > limit:
                raise trouble.too_large(limit, where=ask.where)
    finally:
        response.close()
    url = join(ask.url, response.url or "", where=ask.where)
    return Answer(status=response.status, headers=response.headers, data=bytes(data), url=url)


def _pool(context: ssl.SSLContext, proxy: str) -> urllib3.PoolManager:
    if not proxy:
        return urllib3.PoolManager(ssl_context=context, maxsize=4)
    parts = urlsplit(proxy)
    headers = {}
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(pair.encode(errors='surrogateescape')).decode()}"
    return urllib3.ProxyManager(proxy, proxy_headers=headers, ssl_context=context, maxsize=4)


def _context(host: str, ca: Path | None) -> ssl.SSLContext:
    """Trust in what this machine trusts, in an authority of the settings, and for a host in what Docker does."""
    context = ssl.create_default_context()
    folder = CERTIFICATES / host if host else None
    files = [*([ca] if ca else []), *(sorted(folder.glob("*.crt")) if folder else [])]
    for file in files:
        _load(file, lambda file=file: context.load_verify_locations(file))  # type: ignore[misc]
    for file in sorted(folder.glob("*.cert")) if folder else []:
        _load(file, lambda file=file: context.load_cert_chain(file, file.with_suffix(".key")))  # type: ignore[misc]
    return context


def _load(file: Path, load: Callable[[], None]) -> None:
    try:
        load()
    except OSError as wrong:  # ssl.SSLError is one
        hint = "it must be readable, in PEM form; a client's certificate has its key beside it, in .key"
        raise RegistryError("cannot be used as a certificate", where=file, why=str(wrong), hint=hint) from None
