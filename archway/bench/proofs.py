"""How long the proof of an image takes, against what its layers take to be unpacked by gzip or zstd."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from archway.engine import Engine
from archway.errors import MachineError
from archway.platforms import Platform
from archway.verify import check_archive, open_archive

_UNPACKERS = {b"\x1f\x8b": "gzip", b"\x28\xb5": "zstd"}


def proof_pairs(engine: Engine, name: str, platform: Platform, *, rounds: int) -> list[tuple[float, float]]:
    """Seconds of a proof that nothing is remembered for, and of unpacking the same layers one after the other; each
    pair measured in turn.

    :raises MachineError: an unpacker is not there
    """
    with TemporaryDirectory() as place:
        archive = Path(place, "image.tar")
        engine.save(name, archive)
        layers = _layers(archive, Path(place))
        return [(_proof(archive, platform), _unpacked(layers)) for _ in range(rounds)]


def _layers(archive: Path, place: Path) -> list[Path]:
    with open_archive(archive) as opened:
        found = {layer.path: layer for image in opened.images() for layer in image.layers}
        for number, path in enumerate(found):
            with Path(place, str(number)).open("wb") as file:
                file.writelines(opened.pieces(path))
        return [Path(place, str(number)) for number in range(len(found))]


def _proof(archive: Path, platform: Platform) -> float:
    started = time.monotonic()
    check_archive(archive, platform)
    return time.monotonic() - started


def _unpacked(layers: list[Path]) -> float:
    started = time.monotonic()
    for layer in layers:
        with layer.open("rb") as file:
            unpacker = _UNPACKERS.get(file.read(2), "cat")
        command = [unpacker, "-dc", str(layer)] if unpacker != "cat" else ["cat", str(layer)]
        try:
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        except FileNotFoundError:
            raise MachineError(f"there is no {unpacker}", hint="install it, to compare with it") from None
    return time.monotonic() - started
