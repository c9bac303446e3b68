"""Facts about the client of registries, against one in this process that does wrong what it is told to."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from archway.distribution import OCI_MANIFEST, Descriptor, Registry, Repository, Stored
from archway.distribution.addresses import is_loopback
from archway.distribution.authorization import Challenge, challenges
from archway.distribution.transport import delays
from archway.distribution.trouble import printable
from archway.errors import AccessError, RegistryError
from tests.registries import MemoryRegistry, digest_of

PATH = "tests/app"
CONFIG = b'{"os": "linux", "architecture": "arm64"}'
MANIFEST = json.dumps(
    {
        "schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [],
        "config": {"mediaType": "x", "digest": digest_of(CONFIG), "size": len(CONFIG)},
    }
).encode()  # fmt: skip
IMAGE = Stored(MANIFEST, OCI_MANIFEST)
LAYER = bytes(range(256)) * 20_000
Login = Callable[..., None]


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is logged in, no proxies, and no certificates of this machine's Docker."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr("archway.distribution.transport.CERTIFICATES", tmp_path / "certs.d")
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
    """A registry with an image."""
    with MemoryRegistry() as registry:
        fill(registry)
        yield registry


@pytest.fixture
def app(memory: MemoryRegistry) -> Repository:
    """The repository of its image."""
    return Registry(memory.host).repository(PATH)


@pytest.fixture
def login(memory: MemoryRegistry, tmp_path: Path) -> Login:
    """Logs in to the registry, as ``docker login`` does."""

    def write(**entry: str) -> None:
        (tmp_path / "docker").mkdir(exist_ok=True)
        auth = entry or {"auth": base64.b64encode(b"user:secret").decode()}
        (tmp_path / "docker/config.json").write_text(json.dumps({"auths": {memory.host: auth}}))

    return write


def fill(registry: MemoryRegistry) -> None:
    registry.put(PATH, "one", MANIFEST, OCI_MANIFEST)
    registry.add_blob(PATH, CONFIG)
    registry.add_blob(PATH, LAYER)


def descriptor(data: bytes, *, size: int | None = None) -> Descriptor:
    return Descriptor(digest=digest_of(data), size=len(data) if size is None else size)


def errors(code: str, message: str = "") -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


# --- what there is ---


def test_manifest(app: Repository) -> None:
    """A manifest is read by tag and by digest, with its configuration."""
    assert app.get("one") == IMAGE
    assert app.get(IMAGE.digest) == IMAGE
    assert app.digest("one") == IMAGE.digest
    assert str(app.config(IMAGE)) == "linux/arm64"
    assert app.registry.answers


def test_what_is_not_there(app: Repository) -> None:
    """A tag or a repository that is not there is no error."""
    other = app.registry.repository("tests/other")

    assert app.get("two") is None
    assert app.digest("two") is None
    assert other.get("one") is None
    assert other.tags() == []
    assert not app.has_blob(digest_of(b""))


def test_page_of_another_server_is_not_absence(memory: MemoryRegistry, app: Repository) -> None:
    """A 404 that no registry made does not mean that the image is missing."""
    memory.fault(
        path="/manifests/", status=404, body=b"<html>lost</html>", headers={"Content-Type": "text/html"}, times=3
    )

    for ask in (app.get, app.digest):
        with pytest.raises(RegistryError, match="is no registry"):
            ask("one")


def test_missing_blobs(memory: MemoryRegistry, app: Repository) -> None:
    """What an image needs and the repository does not have is found out by one HEAD for each digest."""
    parts = [{"mediaType": "x", "digest": digest_of(data), "size": len(data)} for data in (CONFIG, LAYER, b"", b"")]
    image = Stored(json.dumps({"config": parts[0], "layers": parts[1:]}).encode(), OCI_MANIFEST)

    assert app.missing_blobs(image) == [digest_of(b"")]
    assert app.missing_blobs(IMAGE) == []
    assert [r.method for r in memory.asked(path="/blobs/")] == ["HEAD"] * 4


def test_all_pages_of_tags(memory: MemoryRegistry, app: Repository) -> None:
    """A list of tags has more than one page."""
    memory.page = 2
    for tag in ("two", "three", "four", "five"):
        memory.put(PATH, tag, MANIFEST, OCI_MANIFEST)

    assert app.tags() == ["five", "four", "one", "three", "two"]
    assert len(memory.asked("GET", "/tags/list")) == 3


def test_pages_in_a_circle(memory: MemoryRegistry, app: Repository) -> None:
    """Pages that lead to each other come to an end."""
    headers = {"Link": f'</v2/{PATH}/tags/list?n=1>; rel="next"', "Content-Type": "application/json"}
    memory.fault(path="/tags/list", status=200, body=b'{"tags": ["one"]}', headers=headers, times=100)

    assert app.tags() == ["one"]


def test_nearest_tag(memory: MemoryRegistry, app: Repository) -> None:
    """A tag that is nearly right gets a hint; of many that are unlike, none is listed."""
    assert app.nearest_tag("onne") == "did you mean one?"
    for number in range(100):
        memory.put(PATH, f"{number}", MANIFEST, OCI_MANIFEST)
    assert app.nearest_tag("something") == ""
    assert app.registry.repository("tests/other").nearest_tag("one") == ""


def test_put(memory: MemoryRegistry, app: Repository) -> None:
    """A manifest is written byte by byte, under a tag or its digest."""
    app.put("two", IMAGE)
    app.put(IMAGE.digest, IMAGE)

    assert app.get("two") == IMAGE
    assert {r.headers["user-agent"] for r in memory.requests} == {"archway"}


def test_blob(app: Repository) -> None:
    """A blob is read in pieces."""
    assert b"".join(app.blob(descriptor(LAYER))) == LAYER


def test_mount(memory: MemoryRegistry, app: Repository) -> None:
    """A blob of the same registry is mounted; one that is there already is left alone."""
    target = app.registry.repository("tests/copy")

    assert target.copy_blob(app, descriptor(LAYER))
    assert not target.copy_blob(app, descriptor(LAYER))
    assert len(memory.asked("POST")) == 1
    assert not memory.asked("PUT")


def test_mount_that_is_not_done(memory: MemoryRegistry, app: Repository) -> None:
    """Where a registry does not mount, the blob is transferred, and no upload is left open."""
    memory.mounts = False
    target = app.registry.repository("tests/copy")

    assert target.copy_blob(app, descriptor(LAYER))
    assert b"".join(target.blob(descriptor(LAYER))) == LAYER
    assert memory.uploads == {}


def test_copy_to_another_registry(app: Repository) -> None:
    """A blob of another registry is transferred."""
    with MemoryRegistry() as other:
        target = Registry(other.host).repository(PATH)

        assert target.copy_blob(app, descriptor(LAYER))
        assert b"".join(target.blob(descriptor(LAYER))) == LAYER


def test_check_push(memory: MemoryRegistry, app: Repository) -> None:
    """The question whether a push would do leaves nothing."""
    app.check_push()

    assert [r.method for r in memory.asked(path="/uploads/")] == ["POST", "DELETE"]
    assert memory.uploads == {}


# --- what is not what it should be ---


@pytest.mark.parametrize("reference", ["one", IMAGE.digest])
def test_wrong_manifest(memory: MemoryRegistry, app: Repository, reference: str) -> None:
    """Bytes that are not what the digest says are refused, by digest and by tag."""
    headers = {"Content-Type": OCI_MANIFEST, "Docker-Content-Digest": IMAGE.digest}
    memory.fault(path="/manifests/", status=200, body=MANIFEST + b" ", headers=headers)

    with pytest.raises(RegistryError, match="something else than was asked for"):
        app.get(reference)


@pytest.mark.parametrize(("size", "what"), [(10, "more"), (len(LAYER) + 1, "less")])
def test_wrong_size(app: Repository, size: int, what: str) -> None:
    """A blob of another size is refused."""
    with pytest.raises(RegistryError, match=f"gave {what} than"):
        list(app.blob(descriptor(LAYER, size=size)))


def test_wrong_blob(memory: MemoryRegistry, app: Repository) -> None:
    """A blob of the right size that is not what its digest says is refused."""
    memory.blobs[digest_of(LAYER)] = LAYER[:-1] + b"x"

    with pytest.raises(RegistryError, match="something else than was asked for"):
        list(app.blob(descriptor(LAYER)))


def test_wrong_answer_to_a_push(memory: MemoryRegistry, app: Repository) -> None:
    """A registry that stored something else than it was given is told."""
    memory.fault(method="PUT", status=201, headers={"Docker-Content-Digest": digest_of(b"")})

    with pytest.raises(RegistryError, match="something else"):
        app.put("one", IMAGE)


def test_too_large(memory: MemoryRegistry, app: Repository) -> None:
    """A document without end is not read to its end."""
    memory.fault(path="/manifests/", status=200, body=b" " * (5 << 20), headers={"Content-Type": OCI_MANIFEST})

    with pytest.raises(RegistryError, match="too large"):
        app.get("one")


@pytest.mark.parametrize(("kind", "body"), [("text/html", b"<html>"), ("application/json", b"hello"), ("", b"\xff")])
def test_no_registry(memory: MemoryRegistry, app: Repository, kind: str, body: bytes) -> None:
    """Something that answers and is no registry is an error, not an image."""
    memory.fault(status=200, body=body, headers={"Content-Type": kind}, path="/(manifests|tags)/", times=2)

    with pytest.raises(RegistryError, match=r"no registry|not what it should be"):
        app.get("one")
    with pytest.raises(RegistryError, match=r"no registry|not what it should be"):
        app.tags()


# --- tries ---


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"status": 500}, {"cut": True}], ids=str)
def test_trouble_that_passes(
    memory: MemoryRegistry, app: Repository, fault: dict[str, int], pauses: list[float]
) -> None:
    """Trouble that passes is not noticed, in reading and in writing."""
    assert app.registry.answers  # so that the way is found
    for method in ("GET", "PUT", "HEAD"):
        memory.fault(method=method, times=2, **fault)

    assert app.get("one") == IMAGE
    app.put("two", IMAGE)
    assert app.digest("two") == IMAGE.digest
    assert pauses == [0.5, 1.0] * 3


def test_trouble_that_stays(memory: MemoryRegistry, app: Repository, pauses: list[float]) -> None:
    """Trouble that stays ends after five tries; the error has the registry's words, where and what to do."""
    memory.fault(path="/manifests/", status=503, body=errors("UNAVAILABLE", "being repaired"), times=100)

    with pytest.raises(RegistryError) as raised:
        app.get("one")

    assert len(memory.asked(path="/manifests/")) == 5
    assert pauses == [0.5, 1.0, 2.0, 4.0]
    assert raised.value.passing
    assert raised.value.where == f"{memory.host}/{PATH}:one"
    assert "being repaired" in raised.value.why
    assert raised.value.hint


def test_delays_grow_to_a_bound() -> None:
    """Tries are further and further apart, up to eight seconds."""
    wait = delays()

    assert [next(wait) for _ in range(7)] == [0.5, 1, 2, 4, 8, 8, 8]


def test_retry_after(memory: MemoryRegistry, app: Repository, pauses: list[float]) -> None:
    """A registry says how long to wait, in seconds or as a date; nonsense is not waited for."""
    for after in ("7", "Wed, 21 Oct 2015 07:28:00 GMT", "soon"):
        memory.fault(path="/manifests/", status=429, headers={"Retry-After": after})

    assert app.get("one") == IMAGE
    assert pauses == [7, 0, 2.0]


def test_retry_after_that_is_long(memory: MemoryRegistry, app: Repository, pauses: list[float]) -> None:
    """What takes longer than a minute is not waited for but said."""
    memory.fault(path="/manifests/", status=429, headers={"Retry-After": "3600"})

    with pytest.raises(RegistryError, match="Retry-After: 3600") as raised:
        app.get("one")

    assert raised.value.passing
    assert pauses == []


@pytest.mark.parametrize(
    ("status", "body"), [(507, b""), (500, errors("UNKNOWN", "write /data: no space left on device"))]
)
def test_full_disk(memory: MemoryRegistry, app: Repository, status: int, body: bytes) -> None:
    """A registry whose disk is full is not asked again, and told as such."""
    memory.fault(method="PUT", status=status, body=body, times=100)

    with pytest.raises(RegistryError, match="disk is full") as raised:
        app.put("one", IMAGE)

    assert not raised.value.passing
    assert len(memory.asked("PUT")) == 1


def test_patience(memory: MemoryRegistry, app: Repository) -> None:
    """Who pushed a manifest itself waits until it is seen; others take its absence for what it is."""
    memory.fault(method="PUT", lag=2)
    app.put("two", IMAGE)
    assert app.get("two") is None

    assert app.get("two", patience=10) == IMAGE


def test_patience_ends(app: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not seen after that time is not there."""
    now = [0.0]
    monkeypatch.setattr("archway.distribution.client.time.monotonic", lambda: now[0])
    monkeypatch.setattr("archway.distribution.transport.pause", lambda seconds: now.append(now.pop() + seconds))

    assert app.get("two", patience=3) is None
    assert now == [3.0]


def test_download_goes_on(memory: MemoryRegistry, app: Repository) -> None:
    """A download that is cut goes on where it was."""
    memory.fault(path="/blobs/", cut=True, times=2)

    assert b"".join(app.blob(descriptor(LAYER))) == LAYER
    ranges = [int(r.headers["range"][6:-1]) for r in memory.asked("GET", "/blobs/")[1:]]
    assert 0 < ranges[0] < ranges[1] < len(LAYER)


def test_download_goes_on_without_ranges(memory: MemoryRegistry, app: Repository) -> None:
    """A registry that knows no ranges sends all again."""
    memory.fault(path="/blobs/", cut=True)
    memory.fault(path="/blobs/", status=200, body=LAYER)

    assert b"".join(app.blob(descriptor(LAYER))) == LAYER


def test_download_that_is_cut_again_and_again(memory: MemoryRegistry, app: Repository) -> None:
    """A download does not go on for ever."""
    memory.fault(path="/blobs/", cut=True, times=100)

    with pytest.raises(RegistryError, match="connection was cut"):
        list(app.blob(descriptor(LAYER)))

    assert len(memory.asked("GET", "/blobs/")) == 5


@pytest.mark.parametrize(
    "fault", [{"cut": True}, {"status": 502}, {"status": 404, "body": errors("BLOB_UPLOAD_UNKNOWN")}]
)
def test_upload_begins_anew(memory: MemoryRegistry, app: Repository, fault: dict[str, int]) -> None:
    """An upload that is cut, or that the registry forgot, begins anew with all bytes."""
    memory.mounts = False
    memory.fault(method="PUT", path="/uploads/", times=2, **fault)
    target = app.registry.repository("tests/copy")

    assert target.copy_blob(app, descriptor(LAYER))
    assert b"".join(target.blob(descriptor(LAYER))) == LAYER
    assert len(memory.asked("PUT")) == 3


def test_upload_that_arrived_after_all(memory: MemoryRegistry, app: Repository) -> None:
    """Where only the answer to an upload was lost, nothing is sent again."""
    memory.mounts = False
    memory.fault(method="PUT", path="/uploads/", status=504)
    target = app.registry.repository("tests/copy")
    memory.fault(method="HEAD", path="tests/copy", status=404)
    memory.fault(method="HEAD", path="tests/copy", status=200)

    assert target.copy_blob(app, descriptor(LAYER))
    assert len(memory.asked("PUT")) == 1


def test_redirect_without_credentials(memory: MemoryRegistry, app: Repository, login: Login) -> None:
    """A blob that lies on another host is fetched there, and the credentials stay at home."""
    login()
    memory.auth = "basic"
    with MemoryRegistry() as store:
        fill(store)
        place = f"http://{store.host}/v2/{PATH}/blobs/{digest_of(LAYER)}"
        memory.fault(method="GET", path="/blobs/", status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        memory.fault(method="GET", path="/blobs/", status=307, headers={"Location": place})

        assert b"".join(app.blob(descriptor(LAYER))) == LAYER
        assert memory.asked("GET", "/blobs/")[-1].authorized
        assert [r.authorized for r in store.requests] == [False]


# --- who asks ---


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_logged_in(memory: MemoryRegistry, app: Repository, login: Login, auth: str) -> None:
    """With the credentials of docker login, everything may be done that the user may."""
    login()
    memory.auth = auth
    target = app.registry.repository("tests/copy")

    assert app.get("one") == IMAGE
    app.check_push()
    app.put("two", IMAGE)
    assert target.copy_blob(app, descriptor(LAYER))
    assert memory.asked("POST", "mount=")[-1].authorized


def test_token_is_kept(memory: MemoryRegistry, app: Repository, login: Login) -> None:
    """A token is asked for once, and again when the registry takes it no more."""
    login()
    memory.auth = "bearer"
    for _ in range(3):
        app.get("one")
    assert len(memory.asked(path="^/token")) == 1

    memory.tokens.clear()

    assert app.get("one") == IMAGE
    assert len(memory.asked(path="^/token")) == 2


def test_identity_token(memory: MemoryRegistry, app: Repository, login: Login) -> None:
    """A token that stands for name and password is exchanged for one that does something."""
    login(identitytoken="identity")
    memory.auth = "bearer"

    app.put("two", IMAGE)

    assert [r.method for r in memory.asked(path="^/token")] == ["POST"]


def test_everybody_may_pull(memory: MemoryRegistry, app: Repository) -> None:
    """Without credentials, what everybody may read is read; a push says that a login is needed."""
    memory.auth, memory.anonymous = "bearer", True

    assert app.get("one") == IMAGE
    with pytest.raises(AccessError, match="not logged in"):
        app.check_push()


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_not_logged_in(memory: MemoryRegistry, app: Repository, auth: str) -> None:
    """Without credentials where some are needed, the error says how to log in; it is not asked again."""
    memory.auth = auth

    with pytest.raises(AccessError, match="not logged in") as raised:
        app.get("one", patience=10)

    assert raised.value.hint == f"docker login {memory.host}"
    assert app.registry.answers


@pytest.mark.parametrize("auth", ["basic", "bearer"])
def test_refused_credentials(memory: MemoryRegistry, app: Repository, login: Login, auth: str) -> None:
    """Credentials that are wrong are told as such, and not shown."""
    login(auth=base64.b64encode(b"user:hush").decode())
    memory.auth = auth

    with pytest.raises(AccessError, match="credentials were refused") as raised:
        app.get("one")

    assert "hush" not in str(raised.value)


def test_no_rights(memory: MemoryRegistry, app: Repository, login: Login) -> None:
    """Who is logged in and may not push is told so: by a token that is for less, and by a plain no."""
    memory.auth = "bearer"
    login()
    token = json.dumps({"token": "less"}).encode()
    memory.tokens["less"] = {f"repository:{PATH}:pull"}
    memory.fault(path="^/token", status=200, body=token, headers={"Content-Type": "application/json"})
    with pytest.raises(AccessError, match="no rights") as raised:
        app.check_push()
    assert "push to" in raised.value.hint

    memory.auth = "deny"

    with pytest.raises(AccessError, match="no rights"):
        app.put("one", IMAGE)


def test_challenges() -> None:
    """A header may ask in several ways, with commas and quotes inside of quotes."""
    header = 'Negotiate, Basic realm="a, \\"b\\"", Bearer realm="https://t/",scope="repository:a:pull,push",error=x'

    assert challenges(header) == [
        Challenge("basic", {"realm": 'a, "b"'}),
        Challenge("bearer", {"realm": "https://t/", "scope": "repository:a:pull,push", "error": "x"}),
    ]
    assert challenges("") == []


# --- errors, told apart ---


@pytest.mark.parametrize(
    ("status", "body", "what"),
    [
        (404, errors("NAME_UNKNOWN", "make it first"), "the repository does not exist"),
        (400, errors("MANIFEST_INVALID", "no"), "refused the request\n  HTTP 400: MANIFEST_INVALID no"),
        (413, b"", "too large"),
        (405, b"", "is no registry"),
        (501, b"", "the registry failed"),
    ],
)
def test_refused_push(memory: MemoryRegistry, app: Repository, status: int, body: bytes, what: str) -> None:
    """A push that is refused is told with its cause, and is not tried again."""
    memory.fault(method="PUT", status=status, body=body, times=100)

    with pytest.raises(RegistryError, match=what) as raised:
        app.put("one", IMAGE)

    assert not raised.value.passing
    assert len(memory.asked("PUT")) == 1


def test_refused_connection() -> None:
    """A registry that does not run is told as such, at once."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        registry = Registry(f"localhost:{free.getsockname()[1]}")

        with pytest.raises(RegistryError, match="cannot be reached"):
            registry.repository(PATH).get("one")
        assert not registry.answers


def test_name_that_does_not_exist() -> None:
    """A host name that does not exist is told as such."""
    with pytest.raises(RegistryError, match="cannot be resolved"):
        Registry("registry.invalid").repository(PATH).get("one")


def test_slow_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that does not answer is given up."""
    monkeypatch.setattr("archway.distribution.transport.TIMEOUT", 0.05)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        registry = Registry(f"localhost:{deaf.getsockname()[1]}", plain_http=True)

        with pytest.raises(RegistryError, match="does not answer in time") as raised:
            registry.repository(PATH).get("one")

    assert raised.value.passing


def test_words_of_a_registry_are_bounded() -> None:
    """Text of unknown origin is printed on one line, without credentials and not without end."""
    text = printable("a\x1b[31m\nb Bearer abc.def https://me:hush@host/ " + "x" * 1000)

    assert text.startswith("a [31m b … https://…host/")
    assert len(text) == 300


# --- TLS and proxies ---


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority that nobody trusts yet."""
    return trustme.CA()


def served(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*(names or ("localhost", "127.0.0.1"))).configure_cert(context)
    return context


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[MemoryRegistry]:
    """A registry that speaks HTTPS."""
    with MemoryRegistry(context=served(authority)) as registry:
        fill(registry)
        yield registry


@pytest.fixture
def ca(authority: trustme.CA, tmp_path: Path) -> Path:
    """The authority's certificate."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


def test_loopback_with_tls(secure: MemoryRegistry, ca: Path) -> None:
    """On loopback it is found out that a registry speaks HTTPS; the setting ca is trusted."""
    assert Registry(secure.host, ca=ca).repository(PATH).get("one") == IMAGE


def test_loopback_with_tls_that_cuts(secure: MemoryRegistry, ca: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same of a server that ends a connection which does not speak TLS."""
    monkeypatch.setattr("tests.registries.SAYS_WHAT_IT_WANTS", False)

    assert Registry(secure.host, ca=ca).repository(PATH).get("one") == IMAGE


def test_docker_trusts_it(secure: MemoryRegistry, ca: Path, tmp_path: Path) -> None:
    """What Docker trusts for a host is trusted for it."""
    folder = tmp_path / "certs.d" / secure.host
    folder.mkdir(parents=True)
    ca.rename(folder / "ca.crt")

    assert Registry(secure.host).repository(PATH).get("one") == IMAGE


def test_certificate_of_a_client(authority: trustme.CA, ca: Path, tmp_path: Path) -> None:
    """A client's certificate that Docker has for a host is shown to it; without it, the hint says where it goes."""
    context = served(authority)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # refuses within the handshake; 1.3 may be too late to be heard
    authority.configure_trust(context)
    with MemoryRegistry(context=context) as registry:
        fill(registry)
        with pytest.raises(RegistryError, match=r"client\.cert"):
            Registry(registry.host, ca=ca).repository(PATH).get("one")
        folder = tmp_path / "certs.d" / registry.host
        folder.mkdir(parents=True)
        client = authority.issue_cert("client.example.org")
        client.cert_chain_pems[0].write_to_path(folder / "client.cert")
        client.private_key_pem.write_to_path(folder / "client.key")

        assert Registry(registry.host, ca=ca).repository(PATH).get("one") == IMAGE


def test_certificate_that_is_not_trusted(secure: MemoryRegistry) -> None:
    """A certificate of an unknown authority is told, with the two places where trust is written."""
    with pytest.raises(RegistryError, match="not trusted") as raised:
        Registry(secure.host).repository(PATH).get("one")

    assert "setting ca" in raised.value.hint
    assert f"/etc/docker/certs.d/{secure.host}/ca.crt" in raised.value.hint


def test_certificate_for_another_name(authority: trustme.CA, ca: Path) -> None:
    """A certificate for another name is told as such."""
    with (
        MemoryRegistry(context=served(authority, "other.example.org")) as registry,
        pytest.raises(RegistryError, match="another host name"),
    ):
        Registry(registry.host, ca=ca).repository(PATH).get("one")


def test_plain_http_where_tls_was_expected(memory: MemoryRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that speaks plain HTTP is not spoken to so without a setting; the error names it, and Docker's."""
    monkeypatch.setattr("archway.distribution.transport.is_loopback", lambda host: False)
    with pytest.raises(RegistryError, match="speaks plain HTTP") as raised:
        Registry(memory.host).repository(PATH).get("one")
    assert "insecure_registries" in raised.value.hint
    assert "daemon.json" in raised.value.hint

    assert Registry(memory.host, plain_http=True).repository(PATH).get("one") == IMAGE


def test_tls_where_plain_http_was_set(secure: MemoryRegistry) -> None:
    """A setting that is no longer right is told."""
    with pytest.raises(RegistryError, match="speaks HTTPS") as raised:
        Registry(secure.host, plain_http=True).repository(PATH).get("one")

    assert "insecure_registries" in raised.value.hint


def test_broken_certificate_file(secure: MemoryRegistry, tmp_path: Path) -> None:
    """A file that holds no certificate is named."""
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")

    with pytest.raises(RegistryError, match="cannot be used as a certificate") as raised:
        Registry(secure.host, ca=broken).repository(PATH).get("one")

    assert raised.value.where == str(broken)


def test_credentials_do_not_go_to_a_plain_realm(
    secure: MemoryRegistry, memory: MemoryRegistry, ca: Path, tmp_path: Path
) -> None:
    """A registry that speaks HTTPS cannot have credentials sent in plain HTTP."""
    secure.auth, secure.realm = "bearer", f"http://{memory.host}/token"
    (tmp_path / "docker").mkdir()
    entry = {"username": "user", "password": "secret"}
    (tmp_path / "docker/config.json").write_text(json.dumps({"auths": {secure.host: entry}}))

    with pytest.raises(AccessError, match="unencrypted"):
        Registry(secure.host, ca=ca).repository(PATH).get("one")

    assert memory.requests == []


def test_proxy_of_the_environment(memory: MemoryRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy is asked for what is not on loopback nor excepted, and its absence is told as such."""
    monkeypatch.setenv("http_proxy", f"http://me:hush@{memory.host}")
    monkeypatch.setenv("no_proxy", "excepted.invalid")

    assert Registry("registry.invalid", plain_http=True).repository(PATH).get("one") == IMAGE
    assert memory.requests[-1].path == f"http://registry.invalid/v2/{PATH}/manifests/one"
    assert memory.requests[-1].headers["proxy-authorization"].startswith("Basic ")
    with pytest.raises(RegistryError, match="cannot be resolved"):
        Registry("excepted.invalid", plain_http=True).repository(PATH).get("one")
    assert Registry(memory.host).repository(PATH).get("one") == IMAGE
    assert memory.requests[-1].path == f"/v2/{PATH}/manifests/one"
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with pytest.raises(RegistryError, match="the proxy cannot be reached"):
        Registry("registry.invalid", plain_http=True).repository(PATH).get("one")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True), ("localhost:5000", True), ("127.1.2.3:5000", True), ("[::1]:5000", True),
        ("registry.example.org", False), ("localhost.example.org", False), ("192.0.2.1:5000", False),
    ],
)  # fmt: skip
def test_loopback(host: str, expected: bool) -> None:
    """What is on this machine is known by name or address."""
    assert is_loopback(host) is expected


def test_many_threads(memory: MemoryRegistry, app: Repository) -> None:
    """Threads share a client."""
    found: list[Stored | None] = []
    threads = [threading.Thread(target=lambda: found.append(app.get("one"))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [IMAGE] * 16
