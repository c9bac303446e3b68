"""Proves that built images hold what their labels say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from archway import log
from archway.catalog import Catalog, Image
from archway.distribution import Repository, Stored
from archway.distribution.download import download
from archway.dockerfile import split_stages
from archway.engine import Engine
from archway.errors import ListError
from archway.platforms import Platform
from archway.records import Layers, Proofs
from archway.scratch import scratch
from archway.settings import Settings
from archway.targets import Step
from archway.verify import Allowed, Report, check_archive
from archway.verify.content import certificates

_CA_LIMIT = 4 << 20


def prove(engine: Engine, settings: Settings, step: Step, name: str, *, expect: str = "") -> Report:
    """Read an image's layers and hold what they have to the rules. Nothing is run.

    :param name: the image, which need not have its final name yet
    :param expect: the digest of the manifest that the engine had under that name before; what is read must be that one
    :raises VerifyError: the image cannot be read
    :raises ListError: it is not the expected one any more
    """
    allow, own = allowed(settings, step.image), own_authorities(settings)
    with scratch(settings.state, "verify") as folder:
        archive = folder / "image.tar"
        engine.save(name, archive)
        report = check_archive(
            archive, step.target.platform, allow=allow, own=own, name=str(step.reference), kept=Layers(settings.state)
        )
    report = replace(report, source=step.image.shown(step.image.dockerfile_path))
    Proofs(settings.state).add(report, allow, own)
    # The older image store knows the digest of what was pushed, and makes another manifest for an archive.
    if expect and expect not in report.digests and engine.holds_lists:
        raise ListError(
            f"{name} was changed by another run while this one verified it",
            why=f"it was {expect}, and is {', '.join(report.digests) or 'no image'}",
            hint="run it again, and let one run at a time build an image",
        )
    return report


def prove_once(engine: Engine, settings: Settings, step: Step, digest: str) -> Report:
    """The report of a step's image, of the digest that the engine gave (if any): of an earlier proof, or a new one."""
    if digest:
        kept = _kept(settings, digest, step.target.platform, allowed(settings, step.image), own_authorities(settings))
        if kept:
            return replace(kept, name=str(step.reference), source=step.image.shown(step.image.dockerfile_path))
    with log.step(f"{step.target}: verifying"):
        return prove(engine, settings, step, str(step.reference), expect=digest)


def _kept(
    settings: Settings, digest: str, platform: Platform, allow: Sequence[Allowed], own: frozenset[str]
) -> Report | None:
    """The report of an earlier proof, if its layers are kept as well: lists are compared by them."""
    found = Proofs(settings.state).find(digest, platform, allow, own)
    return found if found and Layers(settings.state).hold(found.layers) else None


def prove_stored(
    settings: Settings,
    repository: Repository,
    stored: Stored,
    platform: Platform,
    allow: Sequence[Allowed] = (),
    *,
    source: str = "",
) -> Report:
    """The same for an image that a registry holds: the layers that were never read are downloaded, no engine is needed.

    :param source: the file of the monorepo that it was made of, if any
    :raises RegistryError: it cannot be read
    :raises VerifyError: it is not what its digests say
    """
    name, own, layers = f"{repository}@{stored.digest}", own_authorities(settings), Layers(settings.state)
    if kept := _kept(settings, stored.digest, platform, allow, own):
        return replace(kept, name=name, source=source)
    with scratch(settings.state, "verify") as folder:
        archive = folder / "image.tar"
        download(repository, stored, archive, without=layers.holds)
        report = check_archive(archive, platform, allow=allow, own=own, name=name, kept=layers)
    report = replace(report, source=source)
    Proofs(settings.state).add(report, allow, own)
    return report


def allowed(settings: Settings, image: Image) -> list[Allowed]:
    """The exceptions for an image, each with its reason: its own, and those of the images that it stands on, whose
    files it holds as well."""
    found: list[Allowed] = []
    catalog = Catalog(settings)
    pending, seen = [image], {image.name}
    while pending:
        one = pending.pop()
        found += own_exceptions(one)
        for stage in split_stages(one.dockerfile):
            if stage.platform is None and stage.base in catalog and stage.base not in seen:
                seen.add(stage.base)
                pending.append(catalog.image(stage.base))
    return found


def own_exceptions(image: Image) -> list[Allowed]:
    """The exceptions that an image's own image.toml makes, in its order."""
    source = image.shown(image.metadata_path)
    return [
        Allowed(
            path=entry.path, reason=entry.reason, rule=entry.rule, platforms=tuple(entry.platforms or ()), source=source
        )
        for entry in image.metadata.verify.allow
    ]  # fmt: skip


def own_authorities(settings: Settings) -> frozenset[str]:
    """Fingerprints of the certificate authorities that this machine trusts beside its distribution's: no image should
    have them."""
    own = [*Path("/usr/local/share/ca-certificates").rglob("*.crt")]
    if settings.ca:  # often the whole trust store of a machine
        own.append(settings.root / Path(settings.ca).expanduser())
    return _fingerprints(own) - _fingerprints(Path("/usr/share/ca-certificates").rglob("*.crt"))


def _fingerprints(files: Iterable[Path]) -> frozenset[str]:
    return frozenset(
        fingerprint
        for path in files
        if path.is_file() and path.stat().st_size < _CA_LIMIT
        for fingerprint in certificates(path.read_bytes())
    )
