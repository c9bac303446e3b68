"""Asks a registry with the credentials that it wants."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from urllib3.response import BaseHTTPResponse

from archway.distribution import trouble
from archway.distribution.authorization import Authorization, Scopes
from archway.distribution.transport import Ask, Transport
from archway.distribution.trouble import Answer
from archway.errors import RegistryError


class Session:
    """The way to one registry, with what was found out about it: how it is reached, and what it lets us do."""

    def __init__(self, host: str, *, plain_http: bool, ca: Path | None) -> None:
        self.host = host
        self._transport = Transport(host, plain_http=plain_http, ca=ca)
        self._authorization = Authorization(self._transport)

    @property
    def answers(self) -> bool:
        with contextlib.suppress(RegistryError):
            return self._transport.send(Ask(method="GET", url="/v2/", where=self.host, tries=1)).status in (200, 401)
        return False

    @property
    def is_plain(self) -> bool:
        return self._transport.is_plain

    def send(self, ask: Ask, scopes: Scopes) -> Answer:
        """Ask with the credentials that are wanted, and read the answer, whatever its status is.

        :raises RegistryError: there was none
        """
        answer = self._transport.send(self._with_credentials(ask, scopes))
        if answer.status == 401 and self._challenged(ask, answer, scopes):
            answer = self._transport.send(self._with_credentials(ask, scopes))
        return answer

    def stream(self, ask: Ask, scopes: Scopes) -> Answer | BaseHTTPResponse:
        """The same; what was asked for is not read yet, and the caller closes it."""
        answer = self._transport.stream(self._with_credentials(ask, scopes))
        if isinstance(answer, Answer) and answer.status == 401 and self._challenged(ask, answer, scopes):
            answer = self._transport.stream(self._with_credentials(ask, scopes))
        return answer

    def error(self, answer: Answer, where: str, *, push: bool = False) -> RegistryError:
        """What an answer says that is not what was asked for."""
        known = self._authorization.known if answer.status in (401, 403) else False
        return trouble.of_answer(answer, host=self.host, where=where, known=known, push=push)

    def follow(self, answer: Answer, target: str, where: str) -> str:
        """The whole URL of what an answer leads to.

        :raises RegistryError: that is no address
        """
        return self._transport.url(target, base=answer.url, where=where)

    def is_own(self, url: str) -> bool:
        """Whether a URL leads to this registry."""
        return self._transport.is_own(url)

    def _with_credentials(self, ask: Ask, scopes: Scopes) -> Ask:
        url = self._transport.url(ask.url, where=ask.where)
        own = self._authorization.headers(scopes) if self.is_own(url) else {}
        return replace(ask, url=url, headers={**ask.headers, **own})

    def _challenged(self, ask: Ask, answer: Answer, scopes: Scopes) -> bool:
        own = self.is_own(self._transport.url(ask.url))
        return own and self._authorization.challenged(answer, scopes, ask.where)
