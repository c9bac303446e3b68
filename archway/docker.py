"""What the ``docker`` command says when it fails, turned into errors, and how it ends when we are interrupted."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from archway.errors import MachineError, NoSpaceError
from archway.process import end

NO_ENGINE = re.compile(r"Cannot connect to the Docker daemon|error during connect")
NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
FREE_SPACE = "docker system df shows what takes the room; docker buildx prune frees the build cache"


class EngineGoneError(MachineError):
    """The engine does not answer (any more)."""


def require_docker() -> None:
    """:raises MachineError: there is no docker command"""
    if shutil.which("docker") is None:
        raise MachineError("there is no docker command", why="none is on PATH", hint="run: inv setup")


@contextmanager
def telling() -> Iterator[None]:
    """Turn an exception of python-on-whales into an error that says what to do."""
    from python_on_whales.exceptions import DockerException, NoSuchImage

    try:
        yield
    except NoSuchImage as missing:
        raise MachineError("an image is gone", why=last_lines(missing.stderr or "", 3), hint="run it again") from None
    except DockerException as failed:
        said = (failed.stderr or failed.stdout or "").strip()
        if NO_SPACE.search(said):
            raise NoSpaceError("the disk is full", why=last_lines(said, 3), hint=FREE_SPACE) from None
        if is_gone(said):
            raise EngineGoneError(
                "the Docker engine does not answer", why=last_lines(said, 3), hint="run: inv setup --check"
            ) from None
        raise MachineError(f"docker {' '.join(failed.docker_command[1:3])} failed", why=last_lines(said, 12)) from None


_GONE = (
    "Cannot connect to the Docker daemon",
    "error during connect",
    "permission denied while trying to connect",
    "connection refused",
    "no such host",
    "unexpected EOF",
)


def is_gone(said: str) -> bool:
    """Whether a message of the docker command means that there is no engine to talk to."""
    return any(sign.lower() in said.lower() for sign in _GONE)


def last_lines(text: str, count: int) -> str:
    """The last lines of what a command said."""
    return "\n".join(text.splitlines()[-count:])


@contextmanager
def children_end_with_us() -> Iterator[None]:
    """End the docker commands that were started meanwhile, when we are interrupted.

    python-on-whales leaves the command running when the loop over its output is left; BuildKit ends the build when its
    client is gone.
    """
    before = set(psutil.Process().children(recursive=True))
    try:
        yield
    except BaseException:
        end(set(psutil.Process().children(recursive=True)) - before)
        raise


@contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Kill the docker commands that were started meanwhile, when they take longer: they know no limit themselves."""
    before = set(psutil.Process().children(recursive=True))

    def kill() -> None:
        # Not waited for: who started them would not learn how they ended.
        for child in set(psutil.Process().children(recursive=True)) - before:
            with suppress(psutil.NoSuchProcess):
                child.kill()

    timer = threading.Timer(seconds, kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
