"""``inv verify --ref``: the proof of an image that is not the monorepo's, as an engine, a registry or a file has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from archway import log
from archway.distribution.download import download
from archway.engine import Engine
from archway.errors import ListError, UsageError
from archway.offers import read_name
from archway.platforms import Platform
from archway.proof import own_authorities
from archway.records import Layers
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
    :raises UsageError: it is no name, no file, or has no image for a platform that archway knows
    :raises ListError: nobody has it
    :raises VerifyError: it cannot be read
    """
    reports = []
    with _archive(engine, settings, text, platforms) as archive:
        for platform in platforms or _platforms(archive, text):
            with log.step(f"{text}: verifying {platform}"):
                report = check_archive(
                    archive, platform, name=text, kept=Layers(settings.state), own=own_authorities(settings)
                )  # fmt: skip
            reports.append(report)
            yield report
    if len(reports) > 1:
        members = [found for report in reports if report.platform and (found := member(settings, report))]
        if len(members) > 1:
            yield compare_members(text, members)


@contextmanager
def _archive(engine: Engine, settings: Settings, text: str, platforms: Sequence[Platform]) -> Iterator[Path]:
    if (path := _file(text)) is not None:
        yield path
        return
    reference, _ = read_name(text)
    if reference.repository.startswith(f"{settings.registry}/{settings.organization}/"):
        log.note("with --ref the exceptions of image.toml do not count; for the monorepo's own: --product, --image")
    with scratch(settings.state, "verify") as folder:
        archive = folder / "image.tar"
        if engine.answers and engine.image(text):
            with log.step(f"{text}: reading what the engine has"):
                engine.save(text, archive)
        else:
            repository = repository_of(settings, reference)
            stored = repository.get(reference.tag)
            if stored is None:
                raise ListError(
                    f"{reference} is not there", why="neither the engine nor the registry has it",
                    hint=repository.nearest_tag(reference.tag),
                )  # fmt: skip
            with log.step(f"{reference}: downloading what was never read"):
                download(repository, stored, archive, without=Layers(settings.state).holds, platforms=platforms)
        yield archive


def _file(text: str) -> Path | None:
    """The file that a text names, if it names one; a path is never taken for the name of an image."""
    shown = text if len(text) <= 200 else f"{text[:200]}…"
    path = Path(text)
    try:
        if path.is_file():
            return path
        there = path.is_dir()
    except (OSError, ValueError):  # too long, or with a zero byte
        raise UsageError(f"{shown!r} is no name of an image and no file") from None
    if text.startswith(("/", "./", "../", "~")) or text.endswith((".tar", "/")):
        what = "is a folder" if there else "there is no such file"
        raise UsageError(what, where=shown, hint="say --ref NAME:TAG, or a file that docker image save wrote")
    return None


def _platforms(archive: Path, name: str) -> Sequence[Platform]:
    """The platforms of the images in an archive, as their index gives them, else their configuration."""
    with open_archive(archive) as opened:
        images = list(opened.images())
        absent = opened.absent
    there = dict.fromkeys(image.described or image.platform for image in images)
    known = {platform: None for text in there if (platform := Platform.known(text))}
    others = [text for text in (*there, *absent) if not Platform.known(text)]
    if not known:
        found = ", ".join(others) or "no image"
        raise UsageError(f"{name} has no image for a platform that archway knows", hint=f"it has: {found}")
    if others:
        log.note(f"{name}: not verified, as archway does not know them: {', '.join(others)}")
    return list(known)
