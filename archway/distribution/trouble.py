"""What a registry's answers and broken connections mean, as errors of archway that say what to do.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
"""

from __future__ import annotations

import json
import math
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InvalidHeader,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)  # fmt: skip

from archway.errors import AccessError, RegistryError

LONGEST = 300
"""Characters of a registry's own message that are shown."""
LONGEST_HEADER = 8 << 10
LONGEST_RETRY_AFTER = 60.0
"""Seconds that are waited for at most when a registry wants it."""
PASSING = frozenset({429, 500, 502, 503, 504})
_PLAIN = re.compile("WRONG_VERSION_NUMBER|RECORD_LAYER|record layer|HTTP_REQUEST|UNKNOWN_PROTOCOL", re.IGNORECASE)
_CUT = re.compile("EOF occurred|UNEXPECTED_EOF|reset by peer|SSLEOFError|SSLZeroReturn", re.IGNORECASE)
_FULL = re.compile(rb"no space left on device|disk quota exceeded|insufficient storage", re.IGNORECASE)
_SECRET = re.compile(r"\b(Basic|Bearer)\s+[\w.~+/=-]+|(?<=://)[^/\s@]+@", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What came back for a request. Its headers are found whatever their case is."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    data: bytes
    url: str = field(repr=False)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def header(self, name: str) -> str:
        """A header, cut where no honest one is so long: what reads it may take its time."""
        return self.headers.get(name, "")[:LONGEST_HEADER]

    @property
    def kind(self) -> str:
        """The media type, without parameters."""
        return self.header("Content-Type").partition(";")[0].strip().lower()

    @property
    def codes(self) -> frozenset[str]:
        """The codes of the registry's errors: ``NAME_UNKNOWN``."""
        return frozenset(_text(error.get("code")).upper() for error in _errors(self.data))

    @property
    def is_missing(self) -> bool:
        """Whether a registry says that something is not there, and not just any web server that it has no page."""
        return self.status == 404 and bool(self.codes & {"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "NOT_FOUND"})

    @property
    def is_full(self) -> bool:
        """Whether the registry has no room left."""
        return self.status == 507 or (self.status >= 400 and bool(_FULL.search(self.data)))

    @property
    def is_passing(self) -> bool:
        """Whether the same request may succeed a little later."""
        return self.status in PASSING and not self.is_full

    @property
    def retry_after(self) -> float | None:
        """Seconds that the registry wants us to wait; None if it does not say, or says nonsense."""
        after = self.header("Retry-After")
        try:
            return urllib3.Retry().parse_retry_after(after) if after else None
        except InvalidHeader:
            return None
        except (ValueError, OverflowError):  # a number or a date that is too large
            return math.inf

    @property
    def is_far_off(self) -> bool:
        """Whether it wants us to wait longer than we do."""
        return (self.retry_after or 0) > LONGEST_RETRY_AFTER


class LaterError(RegistryError):
    """What passes, and only after a longer time than archway waits."""


def _errors(data: bytes) -> list[dict[str, object]]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return []
    errors = found.get("errors") if isinstance(found, dict) else None
    return [error for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []


def _text(value: object) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value) if value else ""
    except RecursionError:
        return ""


def said(answer: Answer) -> str:
    """The registry's own message, short and printable."""
    words = [f"HTTP {answer.status}"]
    for error in _errors(answer.data):
        parts = [_text(error.get(key)) for key in ("code", "message", "detail")]
        words.append(" ".join(part for part in parts if part))
    if len(words) == 1 and not is_page(answer):
        words.append(answer.data[: 2 * LONGEST].decode(errors="replace"))
    return printable(": ".join(word for word in words if word))


def printable(text: str) -> str:
    """Text of unknown origin, fit for a terminal: one line, bounded, without credentials."""
    line = " ".join("".join(c if c.isprintable() else " " for c in _SECRET.sub("…", text)).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def plain(text: str) -> str:
    """Text of unknown origin, as it is but for what a terminal would obey."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in text)


def is_page(answer: Answer) -> bool:
    return answer.kind == "text/html" or answer.data.lstrip()[:1] == b"<"


def of_answer(answer: Answer, *, host: str, where: str, known: bool, push: bool = False) -> RegistryError:
    """The error that an answer is.

    :param known: credentials were there for the request
    :param push: the request was one that changes the registry
    """
    why, codes = said(answer), answer.codes
    access = _access(answer, host=host, where=where, known=known, why=why, push=push)
    if access:
        return access
    if answer.is_full:
        hint = f"free space on the machine of {host}: remove images there, and collect its garbage"
        return RegistryError("the registry's disk is full", where=where, why=why, hint=hint)
    if answer.status == 429:
        after = answer.header("Retry-After")
        return (LaterError if answer.is_far_off else RegistryError)(
            "the registry takes no more requests for now", where=where, passing=True,
            why=f"{why}\nit says Retry-After: {printable(after)}" if after else why,
            hint="wait, and run the same command again; being logged in raises the limit of some registries",
        )  # fmt: skip
    if b"HTTP request to an HTTPS server" in answer.data:
        hint = f"remove {host} from insecure_registries in [tool.archway]"
        return RegistryError("speaks HTTPS where plain HTTP was expected", where=where, why=why, hint=hint)
    if answer.is_passing or answer.status >= 500:
        hint = f"run the same command again a little later; the log of {host} has the reason"
        kind = LaterError if answer.is_passing and answer.is_far_off else RegistryError
        return kind("the registry failed", where=where, why=why, hint=hint, passing=answer.is_passing)
    if push and "NAME_UNKNOWN" in codes:
        hint = "make the repository there first: some registries want that before a push"
        return RegistryError("the repository does not exist", where=where, why=why, hint=hint)
    if is_page(answer) or (answer.status in (301, 302, 303, 307, 308, 404, 405) and not codes):
        return no_registry(host, where=where, why=why)
    if answer.status == 413:
        hint = f"raise the limit of a request's size, of {host} or of the proxy in front of it"
        return RegistryError("the registry refuses it as too large", where=where, why=why, hint=hint)
    return RegistryError("the registry refused the request", where=where, why=why)


def _access(answer: Answer, *, host: str, where: str, known: bool, why: str, push: bool) -> AccessError | None:
    limited = "insufficient_scope" in answer.header("WWW-Authenticate")
    if answer.status == 401 and not known:
        return AccessError("not logged in", where=where, why=why, hint=f"docker login {host}")
    if answer.status == 403 or "DENIED" in answer.codes or (answer.status == 401 and limited):
        rights = "push to" if push else "pull from"
        hint = f"ask for the rights to {rights} it, or log in as somebody who has them: docker login {host}"
        return AccessError("no rights", where=where, why=why, hint=hint)
    if answer.status == 401:
        hint = f"docker login {host}; the credentials that are there may have expired"
        return AccessError("the credentials were refused", where=where, why=why, hint=hint)
    return None


def no_registry(host: str, *, where: str, why: str) -> RegistryError:
    hint = f"check the setting registry; is there a proxy or a login page in front of {host}?"
    return RegistryError("what answers is no registry of images", where=where, why=why, hint=hint)


def too_large(limit: int, *, where: str) -> RegistryError:
    return RegistryError("a document is too large", where=where, why=f"more than {limit} bytes")


def too_slow(seconds: float, *, where: str) -> RegistryError:
    hint = "run the same command again a little later"
    why = f"a document did not arrive within {seconds:g} s"
    return RegistryError("the registry does not answer in time", where=where, why=why, hint=hint, passing=True)


def cause(error: Exception) -> Exception:
    """What is wrapped in urllib3's exceptions."""
    while isinstance(error, MaxRetryError) and error.reason:
        error = error.reason
    return error


def is_passing(error: Exception) -> bool:
    """Whether a connection was cut or too slow; what is refused or wrong stays so."""
    error = cause(error)
    if isinstance(error, ProxyError):
        return is_passing(error.original_error)
    if isinstance(error, SSLError):
        return bool(_CUT.search(str(error)))
    if isinstance(error, NewConnectionError):  # a ConnectTimeoutError to urllib3
        return False
    return isinstance(error, ProtocolError | ReadTimeoutError | ConnectTimeoutError)


def is_plain(error: Exception) -> bool:
    """Whether what was spoken to as HTTPS speaks HTTP."""
    return isinstance(error, SSLError) and bool(_PLAIN.search(str(error)))


def of_exception(error: HTTPError, *, host: str, where: str) -> RegistryError:
    """The error that a broken connection is."""
    found = cause(error)
    why, passing = printable(str(found)), is_passing(found)
    match found:
        case SSLError() if not passing:
            return _tls(found, host=host, where=where)
        case ProxyError():
            hint = "check HTTP_PROXY, HTTPS_PROXY and NO_PROXY in the environment"
            return RegistryError("the proxy cannot be reached", where=where, why=why, hint=hint, passing=passing)
        case NameResolutionError():
            hint = f"check the name {host}, and that this machine reaches a name server"
            return RegistryError("the name cannot be resolved", where=where, why=why, hint=hint)
        case NewConnectionError():
            hint = f"check that {host} is right and running, and reached from here"
            return RegistryError("the registry cannot be reached", where=where, why=why, hint=hint, passing=True)
        case ConnectTimeoutError() | ReadTimeoutError():
            hint = f"check that {host} is reached from here; run the same command again"
            return RegistryError("the registry does not answer in time", where=where, why=why, hint=hint, passing=True)
        case _:
            hint = "run the same command again"
            return RegistryError("the connection was cut", where=where, why=why, hint=hint, passing=passing)


def _tls(error: SSLError, *, host: str, where: str) -> RegistryError:
    inner = error.args[0] if error.args else error
    why = printable(str(inner))
    if is_plain(error):
        hint = (
            f'if {host} is meant to: insecure_registries = ["{host}"] in [tool.archway], and for the engine the same '
            "name under insecure-registries of /etc/docker/daemon.json"
        )
        return RegistryError("speaks plain HTTP where HTTPS was expected", where=where, why=why, hint=hint)
    if isinstance(inner, ssl.SSLCertVerificationError):
        why = printable(inner.verify_message or str(inner))
        if "mismatch" in why:
            hint = f"use the name that the certificate is for, or have one made for {host}"
            return RegistryError("the certificate is for another host name", where=where, why=why, hint=hint)
        hint = (
            "the certificate of its authority belongs in the setting ca of [tool.archway], and for the engine in "
            f"/etc/docker/certs.d/{host}/ca.crt"
        )
        return RegistryError("the certificate is not trusted", where=where, why=why, hint=hint)
    hint = f"does it want a client's certificate? That goes to /etc/docker/certs.d/{host}/client.cert and client.key"
    return RegistryError("no secure connection", where=where, why=why, hint=hint)
