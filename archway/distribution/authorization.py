"""Shows a registry who asks, as it wants it: a name with a password, or a token that another server gives for them.

https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, Field

from archway.distribution import credentials, trouble
from archway.distribution.addresses import split
from archway.distribution.credentials import Credentials
from archway.distribution.documents import read
from archway.distribution.transport import Ask, Transport
from archway.distribution.trouble import Answer
from archway.errors import AccessError

_PART = re.compile(
    r'(?<![A-Za-z_])(?:(?P<scheme>[A-Za-z]++)\s++)?(?P<key>[A-Za-z_]++)\s*+=\s*+(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s,"]+))'
)

Scopes = tuple[str, ...]
"""What a token is for: ``repository:archway/hive:pull,push``."""


@dataclass(frozen=True)
class Challenge:
    """One way that a registry lets itself be shown who asks."""

    scheme: str
    words: dict[str, str] = field(default_factory=dict)


class _Token(BaseModel):
    token: str = Field(default="", repr=False)
    access_token: str = Field(default="", repr=False)


def challenges(header: str) -> list[Challenge]:
    """Read WWW-Authenticate, which may hold several challenges."""
    found: list[Challenge] = []
    for part in _PART.finditer(header):
        if scheme := part["scheme"]:
            found.append(Challenge(scheme.lower()))
        if found:
            quoted = part["quoted"]
            value = part["bare"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
            found[-1].words[part["key"].lower()] = value
    return found


class Authorization:
    """What this process may do in one registry. Asks for credentials only when the registry does."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._basic = ""
        self._tokens: dict[Scopes, str] = {}

    @cached_property
    def _credentials(self) -> Credentials | None:
        return credentials.find(self._transport.host)

    @property
    def known(self) -> bool:
        """Whether there are credentials; to be asked after the registry wanted some."""
        return self._credentials is not None

    def headers(self, scopes: Scopes) -> dict[str, str]:
        """What to send along, as far as it is known."""
        value = self._basic or (f"Bearer {self._tokens[scopes]}" if scopes in self._tokens else "")
        return {"Authorization": value} if value else {}

    def challenged(self, answer: Answer, scopes: Scopes, where: str) -> bool:
        """Get what the registry asks for in a 401; False if there is nothing that was not tried.

        :raises RegistryError: no token is given
        """
        wanted = {challenge.scheme: challenge for challenge in challenges(answer.header("WWW-Authenticate"))}
        known = self._credentials
        if known and known.registry_token and "bearer" in wanted:
            value = known.registry_token
            tried, self._tokens[scopes] = self._tokens.get(scopes) == value, value
            return not tried
        if bearer := wanted.get("bearer"):
            self._tokens[scopes] = self._token(bearer, scopes, where)
            return True
        if "basic" in wanted and known and known.password and not self._basic:
            self._basic = _basic(known)
            return True
        return False

    def _token(self, challenge: Challenge, scopes: Scopes, where: str) -> str:
        realm, service = challenge.words.get("realm", ""), challenge.words.get("service", "")
        known, own = self._credentials, self._transport
        parts = split(realm, where=where)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise trouble.no_registry(own.host, where=where, why=f"tokens from {trouble.printable(realm) or 'nowhere'}")
        if known and parts.scheme == "http" and not own.is_plain:
            raise AccessError(
                "wants credentials to be sent unencrypted", where=where,
                why=f"its tokens come from http://{trouble.printable(parts.netloc)}",
                hint=f"the realm of {own.host} must be an https address",
            )  # fmt: skip
        asked = list(dict.fromkeys([*scopes, *challenge.words.get("scope", "").split()]))
        answer = own.send(_ask(realm, service, asked, known, where))
        if not answer.ok:
            raise trouble.of_answer(answer, host=own.host, where=where, known=self.known)
        got = read(_Token, answer.data, where)
        token = got.token or got.access_token
        if not token or not token.isascii() or not token.isprintable():
            raise trouble.no_registry(own.host, where=where, why="the server for tokens gave none")
        return token


def _basic(known: Credentials) -> str:
    return "Basic " + base64.b64encode(f"{known.username}:{known.password}".encode()).decode()


def _ask(realm: str, service: str, scopes: list[str], known: Credentials | None, where: str) -> Ask:
    if known and known.identity_token:
        form = {
            "grant_type": "refresh_token", "client_id": "archway", "service": service, "scope": " ".join(scopes),
            "refresh_token": known.identity_token,
        }  # fmt: skip
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return Ask(method="POST", url=realm, where=where, headers=headers, body=urlencode(form).encode())
    query = urlencode([*([("service", service)] if service else []), *(("scope", scope) for scope in scopes)])
    url = f"{realm}{'&' if urlsplit(realm).query else '?'}{query}" if query else realm
    return Ask(method="GET", url=url, where=where, headers={"Authorization": _basic(known)} if known else {})
