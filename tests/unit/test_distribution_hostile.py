"""Facts about the client of registries, against one that answers with nonsense, without end, or to fool a terminal."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from archway.distribution import OCI_MANIFEST, Config, Descriptor, PlatformWords, Registry, Repository, read
from archway.distribution.addresses import is_loopback
from archway.distribution.authorization import challenges
from archway.distribution.tags import _NEXT
from archway.distribution.trouble import Answer
from archway.engine import LocalImage
from archway.errors import AccessError, RegistryError
from archway.platforms import Platform
from tests.registries import MemoryRegistry, digest_of

PATH = "tests/app"
LAYER = bytes(range(256)) * 1000
DIGEST = digest_of(b"")
ESCAPE = "\x1b]0;owned\x07"
NO_ADDRESSES = ["http://[bad/", "http://localhost:99999/", "http://localhost:port/"]


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is logged in, and no proxies."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were to be waited; none is."""
    found: list[float] = []
    monkeypatch.setattr("archway.distribution.transport.pause", found.append)
    return found


@pytest.fixture
def memory() -> Iterator[MemoryRegistry]:
    """A registry with a blob."""
    with MemoryRegistry() as registry:
        registry.add_blob(PATH, LAYER)
        yield registry


@pytest.fixture
def app(memory: MemoryRegistry) -> Repository:
    """The repository of that."""
    return Registry(memory.host).repository(PATH)


def layer() -> Descriptor:
    return Descriptor(digest=digest_of(LAYER), size=len(LAYER))


# --- without end ---


def test_tags_without_end(memory: MemoryRegistry, app: Repository) -> None:
    """A list of tags whose pages never end is given up after a hundred."""
    for number in range(200):
        headers = {"Link": f'</v2/{PATH}/tags/list?n={number}>; rel="next"', "Content-Type": "application/json"}
        memory.fault(path="/tags/list", status=200, body=b'{"tags": ["one"]}', headers=headers)

    with pytest.raises(RegistryError, match="does not come to its end"):
        app.tags()

    assert len(memory.asked("GET", "/tags/list")) == 100


def test_document_that_drips(monkeypatch: pytest.MonkeyPatch) -> None:
    """A document whose bytes come one by one is given up, though each comes in time."""
    monkeypatch.setattr("archway.distribution.transport.PATIENCE", 0.3)
    stop = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
                for _ in range(100):
                    if stop.wait(0.05):
                        return
                    connection.sendall(b" ")

        thread = threading.Thread(target=drip)
        thread.start()
        begun = time.monotonic()
        with pytest.raises(RegistryError, match=r"in time(.|\n)*within 0\.3 s") as raised:
            Registry(f"localhost:{server.getsockname()[1]}", plain_http=True).repository(PATH).get("one")
        stop.set()
        thread.join()

    assert time.monotonic() - begun < 3
    assert raised.value.passing


@pytest.mark.parametrize("part", ["a", "a ", " ", 'a="', "a=", '\\"', "a  =", "<", "<;", "<a>;", ">;", ";rel"])
def test_headers_take_no_time(part: str) -> None:
    """The time to read a header grows no faster than the header."""
    begun = time.monotonic()
    challenges(part * 100_000)
    _NEXT.search(part * 100_000)

    assert time.monotonic() - begun < 3


def test_long_headers_are_cut() -> None:
    """Of a header that no honest registry sends, only the beginning is looked at."""
    answer = Answer(status=200, headers={"Link": "a" * 100_000}, data=b"", url="")

    assert len(answer.header("Link")) == 8192
    assert answer.header("Other") == ""


# --- nonsense ---


@pytest.mark.parametrize("body", [b"[" * 200_000, b'{"errors": ' + b"[" * 200_000, b'{"a":' * 200_000])
@pytest.mark.parametrize("status", [200, 404])
def test_deep_documents(memory: MemoryRegistry, app: Repository, status: int, body: bytes) -> None:
    """A document that is nested too deep is no document."""
    memory.fault(status=status, body=body, headers={"Content-Type": "application/json"}, path="/(manifests|tags)/")

    with pytest.raises(RegistryError, match=r"no registry|not what it should be"):
        app.get("one")


def test_deep_messages() -> None:
    """A registry's error whose parts are no texts is printed, as far as that is possible."""
    data = json.dumps({"errors": [{"code": 7, "message": ["a", {"b": 1}], "detail": None}]}).encode()

    assert Answer(status=400, headers={}, data=data, url="").codes == {"7"}


@pytest.mark.parametrize("size", ["-1", "9" * 30, "9" * 4000])
def test_sizes(size: str) -> None:
    """A size that no file can have is refused."""
    with pytest.raises(RegistryError, match="not what it should be"):
        read(Descriptor, f'{{"digest": "{DIGEST}", "size": {size}}}'.encode(), "here")


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ("9" * 5000, math.inf), ("Wed, 21 Oct 99999 07:28:00 GMT", math.inf),
        (f"Wed, 21 Oct {'9' * 30} 07:28:00 GMT", math.inf), ("7", 7), ("soon", None), ("", None), ("-7", None),
    ],
)  # fmt: skip
def test_retry_after(after: str, expected: float | None) -> None:
    """A time that is out of any range is far off; what is no time is none."""
    assert Answer(status=429, headers={"Retry-After": after}, data=b"", url="").retry_after == expected


def test_retry_after_out_of_range(memory: MemoryRegistry, app: Repository, pauses: list[float]) -> None:
    """A registry that wants to be left alone for ever is asked once."""
    memory.fault(path="/manifests/", status=503, headers={"Retry-After": "9" * 5000}, times=9)

    with pytest.raises(RegistryError, match="the registry failed"):
        app.get("one")

    assert pauses == []


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_of_an_upload(
    memory: MemoryRegistry, app: Repository, pauses: list[float], method: str, status: int
) -> None:
    """An upload that is to be tried again in an hour is not tried again now; the error is one that passes."""
    memory.fault(method=method, path="tests/copy", status=status, headers={"Retry-After": "3600"}, times=9)

    with MemoryRegistry() as other:
        other.add_blob(PATH, LAYER)
        with pytest.raises(RegistryError) as raised:
            app.registry.repository("tests/copy").copy_blob(Registry(other.host).repository(PATH), layer())

    assert raised.value.passing
    assert pauses == []
    assert len(memory.asked(method, "tests/copy")) == 1


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_redirect_to_no_address(memory: MemoryRegistry, app: Repository, address: str) -> None:
    """A redirect to what is no address is an error that says so."""
    memory.fault(path="/blobs/", status=307, headers={"Location": address})

    with pytest.raises(RegistryError, match="leads to an address that is none"):
        list(app.blob(layer()))


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_upload_to_no_address(memory: MemoryRegistry, app: Repository, address: str) -> None:
    """The same of the place for an upload."""
    memory.fault(method="POST", path="/uploads/", status=202, headers={"Location": address})
    with MemoryRegistry() as other:
        target = app.registry.repository("tests/copy")
        other.add_blob(PATH, LAYER)

        with pytest.raises(RegistryError, match="leads to an address that is none"):
            target.copy_blob(Registry(other.host).repository(PATH), layer())


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_next_page_at_no_address(memory: MemoryRegistry, app: Repository, address: str) -> None:
    """The same of the next page of tags."""
    headers = {"Link": f"<{address}>; rel=next", "Content-Type": "application/json"}
    memory.fault(path="/tags/list", status=200, body=b'{"tags": ["one"]}', headers=headers)

    with pytest.raises(RegistryError, match="leads to an address that is none"):
        app.tags()


@pytest.mark.parametrize("address", NO_ADDRESSES)
def test_tokens_from_no_address(memory: MemoryRegistry, app: Repository, address: str) -> None:
    """The same of the server for tokens."""
    memory.fault(path="/manifests/", status=401, headers={"WWW-Authenticate": f'Bearer realm="{address}"'})

    with pytest.raises(RegistryError, match="leads to an address that is none"):
        app.get("one")


@pytest.mark.parametrize("token", ["a\r\nX: y", "ä", "€"])
def test_token_that_is_none(memory: MemoryRegistry, app: Repository, token: str) -> None:
    """A token that cannot stand in a header is none."""
    memory.auth = "bearer"
    body = json.dumps({"token": token}).encode()
    memory.fault(path="^/token", status=200, body=body, headers={"Content-Type": "application/json"})

    with pytest.raises(RegistryError, match="gave none"):
        app.get("one")


def test_content_range_out_of_range(memory: MemoryRegistry, app: Repository) -> None:
    """A part of a blob that says nonsense about its place is taken for what was asked for."""
    half = len(LAYER) // 2
    memory.fault(path="/blobs/", cut=True)
    memory.fault(path="/blobs/", status=206, body=LAYER[half:], headers={"Content-Range": f"bytes {'9' * 5000}-"})

    assert b"".join(app.blob(layer())) == LAYER


def test_digest_that_is_none(memory: MemoryRegistry, app: Repository) -> None:
    """What a registry calls a digest and is none is not believed."""
    memory.put(PATH, "one", b"{}", OCI_MANIFEST)
    memory.fault(method="HEAD", status=200, headers={"Docker-Content-Digest": "sha256:x"})

    assert app.digest("one") == digest_of(b"{}")


# --- proxies ---


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("address", ["http://u:hush@[bad", "u:hush@host:99999", "http://u:hush@"])
def test_proxy_that_is_none(monkeypatch: pytest.MonkeyPatch, name: str, address: str) -> None:
    """A proxy that is no address is told by the variable that has it, without its password."""
    monkeypatch.setenv(name, address)

    with pytest.raises(RegistryError, match="is no address") as raised:
        Registry("registry.invalid").repository(PATH).get("one")

    assert raised.value.where == name
    assert "hush" not in str(raised.value)


def test_proxy_that_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies of another kind are told to be not supported."""
    monkeypatch.setenv("ALL_PROXY", "socks5://u:hush@localhost:1080")

    with pytest.raises(RegistryError, match=r"not supported\n.*socks5://localhost:1080: only HTTP") as raised:
        Registry("registry.invalid").repository(PATH).get("one")

    assert raised.value.where == "ALL_PROXY"
    assert "hush" not in str(raised.value)


def test_host_that_is_none_is_not_on_loopback() -> None:
    """A host that cannot be read is not on this machine."""
    assert not is_loopback("[bad")


# --- to fool ---


def test_tags_that_are_none(memory: MemoryRegistry, app: Repository) -> None:
    """What can be no tag is not listed, nor proposed."""
    body = json.dumps({"tags": ["one", f"on{ESCAPE}", "../one", "", "a" * 129]}).encode()
    memory.fault(path="/tags/list", status=200, body=body, headers={"Content-Type": "application/json"}, times=2)

    assert app.tags() == ["one"]
    assert app.nearest_tag("on") == "did you mean one?"


def test_words_of_documents_are_printable() -> None:
    """What is shown of an image's configuration holds nothing that a terminal would obey."""
    document = {
        "os": f"linux{ESCAPE}", "architecture": f"{ESCAPE}arm64", "variant": ESCAPE, "created": f"today{ESCAPE}",
        "config": {"Labels": {f"a{ESCAPE}": f"b\n{ESCAPE}"}},
    }  # fmt: skip
    config = read(Config, json.dumps(document).encode(), "here")

    shown = [config.os, config.architecture, config.variant, config.created, *config.labels, *config.labels.values()]
    assert all(text.isprintable() for text in shown)
    assert config.labels == {"a\ufffd]0;owned\ufffd": "b \ufffd]0;owned\ufffd"}
    assert config.known is None


def test_mistakes_of_documents_are_printable() -> None:
    """Nor does the message about a document of another shape."""
    with pytest.raises(RegistryError) as raised:
        read(Descriptor, json.dumps({"digest": DIGEST, "size": 1, "annotations": {ESCAPE: 1}}).encode(), "here")

    assert raised.value.why.isprintable()


@pytest.mark.parametrize(
    ("platform", "expected"),
    [
        ({"os": "unknown", "architecture": "unknown"}, DIGEST),
        ({"os": "unknown", "architecture": "unknown\x1b"}, None),
        ({"os": "unknown/unknown"}, None),
        ({"os": "unknown"}, None),
        ({"os": "linux", "architecture": "arm64"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_attestations(platform: dict[str, str] | None, expected: str | None) -> None:
    """An entry of a list is an attestation only if its platform says so; an annotation alone makes it none."""
    words = PlatformWords.model_validate(platform) if platform is not None else None
    notes = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": DIGEST}
    entry = Descriptor(digest=DIGEST, size=1, platform=words, annotations=notes)

    assert entry.attests == expected
    assert entry.is_attestation is (expected is not None)


# --- Docker Hub ---


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("docker.io/acme/app", "1"), ("docker.io/library/debian", "2"), ("localhost:5000/acme/app", "3"),
        ("docker.io/library/app", None), ("localhost:5000/library/debian", None), ("docker.io/other/debian", None),
        ("quay.io/acme/app", "4"),
    ],
)  # fmt: skip
def test_names_of_docker_hub_are_short(repository: str, expected: str | None) -> None:
    """The engine leaves the registry out of the names of Docker Hub, and library as well."""
    names = ("acme/app@1", "debian@2", "localhost:5000/acme/app@3", "quay.io/acme/app@4")
    image = LocalImage(platform=Platform.parse("arm64"), labels={}, repo_digest=None, repo_digests=names)

    assert image.digest_in(repository) == expected


# --- tokens of the configuration ---


def test_registry_token(memory: MemoryRegistry, app: Repository, tmp_path: Path) -> None:
    """A token of docker's configuration is shown to the registry as it is; one that is refused is not tried again."""
    memory.auth = "bearer"
    memory.put(PATH, "one", b"{}", OCI_MANIFEST)
    memory.tokens["ready"] = {f"repository:{PATH}:pull"}
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text(json.dumps({"auths": {memory.host: {"registrytoken": "ready"}}}))

    assert app.get("one")
    assert not memory.asked(path="^/token")
    memory.tokens.clear()
    with pytest.raises(AccessError, match="credentials were refused"):
        app.get("one")
    assert not memory.asked(path="^/token")
