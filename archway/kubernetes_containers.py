"""Containers that run while something is done beside them, and never longer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from archway.docker import children_end_with_us, telling
from archway.engine import CANNOT_RUN, NOT_FOUND, Engine
from archway.platforms import Platform


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a container shall be."""

    name: str
    image: str
    platform: Platform
    labels: Mapping[str, str]
    command: Sequence[str] = ()
    """Empty for the image's own entry point and command."""
    ports: Sequence[int] = ()
    """Are published on loopback of the engine's machine."""
    network_of: str = ""
    """The container whose network it shares."""
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_timeout: int | None = None
    """Seconds that :meth:`Container.stop` gives it (the engine's default is 10)."""
    folders: Sequence[Path] = ()
    """Are copied into its root before it starts: a mount would need the files on the engine's machine."""


@dataclass(frozen=True, slots=True)
class Container:
    """A container that was started."""

    engine: Engine
    name: str
    refused: tuple[int, str] | None = None
    """The exit code and what docker said, where the command could not be started."""

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs."""
        if self.refused:
            return self.refused[0]
        with telling():
            state = self.engine.client.container.inspect(self.name).state
        return None if state.running or state.status == "created" else state.exit_code

    def printed(self) -> Iterator[tuple[str, str]]:
        """What it has printed so far: pairs of ``stdout`` or ``stderr`` and a line, in about the right order."""
        if self.refused:
            yield "stderr", self.refused[1]
            return
        with telling(), children_end_with_us():
            logs = self.engine.client.container.logs(self.name, stream=True)
            for source, line in cast("Iterator[tuple[str, bytes]]", logs):
                yield source, line.decode(errors="replace").rstrip("\n")

    def lines(self) -> list[str]:
        """All that it has printed so far."""
        return [line for _, line in self.printed()]

    def fetch(self, path: str, to: Path) -> bool:
        """Copy a file out of it; False where there is none yet.

        :raises MachineError: the engine does not answer
        """
        from python_on_whales.exceptions import DockerException

        with telling():
            try:
                self.engine.client.container.copy((self.name, path), to)
            except DockerException as missing:
                if "could not find the file" in (missing.stderr or "").lower():
                    return False
                raise
        return True

    def stop(self) -> int | None:
        """Ask it to end as Kubernetes does, and kill it when it has not within its ``stop_timeout``.

        :returns: the exit code; 137 where it had to be killed
        """
        with telling():
            self.engine.client.container.stop(self.name)
        return self.exit_code


@contextmanager
def running(engine: Engine, wish: Wish) -> Iterator[Container]:
    """A container that is removed however what is done beside it ends.

    :raises MachineError: the engine cannot make it
    """
    from python_on_whales.exceptions import DockerException

    containers = engine.client.container
    try:
        with telling(), children_end_with_us():
            containers.create(
                wish.image,
                list(wish.command[1:]),
                entrypoint=wish.command[0] if wish.command else None,
                publish=[("127.0.0.1:", port) for port in wish.ports],
                networks=[f"container:{wish.network_of}"] if wish.network_of else [],
                envs=dict(wish.environment),
                name=wish.name,
                platform=str(wish.platform),
                labels=dict(wish.labels),
                stop_timeout=wish.stop_timeout,
                pull="never",
            )
            for folder in wish.folders:
                containers.copy(folder, (wish.name, "/"))
            refused = _start(engine, wish.name)
        yield Container(engine, wish.name, refused)
    finally:
        # Also one that was made and could not be started.
        with suppress(DockerException):
            containers.remove(wish.name, force=True, volumes=True)


def _start(engine: Engine, name: str) -> tuple[int, str] | None:
    """How docker refused to start a container's command, if it did."""
    from python_on_whales.exceptions import DockerException

    try:
        engine.client.container.start(name)
    except DockerException as failed:
        # docker start, unlike docker run, does not tell the cases by its own exit code.
        code = engine.client.container.inspect(name).state.exit_code
        if code not in (CANNOT_RUN, NOT_FOUND):
            raise
        return code, (failed.stderr or "").strip()
    return None
