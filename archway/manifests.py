"""Makes manifest lists with ``docker manifest`` or ``docker buildx imagetools``, and writes them into a registry.

``docker manifest`` keeps the lists that it makes in a folder, looks there first, and amends what an interrupted or
failed run left: that is how old, partial and mixed lists get published. Here each list has a folder of its own, names
its members by digest, and is compared before anything is pushed.

The last step is not docker's: a ``docker manifest push`` lives on when we are killed, and would put its list over that
of a later run; it also knows neither a second try nor an end. One PUT of the bytes that were compared has none of this.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from archway.distribution import Repository, Stored, transport
from archway.distribution.documents import DOCKER_LIST, Manifest, read
from archway.distribution.trouble import printable
from archway.docker import last_lines, limit, require_docker
from archway.errors import ListError, RegistryError
from archway.lists import Member, is_list_of
from archway.process import run
from archway.references import Reference
from archway.scratch import scratch

if TYPE_CHECKING:
    from python_on_whales import DockerClient
    from python_on_whales.components.manifest.cli_wrapper import ManifestList

LAG = 30.0
"""Seconds for which a registry may not show yet what was pushed to it."""
LIMIT = 120.0
"""Seconds for which docker may read the members of a list."""
PAUSES = (1.0, 4.0)
"""Seconds to wait before docker is asked again."""


def write_list(
    state: Path, repository: Repository, reference: Reference, members: Sequence[Member], *, insecure: bool
) -> Stored:
    """Make a list of exactly these members, push it, and read it back.

    :param state: a folder for what docker keeps meanwhile
    :param insecure: the registry speaks plain http
    :raises RegistryError: it could not be written
    :raises ListError: docker made another list, or another run wrote one at the same time
    """
    stored = _made(state, repository, reference, members, insecure=insecure)
    if not is_list_of(stored.manifest, members):
        found = ", ".join(f"{entry.platform} {entry.digest}" for entry in stored.manifest.manifests or ())
        raise ListError(f"docker made another list for {reference} than it was told", why=f"it holds {found}")
    put(repository, reference, stored)
    return stored


def put(repository: Repository, reference: Reference, stored: Stored) -> None:
    """Write a list under a tag, and read the tag back.

    :raises RegistryError: it could not be written
    :raises ListError: another run wrote another one at the same time
    """
    try:
        repository.put(reference.tag, stored)
    except RegistryError as failed:
        # It may have come, and only the answer did not.
        if not failed.passing or repository.digest(reference.tag) != stored.digest:
            raise
    until = time.monotonic() + LAG
    while (found := repository.digest(reference.tag)) != stored.digest:
        if time.monotonic() > until:
            raise ListError(
                f"{reference} is not the list that was written",
                why=f"it names {found or 'nothing'}, not {stored.digest}: another run may have published meanwhile",
                hint="run it again, and let one run at a time publish an image",
            )
        transport.pause(1)


def _made(
    state: Path, repository: Repository, reference: Reference, members: Sequence[Member], *, insecure: bool
) -> Stored:
    from python_on_whales.exceptions import DockerException

    attested = any(member.source != member.digest for member in members)
    for wait in (*PAUSES, None):
        try:
            with _own_store(state) as client, limit(LIMIT):
                if attested:
                    return _with_attestations(client, reference, members)
                return _plain(client, reference, members, insecure=insecure)
        except DockerException as failed:
            said = "\n".join(map(printable, last_lines((failed.stderr or "").strip(), 3).splitlines()))
            # Docker says "no such manifest" for many reasons; asked ourselves, the registry tells the true one.
            for member in members:
                if repository.get(member.source) is None:
                    raise ListError(f"{reference.at(member.source)} is not there any more", why=said) from None
            if wait is None:
                raise RegistryError(
                    "docker could not make the list", where=str(reference), why=said,
                    hint="docker must reach the registry as well: its certificates are in /etc/docker/certs.d",
                ) from None  # fmt: skip
            transport.pause(wait)
    raise AssertionError("unreachable")


def _plain(client: DockerClient, reference: Reference, members: Sequence[Member], *, insecure: bool) -> Stored:
    sources = [reference.at(member.digest) for member in members]
    return _bytes(client.manifest.create(str(reference), sources, ammend=True, insecure=insecure))


def _bytes(made: ManifestList) -> Stored:
    """The list that docker made, as a document."""
    kind = made.media_type or DOCKER_LIST
    entries = [
        {
            "mediaType": entry.media_type, "size": entry.size, "digest": entry.digest,
            "platform": entry.platform.model_dump(exclude_none=True) if entry.platform else None,
        }
        for entry in made.manifests
    ]  # fmt: skip
    document = {"schemaVersion": 2, "mediaType": kind, "manifests": entries}
    return Stored(json.dumps(document, indent=3).encode(), kind)


def _with_attestations(client: DockerClient, reference: Reference, members: Sequence[Member]) -> Stored:
    """What imagetools would write. Of that, python-on-whales loses the annotations, so it is not asked through it."""
    from python_on_whales.exceptions import DockerException

    sources = [reference.at(member.source) for member in members]
    command = [*map(str, client.docker_cmd), "buildx", "imagetools", "create", "--dry-run", *sources]
    asked = run(command, timeout=LIMIT)
    if not asked.ok:
        raise DockerException(command, asked.exit_code, stderr=asked.stderr.encode())
    data = asked.stdout.strip().encode()
    return Stored(data, read(Manifest, data, str(reference)).media_type)


@contextmanager
def _own_store(state: Path) -> Iterator[DockerClient]:
    """A docker client with the user's configuration and an empty folder for its lists."""
    from python_on_whales import DockerClient

    require_docker()
    users = Path(os.environ.get("DOCKER_CONFIG") or "~/.docker").expanduser()
    with scratch(state, "manifests") as folder:
        for entry in users.iterdir() if users.is_dir() else ():
            if entry.name != "manifests":
                Path(folder, entry.name).symlink_to(entry.resolve())
        yield DockerClient(config=folder)
