"""Why a build failed, read from what BuildKit says."""

from __future__ import annotations

import pytest

from archway.docker import EngineGoneError
from archway.errors import (
    ArchwayError,
    BuildError,
    ChecksumError,
    MachineError,
    NoSpaceError,
    PackageSourceError,
)
from archway.failures import explain

TAIL = """\
#8 [build 1/3] RUN wait
#8 0.100 Connection refused, trying again
#8 DONE 0.2s
#9 [build 2/3] RUN make || echo "digest mismatch"
#9 0.310 {said}
#9 ERROR: process "/bin/sh -c make || echo digest mismatch" did not complete: exit code: {code}
------
 > [build 2/3] RUN make:
0.310 {said}
------
Dockerfile:7
--------------------
   6 |     COPY . .
   7 | >>> RUN make
--------------------
ERROR: failed to solve: process "/bin/sh -c make || echo digest mismatch" did not complete: exit code: {code}
"""


def explained(said: str, code: int = 1) -> ArchwayError:
    output = ["#1 [internal] load", *TAIL.format(said=said, code=code).splitlines()]
    return explain("app 1 arm64", output, dockerfile="products/app/Dockerfile", log=".archway/logs/app.log")


@pytest.mark.parametrize(
    ("said", "code", "error"),
    [
        ("make: *** No rule to make target", 2, BuildError),
        ("write /x: no space left on device", 1, NoSpaceError),
        ("CHECKSUM MISMATCH: the files that Maven fetched", 65, ChecksumError),
        ("sha256sum: WARNING: 1 computed checksum did NOT match", 1, ChecksumError),
        ("Temporary failure resolving 'deb.example.org'", 100, PackageSourceError),
        ("Could not transfer artifact a:b:1: repo.example.org: Unknown host", 1, PackageSourceError),
        ("PKIX path building failed: unable to find valid certification path", 1, PackageSourceError),
        ("E: Failed to fetch x.deb  Hash Sum mismatch", 100, ChecksumError),
        ("exec /bin/sh: exec format error", 1, MachineError),
        ("qemu: uncaught target signal 11 (Segmentation fault) - core dumped", 139, BuildError),
    ],
)
def test_causes_are_told_apart(said: str, code: int, error: type[ArchwayError]) -> None:
    """Each cause has its own error, and so its own exit code."""
    assert type(explained(said, code)) is error


def test_message_has_line_output_and_log() -> None:
    """The Dockerfile's line, what the step said, and where the rest stands are told."""
    text = str(explained("make: *** No rule to make target"))

    assert text.startswith("products/app/Dockerfile:7: app 1 arm64: a step failed")
    assert "[build 2/3] RUN make" in text
    assert "No rule to make target" in text
    assert ".archway/logs/app.log" in text


@pytest.mark.parametrize(
    "last",
    [
        "ERROR: Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?",
        "ERROR: error during connect: Post: EOF",
        "ERROR: failed to receive status: rpc error: code = Unavailable desc = closing transport due to: "
        'connection error: desc = "error reading from server: EOF", received prior goaway',
        "ERROR: failed to solve: Unavailable: error reading from server: EOF",
        "ERROR: failed to solve: Canceled: grpc: the client connection is closing",
    ],
)
def test_engine_that_goes_away_is_recognised(last: str) -> None:
    """An engine that ends during a build is not the Dockerfile's fault."""
    failed = explain("app", ["#3 [2/2] RUN sleep 100", last], dockerfile="Dockerfile", log="x.log")

    assert isinstance(failed, EngineGoneError)
    assert "inv setup --check" in str(failed)


def test_words_of_a_failed_command_are_no_sign_of_the_engine() -> None:
    """A step whose command speaks of an engine out of reach failed by itself."""
    last = 'ERROR: failed to solve: process "/bin/sh -c echo code = Unavailable; false" did not complete successfully'

    assert not isinstance(explain("app", [last], dockerfile="Dockerfile", log="x.log"), EngineGoneError)


def test_engine_that_does_not_answer_afterwards_is_gone() -> None:
    """Last words that nobody foresaw do not hide that there is no engine any more."""
    failed = explain("app", ["ERROR: oops"], dockerfile="Dockerfile", log="x.log", engine_gone=True)

    assert isinstance(failed, EngineGoneError)


def test_refused_connection_of_a_step_is_not_the_engine() -> None:
    """A download that is refused inside of a step is a package registry out of reach, not a missing engine."""
    assert type(explained("curl: (7) Failed to connect to repo.example.org: Connection refused")) is PackageSourceError


@pytest.mark.parametrize("reason", ["dial tcp: lookup r.example.org: no such host", "dial tcp 10.0.0.1: i/o timeout"])
def test_base_image_out_of_reach_is_not_the_engine(reason: str) -> None:
    """A registry of images that cannot be reached is a package source out of reach, and the engine is fine."""
    last = f"ERROR: failed to solve: debian:trixie-slim: failed to resolve source metadata: {reason}"

    assert type(explain("app", [last], dockerfile="Dockerfile", log="x.log")) is PackageSourceError


def test_missing_file_of_a_copy_is_named() -> None:
    """A COPY prints nothing before it fails; its reason is told."""
    output = [
        "#5 [1/2] COPY bin/helo /usr/local/bin/hello",
        '#5 ERROR: failed to calculate checksum of ref x: "/bin/helo": not found',
        'ERROR: failed to solve: failed to calculate checksum of ref x: "/bin/helo": not found',
    ]

    assert (
        '"/bin/helo": not found'
        in str(explain("app", output, dockerfile="Dockerfile", log="x.log")).split("all output")[0]
    )


def test_build_that_says_nothing() -> None:
    """Even without any output there is a message."""
    assert "app: a step failed" in str(explain("app", [], dockerfile="Dockerfile", log="x.log"))


CARGO = """\
#9 [build 4/5] RUN cargo-image dependencies
#9 0.310 {before}
#9 0.400 cargo-image: error: {said}
#9 0.400   see /source/crates/a/Cargo.toml, not /other/source/x
#9 ERROR: process "cargo-image" did not complete: exit code: 1
Dockerfile:7
ERROR: failed to solve: process "cargo-image" did not complete: exit code: 1
"""


def told_by_cargo(said: str, before: str = "", shown: str = "operators/kafka") -> ArchwayError:
    output = CARGO.format(said=said, before=before).splitlines()
    return explain("k", output, dockerfile="operators/kafka/Dockerfile", log="x.log", places={"/source": shown})


@pytest.mark.parametrize(
    ("before", "error"),
    [
        ("", BuildError),
        ("a build script said: Exec format error", BuildError),
        ("[6] Could not resolve host: index.crates.io", PackageSourceError),
        ("write: No space left on device", NoSpaceError),
        ("computed checksum did NOT match", ChecksumError),
    ],
)
def test_what_cargo_image_tells_keeps_its_kind(before: str, error: type[ArchwayError]) -> None:
    """Words of a compiler are no sign of this machine."""
    assert type(told_by_cargo("no", before)) is error


@pytest.mark.parametrize(
    ("said", "shown", "where", "what"),
    [
        ("/source/Cargo.lock: is old", "operators/kafka", "operators/kafka/Cargo.lock", "k: is old"),
        ("/source/a/Cargo.toml:7: is bad", "crate x 1.0.0", "crate x 1.0.0/a/Cargo.toml:7", "k: is bad"),
        ("/source: is no project", "https://a.example/b", "https://a.example/b", "k: is no project"),
        ("/source/Cargo.lock: is old", r"a\1b", r"a\1b/Cargo.lock", "k: is old"),
        ("/sources/x: is odd", "operators/kafka", "operators/kafka/Dockerfile:7", "k: /sources/x: is odd"),
        ("nothing helps", "operators/kafka", "operators/kafka/Dockerfile:7", "k: nothing helps"),
    ],
)
def test_files_of_the_project_are_shown_where_they_are(said: str, shown: str, where: str, what: str) -> None:
    """The container's /source is nothing that the user has."""
    failed = told_by_cargo(said, shown=shown)

    assert (failed.where, failed.what) == (where, what)
    assert failed.why == f"see {shown}/crates/a/Cargo.toml, not /other/source/x"
