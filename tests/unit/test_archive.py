"""Facts about image archives: the forms they come in, and those that are refused."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from archway.errors import VerifyError
from archway.verify import Image, Limits, flatten, open_archive
from tests.unit.archives import (
    Made,
    blob_entry,
    describe,
    docker,
    elf,
    entry,
    hard_link,
    layout,
    oci,
    oci_list,
    sha256,
    symlink,
    tar,
    to_json,
)  # fmt: skip

BASE, TOP = tar(entry("bin/a", elf()), entry("bin/b")), tar(entry("bin/c", b"c"))
ZSTD, XZ = b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0"


def images(data: bytes) -> list[Image]:
    with open_archive(io.BytesIO(data)) as archive:
        return list(archive.images())


def scan(data: bytes, limits: Limits | None = None) -> list[str]:
    """The paths of all files of all images."""
    with open_archive(io.BytesIO(data), limits=limits) as archive:
        return sorted(file.path for image in archive.images() for file in flatten(image.layers, archive.budget))


def refusal(data: bytes) -> str:
    with pytest.raises(VerifyError) as caught:
        scan(data)
    assert caught.value.where.startswith("archive")
    return str(caught.value)


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


# ---------------------------------------------------------------------------------------------------- compression


def two_members(data: bytes) -> bytes:
    return gzip.compress(data[:700]) + gzip.compress(b"") + gzip.compress(data[700:]) + bytes(100)


@pytest.mark.parametrize("pack", [gzip.compress, bytes, two_members])
def test_compression(pack: Callable[[bytes], bytes]) -> None:
    """Plain layers and gzip layers are read, also gzip of several members and with padding."""
    assert scan(oci(Made(layers=[BASE, TOP], pack=pack))) == ["/bin/a", "/bin/b", "/bin/c"]


def test_large_layer() -> None:
    """A layer larger than any piece is read to its end."""
    layer = tar(entry("a", bytes(3_000_000)), entry("b", b"x" * 700_001), entry("c"))

    assert scan(oci(Made(layers=[layer]))) == ["/a", "/b", "/c"]
    assert scan(oci(Made(layers=[layer], pack=bytes))) == ["/a", "/b", "/c"]


def test_empty_layer() -> None:
    """A layer without a single byte is an empty one, and its digest is checked as well."""
    assert scan(oci(Made(layers=[b""], pack=bytes))) == []
    assert scan(docker(Made(layers=[b""]))) == []
    config = to_json({"rootfs": {"diff_ids": [sha256(b"x")]}})
    manifest = to_json([{"Config": "c", "Layers": ["l"]}])

    assert "not what its digest says" in refusal(tar(entry("c", config), entry("l"), entry("manifest.json", manifest)))


@pytest.mark.parametrize(("magic", "name"), [(ZSTD, "zstd"), (XZ, "xz"), (b"BZh9", "bzip2")])
def test_other_compressions(magic: bytes, name: str) -> None:
    """A compression that is not read is named, with the way out."""
    message = refusal(oci(Made(layers=[BASE], pack=lambda data: magic + data)))

    assert f"the layer is compressed with {name}" in message
    assert "compression=gzip" in message


@pytest.mark.parametrize(
    ("pack", "why"),
    [
        (lambda data: gzip.compress(data)[:-12], "cut short"),
        (lambda data: gzip.compress(data)[:-8] + bytes(8), "incorrect data check"),
        (lambda data: gzip.compress(data) + b"junk", "incorrect header check"),
        (lambda data: gzip.compress(data)[:-4] + bytes(4), "damaged: "),
    ],
)
def test_damaged_gzip(pack: Callable[[bytes], bytes], why: str) -> None:
    """Gzip data that is damaged is refused, with the reason."""
    layer = tar(entry("a", b"x" * 8000))
    message = refusal(oci(Made(layers=[layer], pack=pack)))

    assert "cannot be unpacked" in message
    assert why in message


def test_gzip_bomb() -> None:
    """A small layer that unpacks to an endless one is refused at the limit."""
    engine = zlib.compressobj(wbits=31)
    bomb = b"".join(engine.compress(bytes(1 << 20)) for _ in range(64)) + engine.flush()
    layer = tar(entry("a"))[:1024]
    data = oci(Made(layers=[layer], pack=lambda _: bomb))

    assert len(data) < 200_000
    with pytest.raises(VerifyError, match="more bytes of data than is read"):
        scan(data, limits=Limits(data=10 << 20))


# ---------------------------------------------------------------------------------------------------------- digests


@pytest.mark.parametrize("place", [-100, -3000])
def test_wrong_layer_digest(place: int) -> None:
    """A layer that is not what its digest says is refused, wherever the change is."""
    layer = bytearray(tar(entry("a", bytes(4000))))
    blobs = list(Made(layers=[bytes(layer)], pack=bytes).blobs())
    right = layout([describe(blobs[-1])], blobs)
    layer[2000] ^= 1

    assert f"expected {sha256(blobs[0])}" in refusal(right.replace(blobs[0], bytes(layer)))


@pytest.mark.parametrize("which", [-2, -1])
def test_wrong_document_digest(which: int) -> None:
    """A configuration or manifest that is not what its digest says is refused."""
    blobs = list(Made(layers=[BASE]).blobs())
    changed = blobs[which].replace(b'"', b" ", 1)

    assert "not what its digest says" in refusal(layout([describe(blobs[-1])], blobs).replace(blobs[which], changed))


def test_wrong_diff_id() -> None:
    """In the older form, a layer that is not what the configuration says is refused."""
    other = tar(entry("bin/c", b"d"))

    assert "not what its digest says" in refusal(docker(Made(layers=[TOP])).replace(TOP, other))


def test_wrong_configuration_name() -> None:
    """In the older form, a configuration that is not what its name says is refused."""
    data = docker(Made(layers=[TOP]))

    assert "not what its digest says" in refusal(data.replace(b'"architecture": "amd64"', b'"architecture": "arm64"'))


@pytest.mark.parametrize(
    "digest", ["", "sha256:abc", "md5:" + "0" * 32, "sha256:" + "A" * 64, "sha256:../../" + "0" * 58]
)
def test_no_digest(digest: str) -> None:
    """What is no digest is refused before anything is looked up by it."""
    assert "manifests.0.digest" in refusal(layout([{"digest": digest}], []))


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
    """A manifest that an index names for a thousand platforms counts a thousand times."""
    blobs = list(Made(layers=[TOP] * 100).blobs())
    data = layout([describe(blobs[-1], f"linux/{number}") for number in range(1000)], blobs)

    with pytest.raises(VerifyError, match="more entries"):
        scan(data, limits=Limits(entries=5_000))
