"""Requests to the Kubernetes API server of a test: one server, its own authority, one token, JSON."""

from __future__ import annotations

import base64
import binascii
import json
import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field

import urllib3
from urllib3.exceptions import HTTPError

from archway.errors import did_you_mean
from archway.kubernetes_documents import KubernetesObject
from archway.kubernetes_paths import Resource, group_path, object_path, resources

CONNECT, READ = 2.0, 10.0
LARGEST = 16 << 20
"""Bytes of an answer."""
APPLY = "application/apply-patch+yaml"
"""JSON is YAML."""
WHO = "archway"
PATIENCE = 30.0
"""Seconds within which a server that is ready must have taken an object."""
PAUSE = 0.2
NOT_FOUND = 404
_PASSING = frozenset({0, NOT_FOUND, 429, 503, 504})


class ApiError(Exception):
    """The server did not do what it was asked; the text says why.

    :ivar status: 0 where there was no answer
    """

    def __init__(self, text: str, *, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """What a kubeconfig says."""

    ca: str
    """The authority in PEM."""
    token: str = field(repr=False)


def access_of(kubeconfig: object) -> Access:
    """The authority and the token of a kubeconfig with one cluster and one user.

    :raises ApiError: it is another
    """
    try:
        cluster = kubeconfig["clusters"][0]["cluster"]  # type: ignore[index]
        user = kubeconfig["users"][0]["user"]  # type: ignore[index]
        ca = base64.b64decode(cluster["certificate-authority-data"], validate=True).decode("ascii")
        return Access(ca=ca, token=str(user["token"]))
    except (LookupError, TypeError, binascii.Error, UnicodeDecodeError):
        raise ApiError("its kubeconfig has no certificate authority or no token") from None


class KubernetesApi:
    """The API server behind a port of this machine."""

    def __init__(self, host: str, port: int, access: Access) -> None:
        self._pool = urllib3.HTTPSConnectionPool(
            host, port, ssl_context=ssl.create_default_context(cadata=access.ca), retries=False,
            timeout=urllib3.Timeout(connect=CONNECT, read=READ),
        )  # fmt: skip
        self._token = access.token
        self._known: dict[str, Mapping[str, Resource]] = {}

    def get(self, wanted: KubernetesObject) -> object:
        """An object as the server has it; None where there is none.

        :raises ApiError: there was no answer, or the server does not know the kind
        """
        try:
            return self._ask("GET", object_path(wanted, self.resource(wanted.api_version, wanted.kind)))
        except ApiError as trouble:
            if trouble.status != NOT_FOUND:
                raise
            return None

    def apply(self, wanted: KubernetesObject, *, patience: float = PATIENCE) -> None:
        """Create an object, or make it what it shall be. What is not there yet, such as its namespace, is waited for.

        :raises ApiError: the server does not take it
        """
        end = time.monotonic() + patience
        while True:
            try:
                path = object_path(wanted, self.resource(wanted.api_version, wanted.kind))
                self._ask("PATCH", f"{path}?fieldManager={WHO}&force=true", wanted.body)
                return
            except ApiError as trouble:
                if trouble.status not in _PASSING or time.monotonic() > end:
                    raise
            time.sleep(PAUSE)

    def resource(self, api_version: str, kind: str) -> Resource:
        """What the server says of a kind.

        :raises ApiError: there was no answer, or it does not know the kind (status -1: it never will by itself)
        """
        if kind not in self._known.get(api_version, {}):
            try:
                self._known[api_version] = resources(self._ask("GET", group_path(api_version)))
            except ApiError as trouble:
                if trouble.status != NOT_FOUND:
                    raise
                raise ApiError(f"the server has no {api_version}", status=-1) from None
        if found := self._known[api_version].get(kind):
            return found
        raise ApiError(
            f"the server has no kind {kind} in {api_version} ({did_you_mean(kind, self._known[api_version])})",
            status=-1,
        )

    def _ask(self, method: str, path: str, body: object = None) -> object:
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json", "User-Agent": WHO}
        data = None
        if body is not None:
            headers["Content-Type"] = APPLY
            data = json.dumps(body).encode()
        try:
            response = self._pool.urlopen(
                method, path, body=data, headers=headers, redirect=False, preload_content=False
            )  # fmt: skip
            with closing(response):
                answer = response.read(LARGEST + 1)
        except HTTPError as broken:
            raise ApiError(f"no answer: {broken}") from None
        if len(answer) > LARGEST:
            raise ApiError(f"an answer of more than {LARGEST >> 20} MiB", status=response.status)
        document = _parsed(answer)
        if response.status not in (200, 201):
            raise ApiError(_message(document) or f"status {response.status}", status=response.status)
        return document


def _parsed(answer: bytes) -> object:
    try:
        document: object = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    return document


def _message(document: object) -> str:
    """What a ``Status`` says."""
    message = document.get("message") if isinstance(document, Mapping) else None
    return message if isinstance(message, str) else ""
