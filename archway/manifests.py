"""Writes manifest lists into a registry, with ``docker manifest`` or ``docker buildx imagetools``.

``docker manifest`` keeps the lists that it makes in a folder, looks there first, and amends what an interrupted or
failed run left: that is how old, partial and mixed lists get published. Here each list has a folder of its own, names
its members by digest, is compared before it is pushed, and read back after.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from archway.distribution import Repository, Stored
from archway.distribution.documents import Descriptor, Manifest, PlatformWords
from archway.docker import last_lines, require_docker
from archway.errors import RegistryError
from archway.lists import Member, is_list_of
from archway.references import Reference

if TYPE_CHECKING:
    from python_on_whales import DockerClient
    from python_on_whales.components.buildx.imagetools.models import ImageVariantManifest

LAG = 30.0
"""Seconds for which a registry may not show yet what was pushed to it."""


def write_list(repository: Repository, reference: Reference, members: Sequence[Member], *, insecure: bool) -> Stored:
    """Make a list of exactly these members, push it, and read it back.

    :param insecure: the registry speaks plain http
    :raises RegistryError: it could not be written, or what stands there afterwards is something else
    """
    with _telling(repository, reference), _own_store() as client:
        if any(member.source != member.digest for member in members):
            _with_attestations(client, reference, members)
        else:
            _plain(client, reference, members, insecure=insecure)
    return read_back(repository, reference, members)


def _plain(client: DockerClient, reference: Reference, members: Sequence[Member], *, insecure: bool) -> None:
    sources = [reference.at(member.digest) for member in members]
    made = client.manifest.create(str(reference), sources, ammend=True, insecure=insecure)
    _compare(reference, made.manifests, members)
    client.manifest.push(str(reference), purge=True, quiet=True)


def _with_attestations(client: DockerClient, reference: Reference, members: Sequence[Member]) -> None:
    sources = [reference.at(member.source) for member in members]
    if told := client.buildx.imagetools.create(sources, tags=[str(reference)], dry_run=True):
        _compare(reference, told.manifests or [], members)
    client.buildx.imagetools.create(sources, tags=[str(reference)])


def _compare(reference: Reference, told: Sequence[ImageVariantManifest], members: Sequence[Member]) -> None:
    """Before anything is pushed."""
    entries = [
        Descriptor(
            digest=entry.digest or "", size=entry.size or 0,
            platform=PlatformWords.model_validate(entry.platform.model_dump(exclude_none=True))
            if entry.platform else None,
        )
        for entry in told
    ]  # fmt: skip
    if not is_list_of(Manifest(manifests=entries), members):
        found = ", ".join(f"{entry.platform} {entry.digest}" for entry in entries)
        raise RegistryError(f"docker made another list for {reference} than it was told", why=f"it holds {found}")


def read_back(repository: Repository, reference: Reference, members: Sequence[Member]) -> Stored:
    """What a tag names, once that is the list of these members.

    :raises RegistryError: it is another one: two runs may have published at the same time
    """
    until = time.monotonic() + LAG
    while True:
        stored = repository.get(reference.tag, patience=LAG)
        if stored and stored.is_list and is_list_of(stored.manifest, members):
            return stored
        if time.monotonic() > until:
            break
        time.sleep(1)
    raise RegistryError(
        f"{reference} is not the list that was written",
        why=f"it names {stored.digest if stored else 'nothing'}: another run may have published at the same time",
        hint="run it again, and let one run at a time publish an image", passing=True,
    )  # fmt: skip


@contextmanager
def _own_store() -> Iterator[DockerClient]:
    """A docker client with the user's configuration and an empty folder for its lists."""
    from python_on_whales import DockerClient

    require_docker()
    users = Path(os.environ.get("DOCKER_CONFIG") or "~/.docker").expanduser()
    with TemporaryDirectory(prefix="archway-manifests-") as folder:
        for entry in users.iterdir() if users.is_dir() else ():
            if entry.name != "manifests":
                Path(folder, entry.name).symlink_to(entry.resolve())
        yield DockerClient(config=folder)


@contextmanager
def _telling(repository: Repository, reference: Reference) -> Iterator[None]:
    """Docker says "no such manifest" for many reasons: find the true one."""
    from python_on_whales.exceptions import DockerException

    try:
        yield
    except DockerException as failed:
        said = last_lines((failed.stderr or failed.stdout or "").strip(), 3)
        repository.check_push()
        # It can be pushed to, so that what stopped docker was there for a moment only.
        raise RegistryError(
            f"docker {' '.join(failed.docker_command[1:5])} failed", where=str(reference), why=said, passing=True,
            hint="run it again; what was published before is as it was",
        ) from None  # fmt: skip
