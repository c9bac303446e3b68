"""``inv verify``."""

from __future__ import annotations

from invoke.context import Context

from archway.tasks.common import SELECTION, task


@task(
    iterable=["product", "operator", "image"],
    help={
        **SELECTION,
        "arch": "platforms: arm64, amd64,arm64, native or all (the default)",
        "json": "print the reports as JSON",
    },
)
def verify(
    context: Context,
    product: list[str],
    operator: list[str],
    image: list[str],
    all_: bool = False,
    arch: str = "all",
    json: bool = False,
    registry: str | None = None,
    organization: str | None = None,
    release: str | None = None,
) -> None:
    """Prove that built images hold what their labels say, without running them.

    Example: inv verify --all
    """
    from archway.proof import prove_all
    from archway.report import print_reports
    from archway.selection import Selection
    from archway.tasks.workplace import Workplace

    place = Workplace.of(context, registry=registry, organization=organization, release=release)
    selection = Selection.of(product, operator, image, everything=all_, arch=arch)
    steps = place.plan(selection)
    print_reports(prove_all(place.engine, place.settings, steps), json=json)
