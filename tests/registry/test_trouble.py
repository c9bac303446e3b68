"""Whole flows while registries and networks misbehave: a list is absent, the old one or the right one, never else.

``docker manifest`` speaks to the proxy as well, so that its requests meet the faults, too.
"""

from __future__ import annotations

import base64
import json
import shutil
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from archway.errors import AccessError, ListError, RegistryError
from archway.joining import Standing
from archway.promote import places, promote_all
from archway.selection import Selection
from archway.settings import Settings
from tests.images import OCI_INDEX, Pushed
from tests.registries import Fault, MemoryRegistry, Proxy, _ProxyHandler
from tests.registry.test_lists import AMD64, ARM64, TAG, Place, make_place
from tests.registry.test_promote import Turn

JSON = {"Content-Type": "application/json"}
LIST = f"/manifests/{TAG}$"
EVER = 10_000


def errors(code: str, message: str = "") -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


BUSY = Fault(status=429, body=errors("TOOMANYREQUESTS", "slow down"), headers={**JSON, "Retry-After": "7"})
BROKEN = Fault(status=503, body=b"upstream is away")
FULL = Fault(status=500, headers=JSON, body=errors("UNKNOWN", "write /data/x: no space left on device"))
MISSING = Fault(method="GET", path=LIST, status=404, headers=JSON, body=errors("MANIFEST_UNKNOWN"))
CUT = Fault(cut=True)


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is logged in, and a registry that shows late what it has is waited for a moment only."""
    (tmp_path / "docker").mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setattr("archway.distribution.transport.CERTIFICATES", tmp_path / "certs.d")
    monkeypatch.setattr("archway.manifests.LAG", 1.5)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were to be waited; a hundredth is."""
    found: list[float] = []

    def pause(seconds: float) -> None:
        found.append(seconds)
        time.sleep(seconds / 100)

    monkeypatch.setattr("archway.distribution.transport.pause", pause)
    return found


@dataclass
class Behind(Place):
    """A place that archway and docker reach through a proxy, and the test past it."""

    direct: str
    old: list[tuple[str, str]] | None = None

    @property
    def repository(self) -> Pushed:
        return Pushed(self.direct, f"{self.settings.organization}/test-app")

    def fill(self) -> list[tuple[str, str]]:
        """Have both members; the right list."""
        return [(f"linux/{arch}", self.member(arch)) for arch in ("amd64", "arm64")]

    def publish_old(self) -> str:
        """Have another list, as a run before left it; its digest."""
        entries = []
        for arch in ("amd64", "arm64"):
            digest = self.repository.image(f"old-{arch}", arch, labels={"old": "yes"})
            entries.append(self.repository.entry(digest, arch))
        found = self.repository.index(TAG, entries)
        self.old = self.repository.list_at(TAG)
        return found

    def state(self, right: list[tuple[str, str]]) -> str:
        """What the list's tag names. Anything but these fails the test."""
        found = self.repository.list_at(TAG)
        for name, known in (("absent", None), ("right", right), ("old", self.old)):
            if found == known or (found and known and sorted(found) == sorted(known)):
                return name
        pytest.fail(f"the tag names {found}, which is neither {right} nor {self.old}")


def make_behind(folder: Path, proxy: Proxy, direct: str, *, organization: str = "archway") -> Behind:
    made = make_place(folder, proxy.host, f'organization = "{organization}"\n')
    return Behind(made.monorepo, proxy.host, direct)


def told(flow: Callable[[], object], host: str) -> str:
    """Try once; the message, if it failed. Only an error that names the registry is clear."""
    said = ""
    try:
        flow()
    except RegistryError as failed:
        said = str(failed)
    assert not said or host in said
    return said


@dataclass
class Joining:
    """Members behind a proxy, and the list that they should get."""

    place: Behind
    proxy: Turn
    right: list[tuple[str, str]]

    def run(self) -> str:
        return told(self.place.join, self.place.host)

    @property
    def state(self) -> str:
        return self.place.state(self.right)


@pytest.fixture
def joining(tmp_path: Path, registry: str) -> Iterator[Joining]:
    with Turn(registry) as proxy:
        place = make_behind(tmp_path / "monorepo", proxy, registry)
        yield Joining(place, proxy, place.fill())


@pytest.fixture(params=[False, True], ids=["no list", "old list"])
def either(joining: Joining, request: pytest.FixtureRequest) -> Joining:
    """With an old list, and without one."""
    if request.param:
        joining.place.publish_old()
    return joining


def ever(joining: Joining, fault: Fault, *, method: str = "", path: str = "") -> None:
    """Let all requests that fit go wrong in the same way."""
    joining.proxy.counts = lambda verb, where: verb == (method or verb) and path in where
    joining.proxy.first, joining.proxy.wrong = 0, [fault] * EVER


# --- each request in turn ---


@pytest.mark.parametrize(
    "wrong",
    [[CUT], [BUSY], [BROKEN] * 2, [FULL], [CUT] * EVER],
    ids=["cut", "429", "503 twice", "disk full", "cut for ever"],
)
def test_each_request_of_a_join(tmp_path: Path, registry: str, wrong: list[Fault]) -> None:
    """Whichever request goes wrong, the list is absent, old or right, the error is clear, and a second run mends it."""
    with Turn(registry) as proxy:
        place = make_behind(tmp_path / "clean", proxy, registry, organization="clean")
        assert Joining(place, proxy, place.fill()).run() == ""
        count = proxy.seen
    failed = 0
    for number in range(count):
        with Turn(registry) as proxy:
            place = make_behind(tmp_path / "monorepo", proxy, registry, organization=f"to{number}")
            joining = Joining(place, proxy, place.fill())
            if number % 2:
                place.publish_old()
            shutil.rmtree(place.settings.state / "proofs", ignore_errors=True)
            proxy.first, proxy.wrong = number, list(wrong)
            said = joining.run()
            failed += bool(said)

            assert joining.state == "right" or said, f"request {number}"
            proxy.wrong = []
            assert joining.run() == ""
            assert joining.state == "right"
    print(f"{count} faults, {failed} runs failed, none left a wrong list")
    assert count > 15


@pytest.mark.parametrize(
    "wrong", [[CUT], [BROKEN] * 2, [FULL], [CUT] * EVER], ids=["cut", "503 twice", "disk full", "cut for ever"]
)
def test_each_request_to_the_source_of_a_promotion(
    tmp_path: Path, registry: str, other_registry: str, wrong: list[Fault]
) -> None:
    """Whichever answer of the source goes wrong, the target has the right list, or none and a clear error."""
    passing = len(wrong) < 3 and FULL not in wrong
    with Turn(registry) as proxy:
        place = make_behind(tmp_path / "monorepo", proxy, registry)
        entries = [place.repository.entry(digest, platform) for platform, digest in place.fill()]
        place.repository.index(TAG, entries)
        right = place.repository.list_at(TAG)

        def attempt(number: int) -> str:
            # A folder of its own each time: nothing is remembered of what was proven before.
            catalog = make_place(tmp_path / f"{number}", proxy.host).monorepo.catalog
            source, target = places(catalog.settings, "archway", f"{other_registry}/to{number}")
            requests = Selection.of([], [], ["test-app"], everything=False).requests(catalog, native=lambda: AMD64)
            return told(lambda: promote_all(source, target, requests), proxy.host)

        assert attempt(-1) == ""
        count, failed = proxy.seen, 0
        for number in range(count):
            goal = Pushed(other_registry, f"to{number}/test-app")
            proxy.seen, proxy.first, proxy.wrong = 0, number, list(wrong)
            said = attempt(number)
            failed += bool(said)

            assert goal.list_at(TAG) == (None if said else right)
            assert not (passing and said), said
            proxy.wrong = []
            assert attempt(number) == ""
            assert right == goal.list_at(TAG)
    print(f"{count} faults, {failed} runs failed, none left a wrong list")
    assert count > 10


# --- too many requests ---


def test_429_once(either: Joining, pauses: list[float]) -> None:
    """A registry that wants a pause gets as long a one as it says, and the list is made."""
    either.proxy.first, either.proxy.wrong = 1, [BUSY]

    assert either.run() == ""
    assert either.state == "right"
    assert pauses == [7.0]


def test_429_for_ever(either: Joining) -> None:
    """A registry that takes no more requests is told as such in the end, with what it says."""
    before = either.state
    ever(either, BUSY, path="/manifests/")
    said = either.run()

    assert "takes no more requests" in said
    assert "slow down" in said
    assert "Retry-After: 7" in said
    assert before == either.state


def test_429_for_long(either: Joining, pauses: list[float]) -> None:
    """A pause that is too long to wait for is told at once."""
    ever(either, Fault(status=429, headers={"Retry-After": "3600"}), path="/manifests/")

    assert "Retry-After: 3600" in either.run()
    assert (len(either.proxy.asked("GET", "/manifests/")), pauses) == (1, [])


def test_429_at_the_push(either: Joining) -> None:
    """When only the push is refused so, that is told in the same way, and the old list stays."""
    before = either.state
    ever(either, BUSY, method="PUT")
    said = either.run()

    assert "takes no more requests" in said
    assert before == either.state


def test_503_twice(either: Joining) -> None:
    """A registry that fails twice, as behind a proxy that is being renewed, is asked again."""
    either.proxy.first, either.proxy.wrong = 1, [BROKEN] * 2

    assert either.run() == ""
    assert either.state == "right"


# --- rights ---


@pytest.mark.parametrize(
    ("status", "message"), [(401, "not logged in"), (403, "no rights")], ids=["not logged in", "no rights"]
)
def test_no_rights_to_read(either: Joining, status: int, message: str) -> None:
    """Missing rights are told at once: asking again would not help."""
    before = either.state
    ever(either, Fault(status=status, headers=JSON, body=errors("DENIED")), path="/manifests/")

    with pytest.raises(AccessError, match=message):
        either.place.join()

    assert len(either.proxy.asked("GET", "/manifests/")) == 1
    assert either.proxy.asked("PUT") == []
    assert before == either.state


@pytest.mark.parametrize("status", [401, 403])
def test_no_rights_to_write(either: Joining, status: int) -> None:
    """Who may read and not write is told so at once."""
    before = either.state
    either.proxy.counts = lambda method, path: method in ("PUT", "POST", "PATCH")
    either.proxy.first, either.proxy.wrong = 0, [Fault(status=status, headers=JSON, body=errors("DENIED"))] * EVER

    with pytest.raises(AccessError) as refused:
        either.place.join()

    assert f"docker login {either.place.host}" in str(refused.value)
    assert len(either.proxy.asked("PUT", LIST) + either.proxy.asked("POST")) == 1
    assert before == either.state


@pytest.mark.parametrize("status", [401, 403])
def test_no_rights_to_promote(tmp_path: Path, registry: str, other_registry: str, status: int) -> None:
    """Missing rights at the target are told before anything is read or written there."""
    with Proxy(other_registry) as proxy:
        proxy.fault(method="POST", status=status, times=EVER, headers=JSON, body=errors("DENIED"))
        flow = promotion(tmp_path, registry, proxy.host)
        with pytest.raises(AccessError):
            flow()

    assert len(proxy.asked("POST")) == 1
    assert [proxy.asked("PUT"), proxy.asked("PATCH")] == [[], []]


def promotion(folder: Path, registry: str, to: str) -> Callable[[], object]:
    """A whole list at one registry, and what promotes it to another."""
    place = make_place(folder / "monorepo", registry)
    entries = [place.repository.entry(place.member(arch), arch) for arch in ("amd64", "arm64")]
    place.repository.index(TAG, entries)
    catalog = place.monorepo.catalog
    source, target = places(catalog.settings, "archway", f"{to}/stable")
    requests = Selection.of([], [], ["test-app"], everything=False).requests(catalog, native=lambda: AMD64)
    return lambda: promote_all(source, target, requests)


# --- what was pushed is not there yet ---


def after_push(joining: Joining, fault: Fault, times: int) -> None:
    """Let the reading of the list go wrong after it was pushed."""

    def pushed(method: str, path: str) -> None:
        if method == "PUT" and path.endswith(f"/manifests/{TAG}"):
            joining.proxy.counts = lambda verb, where: verb in ("GET", "HEAD") and where.endswith(f"/manifests/{TAG}")
            joining.proxy.seen, joining.proxy.first, joining.proxy.wrong = 0, 0, [fault] * times

    joining.proxy.on_request = pushed


def test_list_that_is_not_there_yet(either: Joining) -> None:
    """A11: a tag that is "not found" twice after it was pushed is waited for."""
    after_push(either, MISSING, 2)

    assert either.run() == ""
    assert either.state == "right"
    assert either.proxy.wrong == []


def test_list_that_never_comes(either: Joining) -> None:
    """A11: the wait has an end, and the message says what the tag names."""
    after_push(either, MISSING, EVER)

    with pytest.raises(ListError, match="is not the list that was written") as late:
        either.run()

    assert "it names nothing" in str(late.value)
    assert either.state == "right"


def shown(place: Behind, digest: str) -> Fault:
    data, headers = place.repository.ask("GET", f"manifests/{digest}", Accept=OCI_INDEX)
    kinds = {name: headers[name] for name in ("Content-Type", "Docker-Content-Digest")}
    return Fault(status=200, body=data, headers=kinds)


def test_old_list_for_a_while(joining: Joining) -> None:
    """A registry that shows the old list for a moment after the push is waited for."""
    after_push(joining, shown(joining.place, joining.place.publish_old()), 2)

    assert joining.run() == ""
    assert joining.state == "right"
    assert joining.proxy.wrong == []


def test_old_list_for_ever(joining: Joining) -> None:
    """If another list stands there and stays, that is told with its digest; nobody takes it for ours."""
    old = joining.place.publish_old()
    after_push(joining, shown(joining.place, old), EVER)

    with pytest.raises(ListError, match="another run may have published") as other:
        joining.run()

    assert f"it names {old}" in str(other.value)


def test_no_wait_before_the_push(joining: Joining) -> None:
    """A11: what was never pushed is not waited for."""
    before = len(joining.proxy.requests)
    joining.proxy.counts = lambda method, path: path.endswith(f"{TAG}-amd64")
    joining.proxy.first, joining.proxy.wrong = 0, [MISSING] * EVER

    with pytest.raises(Exception, match="is not there"):
        joining.place.join()

    assert len([r for r in joining.proxy.requests[before:] if r.path.endswith(f"{TAG}-amd64")]) == 1


# --- an answer that is lost ---


class _LosingHandler(_ProxyHandler):
    owner: Losing

    def _give_back(self, response) -> None:  # type: ignore[no-untyped-def]
        if self.command == "PUT" and self.owner.left and self.path.endswith(f"/manifests/{TAG}"):
            self.owner.left -= 1
            response.read()
            raise ConnectionError
        super()._give_back(response)


class Losing(Turn):
    """Does what it is asked for, and loses its answers to the push of a list."""

    handler = _LosingHandler
    left = 0


@pytest.mark.parametrize("times", [1, EVER], ids=["once", "for ever"])
@pytest.mark.parametrize("old", [False, True], ids=["no list", "old list"])
def test_answer_to_the_push_is_lost(tmp_path: Path, registry: str, times: int, *, old: bool) -> None:
    """When only the answer to the push is lost, however often, the list is found there, and nothing failed."""
    with Losing(registry) as proxy:
        place = make_behind(tmp_path / "monorepo", proxy, registry)
        joining = Joining(place, proxy, place.fill())
        if old:
            place.publish_old()
        proxy.left = times

        assert joining.run() == ""
        assert joining.state == "right"


# --- the registry's disk is full ---


def test_disk_full_at_the_list(either: Joining) -> None:
    """With the registry's disk full, the old list stays, and the registry's words are told."""
    before = either.state
    ever(either, FULL, method="PUT")

    assert "no space left on device" in either.run()
    assert before == either.state


@pytest.mark.parametrize("path", ["/blobs/uploads/", LIST])
def test_disk_full_at_a_promotion(tmp_path: Path, registry: str, other_registry: str, path: str) -> None:
    """A full disk at the target is told at once as what it is; there is no list, and room mends it."""
    with Proxy(other_registry) as proxy:
        fault = proxy.fault(method="PUT", path=path, status=500, times=EVER, headers=JSON, body=FULL.body)
        flow = promotion(tmp_path, registry, proxy.host)
        with pytest.raises(RegistryError, match="disk is full") as failed:
            flow()
        met, found = EVER - fault.times, Pushed(other_registry, "stable/test-app").list_at(TAG)
        fault.times = 0
        flow()

    assert (met, found) == (1, None)
    assert "free space" in str(failed.value)
    assert Pushed(other_registry, "stable/test-app").list_at(TAG)


# --- TLS and credentials ---

SECRET = "hunter2-or-so"  # noqa: S105 - of nobody
PAIR = base64.b64encode(f"user:{SECRET}".encode()).decode()


@dataclass
class Locked:
    """A registry that wants credentials, and a list elsewhere that goes there."""

    memory: MemoryRegistry
    place: Place
    source: Settings

    def login(self, folder: Path, password: str) -> None:
        auth = base64.b64encode(f"user:{password}".encode()).decode()
        (folder / "docker/config.json").write_text(json.dumps({"auths": {self.memory.host: {"auth": auth}}}))

    def promote(self) -> list[dict[str, object]]:
        """Copy the list to the registry; what it names there."""
        catalog = self.place.monorepo.catalog
        requests = Selection.of([], [], ["test-app"], everything=False).requests(catalog, native=lambda: AMD64)
        promote_all(self.source, catalog.settings, requests)
        return self.named()

    def named(self) -> list[dict[str, object]]:
        data, _ = self.memory.manifests["archway/test-app", self.memory.tags["archway/test-app"][TAG]]
        return list(json.loads(data)["manifests"])

    def forget_list(self) -> None:
        """Leave the members under their tags, and no list."""
        tags, named = self.memory.tags["archway/test-app"], self.named()
        tags |= {f"{TAG}-{platform.tag}": str(entry["digest"])
                 for platform, entry in zip((AMD64, ARM64), named, strict=True)}  # fmt: skip
        del tags[TAG]


@contextmanager
def locking(folder: Path, registry: str, auth: str, *, tls: bool) -> Iterator[Locked]:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    with MemoryRegistry(context=context if tls else None, auth=auth) as memory:
        memory.users = {"user": SECRET}
        place = make_place(folder / "monorepo", memory.host, f'ca = "{folder}/ca.pem"\n')
        origin = Pushed(registry, "archway/test-app")
        entries = [origin.entry(origin.image(f"{TAG}-{p.tag}", str(p), labels=place.labels(p)), str(p))
                   for p in (AMD64, ARM64)]  # fmt: skip
        origin.index(TAG, entries)
        yield Locked(memory, place, place.settings.with_options(registry=registry))


@pytest.fixture(params=["basic", "bearer"])
def locked(tmp_path: Path, registry: str, request: pytest.FixtureRequest) -> Iterator[Locked]:
    """In plain HTTP."""
    with locking(tmp_path, registry, request.param, tls=False) as found:
        yield found


@pytest.fixture(params=["basic", "bearer"])
def secure(tmp_path: Path, registry: str, request: pytest.FixtureRequest) -> Iterator[Locked]:
    """With TLS, by an authority of its own."""
    with locking(tmp_path, registry, request.param, tls=True) as found:
        yield found


def test_credentials(locked: Locked, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a login, a list is promoted and joined, by archway and by docker; the password is not told."""
    locked.login(tmp_path, SECRET)
    named = locked.promote()
    locked.forget_list()

    [made] = locked.place.join()

    heard = "".join(capsys.readouterr())
    assert made.standing is Standing.WRITTEN
    assert [entry["digest"] for entry in named] == [entry["digest"] for entry in locked.named()]
    assert SECRET not in heard
    assert PAIR not in heard


def test_tls(secure: Locked, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The setting ca and a login are all that a promotion to a registry with TLS needs."""
    secure.login(tmp_path, SECRET)

    assert [entry["digest"] for entry in secure.promote()] == [
        digest for _, digest in Pushed(secure.source.registry, "archway/test-app").list_at(TAG) or []
    ]
    heard = "".join(capsys.readouterr())
    assert SECRET not in heard
    assert PAIR not in heard


def test_joining_with_tls(secure: Locked, tmp_path: Path) -> None:
    """A list is joined in a registry with TLS as well, whose authority only archway knows."""
    secure.login(tmp_path, SECRET)
    named = secure.promote()
    secure.forget_list()
    secure.place.join()

    assert [entry["digest"] for entry in named] == [entry["digest"] for entry in secure.named()]


def test_wrong_password(locked: Locked, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Credentials that are refused are told as such, and not shown."""
    locked.login(tmp_path, "wrong-secret")

    with pytest.raises(AccessError) as joined:
        locked.place.join()
    with pytest.raises(AccessError) as promoted:
        locked.promote()

    heard = "".join((*capsys.readouterr(), str(joined.value), str(promoted.value)))
    assert "credentials" in heard
    assert "wrong-secret" not in heard
    assert base64.b64encode(b"user:wrong-secret").decode() not in heard


def test_rights_that_end_before_docker_writes(
    locked: Locked, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Docker's own failure is told without credentials as well."""
    locked.login(tmp_path, SECRET)
    locked.promote()
    locked.forget_list()
    said = f"Basic {PAIR} is refused, and so is https://user:{SECRET}@{locked.memory.host}/"
    locked.memory.fault(method="PUT", status=403, times=EVER, headers=JSON, body=errors("DENIED", said))

    with pytest.raises(RegistryError) as failed:
        locked.place.join()

    heard = "".join((*capsys.readouterr(), str(failed.value)))
    assert TAG not in locked.memory.tags["archway/test-app"]
    assert SECRET not in heard
    assert PAIR not in heard


def test_authority_that_is_not_trusted(secure: Locked, tmp_path: Path) -> None:
    """Without the authority's certificate nothing is sent, least of all credentials."""
    secure.login(tmp_path, SECRET)
    (tmp_path / "monorepo/pyproject.toml").write_text(
        (tmp_path / "monorepo/pyproject.toml").read_text().replace("ca =", "source =")
    )

    with pytest.raises(RegistryError, match="the certificate is not trusted"):
        secure.place.join()

    assert secure.memory.requests == []
