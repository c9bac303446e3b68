"""Manifest lists in the engine's own store."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from archway.engine import BuildFailedError, BuildOrder, Engine
from archway.errors import MachineError
from archway.platforms import Platform
from archway.references import Reference
from archway.settings import Settings


def join(engine: Engine, settings: Settings, members: Mapping[Platform, Reference]) -> Reference:
    """One name for the images of several platforms; for a single one its own name.

    A Dockerfile of one line, built for all platforms with each member as the base for its own, makes a list that names
    exactly the members: nothing is copied, and no registry is needed.

    :raises MachineError: the engine cannot hold lists
    """
    if len(members) == 1:
        return next(iter(members.values()))
    if not engine.holds_lists:
        raise MachineError(
            "one image is used for two platforms in one Dockerfile, which this engine cannot serve",
            why="only the containerd image store holds images of several platforms under one name",
            hint='turn it on ({"features": {"containerd-snapshotter": true}} in /etc/docker/daemon.json), or give the'
            " $BUILDPLATFORM stage an image of its own",
        )
    first = next(iter(members.values()))
    joined = Reference(repository=first.repository, tag=f"{first.tag}.{'.'.join(p.tag for p in members)}")
    settings.state.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.state, prefix="list-") as folder:
        Path(folder, "Dockerfile").write_text("FROM member-$TARGETARCH$TARGETVARIANT\n")
        order = BuildOrder(
            context=Path(folder),
            tag=str(joined),
            platforms=tuple(members),
            arguments={},
            images={f"member-{p.tag}": str(reference) for p, reference in members.items()},
            outside={},
            secrets={},
            labels={},
        )
        try:
            engine.build(order, heard=lambda _line: None)
        except BuildFailedError as failed:
            raise MachineError(f"{joined} could not be made", why="\n".join(failed.log[-12:])) from None
    return joined
