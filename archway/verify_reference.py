"""``inv verify --ref``: the proof of an image that is not the monorepo's, as an engine, a registry or a file has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from archway import log
from archway.engine import Engine
from archway.errors import RegistryError, UsageError, VerifyError
from archway.lists import images_of
from archway.platforms import Platform
from archway.proof import own_authorities, prove_stored
from archway.records import Layers
from archway.references import Reference
from archway.remote import repository_of
from archway.scratch import scratch
from archway.settings import Settings
from archway.verification import compare_members, member
from archway.verify import Report, check_archive, open_archive


def verify_reference(
    engine: Engine, settings: Settings, text: str, platforms: Sequence[Platform] = ()
) -> Iterator[Report]:
    """A report for each platform of an image, and one that compares them where there are several.

    :param text: a name, with a tag or digest or without; or the path of what ``docker image save`` wrote
    :param platforms: those that must be there; without any, all that are
    :raises UsageError: it is no name
    :raises VerifyError: nobody has it, or it cannot be read
    """
    reports = []
    for report in _reports(engine, settings, text, platforms):
        reports.append(report)
        yield report
    if len(reports) > 1:
        members = [member(settings, report, report.platform) for report in reports if report.platform and report.layers]
        yield compare_members(text, members)


def _reports(engine: Engine, settings: Settings, text: str, platforms: Sequence[Platform]) -> Iterator[Report]:
    if (path := Path(text)).is_file():
        yield from _archive(settings, path, text, platforms)
        return
    reference = Reference.parse(text)
    if engine.answers and engine.image(text):
        with scratch(settings.state, "verify") as folder:
            with log.step(f"{text}: reading what the engine has"):
                engine.save(text, folder / "image.tar")
            yield from _archive(settings, folder / "image.tar", text, platforms)
        return
    yield from _stored(settings, reference, platforms)


def _archive(settings: Settings, path: Path, name: str, platforms: Sequence[Platform]) -> Iterator[Report]:
    with open_archive(path) as archive:
        there = dict.fromkeys(image.described or image.platform for image in archive.images())
    known = {platform: None for text in there if (platform := Platform.known(text))}
    if not known and not platforms:
        _refuse(name, list(there))
    for platform in platforms or known:
        with log.step(f"{name}: verifying {platform}"):
            yield check_archive(
                path, platform, name=name, kept=Layers(settings.state), own=own_authorities(settings)
            )  # fmt: skip


def _stored(settings: Settings, reference: Reference, platforms: Sequence[Platform]) -> Iterator[Report]:
    repository = repository_of(settings, reference)
    stored = repository.get(reference.tag)
    if stored is None:
        raise VerifyError(
            f"{reference} is not there", why="neither the engine nor the registry has it",
            hint=repository.nearest_tag(reference.tag),
        )  # fmt: skip
    images = [stored]
    if stored.is_list:
        found = [repository.get(entry.digest) for entry in images_of(stored.manifest)]
        if None in found:
            raise RegistryError(f"{reference} names an image that its registry does not have")
        images = [image for image in found if image and not image.is_list]
    there = [(repository.config(image), image) for image in images]
    wanted = [
        (config.known, image)
        for config, image in there
        if config.known and config.known in (platforms or [config.known])
    ]
    if missing := [str(platform) for platform in platforms if platform not in dict(wanted)]:
        words = ", ".join(str(config) for config, _ in there)
        raise VerifyError(f"{reference} has no image for {', '.join(missing)}", why=f"it has: {words or 'no image'}")
    if not wanted:
        _refuse(str(reference), [str(config) for config, _ in there])
    for platform, image in wanted:
        with log.step(f"{reference}: verifying {platform}"):
            yield prove_stored(settings, repository, image, platform)


def _refuse(name: str, there: Sequence[str]) -> None:
    found = ", ".join(filter(None, there)) or "no image"
    raise UsageError(f"{name} has no image for a platform that archway knows", hint=f"it has: {found}")
