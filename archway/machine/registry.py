"""The registry on the loopback address: what is found there, and how one is started. From the facts alone."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

from archway.machine.commands import Command, Remedy, detached, write
from archway.machine.facts import Facts, RegistryPort, Wanted, loopback_port

CONFIG = """\
version: 0.1
log:
  level: warn
storage:
  filesystem:
    rootdirectory: {data}
  delete:
    enabled: true
http:
  addr: 127.0.0.1:{port}
"""


def serve(facts: Facts, wanted: Wanted) -> Remedy | None:
    """Start a registry on the loopback address: Debian's program, else its image."""
    port = loopback_port(wanted.registry)
    if port is None or facts.registry is not RegistryPort.NOTHING:
        return None
    if "docker-registry" in facts.programs:
        commands = _program(str(wanted.root / ".archway" / "registry"), port)
    elif facts.engine.server and facts.engine.endpoint.startswith("unix://") and not facts.debian:
        commands = _container(port)  # a port of an engine on another machine would be that machine's
    else:
        return None
    expected = replace(facts, registry=RegistryPort.REGISTRY)
    return Remedy(title=f"start a registry on 127.0.0.1:{port}", commands=commands, expected=expected)


def _answers(port: int) -> tuple[str, ...]:
    return (sys.executable, "-c", f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)")


def _program(folder: str, port: int) -> tuple[Command, ...]:
    config = f"{folder}/config.yml"
    return (
        write(config, CONFIG.format(data=json.dumps(f"{folder}/data"), port=port), root=False),
        detached(
            ("docker-registry", "serve", config),
            log=f"{folder}/registry.log",
            pid_file=f"{folder}/registry.pid",
            root=False,
            until=_answers(port),
        ),
    )


def _container(port: int) -> tuple[Command, ...]:
    """One a port. One that was stopped is started again; one that does not start is replaced, its volume is kept."""
    name = f"archway-registry-{port}"
    run = (
        f"docker run -d --restart unless-stopped --name {name} -p 127.0.0.1:{port}:5000 "
        f"-v {name}:/var/lib/registry -e REGISTRY_STORAGE_DELETE_ENABLED=true registry:2"
    )
    line = f"docker start {name} || {{ docker rm -f {name}; {run}; }}"
    return (Command(argv=("sh", "-c", line), root=False, until=_answers(port)),)
