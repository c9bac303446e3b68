"""``inv verify``."""

from __future__ import annotations

from invoke.context import Context

from archway.tasks.common import SELECTION, task


@task(
    iterable=["product", "operator", "image"],
    help={
        **SELECTION,
        "arch": "platforms: arm64, amd64,arm64, native or all (the default)",
        "ref": "any image instead of the monorepo's: a name in the engine or a registry, or a file of docker save",
        "static": "look at the Dockerfiles only, and at what they take from elsewhere",
        "json": "print the reports as JSON",
        "junit": "also write the reports to this file, as JUnit XML",
        "sarif": "also write the reports to this file, as SARIF",
        "explain": "say what a rule means, by its id; all lists the rules",
    },
)
def verify(
    context: Context,
    product: list[str],
    operator: list[str],
    image: list[str],
    all_: bool = False,
    arch: str = "all",
    ref: str | None = None,
    static: bool = False,
    json: bool = False,
    junit: str | None = None,
    sarif: str | None = None,
    explain: str | None = None,
    registry: str | None = None,
    organization: str | None = None,
    release: str | None = None,
) -> None:
    """Prove that built images hold what their labels say, without running them; before that, look at the Dockerfiles.

    Example: inv verify --all
    """
    from archway.report_verify import explain as tell
    from archway.report_verify import print_reports
    from archway.tasks.verify_request import reports_of, results

    if explain is not None:
        tell(explain, json=json)
        return
    files = results(junit, sarif)
    options = {"registry": registry, "organization": organization, "release": release}
    reports = reports_of(context, (product, operator, image), all_, arch=arch, ref=ref, static=static, options=options)
    print_reports(reports, json=json, **files)
