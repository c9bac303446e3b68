"""A client of the registries that images are pushed to and pulled from."""

from archway.distribution.client import Registry, Repository
from archway.distribution.documents import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEXES,
    MEDIA_TYPES,
    OCI_INDEX,
    OCI_MANIFEST,
    Config,
    Descriptor,
    Manifest,
    PlatformWords,
    Stored,
    read,
)

__all__ = [
    "DOCKER_LIST",
    "DOCKER_MANIFEST",
    "INDEXES",
    "MEDIA_TYPES",
    "OCI_INDEX",
    "OCI_MANIFEST",
    "Config",
    "Descriptor",
    "Manifest",
    "PlatformWords",
    "Registry",
    "Repository",
    "Stored",
    "read",
]
