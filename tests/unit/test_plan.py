"""Decisions: what is built, how, and in which order."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from archway.catalog import Catalog
from archway.errors import MachineError, MetadataError, UsageError
from archway.plan import make_plan
from archway.platforms import Platform
from archway.selection import Request, Selection
from archway.targets import Step, Strategy
from tests.monorepo import Monorepo

AMD64 = Platform.parse("amd64")
ARM64 = Platform.parse("arm64")


def plan(
    monorepo: Monorepo,
    product: str,
    *platforms: Platform,
    here: Platform = AMD64,
    strategy: Strategy | None = None,
) -> dict[str, Step]:
    catalog = monorepo.catalog
    arch = ",".join(platform.tag for platform in platforms or (ARM64,))
    wanted = Selection(products=(product,), arch=arch).requests(catalog, native=lambda: here)
    steps = make_plan(catalog, wanted, build_platform=here, strategy=strategy)
    return {str(step.target): step for step in steps}


@pytest.fixture
def chain(monorepo: Monorepo) -> Monorepo:
    """bootstrap ← base ← app, made as our own images are."""
    monorepo.image("bootstrap", "FROM rootfs\nRUN tools\n", "builder = true\n")
    monorepo.image(
        "base", "FROM --platform=$BUILDPLATFORM bootstrap AS b\nRUN make\nFROM scratch\nCOPY --from=b /r /\n"
    )
    monorepo.image(
        "products/app",
        "FROM base AS t\nFROM --platform=$BUILDPLATFORM bootstrap AS b\nRUN make\nFROM t\nCOPY --from=b /r /\n",
    )
    return monorepo


def test_parents_come_first(chain: Monorepo) -> None:
    """What a target stands on is planned before it, builder images for the machine's platform."""
    assert list(plan(chain, "app")) == ["bootstrap 1 amd64", "base 1 arm64", "app 1 arm64"]


@pytest.mark.parametrize("images", list(permutations(["app", "base", "bootstrap"])), ids=",".join)
def test_parents_come_first_however_they_are_asked_for(chain: Monorepo, images: tuple[str, ...]) -> None:
    """A wanted image that another wanted one stands on is built before it, in whatever order they are named."""
    catalog = chain.catalog
    wanted = Selection(images=images, arch="arm64").requests(catalog, native=lambda: AMD64)

    steps = make_plan(catalog, wanted, build_platform=AMD64)

    order = [step.target for step in steps]
    for step in steps:
        assert all(order.index(parent) < order.index(step.target) for parent in step.all_parents)


def test_all_platforms_are_those_of_each_image(monorepo: Monorepo) -> None:
    """--arch all is what each image is made for: one without arm64 does not stop the others."""
    monorepo.image("products/one", "FROM scratch\n", 'platforms = ["linux/amd64"]\n')
    monorepo.image("products/two", "FROM scratch\n")
    catalog = monorepo.catalog

    found = Selection(everything=True, arch="all").requests(catalog, native=lambda: AMD64)

    assert [request.platforms for request in found] == [(AMD64,), (AMD64, ARM64)]


def test_native_is_the_engines_platform(chain: Monorepo) -> None:
    """--arch native means the platform that the engine runs, which may be on another machine."""
    (found,) = Selection(products=("app",), arch="native").requests(chain.catalog, native=lambda: ARM64)

    assert found.platforms == (ARM64,)


def test_onbuild_is_refused(monorepo: Monorepo) -> None:
    """ONBUILD in an image of the monorepo would be missing in the plans of what stands on it, and is refused."""
    monorepo.image("base", "FROM scratch\nONBUILD COPY x /\n")
    monorepo.image("products/app", "FROM base\n")

    with pytest.raises(MetadataError, match="base/Dockerfile:2: ONBUILD"):
        plan(monorepo, "app")


def test_stage_called_like_an_image_of_ours_is_refused(monorepo: Monorepo) -> None:
    """BuildKit would skip the stage; one that is called like an image from outside is fine."""
    monorepo.image("java", "FROM scratch\n")
    monorepo.image("products/app", "FROM java AS java\nRUN lost\nFROM java\n")
    monorepo.image("products/other", "FROM golang AS golang\nFROM golang\n")

    with pytest.raises(MetadataError, match="products/app/Dockerfile:1: the stage java is called like the image"):
        plan(monorepo, "app")
    assert plan(monorepo, "other")


def test_no_foreign_run_is_cross(chain: Monorepo) -> None:
    """A foreign target whose RUNs are all in build platform stages needs no emulation."""
    steps = plan(chain, "app", AMD64, ARM64)

    assert steps["app 1 amd64"].strategy is Strategy.NATIVE
    assert steps["app 1 arm64"].strategy is Strategy.CROSS
    assert steps["bootstrap 1 amd64"].strategy is Strategy.NATIVE
    assert steps["bootstrap 1 amd64"].rootfs == {AMD64}


def test_foreign_run_is_emulated_and_named(monorepo: Monorepo) -> None:
    """A RUN in a stage of a foreign target platform makes it emulated, and the line is known."""
    monorepo.image("products/app", "FROM debian\n\nRUN apt-get install x\n")

    step = plan(monorepo, "app")["app 1 arm64"]

    assert step.strategy is Strategy.EMULATED
    assert [run.number for run in step.foreign_runs] == [3]


def test_same_dockerfile_on_an_arm64_machine(chain: Monorepo) -> None:
    """On arm64, arm64 is native, amd64 is cross, and the builder images are arm64."""
    steps = plan(chain, "app", AMD64, ARM64, here=ARM64)

    assert steps["app 1 arm64"].strategy is Strategy.NATIVE
    assert steps["app 1 amd64"].strategy is Strategy.CROSS
    assert "bootstrap 1 arm64" in steps
    assert "bootstrap 1 amd64" not in steps


def test_forced_emulation_uses_foreign_builders(chain: Monorepo) -> None:
    """--strategy emulated runs the build stages on the target's platform, and leaves the parents as they are."""
    steps = plan(chain, "app", strategy=Strategy.EMULATED)

    app = steps["app 1 arm64"]
    assert app.strategy is Strategy.EMULATED
    assert app.arguments["BUILDPLATFORM"] == "linux/arm64"
    assert [parent.platform for parent in app.parents["bootstrap"]] == [ARM64]
    assert steps["base 1 arm64"].strategy is Strategy.CROSS


def test_impossible_strategies_are_refused(monorepo: Monorepo) -> None:
    """--strategy cross of an image that runs foreign code names the lines that prevent it."""
    monorepo.image("products/app", "FROM debian\nRUN x\n")

    with pytest.raises(MachineError, match="cannot be built cross") as caught:
        plan(monorepo, "app", strategy=Strategy.CROSS)

    assert "products/app/Dockerfile:2: x" in str(caught.value)


def test_native_cannot_be_promised_for_a_foreign_platform(chain: Monorepo) -> None:
    """--strategy native for another platform is refused."""
    with pytest.raises(MachineError, match="cannot be built native"):
        plan(chain, "app", strategy=Strategy.NATIVE)


def test_circles_are_told_as_a_chain(monorepo: Monorepo) -> None:
    """Images that stand on each other are told with the files and lines that make the circle."""
    monorepo.image("a", "FROM b\n")
    monorepo.image("b", "FROM scratch\nCOPY --from=a / /\n")
    monorepo.image("products/app", "FROM a\n")

    with pytest.raises(MetadataError, match="a stands on itself") as caught:
        plan(monorepo, "app")

    assert "a/Dockerfile:1: uses b" in str(caught.value)
    assert "b/Dockerfile:2: uses a" in str(caught.value)


def test_uses_chooses_the_version(monorepo: Monorepo) -> None:
    """[release.uses] picks a parent's version; without, its default counts."""
    monorepo.image("java", "FROM scratch\n", releases='[[release]]\nversion = "17"\n[[release]]\nversion = "21"\n')
    monorepo.image("products/new", "FROM java\n")
    monorepo.image("products/old", "FROM java\n", releases='[[release]]\nversion = "1"\nuses = {java = "17"}\n')

    assert "java 21 arm64" in plan(monorepo, "new")
    assert "java 17 arm64" in plan(monorepo, "old")


@pytest.mark.parametrize(
    ("dockerfile", "release", "words"),
    [
        ("FROM java\n", 'uses = {java = "8"}', "names a version that java does not have"),
        ("FROM scratch\n", 'uses = {java = "21"}', "names 'java', which the Dockerfile does not use"),
        ("FROM java:21\n", "", r"products/app/Dockerfile:1: FROM java:21 names a version of this monorepo's java"),
        ("FROM java\n", 'args = {X = "1"}', "has X, for which the Dockerfile has no ARG"),
    ],
)
def test_metadata_that_does_not_fit_the_dockerfile(
    monorepo: Monorepo, dockerfile: str, release: str, words: str
) -> None:
    """What image.toml says must mean something in the Dockerfile."""
    monorepo.image("java", "FROM scratch\n", releases='[[release]]\nversion = "21"\n')
    monorepo.image("products/app", dockerfile, releases=f'[[release]]\nversion = "1"\n{release}\n')

    with pytest.raises(MetadataError, match=words):
        plan(monorepo, "app")


def test_unsupported_platform_is_refused_with_the_line_that_wants_it(monorepo: Monorepo) -> None:
    """A parent that is not made for a platform is told at the FROM that needs it."""
    monorepo.image("base", "FROM scratch\n", 'platforms = ["linux/amd64"]\n')
    monorepo.image("products/app", "FROM base\n")

    with pytest.raises(MetadataError, match="products/app/Dockerfile:1: base is not made for linux/arm64"):
        plan(monorepo, "app")


def test_names_of_platforms_are_arguments(monorepo: Monorepo) -> None:
    """The words of other communities are given to a Dockerfile that declares them, and to no other."""
    monorepo.image("products/app", "FROM scratch\nARG TARGET_DEBIAN TARGET_RUST\n")

    assert plan(monorepo, "app")["app 1 arm64"].arguments == {
        "TARGET_DEBIAN": "arm64",
        "TARGET_RUST": "aarch64-unknown-linux-gnu",
    }


def test_base_is_what_the_final_stage_starts_from(chain: Monorepo) -> None:
    """The base is found through stages in between, and scratch has none."""
    steps = plan(chain, "app")

    base = steps["app 1 arm64"].base
    assert base is not None
    assert str(base) == "base 1 arm64"
    assert steps["base 1 arm64"].base is None


def digest(monorepo: Monorepo, here: Platform = AMD64, strategy: Strategy | None = None) -> str:
    return plan(monorepo, "app", here=here, strategy=strategy)["app 1 arm64"].input_digest


def test_input_digest_is_the_same_on_machines_and_strategies(chain: Monorepo) -> None:
    """Where and how a target is built does not change what it is."""
    assert digest(chain) == digest(chain, here=ARM64) == digest(chain, strategy=Strategy.EMULATED)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("products/app/Dockerfile", "FROM base\nENV A=1\n"),
        ("products/app/new-file", ""),
        ("base/Dockerfile", "FROM scratch\nENV A=1\n"),
        ("bootstrap/tool", "changed"),
    ],
)
def test_input_digest_changes_with_every_input(chain: Monorepo, path: str, text: str) -> None:
    """A changed file of the image, or of what it stands on, is a changed input."""
    before = digest(chain)
    chain.write(path, text)

    assert before != digest(chain)


def test_input_digest_sees_the_executable_bit_and_not_times(chain: Monorepo) -> None:
    """Modes are inputs, as Git keeps them; times are not."""
    file = chain.write("products/app/run", "x")
    before = digest(chain)
    file.touch()
    assert before == digest(chain)
    file.chmod(0o755)

    assert before != digest(chain)


def requests(catalog: Catalog, **options: Any) -> tuple[Request, ...]:
    return Selection(**options).requests(catalog, native=lambda: AMD64)


def test_nothing_asked_for_is_an_error(chain: Monorepo) -> None:
    """A command without a selection explains itself."""
    with pytest.raises(UsageError, match="nothing to do") as caught:
        requests(chain.catalog)

    assert "--product NAME" in str(caught.value)
    assert "products: app" in str(caught.value)


def test_all_leaves_builder_images_out(chain: Monorepo) -> None:
    """--all means what is shipped."""
    assert {"base", "app"} == {request.image.name for request in requests(chain.catalog, everything=True)}


def test_selection_takes_commas_versions_and_repetitions(chain: Monorepo) -> None:
    """--product app,app=1 --image base asks for two targets."""
    found = requests(chain.catalog, products=("app,app=1",), images=("base",))

    assert [request.image.name for request in found] == ["app", "base"]


@pytest.mark.parametrize(
    ("word", "message"),
    [("ap", "did you mean app"), ("app=", "no version after ="), ("app=2", "no version '2'"), ("../app", "no product")],
)
def test_unknown_products_and_versions(chain: Monorepo, word: str, message: str) -> None:
    """A product or version that does not exist is told with what there is."""
    with pytest.raises(UsageError, match=message):
        requests(chain.catalog, products=(word,))


def test_product_and_operator_of_one_name(monorepo: Monorepo) -> None:
    """products/kafka and operators/kafka are two images."""
    monorepo.image("products/kafka", "FROM scratch\n")
    monorepo.image("operators/kafka", "FROM scratch\n")

    found = requests(monorepo.catalog, products=("kafka",), operators=("kafka",))

    assert [request.image.name for request in found] == ["kafka", "kafka-operator"]


def test_two_folders_of_one_name_are_refused(monorepo: Monorepo) -> None:
    """A name means one image."""
    monorepo.image("kafka", "FROM scratch\n")
    monorepo.image("products/kafka", "FROM scratch\n")

    with pytest.raises(MetadataError, match="two images have the name 'kafka'"):
        _ = monorepo.catalog


def test_any_image_is_found_by_its_name(monorepo: Monorepo) -> None:
    """--image takes products and operators too, by the names that plans and messages show."""
    monorepo.image("products/kafka", "FROM scratch\n")
    monorepo.image("operators/kafka", "FROM scratch\n")

    found = requests(monorepo.catalog, images=("kafka,kafka-operator",))

    assert [request.image.name for request in found] == ["kafka", "kafka-operator"]


def test_other_folders_with_a_dockerfile_stop_nobody(chain: Monorepo) -> None:
    """A Dockerfile without image.toml, or in a hidden folder, is no image; asking for it tells what is missing."""
    chain.write(".devcontainer/Dockerfile", "FROM scratch\n")
    chain.write(".hidden/image.toml", "")
    chain.write("Docs/Dockerfile", "FROM scratch\n")

    assert plan(chain, "app")
    with pytest.raises(MetadataError, match=r"Docs/image\.toml: there is no image\.toml"):
        chain.catalog.image("Docs")


def test_too_long_tags_are_refused(monorepo: Monorepo) -> None:
    """Version and release together must fit into a tag."""
    monorepo.image("products/app", "FROM scratch\n", releases=f'[[release]]\nversion = "{"1" * 100}"\n')
    monorepo.write("pyproject.toml", f'[tool.archway]\nrelease = "{"2" * 100}"\n')

    with pytest.raises(MetadataError, match="cannot be a tag"):
        plan(monorepo, "app")


def test_somebody_elses_broken_image_is_not_read(chain: Monorepo) -> None:
    """A broken image.toml that is not needed stops nobody."""
    chain.write("products/broken/image.toml", "no toml")

    assert plan(chain, "app")


def test_default_release_is_marked_or_newest(monorepo: Monorepo) -> None:
    """Without a version, the release marked as default counts, or else the newest."""
    monorepo.image(
        "products/a", "FROM scratch\n", releases='[[release]]\nversion = "9.0"\n[[release]]\nversion = "10.0"\n'
    )
    monorepo.image(
        "products/b", "FROM scratch\n",
        releases='[[release]]\nversion = "9.0"\ndefault = true\n[[release]]\nversion = "10.0"\n',
    )  # fmt: skip

    assert "a 10.0 arm64" in plan(monorepo, "a")
    assert "b 9.0 arm64" in plan(monorepo, "b")


def test_missing_dockerfile_is_told(monorepo: Monorepo) -> None:
    """An image.toml without a Dockerfile is an error that says where it should be."""
    monorepo.write("products/app/image.toml", 'description = "x"\nlicenses = "MIT"\n[[release]]\nversion = "1"\n')

    with pytest.raises(MetadataError, match="products/app/Dockerfile"):
        plan(monorepo, "app")
