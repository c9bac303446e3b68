"""Names in the engine's store that live as long as one run: what builds stand on, and what is not proven yet.

They belong to a registry that cannot exist, for two reasons: nobody can push them, and BuildKit, which with the
containerd image store asks the registry of a name before it looks at the engine's own images, finds nothing there and
takes the engine's. (Under the image's own name it would take what somebody once pushed.)
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from archway.engine import BuildFailedError, BuildOrder, Engine
from archway.errors import MachineError
from archway.platforms import Platform

# Nothing answers there, and no name server has to be asked for it.
NOWHERE = "localhost:1"


class Names:
    """Names of this run. Those of runs that were killed are removed when the next one starts."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.prefix = f"{NOWHERE}/run-{os.getpid()}-{uuid.uuid4().hex[:8]}"

    def sweep(self) -> None:
        """Remove the names of runs that are over."""
        for name in self.engine.names(f"{NOWHERE}/run-*/*"):
            if (run := re.match(rf"{NOWHERE}/run-(\d+)-", name)) and not psutil.pid_exists(int(run[1])):
                self.engine.remove(name)

    def fresh(self, image: str) -> str:
        """A name that nothing else has, for an image that is not proven yet, or for this run alone."""
        return f"{self.prefix}/{image}:{uuid.uuid4().hex[:8]}"

    @contextmanager
    def contexts(self, images: Mapping[str, Mapping[Platform, str]]) -> Iterator[dict[str, str]]:
        """Images of the engine as BuildKit's named contexts, by the name that the Dockerfile has for each.

        :raises MachineError: a name stands for several platforms, and the engine cannot hold that
        """
        given = {name: self.fresh(name) for name in images}
        try:
            for name, members in images.items():
                match list(members.values()):
                    case [image]:
                        self.engine.tag(image, given[name])
                    case _:
                        self._require_lists()
                        self.join(members, given[name])
            yield {name: f"docker-image://{alias}" for name, alias in given.items()}
        finally:
            for alias in given.values():
                self.engine.remove(alias)

    def _require_lists(self) -> None:
        if not self.engine.holds_lists:
            raise MachineError(
                "one image is used for two platforms in one Dockerfile, which this engine cannot serve",
                why="only the containerd image store holds images of several platforms under one name",
                hint='turn it on ({"features": {"containerd-snapshotter": true}} in /etc/docker/daemon.json), or give'
                " the $BUILDPLATFORM stage an image of its own",
            )

    def join(self, members: Mapping[Platform, str], name: str) -> None:
        """Give one name to the images of several platforms, which the engine's store must be able to hold.

        A Dockerfile of one line, built for all platforms with each member as the base for its own, makes a list that
        names exactly the members: nothing is copied, and no registry is needed.
        """
        with (
            TemporaryDirectory(prefix="archway-list-") as folder,
            self.contexts({f"member-{p.tag}": {p: image} for p, image in members.items()}) as contexts,
        ):
            Path(folder, "Dockerfile").write_text("FROM member-$TARGETARCH$TARGETVARIANT\n")
            order = BuildOrder(
                context=Path(folder), tag=name, platforms=tuple(members), arguments={}, contexts=contexts, secrets={},
                labels={},
            )  # fmt: skip
            try:
                self.engine.build(order, heard=lambda _line: None)
            except BuildFailedError as failed:
                raise MachineError("images could not be joined", why="\n".join(failed.log[-12:])) from None
