"""Facts about the data of layers: how it is compressed, and that it is what its digest says."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from archway.verify import Limits
from tests.unit.archives import (
    BASE,
    TOP,
    Made,
    describe,
    docker,
    entry,
    layout,
    oci,
    refusal,
    scan,
    sha256,
    tar,
    to_json,
)  # fmt: skip

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SKIPPABLE = b"\x5f\x2a\x4d\x18\x03\0\0\0abc"
CHECKED: dict[int, int] = {zstd.CompressionParameter.checksum_flag: 1}


def two_members(data: bytes) -> bytes:
    return gzip.compress(data[:700]) + gzip.compress(b"") + gzip.compress(data[700:]) + bytes(100)


def two_frames(data: bytes) -> bytes:
    """As zstd:chunked has it: several frames, and others with notes for those who know them."""
    return zstd.compress(data[:700]) + zstd.compress(b"") + zstd.compress(data[700:]) + SKIPPABLE


@pytest.mark.parametrize(
    "pack",
    [bytes, gzip.compress, two_members, zstd.compress, two_frames, lambda data: SKIPPABLE + zstd.compress(data)],
)
def test_compression(pack: Callable[[bytes], bytes]) -> None:
    """Plain, gzip and zstd layers are read, also of several members or frames, and with padding."""
    assert scan(oci(Made(layers=[BASE, TOP], pack=pack))) == ["/bin/a", "/bin/b", "/bin/c"]


def test_large_layer() -> None:
    """A layer larger than any piece is read to its end."""
    layer = tar(entry("a", bytes(3_000_000)), entry("b", b"x" * 700_001), entry("c"))

    for pack in (bytes, gzip.compress, zstd.compress):
        assert scan(oci(Made(layers=[layer], pack=pack))) == ["/a", "/b", "/c"]


def test_empty_layer() -> None:
    """A layer without a single byte is an empty one, and its digest is checked as well."""
    assert scan(oci(Made(layers=[b""], pack=bytes))) == []
    assert scan(docker(Made(layers=[b""]))) == []
    config = to_json({"rootfs": {"diff_ids": [sha256(b"x")]}})
    manifest = to_json([{"Config": "c", "Layers": ["l"]}])

    assert "not what its digest says" in refusal(tar(entry("c", config), entry("l"), entry("manifest.json", manifest)))


@pytest.mark.parametrize(("magic", "name"), [(b"\xfd7zXZ\0", "xz"), (b"BZh9", "bzip2")])
def test_other_compressions(magic: bytes, name: str) -> None:
    """A compression that is not read is named, with the way out."""
    message = refusal(oci(Made(layers=[BASE], pack=lambda data: magic + data)))

    assert f"the layer is compressed with {name}" in message
    assert "compression=gzip" in message


@pytest.mark.parametrize(
    ("pack", "why"),
    [
        (lambda data: gzip.compress(data)[:-12], "gzip data is cut short"),
        (lambda data: gzip.compress(data)[:-8] + bytes(8), "incorrect data check"),
        (lambda data: gzip.compress(data) + b"junk", "incorrect header check"),
        (lambda data: gzip.compress(data)[:-4] + bytes(4), "gzip data is damaged: "),
        (lambda data: zstd.compress(data)[:-1], "zstd data is cut short"),
        (lambda data: zstd.compress(data)[:6], "zstd data is cut short"),
        (lambda data: zstd.compress(data) + SKIPPABLE[:-1], "zstd data is cut short"),
        (lambda data: zstd.compress(data) + b"junk", "zstd data is damaged: "),
        (lambda data: zstd.compress(data, options=CHECKED)[:-4] + bytes(4), "zstd data is damaged: "),
        (lambda data: zstd.compress(data)[:4] + b"\xff" * 20, "zstd data is damaged: "),
    ],
)
def test_damaged(pack: Callable[[bytes], bytes], why: str) -> None:
    """Compressed data that is damaged is refused, with the reason."""
    layer = tar(entry("a", b"x" * 8000))
    message = refusal(oci(Made(layers=[layer], pack=pack)))

    assert "cannot be unpacked" in message
    assert why in message


def test_huge_window() -> None:
    """A zstd layer that wants to look back further than 128 MiB is refused, before the memory is taken."""
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 30}
    packer = zstd.ZstdCompressor(options=options)
    packed = packer.compress(tar(entry("a"))) + packer.flush()

    assert "too much memory" in refusal(oci(Made(layers=[b""], pack=lambda _: packed)))


@pytest.mark.parametrize("form", ["gzip", "zstd"])
def test_bomb(form: str) -> None:
    """A small layer that unpacks to an endless one is refused at the limit, and takes no more memory than others."""
    engine = zlib.compressobj(wbits=31) if form == "gzip" else zstd.ZstdCompressor()
    bomb = b"".join(engine.compress(bytes(1 << 20)) for _ in range(64)) + engine.flush()
    data = oci(Made(layers=[tar(entry("a"))[:1024]], pack=lambda _: bomb))

    assert len(data) < 200_000
    tracemalloc.start()
    message = refusal(data, Limits(data=40 << 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert "more bytes of data than is read" in message
    assert peak < 4 << 20


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
