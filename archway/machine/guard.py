"""Say before a build or a test what would fail in the middle of it."""

from __future__ import annotations

import json
import os
import platform as host
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from archway.errors import MachineError
from archway.machine import emulation
from archway.machine.facts import LOCAL_ENDPOINTS, Engine, Facts
from archway.machine.files import Files
from archway.machine.probe_binfmt import read_binfmt
from archway.platforms import Platform


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Of a machine, only that it runs some platforms."""

    platforms: tuple[Platform, ...]
    rootfs: str = ""
    registry: str = ""
    root: Path = Path()


def require_emulation(platforms: Sequence[Platform], files: Files | None = None) -> None:
    """Return if every platform would run in a container of the engine.

    An engine on this kernel is not asked: that takes time, and it goes on listing what was registered once.

    :param files: of this machine; tests give some of another
    :raises MachineError: one would not; the message says why
    """
    wanted = _Wanted(tuple(dict.fromkeys(platforms)))
    facts = Facts(
        system=sys.platform, kernel=host.release(), machine=host.machine(), engine=Engine(endpoint=_endpoint())
    )
    foreign = emulation.foreign(facts, wanted)
    native = facts.native
    if foreign and (not facts.local or facts.wsl or (native and emulation.may_run(native, foreign[0]))):
        facts = _asked(facts, wanted)
        foreign = emulation.foreign(facts, wanted)
    if foreign and facts.same_kernel:
        facts = replace(facts, binfmt=read_binfmt(files or Files(), foreign, versions=False))
    for platform in foreign:
        if why := emulation.why_not(facts, platform):
            hint = "run: inv setup" if facts.same_kernel else emulation.advice_elsewhere(facts, platform)
            raise MachineError(f"{platform} cannot be run here", why=why, hint=hint)


def _endpoint() -> str:
    """Where the engine is, as far as that is known without starting the client; else empty."""
    if given := os.environ.get("DOCKER_HOST"):
        return given
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        chosen = settings.get("currentContext")
    except (OSError, ValueError, AttributeError):
        chosen = ""
    return LOCAL_ENDPOINTS[0] if (os.environ.get("DOCKER_CONTEXT") or chosen or "default") == "default" else ""


def _asked(facts: Facts, wanted: _Wanted) -> Facts:
    from archway.machine import probe_docker

    facts = replace(facts, engine=probe_docker.read_engine(client=True))
    if not facts.engine.server:
        raise MachineError(
            "the Docker engine does not answer", why=facts.engine.complaint, hint="run: inv setup --check"
        )
    return replace(facts, engine=probe_docker.with_platforms(facts, wanted))
