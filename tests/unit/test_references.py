"""Names of images."""

from __future__ import annotations

import pytest

from archway.errors import Location, MetadataError
from archway.platforms import Platform
from archway.references import check_registry, check_repository, check_tag, member

HERE = Location("here")


def test_member_has_version_release_and_architecture() -> None:
    """A member stands at REGISTRY/ORG/IMAGE:VERSION-RELEASE-ARCH, and + becomes -."""
    reference = member(
        registry="r.example.org:5000", organization="acme", image="hive", version="4.0.1+1", release="26.1",
        platform=Platform.parse("arm64"),
    )  # fmt: skip

    assert str(reference) == "r.example.org:5000/acme/hive:4.0.1-1-26.1-arm64"


@pytest.mark.parametrize(
    "text", ["localhost", "localhost:5000", "registry.example.org", "[::1]:5000", "127.0.0.1:5000"]
)
def test_registries_are_hosts(text: str) -> None:
    """A host with an optional port is a registry."""
    check_registry(text, where=HERE)


@pytest.mark.parametrize(
    "text", ["", "foo", "http://r.example.org", "r.example.org/x", "r.example.org:port", "-x.y", "a b.c"]
)
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
