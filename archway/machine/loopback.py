"""Start and stop the registry on the loopback address, and show it.

Only what archway started is ever stopped: a process that the pid file names and that serves the settings which archway
wrote, or a container that has archway's name and publishes the port.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TextIO

import psutil

from archway import log, process
from archway.errors import MachineError, UsageError, did_you_mean
from archway.machine.carry import carry_out
from archway.machine.facts import RegistryPort, Wanted
from archway.machine.loopback_found import PID, Found, look, on_other_port, own_process, refusal, told
from archway.machine.loopback_status import status
from archway.machine.probe import probe
from archway.machine.registry import serve

PATIENCE = 10.0
"""Seconds that a registry has to end by itself."""
LOCK_PATIENCE = 60.0
"""Seconds that another one has to start it."""


def act(action: str, wanted: Wanted, *, json: bool = False) -> None:
    """Do what the command line asks for.

    :raises ArchwayError: there is no such action, or it could not be done
    """
    actions: dict[str, Callable[[Wanted], None]] = {"up": up, "down": down, "status": partial(status, json=json)}
    if action not in actions:
        what = f"registry has no action {action!r}" if action else "registry needs an action"
        raise UsageError(what, hint=did_you_mean(action, actions))
    if json and action != "status":
        raise UsageError("--json goes with status", hint="run: inv registry status --json")
    actions[action](wanted)


def up(wanted: Wanted) -> None:
    """Start it as ``inv setup`` does.

    :raises MachineError: something else is there, or it cannot be started
    """
    found = look(wanted)
    if not found.running:
        with _alone(found.folder):
            found = look(wanted)
            if not found.running:
                _start(found, wanted)
                return
    log.done(f"a registry runs on {found.address} already: {found.listener}")
    if not found.by_archway:
        log.note("it was not started for this monorepo by archway, so inv registry down would leave it alone")


def _start(found: Found, wanted: Wanted) -> None:
    if refused := refusal(found):
        raise refused
    _forget(found.folder)
    facts = probe(wanted)
    remedy = serve(replace(facts, registry=RegistryPort.NOTHING), wanted)
    if remedy is None:
        raise MachineError(
            "there is nothing on this machine to run a registry with",
            why="neither Debian's docker-registry nor (where this is no Debian) an engine on a local socket",
            hint="run: inv setup",
        )
    carry_out(remedy, root=facts.root, sudo=facts.sudo, log_file=wanted.root / ".archway" / "logs" / "setup.log")
    started = look(wanted)
    if not started.running or not started.by_archway:
        raise MachineError(
            f"the registry did not start on {started.address}",
            where=started.folder / "registry.log",
            why=f"there is: {started.listener or 'nothing'}",
            hint="run it again; if that does not help: inv setup --check",
        )
    log.note(f"its data: {started.data}")


def _forget(folder: Path) -> None:
    """Remove a pid file that names no registry.

    :raises MachineError: it cannot be removed, so that none could be written either
    """
    try:
        (folder / "registry.pid").unlink(missing_ok=True)
    except OSError as failed:
        raise MachineError(
            f"the pid file cannot be replaced: {failed.strerror}",
            where=folder / "registry.pid",
            why="without it nothing would know afterwards which process to stop",
            hint="remove it, or give its folder back to your user (chown)",
        ) from None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two that start at the same time would overwrite each other's pid file."""
    folder.mkdir(parents=True, exist_ok=True)
    path, end = folder / "lock", time.monotonic() + LOCK_PATIENCE
    with path.open("a+") as file:
        while not _locked(file):
            if time.monotonic() > end:
                raise _held(path)
            time.sleep(0.05)
        file.truncate(0)
        file.write(f"{os.getpid()}")
        file.flush()
        yield


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _held(path: Path) -> MachineError:
    text = path.read_bytes()[:20].decode("ascii", "replace")
    holder = None
    with contextlib.suppress(psutil.Error):
        holder = psutil.Process(int(text)) if PID.fullmatch(text) else None
    return MachineError(
        f"the registry is being started elsewhere, for more than {LOCK_PATIENCE:g} s",
        where=path,
        why=f"its lock may be held by {told(holder) if holder else 'another inv registry up'}",
        hint=f"wait for that or end it, and run it again; fuser -v {path} shows who holds the lock",
    )


def down(wanted: Wanted) -> None:
    """Stop it, if archway started it. Its data stays.

    :raises MachineError: archway did not start it, or this user may not stop it
    """
    found = look(wanted)
    if found.container:
        stopped = process.run(("docker", "stop", found.container), timeout=60)
        if not stopped.ok:
            raise MachineError(f"docker could not stop {found.container}", why=stopped.stderr.strip())
    elif found.own and found.own_here:
        stop(found.own)
        with contextlib.suppress(MachineError):
            if not own_process(found.folder):
                _forget(found.folder)
    elif found.own:
        raise on_other_port(found)
    elif found.running:
        raise MachineError(
            f"archway did not start the registry on {found.address}, so it was left alone",
            where=found.folder / "registry.pid",
            why=f"this file does not name it, or cannot be read; it is {found.listener}",
            hint="stop it the way it was started",
        )
    else:
        log.done(f"no registry runs on {found.address}, nothing is to be stopped")
        return
    log.done(f"stopped the registry on {found.address}; its data stays: {found.data}")


def stop(running: psutil.Process) -> None:
    """End a process, and wait until it has ended.

    :raises MachineError: this user may not, or it does not end
    """
    try:
        running.terminate()
        if not _ended(running):
            running.kill()
            if not _ended(running):
                raise MachineError(f"process {running.pid} does not end", hint=f"look at it: ps -fp {running.pid}")
    except psutil.NoSuchProcess:
        return
    except psutil.AccessDenied:
        raise MachineError(f"this user may not stop {told(running)}", hint="run: sudo inv registry down") from None


def _ended(running: psutil.Process) -> bool:
    """Whether it ends in time. One that nobody waits for (in a container without an init) stays as a zombie."""
    end = time.monotonic() + PATIENCE
    while running.is_running() and running.status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
