"""Proves that built images hold what their labels say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from archway import log
from archway.catalog import Image
from archway.distribution import Repository, Stored
from archway.distribution.download import download
from archway.engine import Engine
from archway.errors import MachineError
from archway.platforms import Platform
from archway.records import Proofs
from archway.settings import Settings
from archway.targets import Step
from archway.verify import Allowed, Report, check_archive


def prove(engine: Engine, settings: Settings, step: Step, name: str) -> Report:
    """Read an image's layers and compare what they hold with the target's platform. Nothing is run.

    :param name: the image, which need not have its final name yet
    :raises VerifyError: the image cannot be read
    """
    allow = allowed(step.image)
    with _scratch(settings) as archive:
        engine.save(name, archive)
        report = check_archive(archive, step.target.platform, allow=allow, name=str(step.reference))
    Proofs(settings.state).add(report, allow)
    return report


def prove_stored(
    settings: Settings, repository: Repository, stored: Stored, platform: Platform, allow: Sequence[Allowed]
) -> Report:
    """The same for an image that a registry holds: its layers are downloaded, and no engine is needed.

    :raises RegistryError: it cannot be read
    :raises VerifyError: it is not what its digests say
    """
    with _scratch(settings) as archive:
        download(repository, stored, archive)
        report = check_archive(archive, platform, allow=allow, name=f"{repository}@{stored.digest}")
    Proofs(settings.state).add(report, allow)
    return report


def allowed(image: Image) -> list[Allowed]:
    """The exceptions that an image's metadata makes, each with its reason."""
    return [Allowed(path=entry.path, reason=entry.reason) for entry in image.metadata.verify.allow]


@contextmanager
def _scratch(settings: Settings) -> Iterator[Path]:
    settings.state.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.state, prefix="verify-") as folder:
        yield Path(folder) / "image.tar"


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
