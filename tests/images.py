"""Small images for tests, put into a registry without an engine."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import struct
import tarfile
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field

from archway.platforms import Platform

DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def program(platform: Platform) -> bytes:
    """The header of a program for a platform; nothing that could be run."""
    bits, order, machine = platform.names.elf
    little = order == "little"
    head = b"\x7fELF" + bytes([bits // 32, 1 if little else 2, 1]) + bytes(9)
    return head + struct.pack("<HHI" if little else ">HHI", 2, machine, 1) + bytes(40)


def layer(files: Mapping[str, bytes]) -> tuple[bytes, str]:
    """A layer as it is stored, and the digest of what is in it."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(whole.getvalue(), mtime=0), digest(whole.getvalue())


@dataclass
class Pushed:
    """A repository of a registry on loopback, spoken to without archway's client."""

    host: str
    path: str
    blobs: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, data: bytes | None = None, **headers: str) -> tuple[bytes, Mapping[str, str]]:
        url = path if path.startswith("http") else f"http://{self.host}/v2/{self.path}/{path}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, data=data, method=method, headers=named)  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.read(), answer.headers

    def blob(self, data: bytes) -> dict[str, object]:
        """Store a blob; its descriptor."""
        _, headers = self.ask("POST", "blobs/uploads/", b"")
        place = headers["Location"]
        place = place if place.startswith("http") else f"http://{self.host}{place}"
        self.ask("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest(data)}", data,
                 Content_Type="application/octet-stream")  # fmt: skip
        self.blobs.append(digest(data))
        return {"digest": digest(data), "size": len(data)}

    def manifest(self, tag: str, document: Mapping[str, object]) -> dict[str, object]:
        """Store a manifest under a tag (or under its digest, when that is empty); its descriptor."""
        data = json.dumps(document).encode()
        kind = str(document["mediaType"])
        self.ask("PUT", f"manifests/{tag or digest(data)}", data, Content_Type=kind)
        return {"mediaType": kind, "digest": digest(data), "size": len(data)}

    def image(
        self, tag: str, platform: str, *, labels: Mapping[str, str] | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> str:  # fmt: skip
        """Store an image that says it is for a platform; its digest."""
        return str(self._image(tag, platform, labels or {}, files)["digest"])

    def _image(
        self, tag: str, platform: str, labels: Mapping[str, str], files: Mapping[str, bytes] | None
    ) -> dict[str, object]:
        parsed = Platform.parse(platform)
        stored, diff_id = layer(files or {"bin/hello": program(parsed)})
        config = {
            "os": parsed.os, "architecture": parsed.architecture, "variant": parsed.variant,
            "config": {"Labels": dict(labels)}, "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            "created": "2026-11-25T00:00:00Z",
        }  # fmt: skip
        return self.manifest(tag, {
            "schemaVersion": 2, "mediaType": DOCKER,
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json",
                       **self.blob(json.dumps(config).encode())},
            "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", **self.blob(stored)}],
        })  # fmt: skip

    def attested(self, tag: str, platform: str, *, labels: Mapping[str, str] | None = None) -> str:
        """Store an image with an attestation, as buildx does by default: an index of two. The image's digest."""
        parsed = Platform.parse(platform)
        image = self._image("", platform, labels or {}, None)
        statement = self.manifest("", {
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                       **self.blob(b'{"os": "unknown", "architecture": "unknown"}')},
            "layers": [{"mediaType": "application/vnd.in-toto+json", **self.blob(b'{"predicate": {}}')}],
        })  # fmt: skip
        self.index(tag, [
            {**image, "platform": {"os": parsed.os, "architecture": parsed.architecture}},
            {**statement, "platform": {"os": "unknown", "architecture": "unknown"},
             "annotations": {"vnd.docker.reference.digest": image["digest"],
                             "vnd.docker.reference.type": "attestation-manifest"}},
        ])  # fmt: skip
        return str(image["digest"])

    def index(self, tag: str, entries: list[dict[str, object]]) -> str:
        """Store a list of manifests; its digest."""
        made = self.manifest(tag, {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
        return str(made["digest"])

    def entry(self, found: str, platform: str) -> dict[str, object]:
        """What names a stored manifest in a list."""
        data, headers = self.ask("GET", f"manifests/{found}", Accept=f"{DOCKER}, {OCI_MANIFEST}")
        parsed = Platform.parse(platform)
        return {"mediaType": headers["Content-Type"], "digest": found, "size": len(data),
                "platform": {"os": parsed.os, "architecture": parsed.architecture}}  # fmt: skip

    def list_at(self, tag: str) -> list[tuple[str, str]] | None:
        """The platforms and digests that a list names, in their order; None if there is no such tag."""
        kinds = f"{OCI_INDEX}, application/vnd.docker.distribution.manifest.list.v2+json, {DOCKER}"
        try:
            data, _ = self.ask("GET", f"manifests/{tag}", Accept=kinds)
        except urllib.error.HTTPError as missing:
            if missing.code == 404:
                return None
            raise
        return [
            ("/".join(filter(None, (p["os"], p["architecture"], p.get("variant")))), entry["digest"])
            for entry in json.loads(data)["manifests"] for p in [entry["platform"]]
        ]  # fmt: skip
