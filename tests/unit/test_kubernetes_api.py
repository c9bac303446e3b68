"""Requests to an API server: who is trusted, what is sent, and what an answer means."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import trustme

from archway import kubernetes_api
from archway.errors import Location
from archway.kubernetes_api import Access, ApiError, KubernetesApi, access_of
from archway.kubernetes_documents import KubernetesObject

CORE = {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]}
HELLO = KubernetesObject(
    api_version="v1", kind="ConfigMap", name="hello", namespace="default", body={"data": {"a": "b"}},
    where=Location("x.yaml", 1),
)  # fmt: skip
PATH = "/api/v1/namespaces/default/configmaps/hello"
Say = tuple[int, Any]


class Server:
    """Says what it is told to say, and keeps what it was asked."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.host, self.port = address
        self.says: dict[str, Say | list[Say]] = {"GET /api/v1": (200, CORE)}
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []

    def answer(self, asked: str) -> Say:
        says = self.says.get(asked, (404, {"message": "not here"}))
        if isinstance(says, list):
            return says.pop(0) if len(says) > 1 else says[0]
        return says


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(authority: trustme.CA) -> Iterator[Server]:
    """A server on loopback, with a certificate of the authority."""

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            said.asked.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
            status, document = said.answer(f"{self.command} {self.path.partition('?')[0]}")
            data = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PATCH = do  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.socket = context.wrap_socket(http.socket, server_side=True)
        http.handle_error = lambda *_: None  # type: ignore[method-assign]
        said = Server(("127.0.0.1", http.server_port))
        threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
        yield said
        http.shutdown()


@pytest.fixture
def api(server: Server, authority: trustme.CA) -> KubernetesApi:
    access = Access(ca=authority.cert_pem.bytes().decode(), token="secret")  # noqa: S106
    return KubernetesApi(server.host, server.port, access)


def test_object_is_asked_for_where_the_server_has_it(api: KubernetesApi, server: Server) -> None:
    """The kinds are asked for first, and once; the token is sent each time."""
    server.says[f"GET {PATH}"] = (200, {"data": {}})

    assert api.get(HELLO) == {"data": {}}
    assert api.get(HELLO) == {"data": {}}
    assert [path for _, path, _, _ in server.asked] == ["/api/v1", PATH, PATH]
    assert {headers["Authorization"] for _, _, headers, _ in server.asked} == {"Bearer secret"}


def test_object_that_is_not_there_is_none(api: KubernetesApi) -> None:
    """404 is an answer like another."""
    assert api.get(HELLO) is None


def test_object_is_applied_as_it_is(api: KubernetesApi, server: Server) -> None:
    """By the name and with the words of its file, whether there is one already or not."""
    server.says[f"PATCH {PATH}"] = (201, {})

    api.apply(HELLO)

    method, path, headers, body = server.asked[-1]
    assert (method, path) == ("PATCH", f"{PATH}?fieldManager=archway&force=true")
    assert headers["Content-Type"] == "application/apply-patch+yaml"
    assert json.loads(body) == {"data": {"a": "b"}}


def test_what_passes_is_waited_for(api: KubernetesApi, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A namespace that does not exist yet, and a server that has too much to do."""
    monkeypatch.setattr(kubernetes_api, "PAUSE", 0)
    server.says[f"PATCH {PATH}"] = [(404, {}), (429, {}), (503, b"busy"), (200, {})]

    api.apply(HELLO)

    assert len(server.asked) == 5


@pytest.mark.parametrize(
    ("answer", "patience", "told"),
    [
        ((422, {"message": "data.a: must be a number"}), 30, "data.a: must be a number"),
        ((500, {"message": "cannot be converted"}), 30, "cannot be converted"),
        ((403, b"<html>"), 30, "status 403"),
        ((404, {"message": 'namespaces "x" not found'}), 0, 'namespaces "x" not found'),
    ],
)
def test_refusal_is_told_in_the_servers_words(
    api: KubernetesApi, server: Server, answer: Say, patience: float, told: str
) -> None:
    """What does not pass ends at once, and what does ends with the patience."""
    server.says[f"PATCH {PATH}"] = answer

    with pytest.raises(ApiError, match=told):
        api.apply(HELLO, patience=patience)


def test_unknown_kinds_and_groups_are_told(api: KubernetesApi, server: Server) -> None:
    """With those that are near. A kind that comes later is found then."""
    with pytest.raises(ApiError, match=r"no kind ConfigMapp in v1 \(did you mean ConfigMap\?\)"):
        api.resource("v1", "ConfigMapp")
    with pytest.raises(ApiError, match=r"the server has no a\.b/v1"):
        api.resource("a.b/v1", "Thing")
    server.says["GET /apis/a.b/v1"] = (200, {"resources": [{"name": "things", "kind": "Thing"}]})
    assert api.resource("a.b/v1", "Thing").name == "things"


def test_stranger_is_not_trusted(server: Server) -> None:
    """A server whose certificate is of another authority gets no token."""
    stranger = KubernetesApi(server.host, server.port, Access(ca=trustme.CA().cert_pem.bytes().decode(), token="x"))  # noqa: S106

    with pytest.raises(ApiError, match=r"no answer: .*certificate verify failed"):
        stranger.get(HELLO)
    assert server.asked == []


def test_odd_answers_end_well(api: KubernetesApi, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """No JSON is nothing, JSON without end is nothing, and what is too large is refused."""
    for odd in (b"", b"no", b"[" * 100_000):
        server.says[f"GET {PATH}"] = (200, odd)
        assert api.get(HELLO) is None
    monkeypatch.setattr(kubernetes_api, "LARGEST", 1 << 20)
    server.says[f"GET {PATH}"] = (200, b"x" * (2 << 20))
    with pytest.raises(ApiError, match="more than 1 MiB"):
        api.get(HELLO)


def test_server_that_is_gone_is_no_answer(authority: trustme.CA) -> None:
    """Nothing listens there."""
    gone = KubernetesApi("127.0.0.1", 1, Access(ca=authority.cert_pem.bytes().decode(), token=""))

    with pytest.raises(ApiError, match="no answer: ") as told:
        gone.get(HELLO)

    assert told.value.status == 0


def kubeconfig(ca: str, user: object) -> dict[str, object]:
    return {"clusters": [{"cluster": {"certificate-authority-data": ca}}], "users": [{"user": user}]}


def test_kubeconfig_has_authority_and_token() -> None:
    """The first of each."""
    found = access_of(kubeconfig(base64.b64encode(b"PEM").decode(), {"token": "t"}))

    assert found == Access(ca="PEM", token="t")  # noqa: S106
    assert "'t'" not in repr(found)


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"clusters": []}, kubeconfig("?", {"token": "t"}), kubeconfig("UEVN", {}), kubeconfig("UEVN", None)],
)
def test_other_kubeconfigs_are_refused(document: object) -> None:
    """Without an authority or a token it is none of ours."""
    with pytest.raises(ApiError, match="no certificate authority or no token"):
        access_of(document)
