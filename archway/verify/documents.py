"""The JSON documents of an image archive, as far as they are read."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError

from archway.errors import VerifyError
from archway.verify.tar import printable

_Digest = Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$")]


class _Document(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class Platform(_Document):
    os: str = ""
    architecture: str = ""
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


class Descriptor(_Document):
    digest: _Digest
    platform: Platform | None = None
    annotations: dict[str, str] | None = None

    @property
    def name(self) -> str:
        notes = self.annotations or {}
        return notes.get("io.containerd.image.name") or notes.get("org.opencontainers.image.ref.name", "")


class IndexOrManifest(_Document):
    """Told apart by what they hold, as some writers leave the media type out."""

    manifests: list[Descriptor] | None = None
    config: Descriptor | None = None
    layers: list[Descriptor] | None = None


class _RootFs(_Document):
    diff_ids: list[_Digest] | None = None


class _Settings(_Document):
    labels: dict[str, str] | None = Field(default=None, alias="Labels")
    env: list[str] | None = Field(default=None, alias="Env")


class Config(Platform):
    """An image's configuration."""

    rootfs: _RootFs = _RootFs()
    config: _Settings | None = None

    @property
    def platform(self) -> str:
        return "/".join(filter(None, (self.os or "unknown", self.architecture or "unknown", self.variant)))

    @property
    def labels(self) -> dict[str, str]:
        return (self.config and self.config.labels) or {}

    @property
    def env(self) -> list[str]:
        return (self.config and self.config.env) or []


class DockerImage(_Document):
    config: str = Field(alias="Config")
    tags: list[str] | None = Field(default=None, alias="RepoTags")
    layers: list[str] | None = Field(default=None, alias="Layers")


class DockerManifest(RootModel[list[DockerImage]]):
    """The older form's ``manifest.json``."""


Model = TypeVar("Model", bound=BaseModel)


def parse(kind: type[Model], data: bytes, where: str) -> Model:
    """Read a document.

    :raises VerifyError: it is no JSON, or of another shape
    """
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        why = f"{'.'.join(map(str, first['loc']))}: {first['msg']}".removeprefix(": ")
        raise VerifyError("this document is not what it should be", where=where, why=printable(why)) from error
