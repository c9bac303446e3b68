"""Hive for both platforms, built once for all tests that look at it, behind markers of a build machine.

The build is made behind a mirror and with a certificate authority that can be told from all others, so that any trace
of them can be found.
"""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from archway.platforms import Platform
from archway.settings import load
from tests.engine.run import ORGANIZATION, REPOSITORY, Inv

BOTH = "amd64,arm64"

MARKER = "archway marker"
"""Stands in the list of package sources that the build gets."""

MARKER_CA = """\
-----BEGIN CERTIFICATE-----
MIIBiTCCAS+gAwIBAgIUJe1kH++Dqa4yTc1ActY2Ngwvi1cwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOYXJjaHdheSBtYXJrZXIwIBcNMjYxMTI1MDQwMTI5WhgPMjEy
NjExMDEwNDAxMjlaMBkxFzAVBgNVBAMMDmFyY2h3YXkgbWFya2VyMFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAEwSy1ndWcAcjg9DNESQwA8QmYvIRkTUJ7vAuYC88Q
5M17eOI+XCuGW9heQfgs+D0zSSKhoqXHXDYjA7pLmsj+LaNTMFEwHQYDVR0OBBYE
FAXwoFM+fPywmMME6gQo/L65XpNvMB8GA1UdIwQYMBaAFAXwoFM+fPywmMME6gQo
/L65XpNvMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgRalUszCN
iYu2i1btFpXhroXklUzZUw25wzvDU31RSyECIQCF8RSyTLaiNluHf5it57cr+QWV
fDFoUg8tLRZck0osxA==
-----END CERTIFICATE-----
"""
"""An authority that signs nothing, made once with openssl: its key was thrown away. It is always the same, so that
images which an earlier run of the tests made behind it serve the next one."""


@dataclass(frozen=True, kw_only=True)
class Marked:
    """What stands for the build machine's own settings."""

    sources: str
    """A sources.list with this machine's mirror, its host in capitals: the same host, but a text of its own."""
    mirror: str
    """The host, or an empty text where apt knows no mirror of Debian."""

    @property
    def organization(self) -> str:
        """Of these markers alone: whatever has a name in it was made behind them."""
        return f"{ORGANIZATION}-{sha256((self.sources + MARKER_CA).encode()).hexdigest()[:8]}"

    @property
    def traces(self) -> dict[str, bytes]:
        """What must not be found, by what it would mean."""
        body = MARKER_CA.splitlines()[2]
        found = {
            "the list of package sources": MARKER.encode(),
            "the certificate authority": body.encode(),
            "the certificate authority in a key store": ssl.PEM_cert_to_DER_cert(MARKER_CA),
        }
        return found | ({"the mirror": self.mirror.upper().encode()} if self.mirror else {})


def marked() -> Marked:
    """The markers of this machine, whose apt says where it gets Debian from."""
    listed = ""
    if shutil.which("apt-get"):
        form = "$(ORIGIN)|$(LABEL)|$(REPO_URI)"
        asked = ["apt-get", "indextargets", "--format", form, "Created-By: Packages"]
        listed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    uri = next((line.rpartition("|")[2] for line in listed.splitlines() if line.startswith("Debian|Debian|")), "")
    host = urlsplit(uri).hostname or ""
    shouted = re.sub(re.escape(host), host.upper(), uri, count=1, flags=re.IGNORECASE) if host else ""
    return Marked(sources=f"# {MARKER}\ndeb {shouted} trixie main\n" if host else "", mirror=host)


@dataclass(frozen=True, kw_only=True)
class Built:
    """The images of these tests, and how to run ``inv`` on them."""

    inv: Inv
    markers: Marked
    settings: Mapping[str, str]

    def __call__(self, *words: str) -> Any:
        """The data of a command on hive for both platforms, which must go well."""
        ran = self.inv(REPOSITORY, *words, "--product", "hive", "--arch", BOTH, "--json", **self.settings)

        assert ran.exit_code == 0, ran.stderr
        return json.loads(ran.stdout)

    def name(self, image: str, platform: Platform) -> str:
        steps = self("build", "--dry-run")
        return str(next(s["reference"] for s in steps if (s["image"], s["platform"]) == (image, str(platform))))


def build_hive(inv: Inv, folder: Path) -> Built:
    """Build it, unless an earlier run did.

    :param folder: for the markers
    """
    markers = marked()
    store = load(REPOSITORY).secrets().get("ca")
    (folder / "ca.pem").write_text((store.read_text() if store else "") + MARKER_CA)
    (folder / "sources.list").write_text(markers.sources)
    settings = {
        "INVOKE_ARCHWAY_ORGANIZATION": markers.organization,
        "INVOKE_ARCHWAY_APT_SOURCES": str(folder / "sources.list") if markers.sources else "",
        "INVOKE_ARCHWAY_CA": str(folder / "ca.pem") if store else "",
    }
    built = Built(inv=inv, markers=markers, settings=settings)
    if any(step["due"] for step in built("build", "--dry-run") if step["requested"]):
        # Layers that BuildKit has from other builds never saw the markers.
        built("build", "--refresh")
    return built
