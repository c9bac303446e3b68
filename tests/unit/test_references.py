"""Names of images."""

from __future__ import annotations

import pytest

from archway.errors import Location, MetadataError, UsageError
from archway.platforms import Platform
from archway.references import Reference, check_registry, check_repository, check_tag, list_reference, member

HERE = Location("here")
SHA256 = "sha256:" + "0a" * 32


def test_member_has_version_release_and_architecture() -> None:
    """A member stands at REGISTRY/ORG/IMAGE:VERSION-RELEASE-ARCH, and + becomes -."""
    reference = member(
        registry="r.example.org:5000", organization="acme", image="hive", version="4.0.1+1", release="26.1",
        platform=Platform.parse("arm64"),
    )  # fmt: skip

    assert str(reference) == "r.example.org:5000/acme/hive:4.0.1-1-26.1-arm64"


def test_list_has_version_and_release() -> None:
    """A list stands at REGISTRY/ORG/IMAGE:VERSION-RELEASE, beside its members."""
    reference = list_reference(
        registry="r.example.org:5000", organization="acme", image="hive", version="4.0.1+1", release="26.1+a"
    )

    assert str(reference) == "r.example.org:5000/acme/hive:4.0.1-1-26.1-a"


def test_too_long_tags_are_refused() -> None:
    """Version and release may each be a tag, and together be none."""
    with pytest.raises(MetadataError, match=r"hive 1{100}: .* cannot be a tag"):
        list_reference(registry="r.io", organization="acme", image="hive", version="1" * 100, release="2" * 28)


def test_member_may_be_too_long_where_the_list_is_not() -> None:
    """The platform counts as well."""
    names = {"registry": "r.io", "organization": "acme", "image": "hive", "version": "1" * 100, "release": "2" * 27}

    assert len(list_reference(**names).tag) == 128
    with pytest.raises(MetadataError, match="cannot be a tag"):
        member(**names, platform=Platform.parse("arm64"))


@pytest.mark.parametrize(
    ("text", "registry", "path", "tag"),
    [
        ("localhost:5000/x:1", "localhost:5000", "x", "1"),
        ("localhost/x:1", "localhost", "x", "1"),
        ("r.example.org/team/a__b/hive:4.0.1-26.1", "r.example.org", "team/a__b/hive", "4.0.1-26.1"),
        ("r.example.org/x", "r.example.org", "x", "latest"),
        ("[::1]:5000/x:1", "[::1]:5000", "x", "1"),
        ("[2001:db8::1]/x:1", "[2001:db8::1]", "x", "1"),
        ("R.example.org/x:V_1", "R.example.org", "x", "V_1"),
        (f"localhost:5000/x@{SHA256}", "localhost:5000", "x", SHA256),
        ("localhost:5000/x@sha512:" + "0a" * 64, "localhost:5000", "x", "sha512:" + "0a" * 64),
        ("r.io/" + "a" * 250 + ":" + "1" * 128, "r.io", "a" * 250, "1" * 128),
    ],
)
def test_names_are_read(text: str, registry: str, path: str, tag: str) -> None:
    """A name is taken apart at the right places, and without a tag it is latest."""
    found = Reference.parse(text)

    assert (registry, path, tag) == (found.registry, found.path, found.tag)
    assert str(found) == (text if tag != "latest" else f"{text}:latest")


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "/", ":", "@", "x", "x:1", "acme/x:1", "a:b:c", "/x:1", "r.io/", "r.io/:1", "r.io/x:", "r.io/x@",
        "r.io//x:1", "r.io/a//x:1", "r.io/x/:1", "r.io/a:b:c", "r.io/a:1/b:2", "https://r.io/x:1", "u:p@r.io/x:1",
        "r.io/X:1", "r.io/ä:1", "r.io/x:ä", "r.io/x:\u0661", "r.io:\u0665/x:1", "r.io/x\uff11:1",
        "r.io/x:-1", "r.io/x:.1", "r.io/x:1+1", "r.io/../x:1", "r.io/-x:1",
        " r.io/x:1", "r.io/x:1 ", "r.io/x :1", "r.io/x:1\n", "r.io/x\n:1", "r.io\n/x:1", "\nr.io/x:1", "r.io/x:1\0",
        "localhost:5000/x@sha256:short", f"r.io/x@{SHA256}\n", f"r.io/x@{SHA256}0", f"r.io/x@{SHA256[:-1]}",
        f"r.io/x@{SHA256.upper()}", f"r.io/x@{SHA256}@{SHA256}", f"r.io/x:1@{SHA256[:-1]}",
        f"r.io/x:@{SHA256}", f"r.io/x:-1@{SHA256}", f"r.io/x@{SHA256[7:]}",
        f"r.io/x:{SHA256}", "r.io/x@md5:" + "0" * 32, "r.io/x@latest",
        "::1:5000/x:1", "[::1/x:1", "[::1]5000/x:1", "[:]:5000/x:1", "[12345::]/x:1", "r.io:0/x:1", "r.io:65536/x:1",
        "r.io:/x:1", "r.io/" + "a" * 251, "r.io/x:" + "1" * 129,
    ],
)  # fmt: skip
def test_other_texts_are_no_name(text: str) -> None:
    """What is no full name, or only nearly one, is refused with the forms that are."""
    with pytest.raises(UsageError, match=r"no name of an image\n.*REGISTRY/REPOSITORY:TAG") as caught:
        Reference.parse(text)

    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("part", ["a", "-", "a-", "a.", "/", "a/", "a/a:", "@", ":", "é"])
@pytest.mark.parametrize("end", ["", "!"])
def test_huge_texts_are_refused_at_once(part: str, end: str) -> None:
    """The time to refuse a text grows no faster than the text, and the message does not grow with it."""
    with pytest.raises(UsageError) as caught:
        Reference.parse("r.io/" + part * 300_000 + end)

    assert len(str(caught.value)) < 500


def test_digest_counts_before_the_tag() -> None:
    """A name with tag and digest is that of the digest, as with Docker."""
    assert Reference.parse(f"r.io:5000/x:1@{SHA256}") == Reference.parse(f"r.io:5000/x@{SHA256}")


@pytest.mark.parametrize("rest", ["", ":1", f"@{SHA256}"])
def test_official_images(rest: str) -> None:
    """A name of one word is one of Docker Hub's library; elsewhere it is what it says."""
    assert Reference.parse(f"docker.io/debian{rest}") == Reference.parse(f"docker.io/library/debian{rest}")
    assert Reference.parse(f"docker.io/acme/app{rest}").path == "acme/app"
    assert Reference.parse(f"r.io/debian{rest}").path == "debian"


def test_another_image_of_the_repository() -> None:
    """A digest takes the place of the tag."""
    assert Reference.parse("[::1]:5000/team/x:1").at(SHA256) == f"[::1]:5000/team/x@{SHA256}"


@pytest.mark.parametrize(
    "text",
    [
        "localhost", "localhost:5000", "registry.example.org", "[::1]:5000", "127.0.0.1:5000", "r.io:65535",
        "xn--bcher-kva.example.org", "registry:5000",
    ],
)  # fmt: skip
def test_registries_are_hosts(text: str) -> None:
    """A host with an optional port is a registry."""
    check_registry(text, where=HERE)


@pytest.mark.parametrize(
    "text",
    [
        "", "foo", "http://r.example.org", "r.example.org/x", "r.example.org:port", "-x.y", "a b.c", "x-.y", "x..y",
        "r.io\n", "r.io:5000\n", "r.io:\u0665", "r.io:65536", "r.io:0", "[::1", "[:::]", "[1.2.3.4]", "::1",
    ],
)  # fmt: skip
def test_other_texts_are_no_registry(text: str) -> None:
    """What Docker would take for something else than a host is refused."""
    with pytest.raises(MetadataError, match="no registry"):
        check_registry(text, where=HERE)


@pytest.mark.parametrize("text", ["hive", "java-base", "a.b_c__d", "team/hive", "a---b"])
def test_repositories(text: str) -> None:
    """The grammar of the OCI distribution specification is taken."""
    check_repository(text, where=HERE)


@pytest.mark.parametrize("text", ["", "Hive", "-a", "a-", "a..b", "a___b", "a//b", "ä", "a:b", "a\n"])
def test_other_texts_are_no_repository(text: str) -> None:
    """Names that a registry would refuse are refused at once."""
    with pytest.raises(MetadataError, match="repository"):
        check_repository(text, where=HERE)


@pytest.mark.parametrize("text", ["", ".a", "-a", "a b", "a/b", "a" * 129, "1\n"])
def test_tags_that_are_refused(text: str) -> None:
    """Texts that are no tag, even with + as -, are refused."""
    with pytest.raises(MetadataError, match="tag"):
        check_tag(text, where=HERE)
