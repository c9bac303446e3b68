"""Images from elsewhere: which there are, what is wrong with each, and what is told."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import pytest

from archway import offers
from archway.bases import Base, external_bases, judge, look_up, refuse
from archway.catalog import Catalog
from archway.distribution import PlatformWords
from archway.engine import Engine, LocalImage
from archway.errors import AccessError, RegistryError, UsageError, VerifyError
from archway.offers import Answer, Missing, Offer, in_engine, local_offer, read_name, serves
from archway.plan import make_plan
from archway.platforms import Platform
from archway.references import Reference
from archway.selection import Selection
from archway.settings import load
from archway.verify.findings import Finding
from tests.images import DOCKER, OCI_INDEX, OCI_MANIFEST, Pushed, digest
from tests.monorepo import Monorepo
from tests.registries import MemoryRegistry

AMD64, ARM64, ARMV7 = Platform.parse("amd64"), Platform.parse("arm64"), Platform.parse("arm/v7")
BOTH = (AMD64, ARM64)
ONE, OTHER, LIST = (f"sha256:{character * 64}" for character in "123")


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were to be waited; none is."""
    found: list[float] = []
    monkeypatch.setattr("archway.distribution.transport.pause", found.append)
    return found


def words(text: str) -> PlatformWords:
    parts = (*text.split("/"), "", "")
    return PlatformWords(os=parts[0], architecture=parts[1], variant=parts[2])


def offer(*platforms: str, of: str = ONE, members: Sequence[str] | None = None) -> Offer:
    """A single image, or with members a list."""
    named = frozenset(members) if members is not None else None
    return Offer(digest=of, platforms=tuple(map(words, platforms)), members=named)


def base(name: str, *platforms: Platform, line: int = 1, instruction: str = "FROM") -> Base:
    return Base(
        source="app/Dockerfile", line=line, instruction=instruction, name=name, platforms=platforms or BOTH
    )  # fmt: skip


def judged(name: str, answer: Answer, *platforms: Platform, tagged: Answer | None = None) -> Finding | None:
    """What is wrong with one name, whose registry has given an answer (and one for its tag)."""
    reference, tag = read_name(name)
    answers = {reference: answer} | ({tag: tagged} if tag and tagged else {})
    return next(judge([base(name, *platforms)], answers), None)


# --- which there are ---------------------------------------------------------------------------------------------


def external(monorepo: Monorepo, *images: str, arch: str = "amd64,arm64") -> list[Base]:
    catalog = monorepo.catalog
    wanted = Selection(images=images, arch=arch).requests(catalog, native=lambda: AMD64)
    return external_bases(make_plan(catalog, wanted, build_platform=AMD64))


def test_every_instruction_that_names_an_image(monorepo: Monorepo) -> None:
    """FROM, COPY --from and RUN --mount name images from elsewhere, each for the platforms that it is wanted for."""
    monorepo.image(
        "products/app",
        """\
        FROM --platform=$BUILDPLATFORM golang:1.22 AS make
        RUN --mount=type=bind,from=tools:1,target=/tools make
        FROM debian:12
        COPY --from=make /x /x
        COPY --from=files:2 /y /y
        """,
    )

    found = [(one.line, str(one), one.platforms) for one in external(monorepo, "app")]

    assert found == [
        (1, "FROM golang:1.22", (AMD64,)),
        (2, "RUN --mount tools:1", BOTH),
        (3, "FROM debian:12", BOTH),
        (5, "COPY --from files:2", BOTH),
    ]


def test_what_is_not_from_elsewhere(monorepo: Monorepo) -> None:
    """Stages, scratch, the first root file system and the monorepo's own images are in no registry of others."""
    monorepo.image("base", "FROM rootfs AS r\nFROM scratch\nCOPY --from=r / /\n")
    monorepo.image("products/app", "FROM base\nCOPY --from=base /x /y\n")

    assert external(monorepo, "app") == []


def test_what_parents_need(monorepo: Monorepo) -> None:
    """An image from elsewhere is found where it is named: in the Dockerfile of what an image stands on."""
    monorepo.image("base", "\n\nFROM debian:12\n")
    monorepo.image("products/app", "FROM base\n")

    (found,) = external(monorepo, "app", arch="arm64")

    assert (found.source, found.line, found.platforms) == ("base/Dockerfile", 3, (ARM64,))


def test_releases_that_name_different_images(monorepo: Monorepo) -> None:
    """One line may name another image in each release."""
    releases = "".join(f'[[release]]\nversion = "{v}"\n[release.args]\nDEBIAN = "{v}"\n' for v in (12, 13))
    monorepo.image("products/app", "ARG DEBIAN\nFROM debian:$DEBIAN\n", releases=releases)

    found = external(monorepo, "app=12", "app=13", arch="arm64")

    assert [one.name for one in found] == ["debian:12", "debian:13"]


def test_this_monorepo_needs_no_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of our own images are made from Debian's packages: no registry is asked before they are built."""
    monkeypatch.setattr("archway.offers.repository_of", None)
    catalog = Catalog(load(Path(__file__).parents[2]))
    wanted = Selection(everything=True, arch="all").requests(catalog, native=lambda: AMD64)

    found = external_bases(make_plan(catalog, wanted, build_platform=AMD64))

    assert (found, look_up(catalog.settings, found)) == ([], [])


# --- names and platforms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("debian", "docker.io/library/debian:latest"),
        ("debian:12", "docker.io/library/debian:12"),
        ("library/debian", "docker.io/library/debian:latest"),
        ("docker.io/debian:12", "docker.io/library/debian:12"),
        ("index.docker.io/debian:12", "docker.io/library/debian:12"),
        ("me/tool:dev", "docker.io/me/tool:dev"),
        ("localhost/tool", "localhost/tool:latest"),
        ("localhost:5000/a/b:c", "localhost:5000/a/b:c"),
        ("[::1]:5000/a", "[::1]:5000/a:latest"),
        ("quay.io/a/b", "quay.io/a/b:latest"),
        (f"debian@{ONE}", f"docker.io/library/debian@{ONE}"),
        (f"localhost:5000/debian@{ONE}", f"localhost:5000/debian@{ONE}"),
    ],
)
def test_names_as_docker_reads_them(name: str, reference: str) -> None:
    """A name without a registry is Docker Hub's."""
    found, tag = read_name(name)

    assert (reference, None) == (str(found), tag)


def test_tag_beside_a_digest() -> None:
    """The digest counts; the tag tells which list was meant."""
    found = read_name(f"localhost:5000/debian:12@{ONE}")

    assert (f"localhost:5000/debian@{ONE}", "localhost:5000/debian:12") == (str(found[0]), str(found[1]))


@pytest.mark.parametrize(
    ("offered", "wanted", "fits"),
    [
        ("linux/amd64", AMD64, True),
        ("linux/amd64/v1", AMD64, True),
        ("linux/x86_64", AMD64, True),
        ("/amd64", AMD64, True),
        ("linux/amd64/v3", AMD64, False),
        ("linux/386", AMD64, False),
        ("windows/amd64", AMD64, False),
        ("linux/arm64", ARM64, True),
        ("linux/arm64/v8", ARM64, True),
        ("linux/aarch64", ARM64, True),
        ("linux/arm64/v9", ARM64, False),
        ("linux/arm/v7", ARM64, False),
        ("linux/arm/v7", ARMV7, True),
        ("linux/arm/v6", ARMV7, True),
        ("linux/arm/v5", ARMV7, True),
        ("linux/arm", ARMV7, True),
        ("linux/armhf", ARMV7, True),
        ("linux/arm/v8", ARMV7, False),
        ("linux/arm64", ARMV7, False),
        ("linux/s390x", Platform.parse("s390x"), True),
        ("linux/ppc64", Platform.parse("ppc64le"), False),
        ("unknown/unknown", AMD64, False),
    ],
)
def test_which_platform_serves(offered: str, wanted: Platform, *, fits: bool) -> None:
    """What containerd takes for a platform serves, but for images of another architecture."""
    assert fits == serves(words(offered), wanted)


# --- what is wrong -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("debian:12", offer("linux/amd64", "linux/arm64/v8", members=[ONE, OTHER])),
        (f"debian:12@{LIST}", offer("linux/amd64", "linux/arm64", of=LIST, members=[ONE, OTHER])),
        (f"debian@{LIST}", offer("linux/amd64", "linux/arm64", of=LIST, members=[ONE, OTHER])),
    ],
)
def test_list_with_all_platforms(name: str, answer: Offer) -> None:
    """A list that has what is wanted is fine, by tag and by digest."""
    assert judged(name, answer) is None


@pytest.mark.parametrize("name", ["tool:1", f"tool:1@{ONE}", f"tool@{ONE}"])
def test_single_image_of_the_only_platform(name: str) -> None:
    """A single image, pinned or not, is fine where nothing else is wanted through its line."""
    assert judged(name, offer("linux/amd64"), AMD64) is None


@pytest.mark.parametrize(
    ("answer", "platforms", "found", "expected"),
    [
        (offer("linux/amd64", "linux/s390x", members=[]), (ARM64,), "linux/amd64, linux/s390x", "linux/arm64"),
        (offer("linux/amd64", members=[]), BOTH, "linux/amd64", "linux/arm64"),
        (offer("linux/amd64"), BOTH, "linux/amd64", "linux/arm64"),
        (offer("linux/arm/v7", "linux/386", members=[]), BOTH, "linux/arm/v7, linux/386", "linux/amd64, linux/arm64"),
        (offer("windows/amd64"), (AMD64,), "windows/amd64", "linux/amd64"),
        (offer(members=[]), (AMD64,), "no platform", "linux/amd64"),
    ],
)
def test_platform_that_is_not_there(answer: Offer, platforms: tuple[Platform, ...], found: str, expected: str) -> None:
    """B1: what lacks a wanted platform is refused with the platforms that it has."""
    finding = judged("debian:12", answer, *platforms)

    assert finding == Finding(
        rule="base-platform", found=f"FROM debian:12 for {found}", expected=expected, source="app/Dockerfile", line=1
    )


def test_many_platforms_are_not_all_shown() -> None:
    """A list of hundreds of platforms gives a message that can be read."""
    finding = judged("big", offer(*(f"linux/cpu{number}" for number in range(500)), members=[]))

    assert finding
    assert finding.found.endswith("linux/cpu11 and 488 more")


@pytest.mark.parametrize(
    ("answer", "found", "expected"),
    [
        (Missing(repository=True, near="did you mean trixie?"), "a tag that is not there", "; did you mean trixie?"),
        (Missing(repository=True), "a tag that is not there", "one that docker.io/library/debian has"),
        (Missing(repository=False), "of a repository that is not there or empty", "an image that exists"),
    ],
)
def test_missing_tag(answer: Missing, found: str, expected: str) -> None:
    """What does not exist is refused, with the nearest tags that there are."""
    finding = judged("debian:trixi", answer)

    assert finding
    assert ("base-missing", f"FROM debian:trixi, {found}") == (finding.rule, finding.found)
    assert finding.expected.endswith(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f"debian@{ONE}", "one that docker.io/library/debian has"),
        (f"debian:12@{ONE}", f"one that docker.io/library/debian has; debian:12 is {LIST} now"),
    ],
)
def test_missing_digest(name: str, expected: str) -> None:
    """A digest that was removed is refused; where a tag stands beside it, with the digest that this has now."""
    tagged = offer("linux/amd64", of=LIST, members=[])
    finding = judged(name, Missing(repository=True), tagged=tagged)

    assert finding
    assert ("base-missing", expected) == (finding.rule, finding.expected)


BOTH_LISTED = "the list for linux/amd64, linux/arm64"


@pytest.mark.parametrize(
    ("name", "tagged", "found", "expected"),
    [
        (
            f"debian:12@{ONE}", offer("linux/amd64", "linux/arm64", of=LIST, members=[ONE, OTHER]),
            "the linux/amd64 manifest of debian:12", f"{BOTH_LISTED}: pin debian:12@{LIST}",
        ),
        (
            f"debian:12@{ONE}", offer("linux/amd64", "linux/arm64", of=LIST, members=[OTHER]),
            "one image, for linux/amd64", f"{BOTH_LISTED}: debian:12@{LIST} is what the tag names now",
        ),
        (
            f"debian@{ONE}", None,
            "one image, for linux/amd64", f"{BOTH_LISTED}: inv inspect docker.io/library/debian:TAG shows its digest",
        ),
        (
            f"debian:12@{ONE}", RegistryError("the registry failed"),
            "one image, for linux/amd64", f"{BOTH_LISTED}: inv inspect docker.io/library/debian:12 shows its digest",
        ),
        (
            f"debian:12@{ONE}", Missing(repository=True),
            "one image, for linux/amd64", f"{BOTH_LISTED}: inv inspect docker.io/library/debian:12 shows its digest",
        ),
    ],
    ids=["listed", "moved", "untagged", "unknown", "tag gone"],
)  # fmt: skip
def test_digest_of_one_member(name: str, tagged: Answer | None, found: str, expected: str) -> None:
    """B2: a digest of one platform's manifest is refused; the message has the list's, or the way to find it."""
    finding = judged(name, offer("linux/amd64"), tagged=tagged)

    assert finding == Finding(
        rule="base-pinned-member", found=f"FROM {name}, whose digest is {found}", expected=expected,
        source="app/Dockerfile", line=1,
    )  # fmt: skip


def test_digest_of_a_member_for_another_platform() -> None:
    """B2: a pinned image of another platform than the only wanted one is refused as well."""
    finding = judged(f"debian@{ONE}", offer("linux/amd64"), ARM64)

    assert finding
    assert finding.rule == "base-pinned-member"


@pytest.mark.parametrize(
    ("tagged", "more"),
    [
        (offer("linux/amd64", "linux/s390x", of=LIST, members=[ONE]), ", and tool:1 has linux/amd64, linux/s390x"),
        (offer("linux/amd64", of=ONE), ""),
    ],
    ids=["list", "no list"],
)
def test_pinned_where_no_list_would_help(tagged: Offer, more: str) -> None:
    """Where the list lacks the platform as well, or there is none, another digest is no way out."""
    finding = judged(f"tool:1@{ONE}", offer("linux/amd64"), tagged=tagged)

    assert finding
    assert ("base-platform", f"FROM tool:1@{ONE} for linux/amd64{more}", "linux/arm64") == (
        finding.rule, finding.found, finding.expected
    )  # fmt: skip


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RegistryError("no way", why="a\nb", hint="c"), "no way (a; b); c"),
        (
            AccessError("not logged in", hint="docker login docker.io"),
            "not logged in, or there is no such repository; docker login docker.io",
        ),
    ],
)
def test_what_cannot_be_looked_up(error: RegistryError, reason: str) -> None:
    """The reason of a registry's error is told; Docker Hub does not say what does not exist, and what is private."""
    finding = judged("debian:12", error)

    assert finding
    assert finding.rule == "base-unknown"
    assert finding.found == f"FROM debian:12, which cannot be looked up: {reason}"


def test_name_that_archway_cannot_read() -> None:
    """A name that BuildKit may know and archway does not is told, and stops nothing."""
    name = f"debian@md5:{'0' * 32}"
    with pytest.raises(UsageError):
        read_name(name)
    (finding,) = judge([base(name)], {})

    assert finding.rule == "base-unknown"


def test_refusal_tells_everything(capsys: pytest.CaptureFixture[str]) -> None:
    """All that is wrong is told at once, with file and line and what to do; what is not known is only a warning."""
    answers: dict[Reference, Answer] = {
        read_name("a:1")[0]: offer("linux/amd64"),
        read_name("b:1")[0]: Missing(repository=True, near="did you mean 2?"),
        read_name("c:1")[0]: RegistryError("no way"),
    }
    findings = list(judge([base("a:1"), base("b:1", line=2, instruction="COPY --from"), base("c:1", line=3)], answers))
    with pytest.raises(VerifyError) as refused:
        refuse(findings)
    text = str(refused.value)

    assert "nothing was built: 2 findings in Dockerfiles" in text
    assert "app/Dockerfile:1: found FROM a:1 for linux/amd64, expected linux/arm64" in text
    assert "app/Dockerfile:2: found COPY --from b:1, a tag that is not there" in text
    assert "did you mean 2?" in text
    assert "Use another image or tag that has the platform" in text
    assert "c:1" not in text
    assert "base-unknown: app/Dockerfile:3: found FROM c:1" in capsys.readouterr().err


def test_unknown_images_stop_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A build asks the same registry, and would tell: without an answer it is begun."""
    refuse(judge([base("c:1")], {read_name("c:1")[0]: RegistryError("no way")}))

    assert "no way" in capsys.readouterr().err


# --- a registry that answers -------------------------------------------------------------------------------------


@pytest.fixture
def memory() -> Iterator[MemoryRegistry]:
    with MemoryRegistry() as registry:
        yield registry


@pytest.fixture
def shelf(memory: MemoryRegistry) -> Pushed:
    """A repository with images of others."""
    return Pushed(memory.host, "others/base")


def ask(monorepo: Monorepo, *names: str, platforms: tuple[Platform, ...] = BOTH) -> list[Finding]:
    return look_up(monorepo.catalog.settings, [base(name, *platforms, line=n) for n, name in enumerate(names, 1)])


def only(findings: Sequence[Finding]) -> Finding:
    (finding,) = findings
    return finding


def put(memory: MemoryRegistry, tag: str, document: object, kind: str) -> str:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return memory.put("others/base", tag, data, kind)


def entry(of: str = ONE, kind: str = DOCKER, **platform: str) -> dict[str, object]:
    return {"mediaType": kind, "digest": of, "size": 10} | ({"platform": platform} if platform else {})


def index(*entries: dict[str, object]) -> dict[str, object]:
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(entries)}


def test_each_name_is_asked_for_once(monorepo: Monorepo, memory: MemoryRegistry, shelf: Pushed) -> None:
    """A name that many lines have costs one request, and its answer counts for all of them."""
    shelf.image("1", "amd64")
    memory.requests.clear()

    found = ask(monorepo, *[f"{memory.host}/others/base:1"] * 20)

    assert list(range(1, 21)) == [finding.line for finding in found]
    assert [match[0] for r in memory.requests if (match := re.search(r"(manifests|blobs)/\w+", r.path))] == [
        "manifests/1",
        "blobs/sha256",
    ]


def test_list_costs_one_request(monorepo: Monorepo, memory: MemoryRegistry) -> None:
    """What a list says of its members is believed: their manifests are not read. (What is built is proven.)"""
    put(memory, "1", index(entry(os="linux", architecture="amd64"), entry(os="linux", architecture="arm64")), OCI_INDEX)

    assert ask(monorepo, f"{memory.host}/others/base:1") == []
    assert len(memory.asked(path="manifests|blobs")) == 1


def test_order_of_findings(monorepo: Monorepo, memory: MemoryRegistry, shelf: Pushed) -> None:
    """Findings stand in the order of the lines, however the registry answers."""
    for tag in "abcdefghijkl":
        shelf.image(tag, "amd64")
    memory.fault(path="manifests/a", status=503, times=3)

    found = ask(monorepo, *(f"{memory.host}/others/base:{tag}" for tag in "abcdefghijkl"))

    assert [f"FROM {memory.host}/others/base:{tag} for linux/amd64" for tag in "abcdefghijkl"] == [
        finding.found for finding in found
    ]


def test_nearest_tags(monorepo: Monorepo, memory: MemoryRegistry, shelf: Pushed) -> None:
    """A tag that does not exist is refused with those that are nearly called so."""
    shelf.image("trixie", "amd64")

    assert (
        f"one that {memory.host}/others/base has; did you mean trixie?"
        == only(ask(monorepo, f"{memory.host}/others/base:trixi")).expected
    )


def test_entries_that_say_nothing(monorepo: Monorepo, memory: MemoryRegistry, shelf: Pushed) -> None:
    """Of a list's entries without a platform BuildKit takes the first, and its configuration says what it is."""
    amd64, arm64 = (shelf.entry(shelf.image("", arch), arch) for arch in ("amd64", "arm64"))
    del amd64["platform"], arm64["platform"]
    shelf.index("1", [amd64, arm64])

    assert only(ask(monorepo, f"{memory.host}/others/base:1")).expected == "linux/arm64"


def test_silent_entry_that_is_not_needed(monorepo: Monorepo, memory: MemoryRegistry) -> None:
    """An entry without a platform, as signatures are, is not opened where the others have what is wanted."""
    put(memory, "1", index(entry(), entry(os="linux", architecture="amd64")), OCI_INDEX)

    assert ask(monorepo, f"{memory.host}/others/base:1", platforms=(AMD64,)) == []
    assert len(memory.asked(path="manifests|blobs")) == 1


def nest(memory: MemoryRegistry, inner: dict[str, object], depth: int) -> None:
    """Put a list into lists, the outermost under tag 1."""
    for level in range(depth, -1, -1):
        found = put(memory, "1" if level == 0 else f"level-{level}", inner, OCI_INDEX)
        inner = index(entry(found, OCI_INDEX))


@pytest.mark.parametrize("depth", [1, 3])
def test_list_in_a_list(monorepo: Monorepo, memory: MemoryRegistry, depth: int) -> None:
    """BuildKit opens lists in lists, and so the platforms of the inner one count."""
    nest(memory, index(entry(os="linux", architecture="amd64")), depth)

    found = only(ask(monorepo, f"{memory.host}/others/base:1"))

    assert (found.rule, found.expected) == ("base-platform", "linux/arm64")


def test_lists_in_lists_without_end(monorepo: Monorepo, memory: MemoryRegistry) -> None:
    """Lists in lists are opened so far and no further."""
    nest(memory, index(entry(os="linux", architecture="amd64")), 40)

    found = only(ask(monorepo, f"{memory.host}/others/base:1"))

    assert found.rule == "base-unknown"
    assert len(memory.asked(path="manifests")) == 4


def test_list_that_refers_to_itself(monorepo: Monorepo, memory: MemoryRegistry) -> None:
    """A registry that answers with the list again is caught by the digest."""
    digest = put(memory, "1", index(entry(OTHER, OCI_INDEX)), OCI_INDEX)
    memory.manifests["others/base", OTHER] = memory.manifests["others/base", digest]

    found = only(ask(monorepo, f"{memory.host}/others/base:1"))

    assert found.rule == "base-unknown"
    assert "something else than was asked for" in found.found


def test_list_of_ten_thousand(monorepo: Monorepo, memory: MemoryRegistry) -> None:
    """A list of 10,000 entries is read in a moment, and gives a short message."""
    put(memory, "1", index(*(entry(os="linux", architecture=f"cpu{n}") for n in range(10_000))), OCI_INDEX)
    started = time.monotonic()

    found = only(ask(monorepo, f"{memory.host}/others/base:1"))

    assert time.monotonic() - started < 3
    assert found.found.endswith("and 9988 more")
    assert len(str(found)) < 400


SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"


@pytest.mark.parametrize(
    ("document", "kind", "reason"),
    [
        ({"schemaVersion": 1, "name": "x", "fsLayers": []}, SCHEMA1, "a kind that archway does not know"),
        ({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": []}, OCI_MANIFEST, "it has no configuration"),
        (b"{", OCI_INDEX, "not what it should be"),
        (b'{"manifests": [{"digest": "../x", "size": 1}]}', OCI_INDEX, "not what it should be"),
        (b"<html>", "text/html", "no registry"),
        (index(entry(OTHER)), OCI_INDEX, f"names {OTHER}, which is not there"),
    ],
    ids=["schema 1", "no configuration", "no JSON", "no digest", "page", "member gone"],
)
def test_what_is_no_image(monorepo: Monorepo, memory: MemoryRegistry, document: object, kind: str, reason: str) -> None:
    """What archway cannot read is told with the reason, and not taken for an image of no platform."""
    put(memory, "1", document, kind)

    found = only(ask(monorepo, f"{memory.host}/others/base:1"))

    assert found.rule == "base-unknown"
    assert reason in found.found


def test_artifact(monorepo: Monorepo, memory: MemoryRegistry) -> None:
    """What has a configuration without a platform, as a chart or a signature, is no image."""
    config = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(b"{}"), "size": 2}
    put(memory, "1", {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config}, OCI_MANIFEST)
    memory.add_blob("others/base", b"{}")

    found = only(ask(monorepo, f"{memory.host}/others/base:1"))

    assert found.rule == "base-unknown"
    assert "is no image" in found.found


def test_terminal_codes_of_a_registry(monorepo: Monorepo, memory: MemoryRegistry) -> None:
    """A platform that a list makes up reaches no terminal as it is."""
    put(memory, "1", index(entry(os="linux", architecture="\x1b[2Jx" * 500)), OCI_INDEX)

    found = only(ask(monorepo, f"{memory.host}/others/base:1"))

    assert str(found).isprintable()
    assert len(str(found)) < 600


@pytest.mark.parametrize(("auth", "reason"), [("basic", "not logged in"), ("deny", "no rights")])
def test_without_rights(monorepo: Monorepo, memory: MemoryRegistry, auth: str, reason: str) -> None:
    """Who may not read an image is told to log in; whether it has the platforms is not known."""
    memory.auth = auth

    found = only(ask(monorepo, f"{memory.host}/others/base:1"))

    assert found.rule == "base-unknown"
    assert reason in found.found
    assert f"docker login {memory.host}" in found.found


def test_no_registry_at_all(monorepo: Monorepo) -> None:
    """Offline, each image is told as unknown within seconds."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"localhost:{free.getsockname()[1]}"
    started = time.monotonic()

    found = ask(monorepo, *(f"{host}/base:{tag}" for tag in range(50)))

    assert time.monotonic() - started < 5
    assert {"base-unknown"} == {finding.rule for finding in found}
    assert len(found) == 50


def test_registry_that_is_silent(monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry that takes connections and says nothing is waited for as long as archway's patience goes."""
    monkeypatch.setattr("archway.offers.PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        found = only(ask(monorepo, f"localhost:{silent.getsockname()[1]}/base:1"))
        took = time.monotonic() - started

    assert took < 2
    assert "does not answer in time" in found.found


def test_patience_is_short() -> None:
    """Who is offline waits less than 20 seconds, whatever the client's own limits are."""
    assert offers.PATIENCE < 20


def test_bug_is_not_swallowed(monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong in a thread and is no registry's error comes out, instead of a hanging command."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("archway.offers._look", broken)

    with pytest.raises(ZeroDivisionError):
        ask(monorepo, "debian:12")


# --- the engine's own images -------------------------------------------------------------------------------------


def test_image_of_the_engine_alone(monorepo: Monorepo, memory: MemoryRegistry) -> None:
    """A developer's own image is in no registry; a build takes the engine's, whose platform counts."""
    name = f"{memory.host}/mine/tool:dev"
    settings = monorepo.catalog.settings

    def local(reference: Reference, wanted: Sequence[Platform]) -> Sequence[str]:
        return ["linux/amd64"] if str(reference) == name else []

    fine = look_up(settings, [base(name, AMD64)], local=local)
    wrong = only(look_up(settings, [base(name)], local=local))

    assert fine == []
    assert ("base-platform", f"FROM {name} for linux/amd64, the engine's own image", "linux/arm64") == (
        wrong.rule, wrong.found, wrong.expected
    )  # fmt: skip


def test_image_of_a_registry_and_the_engine(monorepo: Monorepo, memory: MemoryRegistry, shelf: Pushed) -> None:
    """What the registry has counts, as in everybody else's builds; the engine is not asked."""
    shelf.image("1", "amd64")

    def local(*_: object) -> Sequence[str]:
        raise AssertionError

    found = look_up(monorepo.catalog.settings, [base(f"{memory.host}/others/base:1")], local=local)

    assert [finding.rule for finding in found] == ["base-platform"]


def test_engine_that_does_not_have_it_either(monorepo: Monorepo, memory: MemoryRegistry) -> None:
    """Without an image in the engine the registry's answer stays."""
    found = look_up(monorepo.catalog.settings, [base(f"{memory.host}/others/base:1")], local=lambda *_: [])

    assert [finding.rule for finding in found] == ["base-missing"]


class SomeEngine:
    """An engine with one image, whose store holds no lists."""

    holds_lists = False

    def __init__(self, platform: Platform | None, *, answers: bool = True, has_it: bool = True) -> None:
        self.answers, self.platform, self.has_it = answers, platform, has_it

    def image(self, name: str) -> LocalImage | None:
        assert self.answers
        return LocalImage(platform=self.platform, labels={}, repo_digest=None) if self.has_it else None


@pytest.mark.parametrize(
    ("engine", "platforms"),
    [
        (SomeEngine(AMD64), ["linux/amd64"]),
        (SomeEngine(None), ["unknown"]),
        (SomeEngine(AMD64, answers=False), []),
        (SomeEngine(AMD64, has_it=False), []),
    ],
)
def test_platforms_of_the_engines_image(monorepo: Monorepo, engine: SomeEngine, platforms: list[str]) -> None:
    """An engine that does not answer has no images; one whose platform archway does not know serves none."""
    found = in_engine(cast("Engine", engine), monorepo.catalog)(read_name("tool:dev")[0], BOTH)

    assert platforms == list(found)


def test_unknown_platform_in_the_engine() -> None:
    """An image of the engine for a platform that archway does not know is shown as such."""
    assert str(local_offer(["unknown"])) == "unknown"
