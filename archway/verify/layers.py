"""The layers of images: scanned once each, several at a time, and remembered by what names their bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Protocol

from archway.process import descendants, end
from archway.verify.archive import Archive, Layer
from archway.verify.scan import Scan, from_json, scan
from archway.verify.tar import Limits

_WORTH = 24 << 20
"""So many bytes of a layer take longer to read than another process takes to start."""

_MOST = 1000  # layers: no image has so many, and their names would not fit into a command
_Worker = tuple[subprocess.Popen[bytes], IO[bytes]]


class Kept(Protocol):
    """A memory for scans, by the digest of what was scanned."""

    def get(self, digest: str) -> Scan | None: ...
    def add(self, digest: str, made: Scan) -> None: ...


class Nowhere:
    """Remembers nothing."""

    def get(self, digest: str) -> Scan | None:  # noqa: ARG002
        return None

    def add(self, digest: str, made: Scan) -> None:
        pass


def scan_layers(archive: Archive, layers: Iterable[Layer], kept: Kept) -> dict[str, Scan]:
    """The scan of each layer, by :attr:`Layer.identity`.

    :raises VerifyError: one cannot be read, is not what its digest says, or asks for more than the limits
    """
    wanted = {layer.identity: layer for layer in layers}
    found = {identity: there for identity in wanted if (there := kept.get(identity))}
    for there in found.values():
        there.spend(archive.budget)
    own, *others = _shares(archive, [layer for identity, layer in wanted.items() if identity not in found])
    made: dict[str, Scan] = {}
    with _workers(archive.path, others) as workers:
        for layer in own:
            made[layer.identity] = scan(layer, archive.budget)
        for share, worker in zip(others, workers, strict=True):
            wait = {layer.identity: layer for layer in share}
            for one in _results(worker):
                if wait.pop(one.name, None):
                    one.spend(archive.budget)  # before the next is read
                    made[one.name] = one
            for layer in wait.values():  # what a worker could not do is done here, where its error can be told
                made[layer.identity] = scan(layer, archive.budget)
    for identity, one in made.items():
        kept.add(identity, one)
    return {identity: replace(one, name=wanted[identity].name) for identity, one in (found | made).items()}


def _shares(archive: Archive, layers: Sequence[Layer]) -> list[list[Layer]]:
    """The layers for each processor, the first for this process: the largest go where there is the least to do."""
    sizes = {layer.identity: archive.size(layer.path) for layer in layers}
    alone = archive.path is None or archive.limits != Limits() or len(layers) > _MOST
    worth = sum(sizes.values()) - max(sizes.values(), default=0) >= _WORTH
    shares: list[list[Layer]] = [[] for _ in range(1 if alone or not worth else os.cpu_count() or 1)]
    loads = [0] * len(shares)
    for layer in sorted(layers, key=lambda layer: sizes[layer.identity], reverse=True):
        least = loads.index(min(loads))
        loads[least] += sizes[layer.identity]
        shares[least].append(layer)
    return [shares[0], *filter(None, shares[1:])]


@contextmanager
def _workers(path: Path | None, shares: Sequence[Sequence[Layer]]) -> Iterator[list[_Worker]]:
    """A process a share, which ends with what is done here, also when that is interrupted."""
    workers: list[_Worker] = []
    # -P: the working directory is the user's; what is called archway there is not this one
    start = [sys.executable, "-P", "-m", "archway.verify.worker", str(path), str(len(shares) + 1)]
    try:
        for share in shares:
            command = [*start, *(layer.identity for layer in share)]
            output: IO[bytes] = TemporaryFile()  # noqa: SIM115 - closed below
            workers.append((subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL), output))
        yield workers
    finally:
        for worker, output in workers:
            if worker.poll() is None:
                end(descendants(worker.pid))
                worker.wait()
            output.close()


def _results(worker: _Worker) -> Iterator[Scan]:
    """What a worker has made, one after the other, up to a line that makes no sense."""
    process, output = worker
    if process.wait() != 0:
        return
    output.seek(0)
    with suppress(ValueError):
        for line in output:
            yield from_json(line.decode())
