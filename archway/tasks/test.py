"""``inv test``."""

from __future__ import annotations

from invoke.context import Context

from archway.tasks.common import SELECTION, task


@task(
    name="test",
    iterable=["product", "operator", "image"],
    help={
        **SELECTION,
        "arch": "platforms: arm64, amd64,arm64, native (the default) or all; foreign ones run under QEMU",
        "json": "print the results as JSON",
    },
)
def smoke(
    context: Context,
    product: list[str],
    operator: list[str],
    image: list[str],
    all_: bool = False,
    arch: str = "native",
    json: bool = False,
    registry: str | None = None,
    organization: str | None = None,
    release: str | None = None,
) -> None:
    """Run the smoke tests of built images and of what they stand on, and operators against a Kubernetes API server.

    Example: inv test --product hive --arch amd64,arm64
    """
    from itertools import chain

    from archway.report_smoke import print_smoke_results
    from archway.selection import Selection
    from archway.smoke import smoke_tests
    from archway.smoke_kubernetes import KubernetesTests
    from archway.tasks.workplace import Workplace

    place = Workplace.of(context, registry=registry, organization=organization, release=release)
    selection = Selection.of(product, operator, image, everything=all_, arch=arch)
    steps = place.plan(selection)
    operators = KubernetesTests(place.engine, place.settings, place.catalog, steps)
    smoke = smoke_tests(place.engine, place.settings, steps, everything=all_, others=operators.targets)
    print_smoke_results(chain(smoke, operators.run()), json=json)
