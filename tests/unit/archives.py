"""Writes image archives for tests: ELF files, layers, and the two forms of ``docker image save``."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pytest

from archway.errors import VerifyError
from archway.verify import Budget, File, Image, Limits, flatten, open_archive
from archway.verify.scan import scan as scan_layer
from archway.verify.tar import Stream

END = bytes(1024)
"""The end mark of a tar archive."""

Entry = tuple[tarfile.TarInfo, bytes]

AMD64, ARM64, ARM, S390, NO_MACHINE, CUDA, BPF = 62, 183, 40, 22, 0, 190, 247


def elf(machine: int = AMD64, *, bits: int = 64, order: str = "little", kind: int = 3, size: int = 64) -> bytes:
    """The first bytes of an ELF file."""
    ident = b"\x7fELF" + bytes([bits // 32, 1 if order == "little" else 2, 1]) + bytes(9)
    return (ident + struct.pack("<HH" if order == "little" else ">HH", kind, machine)).ljust(size, b"\0")[:size]


# ------------------------------------------------------------------------------------------------------- layers


def entry(path: str, data: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> Entry:
    info = tarfile.TarInfo(path)
    info.type, info.linkname, info.size, info.mode = kind, link, len(data), mode
    return info, data


def folder(path: str) -> Entry:
    return entry(path, kind=tarfile.DIRTYPE, mode=0o755)


def symlink(path: str, target: str) -> Entry:
    return entry(path, kind=tarfile.SYMTYPE, link=target)


def hard_link(path: str, target: str) -> Entry:
    return entry(path, kind=tarfile.LNKTYPE, link=target)


def removed(path: str) -> Entry:
    above, _, name = path.rpartition("/")
    return entry(f"{above}/.wh.{name}" if above else f".wh.{name}")


def emptied(path: str) -> Entry:
    return entry(f"{path}/.wh..wh..opq")


def tar(*entries: Entry, form: int = tarfile.PAX_FORMAT) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as made:
        for info, data in entries:
            made.addfile(info, io.BytesIO(data))
    return file.getvalue()


def block(
    name: bytes, *, kind: bytes = b"0", size: int = 0, link: bytes = b"", magic: bytes = b"ustar\x0000",
    prefix: bytes = b"", size_field: bytes | None = None,
) -> bytes:  # fmt: skip
    """One tar header by hand, for what ``tarfile`` would not write."""
    field = size_field if size_field is not None else b"%011o\0" % size
    start = name.ljust(100, b"\0") + b"0000644\0" + b"0000000\0" * 2 + field + b"00000000000\0"
    end = kind + link.ljust(100, b"\0") + magic + bytes(80) + prefix.ljust(155, b"\0") + bytes(12)
    total = sum(start) + sum(end) + 8 * 32
    return start + b"%06o\0 " % total + end


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(**records: str) -> bytes:
    """A PAX header with its records."""
    text = b""
    for key, value in records.items():
        body = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(body) + 1
        while len(str(length)) + len(body) != length:
            length = len(str(length)) + len(body)
        text += str(length).encode() + body
    return block(b"PaxHeaders/x", kind=b"x", size=len(text)) + padded(text)


@dataclass(frozen=True, kw_only=True, slots=True)
class FakeLayer:
    """A layer without an archive around it."""

    name: str
    data: bytes
    budget: Budget

    def open(self) -> Stream:
        return Stream(iter([self.data]), where=self.name, budget=self.budget)


def files(*layers: bytes, limits: Limits | None = None) -> list[File]:
    """The files of a root file system of these layers, the lowest first."""
    budget = Budget(limits or Limits(), where="test")
    made = [FakeLayer(name=f"layer {number}", data=data, budget=budget) for number, data in enumerate(layers)]
    found = flatten([scan_layer(layer, budget) for layer in made], budget)
    return sorted((file for file in found if not file.target), key=lambda file: file.path)


def paths(*layers: bytes) -> list[str]:
    return [file.path for file in files(*layers)]


# ------------------------------------------------------------------------------------------------------ archives


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """An image to be written into an archive. ``described`` is the platform that the index gives it."""

    layers: Sequence[bytes] = ()
    platform: str = "linux/amd64"
    described: str = ""
    pack: Callable[[bytes], bytes] = gzip.compress
    tag: str = "docker.io/library/x:1"
    env: Sequence[str] = ()

    def config(self) -> bytes:
        diff_ids = [sha256(layer) for layer in self.layers]
        said = {"Labels": {"a": "b"}} | ({"Env": list(self.env)} if self.env else {})
        return to_json({**as_platform(self.platform), "config": said,
                        "rootfs": {"type": "layers", "diff_ids": diff_ids}})  # fmt: skip

    def blobs(self) -> Iterator[bytes]:
        """Its layers, its configuration and last its manifest."""
        packed = [self.pack(layer) for layer in self.layers]
        yield from packed
        yield self.config()
        yield to_json(
            {"schemaVersion": 2, "config": describe(self.config()), "layers": [describe(it) for it in packed]}
        )


def to_json(document: object) -> bytes:
    return json.dumps(document).encode()


def as_platform(text: str) -> dict[str, str]:
    return dict(zip(("os", "architecture", "variant"), text.split("/"), strict=False))


def describe(blob: bytes, platform: str = "", name: str = "") -> dict[str, object]:
    made: dict[str, object] = {"mediaType": "application/x", "digest": sha256(blob), "size": len(blob)}
    if platform:
        made["platform"] = as_platform(platform)
    if name:
        made["annotations"] = {"io.containerd.image.name": name}
    return made


def blob_entry(blob: bytes) -> Entry:
    return entry(f"blobs/sha256/{sha256(blob)[7:]}", blob)


def layout(descriptors: Iterable[object], blobs: Iterable[bytes]) -> bytes:
    """An OCI layout of an index with these descriptors."""
    unique = {sha256(blob): blob for blob in blobs}
    index = to_json({"schemaVersion": 2, "manifests": list(descriptors)})
    return tar(
        folder("blobs/"), folder("blobs/sha256/"), *(blob_entry(blob) for blob in unique.values()),
        entry("index.json", index), entry("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'),
    )  # fmt: skip


def oci(*images: Made) -> bytes:
    """As the containerd store saves images: each named by index.json."""
    blobs = [list(image.blobs()) for image in images]
    named = [describe(made[-1], image.described, image.tag) for image, made in zip(images, blobs, strict=True)]
    return layout(named, [blob for made in blobs for blob in made])


def oci_list(*images: Made, absent: Sequence[Made] = ()) -> bytes:
    """As the containerd store saves a manifest list: index.json names an index; each image has an attestation."""
    blobs = [list(image.blobs()) for image in images]
    proofs = [list(Made(platform="unknown/unknown").blobs()) for _ in images]
    children = [describe(made[-1], image.described) for image, made in zip(images, blobs, strict=True)]
    children += [describe(list(image.blobs())[-1], image.described) for image in absent]
    children += [describe(made[-1], "unknown/unknown") for made in proofs]
    index = to_json({"schemaVersion": 2, "manifests": children})
    return layout(
        [describe(index, name="docker.io/library/x:1")], [blob for made in blobs + proofs for blob in made] + [index]
    )


def docker(*images: Made) -> bytes:
    """The older form: manifest.json, configurations named by digest, and layers in folders of their own."""
    entries: list[Entry] = []
    manifest = []
    for image in images:
        names = [f"{sha256(layer)[7:19]}/layer.tar" for layer in image.layers]
        config = image.config()
        entries += [entry(name, layer) for name, layer in zip(names, image.layers, strict=True)]
        entries.append(entry(f"{sha256(config)[7:]}.json", config))
        manifest.append({"Config": f"{sha256(config)[7:]}.json", "RepoTags": [image.tag], "Layers": names})
    return tar(*entries, entry("manifest.json", to_json(manifest)))


BASE, TOP = tar(entry("bin/a", elf()), entry("bin/b")), tar(entry("bin/c", b"c"))


def images(data: bytes, limits: Limits | None = None) -> list[Image]:
    with open_archive(io.BytesIO(data), limits=limits) as archive:
        return list(archive.images())


def scan(data: bytes, limits: Limits | None = None) -> list[str]:
    """The paths of all files of all images."""
    with open_archive(io.BytesIO(data), limits=limits) as archive:
        scans = [[scan_layer(layer, archive.budget) for layer in image.layers] for image in archive.images()]
        return sorted(file.path for some in scans for file in flatten(some, archive.budget) if not file.target)


def refusal(data: bytes, limits: Limits | None = None) -> str:
    """Why an archive is refused."""
    with pytest.raises(VerifyError) as caught:
        scan(data, limits)
    assert caught.value.where.startswith("archive")
    return str(caught.value)
