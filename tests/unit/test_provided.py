"""What stands for the folders that archway hands over, in plans and identities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from archway.dockerfile import parse
from archway.labels import REVISION, Revision, labels
from archway.plan import make_plan
from archway.platforms import Platform
from archway.provided import shown_source, takes_context
from archway.selection import Selection
from archway.targets import Step
from tests.monorepo import Monorepo

AMD64 = Platform.parse("amd64")
DOCKERFILE = """\
FROM --platform=$BUILDPLATFORM rust-builder AS build
ARG TARGETPLATFORM
COPY --from=manifests . .
RUN cargo-image dependencies
COPY --from=source . .
RUN cargo-image build

FROM base
COPY --from=build /out/ /
"""
LOCK = """\
[[image]]
name = "{name}"
version = "1"
release = "1.0"
default = true
reference = "localhost:5000/archway/{name}:1-1.0"
digest = "sha256:{digit}{rest}"

[image.members]
"linux/amd64" = "sha256:{digit}{rest}"
"""


@pytest.fixture
def rust(monorepo: Monorepo) -> Monorepo:
    """A monorepo with an operator in Rust."""
    monorepo.image("rust-builder", "FROM scratch\n", "builder = true\n")
    monorepo.image("base", "FROM scratch\n")
    monorepo.image("operators/hello", DOCKERFILE)
    monorepo.write("operators/hello/Cargo.toml", "[package]\nname = 'hello'\n")
    monorepo.write("operators/hello/src/main.rs", "fn main() {}\n")
    return monorepo


def step(monorepo: Monorepo, platform: str = "arm64") -> Step:
    selection = Selection(operators=("hello",), arch=platform)
    requests = selection.requests(monorepo.catalog, native=lambda: AMD64)
    return make_plan(monorepo.catalog, requests, build_platform=AMD64)[-1]


def metadata(monorepo: Monorepo, more: str) -> None:
    with (monorepo.root / "operators/hello/image.toml").open("a") as file:
        file.write(more)


def test_folders_are_neither_images_nor_from_outside(rust: Monorepo) -> None:
    """source and manifests are not asked for in a registry, and make no doubt."""
    found = step(rust)

    assert found.folders == {"source", "manifests"}
    assert found.outside == ()
    assert found.doubts == ()
    assert set(found.parents) == {"rust-builder", "base"}


def test_cross_compiling_needs_no_emulation(rust: Monorepo) -> None:
    """Every RUN of an operator's Dockerfile is the machine's own."""
    assert step(rust, "arm64").strategy == "cross"
    assert step(rust, "amd64").strategy == "native"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.write("operators/hello/src/main.rs", "fn main() { println!() }\n"),
        lambda m: metadata(m, '[cargo]\nfeatures = ["a"]\n'),
        lambda m: metadata(m, '[cargo]\nopenssl = "system"\n'),
        lambda m: metadata(m, f'[release.source]\ncrate = "a"\nversion = "1.0.0"\nsha256 = "{"0" * 64}"\n'),
        lambda m: metadata(m, f'[release.source]\ngit = "https://a.example/b"\ncommit = "{"0" * 40}"\n'),
    ],
    ids=["source", "features", "openssl", "crate", "git"],
)
def test_what_the_program_is_made_of_is_its_identity(rust: Monorepo, change: Callable[[Monorepo], object]) -> None:
    """Another source, or another wish for it, is another image."""
    before = step(rust).input_digest
    change(rust)

    assert step(rust).input_digest != before


def test_cargos_own_folder_is_not(rust: Monorepo) -> None:
    """A contributor who runs cargo beside the Dockerfile does not make the image due."""
    before = step(rust).input_digest
    rust.write("operators/hello/target/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n")
    rust.write("operators/hello/target/debug/hello", "a program\n")

    assert step(rust).input_digest == before


def test_source_in_another_folder_counts(rust: Monorepo) -> None:
    """A folder that image.toml names is an input like the image's own."""
    rust.write("crates/hello/Cargo.toml", "[package]\n")
    metadata(rust, '[release.source]\npath = "../../crates/hello"\n')
    before = step(rust).input_digest
    rust.write("crates/hello/src/main.rs", "fn main() {}\n")

    assert step(rust).input_digest != before


def published(monorepo: Monorepo, name: str, digit: str) -> None:
    path: Path = monorepo.root / "images.lock.toml"
    path.write_text(LOCK.format(name=name, digit=digit, rest="0" * 63))


def test_published_products_count_where_they_are_used(rust: Monorepo) -> None:
    """A product that was published anew makes an operator due which names it by digest, and no other image."""
    rust.image("products/kafka", "FROM base\n")
    other = step(rust).input_digest
    published(rust, "kafka", "1")
    assert step(rust).input_digest == other
    rust.image("operators/hello", DOCKERFILE + "COPY --from=published images.lock.toml /etc/\n")
    first = step(rust).input_digest
    published(rust, "kafka", "2")

    assert step(rust).folders == {"source", "manifests", "published"}
    assert step(rust).input_digest != first


@pytest.mark.parametrize("name", ["hello-operator", "base", "rust-builder", "gone"])
def test_publishing_what_is_no_product_does_not_make_an_operator_due(rust: Monorepo, name: str) -> None:
    """An operator starts products; its own entry in images.lock.toml would never let it be up to date."""
    rust.image("operators/hello", DOCKERFILE + "COPY --from=published images.lock.toml /etc/\n")
    before = step(rust).input_digest
    published(rust, name, "1")

    assert step(rust).input_digest == before


def test_folder_that_the_dockerfile_copies_counts_with_its_caches(rust: Monorepo) -> None:
    """BuildKit copies them into the build."""
    rust.image("operators/hello", DOCKERFILE + "COPY target/x /x\n")
    before = step(rust).input_digest
    rust.write("operators/hello/target/CACHEDIR.TAG", "Signature: 8a477f597d28d172789f06886806bc55\n")

    assert step(rust).input_digest != before


@pytest.mark.parametrize(
    ("line", "takes"),
    [
        ("COPY --from=source . .", False),
        ("COPY . .", True),
        ("ADD --checksum=sha256:0 https://a.example/b /b", True),
        ("RUN --mount=type=cache,target=/x --mount=type=secret,id=ca true", False),
        ("RUN --mount=from=source,target=/x true", False),
        ("RUN --mount=target=/x true", True),
        ("RUN --mount=type=bind,source=a,target=/x true", True),
        ("ONBUILD COPY . .", True),
    ],
)
def test_dockerfile_that_takes_files_of_its_folder(line: str, takes: bool) -> None:
    """Whatever could see one counts."""
    assert takes_context(parse(f"FROM scratch\n{line}\n", "Dockerfile")) is takes


def test_what_only_a_test_reads_does_not_compile_the_program(rust: Monorepo) -> None:
    """The image does not hold the objects that it is tried with; the readme may be part of the program."""
    metadata(rust, '[kubernetes]\ncrds = ["x"]\nresources = "test/a.yaml"\nexpect = "test/b.yaml"\n')
    before = step(rust).input_digest
    rust.write("operators/hello/test/b.yaml", "kind: X\n")

    assert step(rust).input_digest == before
    rust.write("operators/hello/README.md", "text\n")
    assert step(rust).input_digest != before


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("", "operators/hello"),
        ('[release.source]\npath = "../../crates/x"\n', "crates/x"),
        (f'[release.source]\ncrate = "a"\nversion = "1.0.0"\nsha256 = "{"0" * 64}"\n', "crate a 1.0.0"),
        (f'[release.source]\ngit = "https://a.example/b"\ncommit = "{"0" * 40}"\n', "https://a.example/b"),
    ],
)
def test_source_as_messages_show_it(rust: Monorepo, source: str, shown: str) -> None:
    """A folder from the monorepo's root; else where it comes from."""
    metadata(rust, source)
    image = rust.catalog.image("hello-operator")

    assert shown_source(image, image.release()) == shown


def test_lock_that_changed_makes_an_operator_dirty_that_holds_it(rust: Monorepo) -> None:
    """Its label does not claim a commit that has another images.lock.toml; other images are not concerned."""
    revision = Revision(commit="abc", epoch=0, source="", lock_changed=True)
    before = labels(step(rust), revision, {}, release="1")
    rust.image("operators/hello", DOCKERFILE + "COPY --from=published images.lock.toml /etc/\n")
    after = labels(step(rust), revision, {}, release="1")

    assert (before[REVISION], after[REVISION]) == ("abc", "abc-dirty")


def test_folder_whose_name_is_nearly_right_is_told(rust: Monorepo) -> None:
    """Before a registry is asked for an image of that name."""
    rust.image("operators/hello", DOCKERFILE.replace("--from=source", "--from=sources"))

    (doubt,) = step(rust).doubts
    assert "operators/hello/Dockerfile:5: sources is no image of this monorepo; did you mean source" in doubt


def test_builder_for_the_wrong_platform_is_told(rust: Monorepo) -> None:
    """A builder image without $BUILDPLATFORM is made under QEMU, which takes long: most likely a word was forgotten."""
    rust.image("operators/hello", DOCKERFILE.replace("--platform=$BUILDPLATFORM ", ""))

    (doubt,) = step(rust, "arm64").doubts
    assert "operators/hello/Dockerfile:1: the builder image rust-builder is made for linux/arm64" in doubt
    assert step(rust, "amd64").doubts == ()


def test_stage_of_that_name_is_the_stage(rust: Monorepo) -> None:
    """Where a Dockerfile calls a stage source, it means that one, and nothing is handed over in its place."""
    rust.image("operators/hello", "FROM scratch AS source\n" + DOCKERFILE)

    assert step(rust).folders == {"manifests"}
