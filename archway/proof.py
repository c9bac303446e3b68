"""Proves that built images hold what their labels say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from archway import log
from archway.engine import Engine
from archway.errors import MachineError
from archway.settings import Settings
from archway.targets import Step
from archway.verify import Allowed, Report, check_archive


def prove(engine: Engine, settings: Settings, step: Step, name: str) -> Report:
    """Read an image's layers and compare what they hold with the target's platform. Nothing is run.

    :param name: the image, which need not have its final name yet
    :raises VerifyError: the image cannot be read
    """
    settings.state.mkdir(parents=True, exist_ok=True)
    allow = [Allowed(path=entry.path, reason=entry.reason) for entry in step.image.metadata.verify.allow]
    with TemporaryDirectory(dir=settings.state, prefix="verify-") as scratch:
        archive = Path(scratch) / "image.tar"
        engine.save(name, archive)
        return check_archive(archive, step.target.platform, allow=allow, name=str(step.reference))


def prove_all(engine: Engine, settings: Settings, steps: Iterable[Step]) -> Iterator[Report]:
    """Prove each image that was asked for.

    :raises MachineError: an image is not built
    """
    for step in steps:
        if not step.requested:
            continue
        if engine.image(str(step.reference)) is None:
            raise MachineError(
                f"{step.target} is not built",
                hint=f"run: inv build --image {step.target.image}={step.target.version}"
                f" --arch {step.target.platform.tag}",
            )
        with log.step(f"{step.target}: verifying"):
            report = prove(engine, settings, step, str(step.reference))
        yield report
