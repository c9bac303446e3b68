"""Facts about ``inv verify`` as a whole: which checks it makes, in which order, and which exceptions are idle."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from archway import verification
from archway.engine import Engine, LocalImage
from archway.errors import UsageError, VerifyError
from archway.plan import make_plan
from archway.platforms import Platform
from archway.proof import allowed
from archway.rules import Subject
from archway.selection import Request
from archway.targets import Step
from archway.verification import check_dockerfiles, compare_members, refuse_before, verify
from archway.verify import Allowed, Report
from archway.verify.members import Member
from archway.verify_reference import verify_reference
from tests.monorepo import Monorepo
from tests.unit.archives import AMD64, Made, elf, entry, oci, oci_list, tar
from tests.unit.test_rootfs import scanned

AMD, ARM = Platform.parse("amd64"), Platform.parse("arm64")
ALLOW = '[[verify.allow]]\npath = "/opt/gone"\nreason = "was there once"\n'


class NoEngine:
    """An engine that has no image, or does not answer."""

    answers = False
    holds_lists = True

    def image(self, name: str) -> LocalImage | None:
        return None


ENGINE = cast("Engine", NoEngine())


@pytest.fixture
def monorepo(tmp_path: Path) -> Monorepo:
    return Monorepo(tmp_path)


def plan(monorepo: Monorepo, name: str = "app", platforms: Sequence[Platform] = (AMD, ARM)) -> tuple[Step, ...]:
    image = monorepo.catalog.image(name)
    request = Request(image=image, release=image.release(), platforms=tuple(platforms))
    return make_plan(monorepo.catalog, [request], build_platform=AMD)


def proven(monkeypatch: pytest.MonkeyPatch, **used: Allowed) -> None:
    """Every image is proven, without an engine; ``used`` has the exception that silenced something, by architecture."""

    def report(_engine: Engine, _settings: object, step: Step) -> Report:
        exception = used.get(step.target.platform.tag)
        return Report(
            name=str(step.target), platform=step.target.platform, digests=("sha256:1",),
            used=((exception, 1),) if exception else (),
        )  # fmt: skip

    monkeypatch.setattr(verification, "_prove", report)
    monkeypatch.setattr(verification, "_compare_lists", lambda *_: iter(()))


def reports(monorepo: Monorepo, platforms: Sequence[Platform] = (AMD, ARM)) -> list[Report]:
    catalog = monorepo.catalog
    return list(verify(ENGINE, catalog.settings, catalog, plan(monorepo, platforms=platforms), everything=False))


def test_dockerfiles_then_images(monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """The Dockerfiles of an image and of what it stands on come first, then the images that were asked for."""
    monorepo.image("ground", "FROM scratch\nCOPY image.toml /\n")
    monorepo.image("app", "FROM ground\n")
    proven(monkeypatch)

    assert [report.name for report in reports(monorepo)] == [
        "ground/Dockerfile", "app/Dockerfile", "app 1 amd64", "app 1 arm64",
    ]  # fmt: skip


def test_unused_exception_is_found(monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that allowed nothing on any platform is a finding of its image.toml."""
    monorepo.image("app", "FROM scratch\nCOPY image.toml /\n", releases='[[release]]\nversion = "1"\n' + ALLOW)
    proven(monkeypatch)
    *_, last = reports(monorepo)
    (finding,) = last.findings

    assert (last.subject, finding.rule, finding.source) == (Subject.METADATA, "allow-unused", "app/image.toml")
    assert (finding.found, finding.line) == ("nothing at /opt/gone (was there once)", 6)


def test_exception_that_one_platform_needs(monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that silenced something on one platform is not idle."""
    monorepo.image("app", "FROM scratch\nCOPY image.toml /\n", releases='[[release]]\nversion = "1"\n' + ALLOW)
    (exception,) = allowed(monorepo.catalog.settings, monorepo.catalog.image("app"))
    proven(monkeypatch, arm64=exception)

    assert all(report.ok for report in reports(monorepo))


def test_exception_of_which_not_all_was_seen(monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that has not seen every platform does not call an exception idle, unless it is for the seen one alone."""
    release = '[[release]]\nversion = "1"\n'
    monorepo.image("app", "FROM scratch\nCOPY image.toml /\n", releases=release + ALLOW)
    proven(monkeypatch)
    unsure = reports(monorepo, [AMD])
    monorepo.image("app", "FROM scratch\nCOPY image.toml /\n", releases=f'{release}{ALLOW}platforms = ["amd64"]\n')
    sure = reports(monorepo, [AMD])

    assert all(report.ok for report in unsure)
    assert [finding.rule for finding in sure[-1].findings] == ["allow-unused"]


def test_exceptions_are_inherited(monorepo: Monorepo) -> None:
    """An image has the exceptions of what its final stage stands on, not those of its builder images."""
    release = '[[release]]\nversion = "1"\n'
    for name in ("ground", "tools"):
        monorepo.image(name, "FROM scratch\nCOPY image.toml /\n", releases=release + ALLOW.replace("gone", name))
    monorepo.image("app", "FROM --platform=$BUILDPLATFORM tools AS made\nFROM ground\n", releases=release + ALLOW)

    assert [
        (one.path, one.source) for one in allowed(monorepo.catalog.settings, monorepo.catalog.image("app"))
    ] == [("/opt/gone", "app/image.toml"), ("/opt/ground", "ground/image.toml")]  # fmt: skip


def test_images_that_are_nowhere(monorepo: Monorepo, monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that is neither built nor published is a finding, with the command that builds it; so is one that
    cannot be read. The others are proven all the same."""
    monorepo.image("app", "FROM scratch\nCOPY image.toml /\n")
    answers = iter([None, VerifyError("its data is damaged", where="layer")])

    def published(*_: object) -> Report | None:
        if isinstance(answer := next(answers), VerifyError):
            raise answer
        return answer

    monkeypatch.setattr(verification, "_prove_published", published)
    first, second = ([(it.rule, it.found, it.expected) for it in report.findings] for report in reports(monorepo)[1:])

    assert first == [
        ("unproven", "neither built nor published", "an image (inv build --image app=1 --arch amd64)"),
    ]  # fmt: skip
    assert [(rule, found) for rule, found, _ in second] == [("unproven", "layer: its data is damaged")]


def test_build_is_refused_before_it_begins(monorepo: Monorepo) -> None:
    """A final stage for the machine's platform is refused; a RUN that needs emulation is not."""
    monorepo.image("ground", "FROM scratch\nCOPY image.toml /\nRUN true\n")
    refuse_before(ENGINE, monorepo.catalog, plan(monorepo, "ground"))
    monorepo.image("app", "FROM --platform=$BUILDPLATFORM ground\n")
    with pytest.raises(VerifyError) as told:
        refuse_before(ENGINE, monorepo.catalog, plan(monorepo))

    assert "final-platform: app/Dockerfile:1" in str(told.value)


def test_findings_of_lint_are_reported(monorepo: Monorepo) -> None:
    """What a comment does not allow is in the report of its Dockerfile."""
    monorepo.image("app", "FROM scratch\nCOPY x-linux-amd64.tar.gz /\n")
    steps = plan(monorepo)
    (report,) = check_dockerfiles(ENGINE, monorepo.catalog, [steps[0].image], steps)

    assert [(finding.rule, finding.line) for finding in report.findings] == [("arch-word", 2)]


def members() -> Iterator[Member]:
    for platform, names in ((AMD, ("a", "b")), (ARM, ("a",))):
        made = replace(scanned(tar(*(entry(name, b"x") for name in names))), name=str(platform))
        yield Member(platform=platform, layers=[str(platform)], scans=[made])


@pytest.mark.parametrize(("platforms", "ok"), [((), True), ((AMD,), True), ((ARM,), False)])
def test_exceptions_of_lists_are_for_platforms(platforms: tuple[Platform, ...], ok: bool) -> None:
    """A file that only one member has is allowed by an exception for that member's platform."""
    allow = [Allowed(path="/b", reason="only there", platforms=platforms)]

    assert compare_members("app 1", list(members()), allow).ok is ok


def test_file_is_proven_for_all_its_platforms(monorepo: Monorepo, tmp_path: Path) -> None:
    """--ref takes an archive, and proves each platform in it; then the members are compared."""
    right = Made(layers=[tar(entry("a", elf(AMD64)))], platform="linux/amd64", described="linux/amd64")
    wrong = Made(layers=[tar(entry("b", elf(AMD64)))], platform="linux/arm64", described="linux/arm64")
    file = tmp_path / "image.tar"
    file.write_bytes(oci_list(right, wrong))
    found = list(verify_reference(ENGINE, monorepo.catalog.settings, str(file)))

    assert [(str(report.platform or ""), [it.rule for it in report.findings]) for report in found] == [
        ("linux/amd64", []), ("linux/arm64", ["elf-machine"]), ("", ["list-files", "list-files"]),
    ]  # fmt: skip


def test_platform_that_a_file_lacks(monorepo: Monorepo, tmp_path: Path) -> None:
    """A platform that was asked for and is not in the archive is a finding."""
    file = tmp_path / "image.tar"
    file.write_bytes(
        oci_list(*(Made(layers=[tar(entry("a", b"x"))], platform=f"linux/{it}") for it in ("amd64", "s390x")))
    )
    (report,) = verify_reference(ENGINE, monorepo.catalog.settings, str(file), [ARM])

    assert [finding.rule for finding in report.findings] == ["config-platform"]


def test_file_for_no_known_platform(monorepo: Monorepo, tmp_path: Path) -> None:
    """An archive with images for platforms that archway does not know is refused with what it has."""
    file = tmp_path / "image.tar"
    file.write_bytes(oci(Made(layers=[tar(entry("a", b"x"))], platform="windows/amd64")))
    with pytest.raises(UsageError, match="windows/amd64"):
        list(verify_reference(ENGINE, monorepo.catalog.settings, str(file)))
