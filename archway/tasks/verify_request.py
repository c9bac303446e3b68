"""What the options of ``inv verify`` ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from invoke.context import Context

from archway import log
from archway.errors import MetadataError, UsageError
from archway.outputs.files import check_writable
from archway.platforms import Platform, parse_platforms
from archway.selection import Selection
from archway.tasks.workplace import Workplace
from archway.verification import check_dockerfiles, verify
from archway.verify import Report
from archway.verify_reference import verify_reference


def results(junit: str | None, sarif: str | None) -> dict[str, Path | None]:
    """The files that results go to, made sure of before the work.

    :raises UsageError: one is no file
    """
    return {
        "junit": None if junit is None else check_writable(junit),
        "sarif": None if sarif is None else check_writable(sarif),
    }


def reports_of(
    context: Context,
    named: tuple[Sequence[str], Sequence[str], Sequence[str]],
    everything: bool,
    *,
    arch: str,
    ref: str | None,
    static: bool,
    options: dict[str, str | None],
) -> Iterator[Report]:
    """The reports that were asked for.

    :param named: the products, operators and images
    :raises UsageError: options exclude each other, or name what does not exist
    """
    place = Workplace.of(context, **options)
    if ref is not None:
        if static:
            raise UsageError("--static looks at Dockerfiles, and --ref names an image", hint="leave one of them out")
        if everything or any(named):
            raise UsageError("--ref is for an image that is not the monorepo's", hint="leave the other images out")
        if not ref:
            raise UsageError("--ref is empty", hint="say --ref NAME:TAG, or a file of docker save")
        wanted = () if arch == "all" else parse_platforms(arch, default=place.settings.platforms)
        return verify_reference(place.engine, place.settings, ref, wanted)
    selection = Selection.of(*named, everything=everything, arch=arch)
    here = Platform.native() if static and not place.engine.answers else None
    try:
        steps = place.plan(selection, build_platform=here)
    except MetadataError:
        # What a plan refuses may be a finding, which has an id and a place in every output.
        images = list(place.catalog) if everything else [request.image for request in place.requests(selection)]
        reports = list(check_dockerfiles(place.engine, place.catalog, images, ()))
        if any(finding.rule == "arg-default" for report in reports for finding in report.findings):
            log.warn("only Dockerfiles were looked at: nothing can be planned before arg-default is mended")
            return iter(reports)
        raise
    if static:
        images = list(place.catalog) if everything else [step.image for step in steps]
        return check_dockerfiles(place.engine, place.catalog, dict.fromkeys(images), steps)
    return verify(place.engine, place.settings, place.catalog, steps, everything=everything)
