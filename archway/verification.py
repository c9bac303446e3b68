"""``inv verify``: the Dockerfiles of the images that were asked for, what the images hold, and their lists."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from archway import log
from archway.bases import external_bases, look_up, refuse
from archway.catalog import Catalog, Image
from archway.engine import Engine
from archway.errors import RegistryError, VerifyError
from archway.inputs import GIVEN
from archway.lint import lint
from archway.metadata import find_line
from archway.offers import in_engine
from archway.platforms import Platform
from archway.proof import allowed, own_exceptions, prove_once, prove_stored
from archway.records import Layers, Proofs
from archway.remote import repository_of
from archway.rules import Subject
from archway.settings import Settings
from archway.targets import Step
from archway.verify import Allowed, Finding, Report
from archway.verify.findings import sift
from archway.verify.members import Member, compare


def verify(
    engine: Engine, settings: Settings, catalog: Catalog, steps: Sequence[Step], *, everything: bool
) -> Iterator[Report]:
    """Each Dockerfile, each image, each list whose members are all there, and exceptions that allow nothing.

    An image that the engine does not have is proven as the registry has it.

    :param steps: a plan
    :param everything: the Dockerfiles of all images are checked, not only those that the plan needs
    """
    images = list(catalog) if everything else list({step.image.name: step.image for step in steps}.values())
    yield from check_dockerfiles(engine, catalog, images, steps)
    reports: list[tuple[Step, Report]] = []
    for step in (step for step in steps if step.requested):
        report = _prove(engine, settings, step)
        yield report
        if report.digests:
            reports.append((step, report))
    lists = list(_compare_lists(settings, reports))
    yield from lists
    yield from _unused(settings, reports, lists)


def check_dockerfiles(
    engine: Engine, catalog: Catalog, images: Iterable[Image], steps: Sequence[Step]
) -> Iterator[Report]:
    """A report for each Dockerfile: what it says, and what it takes from elsewhere."""
    outside: dict[str, list[Finding]] = defaultdict(list)
    for finding in look_up(catalog.settings, external_bases(steps), local=in_engine(engine, catalog)):
        outside[finding.source].append(finding)
    for image in images:
        source = image.shown(image.dockerfile_path)
        report = lint(image.dockerfile, source=source, builder=image.metadata.builder, declared=GIVEN)
        yield replace(report, findings=(*outside.pop(source, ()), *report.findings))


def refuse_before(engine: Engine, catalog: Catalog, steps: Sequence[Step]) -> None:
    """Refuse to build what cannot come out right, before anything is built; warn of what may not.

    :raises VerifyError: a Dockerfile, or an image from elsewhere, is of the wrong platform
    """
    images = {step.image.name: step.image for step in steps}.values()
    reports = check_dockerfiles(engine, catalog, images, steps)
    # That a RUN needs emulation is no secret (inv build --dry-run), and works.
    refuse([finding for report in reports for finding in report.findings if finding.rule != "target-run"])


def _prove(engine: Engine, settings: Settings, step: Step) -> Report:
    """The proof of an image as the engine has it, else as the registry has it. One that cannot be looked at is a
    finding, so that the others are proven all the same."""
    build = f"inv build --image {step.target.image}={step.target.version} --arch {step.target.platform.tag}"
    try:
        if image := engine.image(str(step.reference)):
            return prove_once(engine, settings, step, image.repo_digest or "")
        if report := _prove_published(settings, step):
            return report
        problem = "neither built nor published"
    except (VerifyError, RegistryError) as error:
        problem = " ".join(str(error).split())
    finding = Finding(rule="unproven", found=problem, expected=f"an image ({build}{settings.given})")
    source = step.image.shown(step.image.dockerfile_path)
    return Report(name=str(step.reference), platform=step.target.platform, source=source, findings=(finding,))


def _prove_published(settings: Settings, step: Step) -> Report | None:
    repository = repository_of(settings, step.reference)
    stored = repository.get(step.reference.tag)
    if stored is None or stored.is_list:
        return None
    source = step.image.shown(step.image.dockerfile_path)
    with log.step(f"{step.target}: verifying what is published"):
        return prove_stored(
            settings, repository, stored, step.target.platform, allowed(settings, step.image), source=source
        )


def _compare_lists(settings: Settings, reports: Sequence[tuple[Step, Report]]) -> Iterator[Report]:
    """The members of each release, compared with each other, where more than one was proven."""
    releases: dict[tuple[str, str], list[tuple[Step, Report]]] = defaultdict(list)
    for step, report in reports:
        releases[step.target.image, step.target.version].append((step, report))
    for (name, version), proven in releases.items():
        if len(proven) < 2:
            continue
        image = proven[0][0].image
        allow = allowed(settings, image)
        key = " ".join(digest for _, report in proven for digest in report.digests)
        listed = Proofs(settings.state).find(key, None, allow) if all(report.digests for _, report in proven) else None
        if listed is None:
            members = [found for _, report in proven if (found := member(settings, report))]
            if len(members) < len(proven):
                continue
            source = image.shown(image.dockerfile_path)
            listed = replace(compare_members(f"{name} {version}", members, allow, source=source), digests=(key,))
            Proofs(settings.state).add(listed, allow)
        yield listed


def compare_members(name: str, members: Sequence[Member], allow: Sequence[Allowed] = (), *, source: str = "") -> Report:
    """The report of a list."""
    findings: list[Finding] = []
    used: Counter[Allowed] = Counter()
    for platform, finding in compare(members):
        concerned = [one for one in allow if platform and one.concerns(platform)]
        stay, silenced = sift([finding], concerned)
        findings += stay
        used.update(dict(silenced))
    shown = f"{name} ({', '.join(member.platform.tag for member in members)})"
    return Report(
        name=shown, subject=Subject.LIST, source=source, findings=tuple(findings), used=tuple(used.items())
    )  # fmt: skip


def member(settings: Settings, report: Report) -> Member | None:
    """What a proof has read; None where that could not be kept, so that nothing is compared."""
    kept = Layers(settings.state)
    scans = [scan for layer in report.layers if (scan := kept.get(layer))]
    if report.platform is None or not scans or len(scans) < len(report.layers):
        log.warn(f"{report.name} is not compared with the other platforms: its layers are not kept")
        return None
    return Member(platform=report.platform, layers=report.layers, scans=scans)


def _unused(settings: Settings, reports: Sequence[tuple[Step, Report]], lists: Sequence[Report]) -> Iterator[Report]:
    """The exceptions that allowed nothing, where this run has seen all that they could have allowed."""
    used = {exception for report in (*(report for _, report in reports), *lists) for exception, _ in report.used}
    seen: dict[str, set[tuple[str, Platform]]] = defaultdict(set)
    for step, _ in reports:
        seen[step.image.name].add((step.target.version, step.target.platform))
    for image in {step.image.name: step.image for step, _ in reports}.values():
        platforms = image.metadata.platforms or settings.platforms
        source = image.shown(image.metadata_path)
        text = image.metadata_path.read_text(encoding="utf-8")
        findings = tuple(
            Finding(
                rule="allow-unused",
                source=source,
                line=find_line(text, ("verify", "allow", number, "path")),
                expected="a finding",
                found=f"nothing{f' of {it.rule}' if it.rule else ''} at {it.path} ({it.reason})",
            )
            for number, it in enumerate(own_exceptions(image))
            if it not in used
            and {(release.version, platform) for release in image.releases for platform in platforms
                 if it.concerns(platform)} <= seen[image.name]
        )  # fmt: skip
        if findings:
            yield Report(name=source, subject=Subject.METADATA, source=source, findings=findings)
