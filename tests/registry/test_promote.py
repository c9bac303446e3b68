"""Lists that are copied to another organization or registry, against real registries, without an engine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from archway.errors import ArchwayError, ListError, RegistryError, UsageError
from archway.joining import Standing, Tagged
from archway.promote import find_all, places, promote_all, rehearse
from archway.report_lists import print_rehearsal
from archway.selection import Request, Selection
from archway.settings import Settings
from tests.images import DOCKER, OCI_INDEX, OCI_MANIFEST, Pushed, program
from tests.registries import Fault, Proxy
from tests.registry.test_lists import AMD64, ARM64, TAG, Place, make_place

WRITES = ("POST", "PUT", "PATCH")


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were to be waited; none is."""
    found: list[float] = []
    monkeypatch.setattr("archway.distribution.transport.pause", found.append)
    return found


class Turn(Proxy):
    """Stands in front of a registry, and lets requests from a number on go wrong.

    :ivar wrong: how; the first is that of number ``first``, and afterwards all is well
    :ivar counts: which requests are counted
    """

    def __init__(self, upstream: str, *, counts: Callable[[str, str], bool] = lambda method, path: True) -> None:
        super().__init__(upstream)
        self.counts = counts
        self.first = -1
        self.wrong: list[Fault] = []
        self.seen = 0

    def next_fault(self, method: str, path: str) -> Fault | None:
        with self.lock:
            if not self.counts(method, path):
                return None
            self.seen += 1
            return self.wrong.pop(0) if self.seen > self.first >= 0 and self.wrong else None


@dataclass
class Move:
    """A list that goes from one place to another."""

    place: Place
    source: Settings
    target: Settings
    goal: Pushed
    """The target's repository, past any proxy."""
    proxy: Proxy

    @property
    def origin(self) -> Pushed:
        return self.place.repository

    @property
    def requests(self) -> tuple[Request, ...]:
        selection = Selection.of([], [], ["test-app"], everything=False)
        return selection.requests(self.place.monorepo.catalog, native=lambda: AMD64)

    def run(self) -> list[Tagged]:
        return promote_all(self.source, self.target, self.requests)

    def rehearse(self) -> list[Tagged]:
        return rehearse(self.source, self.target, self.requests)

    def publish(self) -> str:
        """Have a list at the source with a plain member and one with an attestation; its digest."""
        amd64 = self.origin.entry(self.place.member("amd64"), "amd64")
        self.origin.attested("attested", "arm64", labels=self.place.labels(ARM64))
        data, _ = self.origin.ask("GET", "manifests/attested", Accept=OCI_INDEX)
        return self.origin.index(TAG, [amd64, *json.loads(data)["manifests"]])

    def written(self) -> list[str]:
        """What changed the target, or was meant to."""
        return [request.path for method in WRITES for request in self.proxy.asked(method)]


def make_move(
    folder: Path, registry: str, other: str, proxy: Proxy, *, organization: str = "stable", floating: str = ""
) -> Move:
    """A move to a proxy, which stands in front of the other registry."""
    place = make_place(folder, registry, f"floating-tags = [{floating}]\n")
    source, target = places(place.settings, "archway", f"{proxy.host}/{organization}")
    return Move(place, source, target, Pushed(other, f"{organization}/test-app"), proxy)


@pytest.fixture
def move(tmp_path: Path, registry: str, other_registry: str) -> Iterator[Move]:
    with Proxy(other_registry) as proxy:
        yield make_move(tmp_path / "monorepo", registry, other_registry, proxy, floating='"version", "latest"')


def everything_of(repository: Pushed, reference: str) -> dict[str, bytes]:
    """All that a list names, by digest, and itself. What is missing raises an error."""
    kinds = f"{OCI_INDEX}, {DOCKER}, {OCI_MANIFEST}, application/vnd.docker.distribution.manifest.list.v2+json"
    data, headers = repository.ask("GET", f"manifests/{reference}", Accept=kinds)
    found = {headers["Docker-Content-Digest"]: data}
    document = json.loads(data)
    for entry in document.get("manifests", ()):
        found |= everything_of(repository, entry["digest"])
    for blob in (*filter(None, [document.get("config")]), *document.get("layers", ())):
        found[blob["digest"]] = repository.ask("GET", f"blobs/{blob['digest']}")[0]
    return found


def test_to_another_registry(move: Move) -> None:
    """List, members, attestations and floating tags come to another registry unchanged, byte by byte."""
    digest = move.publish()

    moved = move.run()

    assert [(str(one.reference.tag), one.standing, one.digest) for one in moved] == [
        (tag, Standing.WRITTEN, digest) for tag in (TAG, "1", "latest")
    ]
    assert everything_of(move.origin, TAG) == everything_of(move.goal, TAG)
    assert len(everything_of(move.goal, TAG)) == 4 + 3 * 2
    for tag in ("1", "latest"):
        assert move.origin.list_at(TAG) == move.goal.list_at(tag)


def test_within_a_registry(tmp_path: Path, registry: str) -> None:
    """Within a registry no blob is sent: they are mounted from one repository into the other."""
    with Proxy(registry) as proxy:
        place = make_place(tmp_path / "monorepo", proxy.host, 'floating-tags = ["latest"]\n')
        source, target = places(place.settings, "archway", "stable")
        move = Move(place, source, target, Pushed(registry, "stable/test-app"), proxy)
        move.publish()
        before = len(proxy.requests)
        move.run()
        sent = [request for request in proxy.requests[before:] if request.method in ("PUT", "PATCH")]

    assert everything_of(Pushed(registry, "archway/test-app"), TAG) == everything_of(move.goal, "latest")
    assert [request.path for request in sent if "/blobs/" in request.path] == []
    assert len([request for request in sent if "/manifests/" in request.path]) == 3 + 2


def test_second_run_writes_nothing(move: Move) -> None:
    """A second run finds all of it already so, and sends nothing: it only sees that it could."""
    digest = move.publish()
    move.run()
    move.proxy.requests.clear()

    again = move.run()

    assert [(one.standing, one.digest) for one in again] == [(Standing.ALREADY, digest)] * 3
    assert [move.proxy.asked("PUT"), move.proxy.asked("PATCH")] == [[], []]
    assert len(move.proxy.asked("POST")) == len(move.proxy.asked("DELETE"))


def test_only_what_is_missing_is_sent(move: Move) -> None:
    """When one member is new, the other one is not sent again."""
    move.publish()
    move.run()
    newer = move.place.member("amd64", newer="yes")
    data, _ = move.origin.ask("GET", "manifests/attested", Accept=OCI_INDEX)
    move.origin.index(TAG, [move.origin.entry(newer, "amd64"), *json.loads(data)["manifests"]])
    move.proxy.requests.clear()

    move.run()

    assert everything_of(move.origin, TAG) == everything_of(move.goal, TAG)
    assert [request.path.rpartition("/")[2] for request in move.proxy.asked("PUT", "/manifests/")] == [
        newer, TAG, "1", "latest",
    ]  # fmt: skip


def test_floating_tags_move_last(move: Move) -> None:
    """Layers come before their manifest, members before the list, and the list before floating tags."""
    move.publish()
    move.run()

    puts = [request.path for request in move.proxy.asked("PUT")]
    manifests = [path.rpartition("/")[2] for path in puts if "/manifests/" in path]
    assert manifests[-3:] == [TAG, "1", "latest"]
    assert all(name.startswith("sha256:") for name in manifests[:-3])
    assert len(manifests) == 3 + 3
    assert "/blobs/uploads/" in puts[0]
    assert all("/manifests/" in path for path in puts[-4:])


def test_floating_tag_that_names_something_else(move: Move) -> None:
    """A floating tag that names an older list moves; the list itself is already so."""
    digest = move.publish()
    move.run()
    move.goal.image("latest", "amd64")

    again = move.run()

    assert [one.standing for one in again] == [Standing.ALREADY, Standing.ALREADY, Standing.WRITTEN]
    assert everything_of(move.goal, TAG).keys() == everything_of(move.goal, "latest").keys()
    assert digest in everything_of(move.goal, "latest")


# --- what is refused ---


def nothing(move: Move) -> None:
    move.place.member("amd64", tag=f"{TAG}x")


def single(move: Move) -> None:
    move.place.member("amd64", tag=TAG)


def incomplete(move: Move) -> None:
    move.origin.index(TAG, [move.origin.entry(move.place.member("amd64"), "amd64")])


def twice(move: Move) -> None:
    first, second = move.place.member("amd64"), move.place.member("amd64", tag="second", second="yes")
    arm64 = move.place.member("arm64")
    entry = move.origin.entry
    move.origin.index(TAG, [entry(first, "amd64"), entry(second, "amd64"), entry(arm64, "arm64")])


def unwanted(move: Move) -> None:
    entry = move.origin.entry
    archs = ("amd64", "arm64", "s390x")
    digests = [move.origin.image(arch, arch) for arch in archs]
    move.origin.index(TAG, [entry(digest, arch) for digest, arch in zip(digests, archs, strict=True)])


def unknown(move: Move) -> None:
    """An entry for a platform that nobody knows, as a list of another tool may have it."""
    entry = move.origin.entry
    amd64, arm64 = (entry(move.place.member(arch), arch) for arch in ("amd64", "arm64"))
    other = entry(move.origin.image("other", "s390x"), "s390x") | {"platform": {"os": "plan9", "architecture": "mips"}}
    move.origin.index(TAG, [amd64, arm64, other])


def mislabelled(move: Move) -> None:
    amd64, other = move.place.member("amd64"), move.place.member("amd64", tag="other", other="yes")
    move.origin.index(TAG, [move.origin.entry(amd64, "amd64"), move.origin.entry(other, "arm64")])


def foreign(move: Move) -> None:
    amd64 = move.place.member("amd64")
    arm64 = move.origin.image("arm64", "arm64", labels=move.place.labels(ARM64), files={"bin/x": program(AMD64)})
    move.origin.index(TAG, [move.origin.entry(amd64, "amd64"), move.origin.entry(arm64, "arm64")])


def other_version(move: Move) -> None:
    entry = move.origin.entry
    version = {"org.opencontainers.image.version": "2"}
    digests = [move.origin.image(platform.tag, platform.tag, labels={**move.place.labels(platform), **version})
               for platform in (AMD64, ARM64)]  # fmt: skip
    move.origin.index(TAG, [entry(digests[0], "amd64"), entry(digests[1], "arm64")])


def lose_layer(move: Move) -> None:
    data, _ = move.origin.ask("GET", f"manifests/{TAG}-amd64", Accept=DOCKER)
    move.origin.ask("DELETE", f"blobs/{json.loads(data)['layers'][0]['digest']}")


def torn(move: Move) -> None:
    """A blob of a member is gone, as after a wrong collection of garbage."""
    move.publish()
    lose_layer(move)


def nested(move: Move) -> None:
    """A member that is a list itself: what it names would not be copied."""
    amd64 = move.origin.entry(move.place.member("amd64"), "amd64")
    inner = move.origin.index("inner", [move.origin.entry(move.place.member("arm64"), "arm64")])
    data, _ = move.origin.ask("GET", f"manifests/{inner}", Accept=OCI_INDEX)
    platform = {"os": "linux", "architecture": "arm64"}
    entry: dict[str, object] = {"mediaType": OCI_INDEX, "digest": inner, "size": len(data), "platform": platform}
    move.origin.index(TAG, [amd64, entry])


def disguised(move: Move) -> None:
    """An entry that says it is an attestation, and of a platform: what runs there would be this, and unproven."""
    move.publish()
    data, _ = move.origin.ask("GET", f"manifests/{TAG}", Accept=OCI_INDEX)
    entries = json.loads(data)["manifests"]
    bad = move.origin.entry(move.origin.image("bad", "arm64", files={"bin/x": program(AMD64)}), "arm64")
    bad["annotations"] = {"vnd.docker.reference.digest": entries[0]["digest"]}
    move.origin.index(TAG, [*entries, bad])


REFUSED = [
    (nothing, ListError, f"test-app:{TAG} is not there.*did you mean {TAG}x"),
    (single, ListError, "is one image, and no manifest list.*inv publish"),
    (incomplete, ListError, "is not complete.*lacks linux/arm64.*inv publish"),
    (twice, ListError, "holds linux/amd64 twice"),
    (unwanted, ListError, "holds linux/s390x, which is not wanted"),
    (unknown, ListError, "holds plan9/mips, which is not wanted"),
    (mislabelled, ListError, "holds an image for linux/amd64, not for linux/arm64"),
    (foreign, ListError, "is not what it should be.*/bin/x"),
    (other_version, ListError, "says that it is version 2, not 1"),
    (torn, ListError, "is not whole.*gone: sha256:"),
    (nested, ListError, "is a list inside of a list"),
    (disguised, ListError, "holds linux/arm64 twice"),
]


@pytest.mark.parametrize(("prepare", "kind", "message"), REFUSED, ids=lambda value: getattr(value, "__name__", ""))
def test_refused(move: Move, prepare: Callable[[Move], None], kind: type[ArchwayError], message: str) -> None:
    """What is not whole and proven is not promoted: the message says why, and nothing is written."""
    prepare(move)

    with pytest.raises(kind) as refused:
        move.run()

    assert re.search(message, str(refused.value), re.DOTALL), str(refused.value)
    assert move.written() == []
    assert move.goal.list_at(TAG) is None


@pytest.mark.parametrize("place", ["archway", "{registry}/archway"])
def test_source_is_the_target(move: Move, place: str) -> None:
    """A place cannot be promoted to itself, however it is written."""
    with pytest.raises(UsageError, match="are the same place"):
        places(move.place.settings, "archway", place.format(registry=move.place.host))


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("", "stable", "--from is missing"),
        ("archway", "", "--to is missing"),
        ("archway", "localhost:5001", "names a registry, but no organization"),
        ("archway", "Stable", "Stable"),
    ],
)
def test_no_place(move: Move, source: str, target: str, message: str) -> None:
    """What is no place is refused before anything is asked."""
    with pytest.raises(UsageError, match=message):
        places(move.place.settings, source, target)


def test_all_that_is_wrong_is_told(move: Move) -> None:
    """Of several lists, all that are wrong are told, and those that are right are not promoted either."""
    move.place.monorepo.image("other-app", "FROM scratch\nCOPY hello /hello\n")
    move.place.monorepo.image("third-app", "FROM scratch\nCOPY hello /hello\n")
    move.publish()
    selection = Selection.of([], [], ["test-app", "other-app", "third-app"], everything=False)
    requests = selection.requests(move.place.monorepo.catalog, native=lambda: AMD64)

    with pytest.raises(ListError, match="2 of 3 cannot be promoted") as refused:
        find_all(move.source, move.target, requests, foreign=False)

    assert f"other-app:{TAG} is not there" in str(refused.value)
    assert f"third-app:{TAG} is not there" in str(refused.value)
    assert move.written() == []


def test_blob_that_is_gone_after_the_proof(move: Move) -> None:
    """A member that was proven before, and lost a layer since, is not promoted: no tag names half an image."""
    move.publish()
    move.run()
    third = move.target.with_options(organization="third")
    lose_layer(move)

    with pytest.raises(ListError, match="cannot be promoted"):
        promote_all(move.source, third, move.requests)

    assert Pushed(move.goal.host, "third/test-app").list_at(TAG) is None


def test_attestation_that_is_gone(move: Move) -> None:
    """A list whose attestation is gone is not promoted without it; the list's tag is not written."""
    move.publish()
    data, _ = move.origin.ask("GET", f"manifests/{TAG}", Accept=OCI_INDEX)
    statement = json.loads(data)["manifests"][-1]["digest"]
    move.origin.ask("DELETE", f"manifests/{statement}")

    with pytest.raises(ListError, match=f"{statement} is not there any more"):
        move.run()

    assert move.goal.list_at(TAG) is None
    assert move.proxy.asked("PUT", f"/manifests/({TAG}|1|latest)$") == []


# --- dry run ---


def test_dry_run(move: Move, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run tells in three groups what is so, to be written and missing; nothing is written."""
    with pytest.raises(ListError, match="1 of 1 cannot be written") as refused:
        print_rehearsal(move.rehearse(), json=False)
    told = [capsys.readouterr().out]
    digest = move.publish()
    print_rehearsal(move.rehearse(), json=False)
    told.append(capsys.readouterr().out)
    written = move.written()
    move.run()
    move.goal.image("latest", "amd64")
    print_rehearsal(move.rehearse(), json=False)
    told.append(capsys.readouterr().out)

    name = f"{move.proxy.host}/stable/test-app"
    named = {tag: f"  {name}:{tag} {digest}\n" for tag in (TAG, "1", "latest")}
    assert f"test-app:{TAG} is not there" in str(refused.value)
    assert told == [
        f"already so:\n  nothing\nto be written:\n  nothing\nmissing:\n  {name}:{TAG}\n",
        f"already so:\n  nothing\nto be written:\n{''.join(named.values())}missing:\n  nothing\n",
        f"already so:\n{named[TAG]}{named['1']}to be written:\n{named['latest']}missing:\n  nothing\n",
    ]
    assert written == []


def test_dry_run_as_json(move: Move, capsys: pytest.CaptureFixture[str]) -> None:
    """For scripts, a dry run is JSON, with the reason where something is missing."""
    with pytest.raises(ListError):
        print_rehearsal(move.rehearse(), json=True)

    [told] = json.loads(capsys.readouterr().out)
    assert told["state"] == "missing"
    assert told["reference"] == f"{move.proxy.host}/stable/test-app:{TAG}"
    assert "is not there" in told["why"]


# --- interrupted ---


@pytest.mark.parametrize(
    "wrong",
    [Fault(cut=True), Fault(status=500, body=b'{"errors": [{"code": "UNKNOWN", "message": "broken"}]}')],
    ids=["cut", "500"],
)
@pytest.mark.parametrize("lasting", [True, False], ids=["lasting", "once"])
def test_interrupted(tmp_path: Path, registry: str, other_registry: str, wrong: Fault, *, lasting: bool) -> None:
    """Whichever write ends a run, the target's tags are absent or whole, and a second run completes them."""
    with Turn(other_registry, counts=lambda method, path: method in WRITES) as proxy:
        move = make_move(tmp_path / "monorepo", registry, other_registry, proxy, floating='"latest"')
        digest = move.publish()
        whole = everything_of(move.origin, TAG)
        move.run()
        count = proxy.seen
        for number in range(count):
            move.target = move.target.with_options(organization=f"to{number}")
            move.goal = Pushed(other_registry, f"to{number}/test-app")
            proxy.seen, proxy.first, proxy.wrong = 0, number, [wrong] * (1000 if lasting else 1)
            failed = ""
            try:
                move.run()
            except RegistryError as error:
                failed = str(error)
            proxy.wrong = []
            named = [tag for tag in (TAG, "latest") if move.goal.list_at(tag) is not None]

            assert bool(failed) == lasting, f"write {number}: {failed}"
            assert named in ([], [TAG]) if lasting else named == [TAG, "latest"]
            assert all(everything_of(move.goal, tag) == whole for tag in named)
            assert {one.digest for one in move.run()} == {digest}
            assert everything_of(move.goal, TAG) == whole == everything_of(move.goal, "latest")
    print(f"{count} faults, none left a wrong list")
    assert count > 12
