"""Rust programs for both platforms, compiled on this machine: small ones, changed in many ways."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest

from archway.engine import Engine
from archway.platforms import Platform
from tests.engine.run import REPOSITORY, Inv, Ran
from tests.engine.rust import needed_by, program
from tests.monorepo import Monorepo

SHARED = ("bootstrap", "base", "rust-builder")


@pytest.fixture
def small(monorepo: Monorepo, rust_builder: str) -> Monorepo:
    """A monorepo with the small program of tests/rust as the image test-small, and what it stands on."""
    for name in SHARED:
        shutil.copytree(REPOSITORY / name, monorepo.root / name)
    shutil.copytree(REPOSITORY / "tests/rust/small", monorepo.root / "test-small")
    return monorepo


@pytest.fixture
def build(small: Monorepo, inv: Inv) -> Callable[..., Ran]:
    """Builds the small program."""

    def run(*words: str) -> Ran:
        return inv(small.root, "build", "--image", "test-small", *words)

    return run


@pytest.fixture
def never_built() -> str:
    """A word that BuildKit has not seen: not even when these tests run again with its cache."""
    return f"changed-{uuid4().hex}"


def log_of(small: Monorepo, platform: Platform) -> str:
    return (small.root / f".archway/logs/test-small-1-{platform.tag}.log").read_text()


def compiled(log: str) -> set[str]:
    """The packages that cargo compiled, not those of layers that BuildKit had."""
    return set(re.findall(r"Compiling (\S+) v", log))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def name_of(image: str, platform: Platform) -> str:
    return f"localhost:5000/archway-tests/{image}:1-0.1.0-dev-{platform.tag}"


def test_changed_line_compiles_the_program_only(
    small: Monorepo, build: Callable[..., Ran], foreign: Platform, never_built: str
) -> None:
    """After a change in the source nothing is compiled that comes from elsewhere; in the image is the new program."""
    first = build("--arch", foreign.tag)
    edit(small.root / "test-small/src/main.rs", "small: ", f"{never_built}: ")
    second = build("--arch", foreign.tag)

    assert (first.exit_code, second.exit_code) == (0, 0), second.stderr
    assert compiled(log_of(small, foreign)) == {"small"}
    assert f"{never_built}: ".encode() in program(name_of("test-small", foreign), foreign, PROGRAM)


def test_older_source_is_compiled_too(small: Monorepo, build: Callable[..., Ran], engine: Engine) -> None:
    """Times of files say nothing: a program that is older than what was compiled last is compiled all the same."""
    build()
    main = small.root / "test-small/src/main.rs"
    edit(main, "small: ", "older: ")
    shutil.copystat("/etc/hostname", main)
    again = build()

    assert again.exit_code == 0, again.stderr
    assert b"older: " in program(name_of("test-small", engine.platform), engine.platform, PROGRAM)


def test_path_dependency_is_never_the_empty_one(small: Monorepo, build: Callable[..., Ran], engine: Engine) -> None:
    """A crate in a folder of the project, no member of a workspace, is compiled from its source, however old."""
    root = small.root / "test-small"
    small.write("test-small/inner/Cargo.toml", '[package]\nname = "inner"\nversion = "0.1.0"\nedition = "2024"\n')
    source = small.write("test-small/inner/src/lib.rs", 'pub const WORD: &str = "the real inner";\n')
    edit(root / "Cargo.toml", 'regex = "1"', 'regex = "1"\ninner = { path = "inner" }')
    edit(root / "Cargo.lock", 'dependencies = [\n "regex",', 'dependencies = [\n "inner",\n "regex",')
    edit(root / "Cargo.lock", '[[package]]\nname = "memchr"', f'{INNER}[[package]]\nname = "memchr"')
    edit(root / "src/main.rs", "fn main() {", 'fn main() {\n    println!("{}", inner::WORD);')
    for path in (source, root / "src/main.rs"):
        shutil.copystat("/etc/hostname", path)
    ran = build()

    assert ran.exit_code == 0, ran.stderr
    assert b"the real inner" in program(name_of("test-small", engine.platform), engine.platform, PROGRAM)


INNER = '[[package]]\nname = "inner"\nversion = "0.1.0"\n\n'
PROGRAM = "/usr/local/bin/small"


def test_new_dependency_leaves_the_others_as_they_were(
    small: Monorepo, build: Callable[..., Ran], engine: Engine, never_built: str
) -> None:
    """What was compiled once for this package and platform is taken from the cache when the manifest changes."""
    build()
    edit(small.root / "test-small/Cargo.toml", 'version = "0.1.0"', f'version = "0.1.0-{never_built}"')
    edit(
        small.root / "test-small/Cargo.lock",
        'name = "small"\nversion = "0.1.0"', f'name = "small"\nversion = "0.1.0-{never_built}"',
    )  # fmt: skip
    again = build()

    assert again.exit_code == 0, again.stderr
    assert compiled(log_of(small, engine.platform)) == {"small"}


def test_same_source_gives_the_same_bytes(small: Monorepo, build: Callable[..., Ran], foreign: Platform) -> None:
    """Without any cache and at another time: the same program, without paths of the build."""
    programs = []
    for _ in range(2):
        made = build("--arch", foreign.tag, "--no-cache")
        assert made.exit_code == 0, made.stderr
        programs.append(program(name_of("test-small", foreign), foreign, PROGRAM))
        assert "regex" in compiled(log_of(small, foreign))

    assert sha256(programs[0]).digest() == sha256(programs[1]).digest()
    assert b"/usr/local/cargo/registry" not in programs[0]


def test_program_says_what_it_is_made_of(small: Monorepo, build: Callable[..., Ran], engine: Engine) -> None:
    """The list of crates is in the program, where scanners of images look for it."""
    build()

    assert b".dep-v0" in program(name_of("test-small", engine.platform), engine.platform, PROGRAM)


def mirror(path: Path) -> None:
    """A mirror of the crate registry that is not there."""
    path.parent.mkdir()
    path.write_text(
        '[source.crates-io]\nreplace-with = "mirror"\n[source.mirror]\nregistry = "sparse+http://127.0.0.1:9/"\n'
        "[net]\nretry = 0\n"
    )


LOCK = "test-small/Cargo.lock"


@pytest.mark.parametrize(
    ("change", "words", "code"),
    [
        (lambda root: (root / LOCK).unlink(), ["there is no Cargo.lock", "cargo generate-lockfile"], 5),
        (lambda root: edit(root / "test-small/Cargo.toml", 'regex = "1"', 'regex = "1"\nlog = "0.4"'),
         ["Cargo.lock is not current", "cargo update --workspace"], 5),
        (lambda root: (root / LOCK).write_text("version = 99\n"), ["too new for this Cargo"], 5),
        (lambda root: (root / "test-small/Cargo.toml").write_text("[package\n"), ["is not what Cargo understands"], 5),
        (lambda root: (root / "test-small/src/main.rs").write_text("fn main() { nonsense }\n"),
         ["small does not compile", "nonsense"], 5),
        (lambda root: edit(root / "test-small/Dockerfile", "ARG TARGETPLATFORM\n", ""), ["ARG TARGETPLATFORM"], 5),
        (lambda root: (root / "test-small/build.rs").write_text("fn main() { panic!(\"lacks something\") }\n"),
         ["the build script of small v0.1.0", "failed", "lacks something"], 5),
        (lambda root: append(root / "test-small/image.toml", '[cargo]\npackage = "smal"\n'),
         ["the project has no package smal", "small"], 5),
        (lambda root: append(root / "test-small/image.toml", '[cargo]\nfeatures = ["fast"]\n'),
         ["has no feature fast"], 5),
        (lambda root: edit(root / "test-small/Dockerfile", "COPY --from=source . .\n", ""),
         ["is still the empty program", "COPY --from=source . ."], 5),
        (lambda root: edit(root / "test-small/Dockerfile", "COPY --from=manifests . .\n", ""),
         ["there is no Cargo.toml", "COPY --from=manifests . ."], 5),
        (lambda root: mirror(root / "test-small/.cargo/config.toml"), ["out of reach", "127.0.0.1"], 7),
        (lambda root: shutil.copytree(REPOSITORY / "tests/cargo/no-vendor", root / "test-small", dirs_exist_ok=True),
         ["OpenSSL cannot be vendored", "OPENSSL_NO_VENDOR=1 in", "openssl-sys 0.9"], 5),
    ],
    ids=["no-lock", "old-lock", "new-lock", "manifest", "source", "no-arg", "build-script", "package", "feature",
         "no-source", "no-manifests", "registry", "openssl"],
)  # fmt: skip
def test_mistake_is_told(
    change: Callable[[Path], object], words: list[str], code: int, small: Monorepo, build: Callable[..., Ran],
    names: Callable[[], list[str]],
) -> None:  # fmt: skip
    """What is wrong with a project is said in a sentence, with what to do, and no image is left."""
    change(small.root)
    ran = build()

    assert ran.exit_code == code
    for word in words:
        assert word in ran.stderr
    assert "Traceback" not in ran.stderr
    assert names() == []


def test_linker_that_is_missing_is_told(small: Monorepo, build: Callable[..., Ran], foreign: Platform) -> None:
    """A project that names a linker of its own gets its name back, not a page of arguments."""
    triple = foreign.names.rust
    small.write("test-small/.cargo/config.toml", f'[target.{triple}]\nlinker = "other-gcc"\n')
    ran = build("--arch", foreign.tag)

    assert ran.exit_code == 5
    assert "other-gcc" in ran.stderr.splitlines()[1] + ran.stderr.splitlines()[2]


def test_platform_without_tool_chain_is_told(
    small: Monorepo, build: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Said before cargo starts, with what to add."""
    monkeypatch.setenv("INVOKE_ARCHWAY_PLATFORMS", "amd64,arm64,s390x")
    edit(small.root / "test-small/Dockerfile", "FROM base\n", "FROM scratch\n")
    ran = build("--arch", "s390x")

    assert ran.exit_code == 5
    assert "there is no tool chain for linux/s390x" in ran.stderr
    assert "add s390x to TOOLCHAINS" in ran.stderr


def test_openssl_of_debian_is_linked_where_that_is_wished(
    small: Monorepo, build: Callable[..., Ran], foreign: Platform
) -> None:
    """With openssl = "system" the program needs libssl of its own platform, and nothing is compiled from source."""
    shutil.copytree(REPOSITORY / "tests/cargo/normal", small.root / "test-small", dirs_exist_ok=True)
    (small.root / "test-small/src/main.rs").write_text('fn main() { println!("{}", openssl::version::version()) }\n')
    append(small.root / "test-small/image.toml", '[cargo]\nopenssl = "system"\n')
    ran = build("--arch", foreign.tag)

    assert ran.exit_code == 0, ran.stderr
    assert "openssl-src" not in compiled(log_of(small, foreign))
    assert "libssl.so.3" in needed_by(program(name_of("test-small", foreign), foreign, "/usr/local/bin/normal"))


def test_what_cannot_cross_is_told_before_cargo_starts(
    small: Monorepo, build: Callable[..., Ran], foreign: Platform
) -> None:
    """A crate whose build script makes code for the build machine is refused, with the chain that brings it."""
    shutil.copytree(REPOSITORY / "tests/rust/cannot-cross", small.root / "test-small", dirs_exist_ok=True)
    ran = build("--arch", foreign.tag)

    assert ran.exit_code == 5
    assert "rdkafka-sys" in ran.stderr
    assert "cmake-build" in ran.stderr
    assert compiled(log_of(small, foreign)) == set()
