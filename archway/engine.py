"""The Docker engine, through python-on-whales.

python-on-whales takes a fifth of a second to import, so it is imported when an engine is really asked.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from archway.docker import NO_ENGINE, EngineGoneError, children_end_with_us, limit, require_docker, telling
from archway.errors import MachineError, UsageError
from archway.platforms import Platform

if TYPE_CHECKING:
    from python_on_whales import DockerClient


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalImage:
    """An image in the engine's own store."""

    platform: Platform | None
    """None where it is none that archway knows."""
    labels: Mapping[str, str]
    repo_digest: str | None
    """The digest of its manifest, where the engine knows it (with the containerd image store, or after a push)."""
    repo_digests: tuple[str, ...] = ()
    """The same for each repository: ``REPOSITORY@DIGEST``."""
    id: str = ""
    """What stands for this very image, whatever becomes of its names."""

    def digest_in(self, repository: str) -> str | None:
        """The digest of its manifest in one repository. Docker leaves out ``docker.io/`` and ``docker.io/library/``."""
        short = repository.removeprefix("docker.io/")
        names = {repository, short, short.removeprefix("library/") if short != repository else short}
        found = (name.partition("@") for name in self.repo_digests)
        return next((digest for name, _, digest in found if name in names), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildOrder:
    """All that one build needs."""

    context: Path
    tag: str
    platforms: tuple[Platform, ...]
    arguments: Mapping[str, str]
    contexts: Mapping[str, str]
    """BuildKit's named contexts: what the image names of the Dockerfile mean."""
    secrets: Mapping[str, Path]
    labels: Mapping[str, str]
    cache: bool = True
    into: Path | None = None
    """The folder that gets the files of the result, which then is no image and has no tag."""


PUSH_LIMIT = 3600.0
"""Seconds that docker may take for the push of one image: of a registry that is silent it would wait for ever."""
CANNOT_RUN, NOT_FOUND = 126, 127
"""What docker run ends with when the command is there and cannot be run, and when it is not there."""


class BuildFailedError(Exception):
    """A build failed; ``log`` is what the engine said, in lines."""

    def __init__(self, log: list[str]) -> None:
        super().__init__("the build failed")
        self.log = log


class PushFailedError(Exception):
    """An image could not be pushed; the text is what the engine said."""


class Engine:
    """The engine that the ``docker`` command talks to."""

    @cached_property
    def _client(self) -> DockerClient:
        from python_on_whales import DockerClient

        require_docker()
        return DockerClient()

    @property
    def client(self) -> DockerClient:
        """For modules that do what is done nowhere else. They say what went wrong with :func:`telling`."""
        return self._client

    @cached_property
    def _builder(self) -> str:
        """The builder of the engine itself. Another one that somebody made the default cannot see its images."""
        with telling():
            return str(self._client.context.inspect(None).name)

    @cached_property
    def platform(self) -> Platform:
        """The platform that the engine runs without emulation.

        :raises MachineError: no engine answers
        """
        with telling():
            info = self._client.info()
        if not info.architecture:
            raise EngineGoneError("the Docker engine does not answer", hint="run: inv setup --check")
        try:
            return Platform.parse(info.architecture)
        except UsageError:
            raise MachineError(f"the engine runs on {info.architecture}, which archway does not know") from None

    @property
    def answers(self) -> bool:
        """Whether there is an engine to talk to, now."""
        try:
            with telling():
                return bool(self._client.info().architecture)
        except MachineError:
            return False

    @cached_property
    def holds_lists(self) -> bool:
        """Whether one name can stand for the images of several platforms: with the containerd image store it can."""
        with telling():
            status = self._client.info().driver_status or []
        return ["driver-type", "io.containerd.snapshotter.v1"] in [list(pair) for pair in status]

    def image(self, name: str) -> LocalImage | None:
        """The image of a name or id; None if the engine has none."""
        from python_on_whales.exceptions import NoSuchImage

        with telling():
            try:
                found = self._client.image.inspect(name)
            except NoSuchImage:
                return None
            config = found.config
            return LocalImage(
                platform=Platform.known("/".join(filter(None, (found.os, found.architecture, found.variant)))),
                labels=(config.labels if config else None) or {},
                repo_digest=next((digest.partition("@")[2] for digest in found.repo_digests or ()), None),
                repo_digests=tuple(found.repo_digests or ()),
                id=found.id or "",
            )

    def build(self, order: BuildOrder, heard: Callable[[str], None]) -> None:
        """Build one image into the engine's store (or a folder), and pass on each line that BuildKit prints.

        :raises BuildFailedError: BuildKit said no
        """
        from python_on_whales.exceptions import DockerException

        log: list[str] = []
        with children_end_with_us():
            try:
                lines = self._client.buildx.build(
                    order.context,
                    file=order.context / "Dockerfile",
                    builder=self._builder,
                    platforms=[str(platform) for platform in order.platforms],
                    tags=[] if order.into else order.tag,
                    build_args=dict(order.arguments),
                    build_contexts=dict(order.contexts),
                    secrets=[_fields(f"id={name}", f"src={path}") for name, path in order.secrets.items()],
                    labels=dict(order.labels),
                    cache=order.cache,
                    output={"type": "local", **_field("dest", order.into)} if order.into else {},
                    # An attestation would turn the member of a manifest list into an index.
                    provenance=False,
                    progress="plain",
                    stream_logs=True,
                )
                for line in cast("Iterator[str]", lines):
                    text = line.rstrip("\n")
                    log.append(text)
                    heard(text)
            except DockerException:
                raise BuildFailedError(log) from None

    def tag(self, name: str, new: str) -> None:
        """Give an image another name."""
        with telling():
            self._client.image.tag(name, new)

    def push(self, name: str) -> None:
        """Push an image to the registry in its name.

        :raises PushFailedError: the registry did not take it, or cannot be reached
        """
        from python_on_whales.exceptions import DockerException

        try:
            with children_end_with_us(), limit(PUSH_LIMIT):
                self._client.image.push(name, quiet=True)
        except DockerException as failed:
            said = (failed.stderr or failed.stdout or "").strip()
            if NO_ENGINE.search(said):
                raise EngineGoneError("the Docker engine does not answer", hint="run: inv setup --check") from None
            raise PushFailedError(said) from None

    def remove(self, name: str) -> None:
        """Take a name from an image. That it is gone already, or the engine with it, is no error."""
        from python_on_whales.exceptions import NoSuchImage

        with suppress(EngineGoneError), telling(), suppress(NoSuchImage):
            self._client.image.remove(name, force=True)

    def names(self, pattern: str) -> list[str]:
        """The names of the engine's images that fit a pattern, as ``docker image ls --filter reference=`` has it."""
        with telling():
            found = self._client.image.list(filters=[("reference", pattern)])
            return [name for image in found for name in image.repo_tags if fnmatch(name.rpartition(":")[0], pattern)]

    def save(self, name: str, path: Path) -> None:
        """Write an image as an archive."""
        with telling():
            self._client.image.save(name, output=path)

    def load_rootfs(self, archive: Path, name: str, platform: Platform) -> None:
        """Make an image of a root file system's archive."""
        with telling():
            self._client.image.import_(archive, tag=name, platform=str(platform))

    def run(
        self,
        image: str,
        command: list[str],
        *,
        name: str,
        platform: Platform,
        labels: Mapping[str, str],
        heard: Callable[[str], None],
        ports: Sequence[int] = (),
        environment: Mapping[str, str] | None = None,
        stop_timeout: int | None = None,
    ) -> int:
        """Run a command in an image, in place of its own, and pass on each line that it prints.

        :param command: empty for the image's own entry point and command
        :param ports: are published on loopback of the engine's machine, for :meth:`published`
        :param stop_timeout: seconds that :meth:`stop` gives it (the engine's default is 10)
        :returns: the exit code (137: killed, as :meth:`kill` does)
        """
        from python_on_whales.exceptions import DockerException

        with telling(), children_end_with_us():
            try:
                self._client.container.run(
                    image,
                    command[1:],
                    entrypoint=command[0] if command else None,
                    publish=[("127.0.0.1:", port) for port in ports],
                    envs=dict(environment or {}),
                    stop_timeout=stop_timeout,
                    name=name,
                    platform=str(platform),
                    labels=dict(labels),
                    detach=True,
                    pull="never",
                )
                logs = self._client.container.logs(name, follow=True, stream=True)
                for _, line in cast("Iterator[tuple[str, bytes]]", logs):
                    heard(line.decode(errors="replace").rstrip("\n"))
                return int(self._client.container.wait(name))
            except DockerException as failed:
                if failed.return_code not in (CANNOT_RUN, NOT_FOUND):
                    raise
                heard((failed.stderr or "").strip())
                return failed.return_code
            finally:
                # Also one that was made and could not be started.
                with suppress(DockerException):
                    self._client.container.remove(name, force=True, volumes=True)

    def published(self, name: str, port: int) -> int | None:
        """The port of the engine's machine that leads to a container's; None while there is no such container."""
        from python_on_whales.exceptions import NoSuchContainer

        with telling():
            try:
                found = self._client.container.inspect(name).network_settings.ports or {}
            except NoSuchContainer:
                return None
        bound = found.get(f"{port}/tcp") or [{}]
        return int(bound[0].get("HostPort") or 0) or None

    @cached_property
    def endpoint(self) -> str:
        """Where the engine is: ``unix:///var/run/docker.sock``, ``ssh://somewhere``."""
        with telling():
            endpoints = self._client.context.inspect(None).endpoints or {}
        return (endpoints["docker"].host if "docker" in endpoints else "") or ""

    def execute(self, name: str, command: list[str]) -> tuple[int, list[str]] | None:
        """Run a command in a running container.

        :returns: its exit code and the lines that it printed; None where the container does not run
        """
        from python_on_whales.exceptions import DockerException

        lines: list[str] = []
        with telling():
            try:
                printed = self._client.container.execute(name, command, stream=True)
                for _, line in cast("Iterator[tuple[str, bytes]]", printed):
                    lines.append(line.decode(errors="replace").rstrip("\r\n"))
            except DockerException as failed:
                return (failed.return_code, lines) if self._runs(name) else None
        return 0, lines

    def _runs(self, name: str) -> bool:
        from python_on_whales.exceptions import NoSuchContainer

        try:
            return bool(self._client.container.inspect(name).state.running)
        except NoSuchContainer:
            return False

    def stop(self, name: str) -> None:
        """Ask a container to end (SIGTERM), and kill it when it has not within its ``stop_timeout``.

        python-on-whales takes seconds for this and does not pass them on.
        """
        from python_on_whales.exceptions import NoSuchContainer

        with telling(), suppress(NoSuchContainer):
            self._client.container.stop(name)

    def kill(self, name: str) -> None:
        """End a container, if it still runs."""
        from python_on_whales.exceptions import DockerException

        try:
            self._client.container.kill(name)
        except DockerException:
            return


def _fields(*fields: str) -> str:
    """Fields in the form of CSV that docker's options have, so that a path may hold a comma."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _field(name: str, value: Path) -> dict[str, str]:
    """The same for a table whose items python-on-whales joins with ``=``."""
    key, _, rest = _fields(f"{name}={value}").partition("=")
    return {key: rest}
