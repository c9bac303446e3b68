"""Facts about image archives: the forms they come in, and those that are refused."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from archway.errors import VerifyError
from archway.verify import Limits, open_archive
from tests.unit.archives import (
    BASE,
    TOP,
    Made,
    blob_entry,
    describe,
    docker,
    entry,
    hard_link,
    images,
    layout,
    oci,
    oci_list,
    refusal,
    scan,
    sha256,
    symlink,
    tar,
    to_json,
)  # fmt: skip


@pytest.mark.parametrize("write", [oci, oci_list, docker])
def test_forms(write: Callable[[Made], bytes]) -> None:
    """Each form gives platform, labels, name and layers of its image, and no attestation."""
    (image,) = images(write(Made(layers=[BASE, TOP], platform="linux/arm/v7")))

    assert (image.platform, image.described) == ("linux/arm/v7", "")
    assert image.labels == {"a": "b"}
    assert image.name == "docker.io/library/x:1"
    assert image.digest.startswith("sha256:")
    assert len(image.layers) == 2


@pytest.mark.parametrize("write", [oci, oci_list, docker])
def test_layers_in_order(write: Callable[[Made], bytes]) -> None:
    """The layers of each form are read, the lowest first."""
    upper = tar(entry("bin/.wh.a"), entry("bin/b", b"upper"))

    assert scan(write(Made(layers=[BASE, upper, TOP]))) == ["/bin/b", "/bin/c"]


def test_path_and_file(tmp_path: Path) -> None:
    """An archive is a path or an open file."""
    path = tmp_path / "image.tar"
    path.write_bytes(oci(Made(layers=[BASE])))
    with open_archive(path) as archive, path.open("rb") as file, open_archive(file) as same:
        assert list(archive.images()) == list(same.images())
        assert archive.where == same.where == str(path)


def test_several_platforms() -> None:
    """A saved list gives an image for each platform, as the index describes them."""
    made = (Made(layers=[BASE], platform=it, described=it) for it in ("linux/amd64", "linux/arm64"))

    assert [(image.described, image.platform) for image in images(oci_list(*made))] == [
        ("linux/amd64", "linux/amd64"),
        ("linux/arm64", "linux/arm64"),
    ]


def test_absent_platform() -> None:
    """What an index names and the store never had is known as absent, and no error."""
    here, absent = (Made(layers=[BASE], platform=it, described=it) for it in ("linux/amd64", "linux/arm64"))
    with open_archive(io.BytesIO(oci_list(here, absent=[absent]))) as archive:
        assert [image.platform for image in archive.images()] == ["linux/amd64"]
        assert archive.absent == ["linux/arm64"]


def test_two_tags() -> None:
    """An image with two tags is one image."""
    assert len(images(oci(Made(layers=[BASE]), Made(layers=[BASE], tag="y:2")))) == 1


def test_two_images() -> None:
    """Images that were saved together are all given, and their equal layers are read for each."""
    archive = oci(Made(layers=[BASE]), Made(layers=[BASE, TOP]))

    assert scan(archive) == ["/bin/a", "/bin/a", "/bin/b", "/bin/b", "/bin/c"]


def test_index_comes_first() -> None:
    """Of an archive with both forms, index.json is read: manifest.json has only one platform."""
    blobs = list(Made(layers=[BASE]).blobs())
    index = to_json({"manifests": [describe(blobs[-1])]})
    entries = [entry("index.json", index), entry("manifest.json", b"not read")]

    assert scan(tar(*(blob_entry(blob) for blob in blobs), *entries)) == ["/bin/a", "/bin/b"]


@pytest.mark.parametrize("link", [symlink("2/layer.tar", "../1/layer.tar"), hard_link("2/layer.tar", "1/layer.tar")])
def test_linked_layers(link: tuple[tarfile.TarInfo, bytes]) -> None:
    """The older form links layers that are equal."""
    config = to_json({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [sha256(TOP)] * 2}})
    manifest = [{"Config": "c.json", "Layers": ["1/layer.tar", "2/layer.tar"], "RepoTags": None}]
    data = tar(entry("1/layer.tar", TOP), link, entry("c.json", config), entry("manifest.json", to_json(manifest)))

    assert scan(data) == ["/bin/c"]


# ---------------------------------------------------------------------------------------------------------- hostile


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "neither index.json nor manifest.json"),
        (tar(entry("a")), "neither index.json nor manifest.json"),
        (b"x" * 5000, "no tar archive at all"),
        (b"x" * 50, "cut short"),
        (gzip.compress(oci(Made())), "gunzip"),
    ],
)
def test_no_archive(data: bytes, why: str) -> None:
    """A file that is no image archive is refused, with the reason."""
    assert why in refusal(data)


def test_no_file(tmp_path: Path) -> None:
    """A path that does not exist, or is a folder, or closed, is refused with the system's reason."""
    with pytest.raises(VerifyError, match="No such file"), open_archive(tmp_path / "x.tar"):
        pass
    with pytest.raises(VerifyError, match="Is a directory"), open_archive(str(tmp_path)):
        pass
    file = io.BytesIO(oci(Made()))
    with open_archive(file) as archive:
        file.close()
        with pytest.raises(VerifyError, match="cannot be read"):
            list(archive.images())


def test_errors_of_the_caller() -> None:
    """An error of the code that uses an archive stays what it is."""
    with pytest.raises(FileNotFoundError), open_archive(io.BytesIO(oci(Made()))):
        raise FileNotFoundError


@pytest.mark.parametrize("write", [oci, docker])
def test_archive_cut_short(write: Callable[[Made], bytes]) -> None:
    """An archive that is cut short is refused, wherever the cut is."""
    data = write(Made(layers=[BASE, TOP])).rstrip(b"\0")
    for length in range(1, len(data), 97):
        refusal(data[:length])


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"null", b"1", b'"x"', b"{", b'{"manifests": 1}', b'{"manifests": [1]}', b'{"manifests": [{}]}',
     b'{"manifests": {}}', b'{"manifests": [{"digest": 1}]}', b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe",
     b"9" * 5000, b'{"manifests": [{"digest": "\\ud800"}]}', b'{"manifests": [{"digest": "\\u001b[1m"}]}'],
)  # fmt: skip
@pytest.mark.parametrize("name", ["index.json", "manifest.json"])
def test_senseless_documents(text: bytes, name: str) -> None:
    """A document that is no JSON, or another kind of it, is refused."""
    if (name, text) == ("manifest.json", b"[]"):
        assert scan(tar(entry(name, text))) == []
    else:
        message = refusal(tar(entry(name, text)))
        assert "not what it should be" in message
        assert "\x1b" not in message


@pytest.mark.parametrize(
    "config",
    [b"[]", b'{"os": 1}', b'{"rootfs": []}', b'{"rootfs": {"diff_ids": [1]}}', b'{"config": {"Labels": {"a": 1}}}',
     b'{"config": {"Labels": []}}', b'{"rootfs": {"diff_ids": ["x"]}}'],
)  # fmt: skip
def test_senseless_configurations(config: bytes) -> None:
    """A configuration of another shape is refused."""
    manifest = to_json({"config": describe(config), "layers": []})

    assert "not what it should be" in refusal(layout([describe(manifest)], [config, manifest]))


def test_nulls() -> None:
    """Empty lists may be written as null, as Go does."""
    config = to_json({"os": "linux", "architecture": "amd64", "config": {"Labels": None}, "rootfs": {"diff_ids": None}})
    manifest = to_json({"config": describe(config), "layers": None, "annotations": None})

    assert images(layout([describe(manifest)], [config, manifest]))[0].layers == ()


def test_huge_document() -> None:
    """A document that is too large to be one is refused before it is read."""
    assert "larger than" in refusal(tar(entry("index.json", b" " * (5 << 20))))


def test_index_of_itself() -> None:
    """An index that names itself, or one index a thousand times, is read once."""
    index = to_json({"manifests": [describe(b"x", f"linux/{number}") for number in range(1000)]})
    many = to_json({"manifests": [describe(index, f"linux/{number}") for number in range(1000)]})
    data = layout([describe(many), describe(many), describe(many, "linux/amd64")], [index, many])

    assert scan(data, limits=Limits(data=1_000_000)) == []
    digest = "sha256:" + "0" * 64
    itself = json.dumps({"manifests": [{"digest": digest}]}).encode()
    named = tar(entry("index.json", itself), entry(f"blobs/sha256/{digest[7:]}", itself))

    assert "not what its digest says" in refusal(named)


def test_nested_indexes() -> None:
    """Indexes in indexes are followed without nesting."""
    blobs = list(Made(layers=[TOP]).blobs())
    for _ in range(2000):
        blobs.append(to_json({"manifests": [describe(blobs[-1])]}))

    assert scan(layout([describe(blobs[-1])], blobs)) == ["/bin/c"]


def test_index_and_manifest() -> None:
    """A document that different readers take for different things is refused."""
    both = to_json({"manifests": [], "layers": [], "config": describe(b"{}")})

    assert "both index and manifest" in refusal(layout([describe(both)], [both, b"{}"]))


def test_missing_parts() -> None:
    """A manifest without configuration, and one whose configuration or layer is absent, are refused."""
    blobs = list(Made(layers=[TOP]).blobs())
    empty = b"{}"

    assert "names no configuration" in refusal(layout([describe(empty)], [empty]))
    assert "is not in the archive" in refusal(layout([describe(blobs[-1])], [blobs[0], blobs[2]]))
    assert "is not in the archive" in refusal(layout([describe(blobs[-1])], blobs[1:]))


@pytest.mark.parametrize("write", [oci, docker])
def test_layer_count(write: Callable[[Made], bytes]) -> None:
    """An image with more or fewer layers than its configuration names is refused."""

    class Wrong(Made):
        def config(self) -> bytes:
            return to_json({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [sha256(TOP)]}})

    assert "an image has 2 layers, its configuration names 1" in refusal(write(Wrong(layers=[TOP, BASE])))
    assert "an image has 0 layers, its configuration names 1" in refusal(write(Wrong()))


def test_linked_in_a_circle() -> None:
    """Links that lead in a circle, or out of the archive, lead nowhere."""
    assert "is not in the archive" in refusal(tar(symlink("index.json", "a"), symlink("a", "index.json")))
    assert "is not in the archive" in refusal(tar(symlink("index.json", "../../etc/passwd")))


def test_many_entries() -> None:
    """The archive's own entries count against the limits."""
    with (
        pytest.raises(VerifyError, match="more entries"),
        open_archive(io.BytesIO(oci(Made())), limits=Limits(entries=3)),
    ):
        pass


def test_same_layer_many_times() -> None:
    """A layer that a manifest names again and again is read again and again, but only up to the limit."""
    with pytest.raises(VerifyError, match="more bytes of data"):
        scan(oci(Made(layers=[BASE] * 1000)), limits=Limits(data=1_000_000))


def test_same_manifest_many_times() -> None:
    """The layers of a manifest that an index names for many platforms count for each, before any is read."""
    blobs = list(Made(layers=[TOP] * 100).blobs())
    data = layout([describe(blobs[-1], f"linux/{number}") for number in range(100)], blobs)

    assert len(images(data, Limits(entries=10_200))) == 100
    with pytest.raises(VerifyError, match="more entries"):
        images(data, Limits(entries=9_900))


def test_same_document_many_times() -> None:
    """A document that is read again and again counts every time: what it says is kept."""
    blobs = list(Made().blobs())
    data = layout([describe(blobs[-1], f"linux/{number}") for number in range(100)], blobs)

    assert len(images(data, Limits(names=1 << 20))) == 100
    with pytest.raises(VerifyError, match="more bytes of names and documents"):
        images(data, Limits(names=200_000))
