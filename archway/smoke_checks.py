"""Asks a running container: whether a port of it listens, what its HTTP server says, and what a probe in it finds."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, NewConnectionError, ReadTimeoutError

from archway.errors import ArchwayError
from archway.metadata import Http, Smoke

LOOPBACK = "127.0.0.1"
CONNECT, READ = 2.0, 10.0
MOST = 1 << 20
"""So many bytes of an answer are read."""
HOLD = 1.0
"""Seconds that a connection must last. Docker's proxy accepts every one, and closes it at once when nothing listens in
the container (0.4 ms, and 13 ms on a busy machine)."""
PAUSE = 0.5
LAST = 15
"""So many lines of a probe that failed are told."""
_CLOSED = "the connection is closed at once: nothing listens there, or it hangs up before anything is said"


def is_here(endpoint: str) -> bool:
    """Whether an engine's address is one of this machine, whose loopback is ours: a socket, a pipe, or loopback."""
    address = urlsplit(endpoint)
    if address.scheme not in ("tcp", "ssh", "http", "https"):
        return True
    with suppress(ValueError):
        return ip_address(address.hostname or "").is_loopback
    return address.hostname == "localhost"


def knock(port: int, *, hold: float = HOLD) -> str:
    """Why nothing is taken to listen behind a published port, or an empty text."""
    try:
        connection = socket.create_connection((LOOPBACK, port), timeout=CONNECT)
    except OSError as refused:
        return f"no connection: {refused}"
    with connection:
        connection.settimeout(hold)
        try:
            return "" if connection.recv(1) else _CLOSED
        except TimeoutError:
            return ""
        except OSError:
            return _CLOSED


def ask(port: int, http: Http) -> str:
    """In what an HTTP server's answer is not the wanted one, or an empty text. Redirects are not followed."""
    timeout = urllib3.Timeout(connect=CONNECT, read=READ)
    with urllib3.HTTPConnectionPool(LOOPBACK, port, timeout=timeout, retries=False) as pool:
        try:
            response = pool.urlopen("GET", http.path, redirect=False, preload_content=False)
            with closing(response):
                body = response.read(MOST)
        except ReadTimeoutError:
            return f"no answer within {READ:g} s"
        except NewConnectionError as refused:
            return f"no connection: {refused.__cause__ or refused}"
        except HTTPError as trouble:
            return f"no answer: {trouble}"
    if response.status != http.status:
        return f"it answers with status {response.status} instead of {http.status}"
    if http.expect.encode() not in body:
        return f"{http.expect!r} is not in its answer, which begins with {body[:200].decode(errors='replace')!r}"
    return ""


def asked(smoke: Smoke, published: Callable[[int], int | None]) -> str | None:
    """What a container lacks of the answers that its smoke test wants, or an empty text; None where it is not there,
    neither before nor after it was asked.

    :param published: the port of this machine that leads to one of the container's; None where there is none
    """
    for port, check in _checks(smoke):
        number = published(port)
        if number is None:
            return None
        if lacking := check(number):
            path = smoke.http.path if smoke.http and check is not knock else ""
            return f"port {port}{path}: {lacking}" if published(port) else None
    return ""


def probed(
    smoke: Smoke, execute: Callable[[], tuple[int, list[str]] | None], heard: Callable[[str], None]
) -> str | None:
    """In what the probe failed, or an empty text; None where the container does not run.

    :param execute: runs it
    :param heard: gets what a probe printed that went well
    """
    if not smoke.probe:
        return ""
    if (ran := execute()) is None:
        return None
    exit_code, lines = ran
    if exit_code:
        return "\n  ".join([f"its probe ended with exit code {exit_code}:", *lines[-LAST:]])
    for line in lines:
        heard(line)
    return ""


def _checks(smoke: Smoke) -> Iterator[tuple[int, Callable[[int], str]]]:
    if smoke.port:
        yield smoke.port, knock
    if http := smoke.http:
        yield smoke.http_port, lambda number: ask(number, http)


@dataclass(slots=True)
class Visit:
    """What the checks from outside have found."""

    lacking: str = "it ended before it was asked"
    """What was not as wanted when the container was asked last; empty when all was."""


@contextmanager
def visiting(lacking: Callable[[], str | None], end: Callable[[], None], *, pause: float = PAUSE) -> Iterator[Visit]:
    """Look again and again, while something else is done here, until nothing is lacking; then call ``end``.

    :param lacking: None where there is nothing to look at, so that what was found before stays
    """
    visit = Visit()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(pause):
            try:
                found = lacking()
                visit.lacking = visit.lacking if found is None else found
            except ArchwayError as trouble:  # the engine's; who follows the container hears of it as well
                visit.lacking = trouble.what
            if not visit.lacking:
                end()
                return

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield visit
    finally:
        over.set()
