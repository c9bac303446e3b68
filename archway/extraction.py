"""Runs a script in an image of the engine and brings home the files that it leaves in ``/out``.

It is a build, not a container: so the host's own network settings serve here as they do for images, and nothing has to
be mounted from this machine, which may not be the engine's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from archway import log
from archway.contexts import Names
from archway.engine import BuildFailedError, BuildOrder, Engine
from archway.errors import BuildError, MachineError
from archway.failures import explain
from archway.scratch import scratch
from archway.settings import Settings

_BUILDER = "archway-builder"
_SCRIPT = "/archway-script"
_CONTEXT = re.compile(r"[a-z][a-z0-9_-]*")


def extract(
    engine: Engine,
    settings: Settings,
    *,
    image: str,
    script: str,
    contexts: Mapping[str, Path | str],
    out: Path,
    what: str,
    network: bool = True,
    places: Mapping[str, str] | None = None,
) -> list[str]:
    """Run a shell script, which starts in the empty folder ``/out``, and copy what is there afterwards to this machine.

    It is run each time, as what it downloads may be another thing tomorrow.

    :param image: an image of the engine for its own platform, with ``sh`` and ``with-host-settings``
    :param contexts: what the script finds in ``/NAME``: a folder of this machine (its ``.dockerignore`` counts), or
        another source that BuildKit knows (``docker-image://…``)
    :param out: is made if it is missing; files of the same name are replaced
    :param what: names it in messages, and the log
    :param places: folders of the container and what they are to the user, for messages of the command ``cargo-image``
    :returns: what the script printed
    :raises BuildError: the script failed (by cause: see :mod:`archway.errors`); ``why`` has its last lines
    :raises MachineError: the engine does not answer, or does not have the image
    """
    if wrong := [name for name in contexts if not _CONTEXT.fullmatch(name)]:
        raise ValueError(f"{wrong[0]!r} cannot be a folder of an extraction")
    if engine.image(image) is None:
        raise MachineError(f"{what}: there is no image {image}", hint="build it first")
    names = Names(engine)
    lines: list[str] = []
    with ExitStack() as stack:
        place = stack.enter_context(scratch(settings.state, "extraction"))
        out.mkdir(parents=True, exist_ok=True)
        progress = stack.enter_context(log.step(what))
        given = stack.enter_context(names.contexts({_BUILDER: {engine.platform: image}}))
        secrets = settings.secrets()
        place.joinpath("script").write_text(script, encoding="utf-8")
        place.joinpath("Dockerfile").write_text(dockerfile(contexts, secrets, network=network), encoding="utf-8")
        order = BuildOrder(
            context=place, tag="", platforms=(engine.platform,), arguments={}, secrets=secrets, labels={}, cache=False,
            contexts={**given, **{name: str(source) for name, source in contexts.items()}}, into=out,
        )  # fmt: skip

        def heard(line: str) -> None:
            lines.append(line)
            if said := re.match(r"#\d+ \d+\.\d+ (.*\S)", line):
                progress(said[1])

        try:
            engine.build(order, heard)
        except BuildFailedError as failed:
            raise _cause(engine, settings, what, failed.log, places or {}) from None
        finally:
            logfile(settings, what).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return printed(lines)


def dockerfile(contexts: Mapping[str, Path | str], secrets: Mapping[str, Path], *, network: bool) -> str:
    """The Dockerfile of an extraction. The script is no part of it: it would be one that the builder's shell reads."""
    mounts = [f"--mount=type=secret,id={name}" for name in sorted(secrets)]
    mounts += [f"--mount=type=bind,source=script,target={_SCRIPT}"]
    return "".join(
        f"{line}\n"
        for line in (
            f"FROM {_BUILDER}",
            *(f"COPY --from={name} . /{name}" for name in contexts),
            "WORKDIR /out",
            f"RUN {'' if network else '--network=none '}{' '.join(mounts)}"
            f' ["with-host-settings", "sh", "-e", "{_SCRIPT}"]',
            "FROM scratch",
            "COPY --from=0 /out/ /",
        )
    )


def printed(lines: list[str]) -> list[str]:
    """What the script printed, of all that BuildKit did."""
    step = next((found[1] for line in lines if (found := re.match(rf"#(\d+) \[.*\] RUN .*{_SCRIPT}", line))), "")
    said = (re.match(rf"#{step} \d+\.\d+ (.*)", line) for line in lines)
    return [found[1] for found in said if step and found]


def logfile(settings: Settings, what: str) -> Path:
    """Where all that was printed stands."""
    folder = settings.state / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{re.sub(r'[^A-Za-z0-9._+-]+', '-', what)}.log"


def _cause(
    engine: Engine, settings: Settings, what: str, lines: list[str], places: Mapping[str, str]
) -> BuildError | MachineError:
    shown = logfile(settings, what).relative_to(settings.root).as_posix()
    cause = explain(what, lines, dockerfile="", log=shown, engine_gone=not engine.answers, places=places)
    # Nobody can look at a line, or know a step, of a Dockerfile that was made for the moment.
    cause.where = "" if cause.where.startswith(":") else cause.where
    cause.why = "\n".join(line for line in cause.why.splitlines() if _SCRIPT not in line)
    return cause
