"""Images from elsewhere that others got wrong (the reports are public), looked up in a real registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from archway.bases import external_bases, look_up, refuse
from archway.errors import VerifyError
from archway.plan import make_plan
from archway.platforms import Platform
from archway.selection import Selection
from archway.verify.findings import Finding
from tests.images import OCI_INDEX, Pushed
from tests.monorepo import Monorepo
from tests.registries import Proxy

AMD64, ARM64 = Platform.parse("amd64"), Platform.parse("arm64")


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were to be waited; none is."""
    found: list[float] = []
    monkeypatch.setattr("archway.distribution.transport.pause", found.append)
    return found


@pytest.fixture
def shelf(registry: str) -> Pushed:
    """A repository of others: ``HOST/others/debian``."""
    return Pushed(registry, "others/debian")


def findings(tmp_path: Path, dockerfile: str, *, arch: str = "amd64,arm64") -> list[Finding]:
    """What is wrong with the images that a Dockerfile names, on an amd64 machine."""
    monorepo = Monorepo(tmp_path / "monorepo", 'images = ["*"]\n')
    monorepo.image("app", dockerfile)
    catalog = monorepo.catalog
    wanted = Selection(images=("app",), arch=arch).requests(catalog, native=lambda: AMD64)
    return look_up(catalog.settings, external_bases(make_plan(catalog, wanted, build_platform=AMD64)))


def only(found: list[Finding]) -> Finding:
    (finding,) = found
    return finding


def listed(shelf: Pushed, tag: str, *archs: str) -> tuple[str, dict[str, str]]:
    """Have a list of images; its digest and theirs."""
    members = {arch: shelf.image("", arch, labels={"of": tag}) for arch in archs}
    return shelf.index(tag, [shelf.entry(member, arch) for arch, member in members.items()]), members


def test_list_with_all_platforms(tmp_path: Path, shelf: Pushed) -> None:
    """A list that has all platforms is fine: by tag, by digest, and by both."""
    whole, _ = listed(shelf, "12", "amd64", "arm64")
    name = f"{shelf.host}/{shelf.path}"

    assert findings(tmp_path, f"FROM {name}:12 AS a\nFROM {name}@{whole} AS b\nCOPY --from=a / /\n"
                    f"FROM {name}:12@{whole}\nCOPY --from=b / /\n") == []  # fmt: skip


def test_list_that_lacks_a_platform(tmp_path: Path, shelf: Pushed) -> None:
    """B1: the line and the platforms that the base has are told before anything is built."""
    listed(shelf, "12", "amd64", "s390x")
    name = f"{shelf.host}/{shelf.path}:12"

    found = only(findings(tmp_path, f"# the base\nFROM {name}\n"))

    assert found == Finding(
        rule="base-platform", found=f"FROM {name} for linux/amd64, linux/s390x", expected="linux/arm64",
        source="app/Dockerfile", line=2,
    )  # fmt: skip


def test_single_image(tmp_path: Path, shelf: Pushed) -> None:
    """B1: BuildKit builds on a single image of another platform without a word; here its configuration is read."""
    shelf.image("12", "amd64")
    name = f"{shelf.host}/{shelf.path}:12"

    assert findings(tmp_path, f"FROM {name}\n", arch="amd64") == []
    assert only(findings(tmp_path, f"FROM {name}\n", arch="arm64")).rule == "base-platform"


def test_build_stage_needs_the_machines_platform_only(tmp_path: Path, shelf: Pushed) -> None:
    """What runs on the machine alone may lack other platforms."""
    shelf.image("tools", "amd64")
    name = f"{shelf.host}/{shelf.path}:tools"

    assert findings(tmp_path, f"FROM --platform=$BUILDPLATFORM {name} AS b\nFROM scratch\nCOPY --from=b /x /\n") == []


def test_files_of_an_image_are_of_the_targets_platform(tmp_path: Path, shelf: Pushed) -> None:
    """B1: COPY --from an image takes the target's platform of it, also in a stage of the machine's."""
    shelf.image("files", "amd64")
    name = f"{shelf.host}/{shelf.path}:files"

    found = only(findings(tmp_path, f"FROM scratch\nCOPY --from={name} /x /\n"))

    assert (found.line, found.found) == (2, f"COPY --from {name} for linux/amd64")


def test_attestations_are_no_platform(tmp_path: Path, shelf: Pushed) -> None:
    """An image that buildx pushed by default is a list of itself and its attestation, for one platform."""
    shelf.attested("12", "amd64")

    found = only(findings(tmp_path, f"FROM {shelf.host}/{shelf.path}:12\n"))

    assert (found.rule, found.expected) == ("base-platform", "linux/arm64")
    assert found.found.endswith("for linux/amd64")


def test_digest_of_a_member(tmp_path: Path, shelf: Pushed) -> None:
    """B2: where the tag stands beside the digest, the message has the digest of the list."""
    whole, members = listed(shelf, "12", "amd64", "arm64")
    name = f"{shelf.host}/{shelf.path}:12"

    found = only(findings(tmp_path, f"FROM {name}@{members['amd64']}\n"))

    assert found.rule == "base-pinned-member"
    assert found.found.endswith(f"whose digest is the linux/amd64 manifest of {name}")
    assert found.expected == f"the list for linux/amd64, linux/arm64: pin {name}@{whole}"


def test_digest_of_a_member_is_fine_for_its_platform(tmp_path: Path, shelf: Pushed) -> None:
    """B2: pinned for a stage of the machine's platform, one member's digest is what is needed."""
    _, members = listed(shelf, "12", "amd64", "arm64")
    name = f"{shelf.host}/{shelf.path}:12@{members['amd64']}"

    assert findings(tmp_path, f"FROM --platform=$BUILDPLATFORM {name} AS b\nFROM scratch\nCOPY --from=b /x /\n") == []
    assert findings(tmp_path, f"FROM {name}\n", arch="amd64") == []


def test_digest_of_a_member_whose_tag_moved(tmp_path: Path, shelf: Pushed) -> None:
    """B2: where the tag names a newer list, its digest is given as that."""
    _, members = listed(shelf, "12", "amd64", "arm64")
    newer = shelf.index("12", [shelf.entry(members["arm64"], "arm64"),
                               shelf.entry(shelf.image("", "amd64", labels={"new": "yes"}), "amd64")])  # fmt: skip
    name = f"{shelf.host}/{shelf.path}:12"

    found = only(findings(tmp_path, f"FROM {name}@{members['amd64']}\n"))

    assert found.expected.endswith(f": {name}@{newer} is what the tag names now")


def test_digest_of_a_member_without_a_tag(tmp_path: Path, shelf: Pushed) -> None:
    """B2: nobody knows which list was meant, so the message says how to see a list's digest."""
    _, members = listed(shelf, "12", "amd64", "arm64")
    name = f"{shelf.host}/{shelf.path}"

    found = only(findings(tmp_path, f"FROM {name}@{members['amd64']}\n"))

    assert found.expected.endswith(f": inv inspect {name}:TAG shows its digest")


def test_missing_images(tmp_path: Path, shelf: Pushed) -> None:
    """A8: what is not there is told as that, with the nearest tag, for a registry that is spoken to in plain HTTP."""
    listed(shelf, "trixie", "amd64", "arm64")
    name = f"{shelf.host}/{shelf.path}"
    gone = f"sha256:{'0' * 64}"

    found = findings(
        tmp_path,
        f"FROM {name}:trixi AS a\nFROM {name}@{gone} AS b\nFROM {name}x:1 AS c\nFROM scratch\n"
        "COPY --from=a / /\nCOPY --from=b / /\nCOPY --from=c / /\n",
    )

    assert [finding.rule for finding in found] == ["base-missing"] * 3
    assert [finding.line for finding in found] == [1, 2, 3]
    assert found[0].expected == f"one that {name} has; did you mean trixie?"
    assert found[1].found == f"FROM {name}@{gone}, a digest that is not there"
    assert found[2].found == f"FROM {name}x:1, of a repository that is not there or empty"


def test_list_in_a_list(tmp_path: Path, shelf: Pushed) -> None:
    """BuildKit opens a list in a list, and so does the look-up."""
    inner, _ = listed(shelf, "inner", "amd64", "arm64")
    data, _ = shelf.ask("GET", "manifests/inner", Accept=OCI_INDEX)
    shelf.index("outer", [{"mediaType": OCI_INDEX, "digest": inner, "size": len(data)}])

    assert findings(tmp_path, f"FROM {shelf.host}/{shelf.path}:outer\n") == []


def test_many_lines_cost_few_requests(tmp_path: Path, shelf: Pushed) -> None:
    """One image that many stages start from is asked for once: registries count requests."""
    listed(shelf, "12", "amd64", "arm64")
    asked: list[str] = []
    with Proxy(shelf.host, on_request=lambda method, path: asked.append(f"{method} {path}")) as proxy:
        stages = "".join(f"FROM {proxy.host}/{shelf.path}:12 AS s{n}\n" for n in range(9))
        copies = "".join(f"COPY --from=s{n} / /\n" for n in range(9))
        found = findings(tmp_path, f"{stages}FROM scratch\n{copies}")

    assert found == []
    assert [line for line in asked if not line.endswith("/v2/")] == [f"GET /v2/{shelf.path}/manifests/12"]


def test_refusal(tmp_path: Path, shelf: Pushed) -> None:
    """All that a build would stumble over is told at once."""
    shelf.image("12", "amd64")
    name = f"{shelf.host}/{shelf.path}"
    found = findings(tmp_path, f"FROM {name}:13 AS a\nFROM {name}:12\nCOPY --from=a / /\n")

    with pytest.raises(VerifyError, match=r"(?s)2 findings in Dockerfiles.*app/Dockerfile:1: .*app/Dockerfile:2: "):
        refuse(found)
