"""The documents of a registry, as the OCI image specification and Docker's older one have them.

https://github.com/opencontainers/image-spec
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from archway.distribution.trouble import plain, printable
from archway.errors import RegistryError
from archway.platforms import Platform

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = (OCI_INDEX, DOCKER_LIST)
MEDIA_TYPES = (*INDEXES, OCI_MANIFEST, DOCKER_MANIFEST)

DOCUMENT_LIMIT = 4 << 20
"""Bytes of a manifest or configuration; registries take no larger manifests."""

DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
Digest = Annotated[str, Field(pattern=rf"^({DIGEST.pattern})$")]
Shown = Annotated[str, AfterValidator(plain)]
"""What is shown on terminals, so that it may hold nothing that they would obey."""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class PlatformWords(_Document):
    """A platform as a document has it, which need not be one that archway knows."""

    os: Shown = ""
    architecture: Shown = ""
    variant: Shown = ""

    def __str__(self) -> str:
        return printable("/".join(filter(None, (self.os, self.architecture, self.variant))))

    @property
    def known(self) -> Platform | None:
        """The platform, if it is one that archway knows (``arm64/v8`` is ``arm64``)."""
        return Platform.known("/".join(filter(None, (self.os, self.architecture, self.variant))))


class Descriptor(_Document):
    """What names a document or a layer: its kind, digest and size in bytes."""

    media_type: str = Field(alias="mediaType", default="")
    digest: Digest
    size: int = Field(ge=0, lt=1 << 63)
    platform: PlatformWords | None = None
    annotations: dict[str, str] = {}

    @property
    def attests(self) -> str | None:
        """The digest of the image that this entry of a list is an attestation of; None if it is none.

        BuildKit's form: https://docs.docker.com/build/metadata/attestations/attestation-storage/
        """
        return self.annotations.get("vnd.docker.reference.digest") if self.is_attestation else None

    @property
    def is_attestation(self) -> bool:
        """Whether it is for no platform. What has one, or is silent about it, may be run, whatever else it says."""
        words = self.platform
        return words is not None and (words.os, words.architecture, words.variant) == ("unknown", "unknown", "")


class Manifest(_Document):
    """An image's manifest, or a list: told apart by what they hold."""

    media_type: str = Field(alias="mediaType", default="")
    manifests: list[Descriptor] | None = None
    config: Descriptor | None = None
    layers: list[Descriptor] = []

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What an image consists of beside its manifest: its configuration and its layers, each once."""
        found = (*([self.config] if self.config else ()), *self.layers)
        return tuple({blob.digest: blob for blob in found}.values())


class _Container(_Document):
    labels: dict[Shown, Shown] | None = Field(default=None, alias="Labels")


class Config(PlatformWords):
    """An image's configuration."""

    created: Shown = ""
    config: _Container | None = None

    @property
    def labels(self) -> dict[str, str]:
        return (self.config and self.config.labels) or {}


@dataclass(frozen=True)
class Stored:
    """A manifest as a registry holds it: its bytes, whose digest is its identity."""

    data: bytes
    media_type: str

    @cached_property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.data).hexdigest()}"

    @cached_property
    def manifest(self) -> Manifest:
        """:raises RegistryError: it is no manifest"""
        return read(Manifest, self.data, self.digest)

    @property
    def is_list(self) -> bool:
        return self.manifest.manifests is not None


Model = TypeVar("Model", bound=BaseModel)


def read(kind: type[Model], data: bytes, where: str) -> Model:
    """Read a document.

    :raises RegistryError: it is no JSON, or of another shape
    """
    try:
        return kind.model_validate_json(data)
    except ValidationError as wrong:
        first = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
        why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
        raise RegistryError("a document is not what it should be", where=where, why=printable(why)) from None
