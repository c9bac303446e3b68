"""Facts about the client, against Debian's docker-registry."""

from __future__ import annotations

import io
import json
import urllib.request
from pathlib import Path

import pytest

from archway.distribution import OCI_INDEX, OCI_MANIFEST, Descriptor, Registry, Repository, Stored
from archway.errors import RegistryError
from tests.registries import Proxy, digest_of

CONFIG = json.dumps({"os": "linux", "architecture": "arm64", "config": {"Labels": {"a": "b"}}}).encode()


def descriptor(data: bytes) -> Descriptor:
    return Descriptor(digest=digest_of(data), size=len(data), media_type="application/octet-stream")


def push(repository: Repository, *layers: bytes, tag: str = "one") -> Stored:
    """An image, as a push makes it."""
    for blob in (CONFIG, *layers):
        repository._upload(io.BytesIO(blob), descriptor(blob))
    words = [descriptor(blob).model_dump(by_alias=True, include={"digest", "size"}) for blob in (CONFIG, *layers)]
    config, *rest = [{"mediaType": "application/octet-stream", **word} for word in words]
    manifest = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config, "layers": rest}
    stored = Stored(json.dumps(manifest).encode(), OCI_MANIFEST)
    repository.put(tag, stored)
    return stored


def test_image_goes_there_and_comes_back(registry: str) -> None:
    """What was pushed is read as it was written: manifest, digest, tags, configuration and layers."""
    repository = Registry(registry).repository("tests/app")
    layer = bytes(range(256)) * 10_000
    stored = push(repository, layer)

    assert repository.get("one") == stored
    assert repository.get(stored.digest) == stored
    assert repository.digest("one") == stored.digest
    assert repository.tags() == ["one"]
    assert repository.config(stored).labels == {"a": "b"}
    assert b"".join(repository.blob(descriptor(layer))) == layer


def test_what_is_not_there(registry: str) -> None:
    """A repository or a tag that is not there is no error."""
    repository = Registry(registry).repository("tests/app")

    assert repository.get("one") is None
    assert repository.digest("one") is None
    assert repository.tags() == []
    push(repository)
    assert repository.get("two") is None
    assert repository.nearest_tag("onne") == "did you mean one?"


def test_list(registry: str) -> None:
    """A list is taken if its members are there, and refused with the registry's words if one is not."""
    repository = Registry(registry).repository("tests/app")
    stored = push(repository)
    member = {"mediaType": OCI_MANIFEST, "digest": stored.digest, "size": len(stored.data)}
    whole = Stored(json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [member]}).encode(), OCI_INDEX)
    torn = Stored(whole.data.replace(stored.digest.encode(), digest_of(b"").encode()), OCI_INDEX)

    repository.put("list", whole)
    with pytest.raises(RegistryError, match="MANIFEST_BLOB_UNKNOWN"):
        repository.put("torn", torn)

    found = repository.get("list")
    assert found == whole
    assert found.is_list


def test_blob_is_mounted(registry: str) -> None:
    """A blob of another repository of the registry is had without a transfer."""
    client = Registry(registry)
    source, target = client.repository("tests/app"), client.repository("tests/copy")
    push(source, b"layer")

    assert target.copy_blob(source, descriptor(b"layer"))
    assert not target.copy_blob(source, descriptor(b"layer"))
    assert b"".join(target.blob(descriptor(b"layer"))) == b"layer"


def test_blob_goes_to_another_registry(registry: str, other_registry: str) -> None:
    """A blob of another registry is transferred."""
    source, target = Registry(registry).repository("tests/app"), Registry(other_registry).repository("tests/app")
    layer = b"layer" * 1_000_000
    push(source, layer)

    assert target.copy_blob(source, descriptor(layer))
    assert b"".join(target.blob(descriptor(layer))) == layer


def test_check_push_leaves_nothing(registry: str, tmp_path: Path) -> None:
    """The question whether a push would do leaves no upload that could go on (but folders, in Debian's version)."""
    Registry(registry).repository("tests/app").check_push()

    assert not [path for path in (tmp_path / "registry").rglob("_uploads/*/*") if path.is_file()]


def test_proxy_in_front(registry: str) -> None:
    """A proxy in front of the registry is not noticed: addresses that the registry gives lead through it."""
    with Proxy(registry) as proxy:
        repository = Registry(proxy.host).repository("tests/app")
        layer = b"layer" * 1_000_000
        stored = push(repository, layer)

        assert repository.get("one") == stored
        assert b"".join(repository.blob(descriptor(layer))) == layer
        assert len(proxy.asked("PUT", "/blobs/uploads/")) == 2


def test_cut_connections_are_not_noticed(registry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut uploads and downloads are taken up again, and the registry has the right bytes."""
    monkeypatch.setattr("archway.distribution.transport.FIRST_DELAY", 0.001)
    with Proxy(registry) as proxy:
        repository = Registry(proxy.host).repository("tests/app")
        proxy.fault(method="PUT", path="/blobs/uploads/", cut=True)
        proxy.fault(method="PUT", path="/manifests/", cut=True)
        proxy.fault(method="GET", path="/blobs/sha256", cut=True)
        layer = bytes(range(256)) * 10_000
        stored = push(repository, layer)

        assert b"".join(repository.blob(descriptor(layer))) == layer
        assert repository.get("one") == stored
    with urllib.request.urlopen(f"http://{registry}/v2/tests/app/blobs/{digest_of(layer)}") as plain:
        assert plain.read() == layer
