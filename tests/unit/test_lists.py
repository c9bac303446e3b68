"""Facts about manifest lists: what one should be, and whether one is that."""

from __future__ import annotations

import itertools

import pytest

from archway.distribution import OCI_INDEX, Descriptor, Manifest, PlatformWords
from archway.lists import Member, attestations_of, images_of, is_list_of, platform_faults
from archway.platforms import Platform

AMD64, ARM64, ARMV7 = map(Platform.parse, ("amd64", "arm64", "arm/v7"))
ATTESTS = "vnd.docker.reference.digest"


def digest(name: str) -> str:
    return f"sha256:{name.encode().hex():0>64}"


def words(text: str) -> PlatformWords:
    return PlatformWords(**dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False)))


def entry(name: str, platform: str | None = "linux/amd64", *, of: str = "", size: int = 1) -> Descriptor:
    """An entry of a list; with ``of``, an attestation."""
    return Descriptor(
        digest=digest(name), size=size, platform=None if platform is None else words(platform),
        annotations={ATTESTS: digest(of)} if of else {},
    )  # fmt: skip


def member(name: str, platform: Platform, *attestations: Descriptor, size: int = 1) -> Member:
    return Member(
        platform=platform, descriptor=entry(name, str(platform), size=size), source=digest(name),
        attestations=attestations, labels={},
    )  # fmt: skip


def listed(*entries: Descriptor) -> Manifest:
    return Manifest(media_type=OCI_INDEX, manifests=list(entries))


A, B = entry("a"), entry("b", "linux/arm64")
OF_A, OF_B = entry("x", "unknown/unknown", of="a"), entry("y", "unknown/unknown", of="b")
MEMBERS = (member("a", AMD64), member("b", ARM64))
ATTESTED = (member("a", AMD64, OF_A), member("b", ARM64, OF_B))
IMAGE = Manifest(config=entry("c", None))


@pytest.mark.parametrize(
    ("entries", "images", "of_a"),
    [
        ([], "", ""),
        ([A, B], "ab", ""),
        ([A, OF_A, B, OF_B], "ab", "x"),
        ([OF_A, A], "a", "x"),
        ([A, OF_A, entry("z", "unknown/unknown", of="a")], "a", "xz"),
        ([A, entry("x", "unknown/unknown")], "a", ""),  # of nobody
        ([A, entry("x", "linux/arm64", of="a")], "ax", ""),  # what has a platform is run there
        ([A, entry("x", None, of="a")], "ax", ""),  # and of what has none, engines read the configuration
        ([A, entry("x", "", of="a")], "ax", ""),
        ([A, entry("x", "plan9/mips", of="a")], "ax", ""),
        ([entry("x", None)], "x", ""),
    ],
)
def test_images_and_attestations(entries: list[Descriptor], images: str, of_a: str) -> None:
    """Attestations are told from images by their platform, unknown/unknown, and not by what they are said to be."""
    found = listed(*entries)

    assert [digest(name) for name in images] == [one.digest for one in images_of(found)]
    assert [digest(name) for name in of_a] == [one.digest for one in attestations_of(found, digest("a"))]


def test_image_is_no_list() -> None:
    """An image's manifest names no images, and is the list of nothing."""
    assert images_of(IMAGE) == ()
    assert attestations_of(IMAGE, digest("a")) == ()
    assert not is_list_of(IMAGE, [])
    assert not is_list_of(IMAGE, MEMBERS)


@pytest.mark.parametrize(
    ("entries", "strict", "faults"),
    [
        ([A, B], True, []),
        ([B, A], True, []),
        ([A, B, OF_A], True, []),
        ([A, entry("b", "linux/arm64/v8")], True, []),
        ([], True, ["lacks linux/amd64", "lacks linux/arm64"]),
        ([A], True, ["lacks linux/arm64"]),
        ([A, OF_A], True, ["lacks linux/arm64"]),
        ([A, A, B], True, ["holds linux/amd64 twice"]),
        ([A, entry("a2"), entry("a3"), B], True, ["holds linux/amd64 3 times"]),
        ([A, B, entry("b2", "linux/arm64/v8")], True, ["holds linux/arm64 twice"]),
        ([A, B, entry("c", "linux/s390x")], True, ["holds linux/s390x, which is not wanted"]),
        ([A, B, entry("c", "linux/s390x")], False, []),
        ([A, B, entry("c", "linux/s390x"), entry("d", "linux/s390x")], False, ["holds linux/s390x twice"]),
        ([A, entry("c", "linux/arm/v7")], True, ["lacks linux/arm64", "holds linux/arm/v7, which is not wanted"]),
        ([A, B, entry("c", "plan9/mips")], True, ["holds plan9/mips, which is not wanted"]),
        ([A, B, entry("c", None)], True, ["holds no platform, which is not wanted"]),
        ([A, B, entry("c", "")], True, ["holds no platform, which is not wanted"]),
        ([A, B, entry("c", "linux/arm64", of="a")], True, ["holds linux/arm64 twice"]),
    ],
)
def test_platforms(entries: list[Descriptor], faults: list[str], *, strict: bool) -> None:
    """A list has each wanted platform once, and no others; attestations do not count."""
    assert faults == list(platform_faults(listed(*entries), [AMD64, ARM64], strict=strict))


def test_nothing_wanted() -> None:
    """Of a list that is not the monorepo's, only what is wrong in any list is told."""
    found = platform_faults(listed(A, A, entry("c", "linux/s390x")), [], strict=False)

    assert list(found) == ["holds linux/amd64 twice"]


@pytest.mark.parametrize(
    ("entries", "members", "so"),
    [
        ([A, B], MEMBERS, True),
        ([B, A], MEMBERS, True),
        ([A, entry("b", "linux/arm64/v8")], MEMBERS, True),
        ([A], MEMBERS, False),
        ([A, B], MEMBERS[:1], False),
        ([], [], True),
        ([A, A, B], MEMBERS, False),
        ([entry("a", "linux/arm64"), entry("b")], MEMBERS, False),  # the right images under each other's names
        ([entry("a2"), B], MEMBERS, False),
        ([entry("a", size=2), B], MEMBERS, False),
        ([entry("a", None), B], MEMBERS, False),
        ([entry("a", "linux/arm/v7"), B], MEMBERS, False),
        ([A, OF_A, B, OF_B], ATTESTED, True),
        ([A, B, OF_B, OF_A], ATTESTED, True),
        ([A, B], ATTESTED, False),
        ([A, OF_A, B], ATTESTED, False),
        ([A, OF_A, B], MEMBERS, False),
        ([A, OF_A, OF_A, B, OF_B], ATTESTED, False),
        ([A, OF_A, B, entry("y2", "unknown/unknown", of="b")], ATTESTED, False),
    ],
)
def test_list_of_members(entries: list[Descriptor], members: list[Member], *, so: bool) -> None:
    """A list is that of its members when it names exactly them, each for its platform, with their attestations."""
    assert so == is_list_of(listed(*entries), members)


def test_order_does_not_matter() -> None:
    """Neither the order of a list nor that of the members counts."""
    for entries in itertools.permutations([A, B, OF_A, OF_B]):
        for members in itertools.permutations(ATTESTED):
            assert is_list_of(listed(*entries), members)


def test_platforms_do_not_speak_to_the_terminal() -> None:
    """What a list calls a platform is shown without the characters that a terminal obeys."""
    [fault] = platform_faults(listed(entry("a", "linux/\x1b[2J")), [])

    assert fault.startswith("holds linux/")
    assert "\x1b" not in fault
