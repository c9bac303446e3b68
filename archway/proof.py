"""Proves that built images hold what their labels say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from archway import log
from archway.catalog import Image
from archway.distribution import Repository, Stored
from archway.distribution.download import download
from archway.engine import Engine
from archway.errors import ListError, MachineError
from archway.platforms import Platform
from archway.records import Proofs
from archway.scratch import scratch
from archway.settings import Settings
from archway.targets import Step
from archway.verify import Allowed, Report, check_archive


def prove(engine: Engine, settings: Settings, step: Step, name: str, *, expect: str = "") -> Report:
    """Read an image's layers and compare what they hold with the target's platform. Nothing is run.

    :param name: the image, which need not have its final name yet
    :param expect: the digest of the manifest that the engine had under that name before; what is read must be that one
    :raises VerifyError: the image cannot be read
    :raises ListError: it is not the expected one any more
    """
    allow = allowed(step.image)
    with scratch(settings.state, "verify") as folder:
        archive = folder / "image.tar"
        engine.save(name, archive)
        report = check_archive(archive, step.target.platform, allow=allow, name=str(step.reference))
    Proofs(settings.state).add(report, allow)
    # The older image store knows the digest of what was pushed, and makes another manifest for an archive.
    if expect and expect not in report.digests and engine.holds_lists:
        raise ListError(
            f"{name} was changed by another run while this one verified it",
            why=f"it was {expect}, and is {', '.join(report.digests) or 'no image'}",
            hint="run it again, and let one run at a time build an image",
        )
    return report


def prove_once(engine: Engine, settings: Settings, step: Step, digest: str) -> Report | None:
    """Prove the image of a step, of the digest that the engine gave (if any); None if that was proven before."""
    if digest and Proofs(settings.state).holds(digest, step.target.platform, allowed(step.image)):
        return None
    with log.step(f"{step.target}: verifying"):
        return prove(engine, settings, step, str(step.reference), expect=digest)


def prove_stored(
    settings: Settings, repository: Repository, stored: Stored, platform: Platform, allow: Sequence[Allowed]
) -> Report:
    """The same for an image that a registry holds: its layers are downloaded, and no engine is needed.

    :raises RegistryError: it cannot be read
    :raises VerifyError: it is not what its digests say
    """
    with scratch(settings.state, "verify") as folder:
        archive = folder / "image.tar"
        download(repository, stored, archive)
        report = check_archive(archive, platform, allow=allow, name=f"{repository}@{stored.digest}")
    Proofs(settings.state).add(report, allow)
    return report


def allowed(image: Image) -> list[Allowed]:
    """The exceptions that an image's metadata makes, each with its reason."""
    return [Allowed(path=entry.path, reason=entry.reason) for entry in image.metadata.verify.allow]


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
                f" --arch {step.target.platform.tag}{settings.given}",
            )
        with log.step(f"{step.target}: verifying"):
            report = prove(engine, settings, step, str(step.reference))
        yield report
