"""How Cargo is run in builds, and what its failures are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from cargo_image.cargo import run_cargo
from cargo_image.errors import CargoImageError
from cargo_image.signs import DIAGNOSTIC_LINES, MESSAGE_LINES, explain

NETWORK = """\
error: failed to get `log` as a dependency of package `a v0.1.0 (/source)`

Caused by:
  failed to load source for dependency `log`

Caused by:
  curl failed

Caused by:
  {}
"""

SAID = {
    "error: could not find `Cargo.toml` in `/source` or any parent directory": "there is no Cargo.toml",
    "error: cannot create the lock file /source/Cargo.lock because --locked was passed to prevent this":
        "there is no Cargo.lock",
    "error: cannot update the lock file /source/Cargo.lock because --locked was passed to prevent this":
        "Cargo.lock is not current",
    "error: the lock file /source/Cargo.lock needs to be updated but --locked was passed to prevent this":
        "Cargo.lock is not current",
    "error: failed to parse lock file at: /source/Cargo.lock\n\nCaused by:\n  lock file version `99` was found, but "
    "this version of Cargo does not understand this lock file, perhaps Cargo needs to be updated?":
        "Cargo.lock is of version 99",
    "error: failed to parse lock file at: /source/Cargo.lock\n\nCaused by:\n  TOML parse error": "Cargo.lock is broken",
    "error: checksum for `log v0.4.35` changed between lock files": "the checksum of log v0.4.35 in Cargo.lock",
    "error: failed to verify the checksum of `log v0.4.35`": "what was downloaded is not log v0.4.35",
    "error: rustc 1.96.0 is not supported by the following package:\n  kube@5.0.0 requires rustc 1.99":
        "kube@5.0.0 requires rustc 1.99, and this is rustc 1.96.0",
    "error: rustc 1.85.0 is not supported by the following packages:\n  a@1.0.0 requires rustc 1.89\n  b@1.0.0":
        "a@1.0.0 requires rustc 1.89",
    "this version of Cargo is older than the `2042` edition, and only supports": "older than edition 2042",
    "error: package ID specification `nope` did not match any packages": "the project has no package nope",
    "error: package(s) `nope` not found in workspace `/source`": "the project has no package nope",
    "error: the package 'a' does not contain this feature: nope": "the package has no feature nope",
    "package `a` depends on `log` with feature `nope` but `log` does not have that feature.": "log has no feature nope",
    "error: no bin target named `nope` in default-run packages": "the package has no binary nope",
    'could not find specification for target "nope-nope"': "Rust knows no target nope-nope",
    "error[E0463]: can't find crate for `core`\n\nerror: could not compile `a`":
        "the standard library for the target is not installed",
    NETWORK.format("[7] Couldn't connect to server (Failed to connect)"): "the crate registry is out of reach",
    NETWORK.format("[6] Couldn't resolve host name"): "its name is unknown here",
    NETWORK.format("[77] Problem with the SSL CA cert (path? access rights?)"): "its certificate was not accepted",
    NETWORK.format("[60] SSL peer certificate or SSH remote key was not OK"): "its certificate was not accepted",
    "failed to get successful HTTP response from `https://index.example/lo/g/log`, got 403":
        "the crate registry answered 403",
    "Caused by:\n  unable to update https://git.example/log\n\nCaused by:\n  failed to clone into: /cargo/git/db/log":
        "the git repository https://git.example/log of a dependency could not be fetched",
    "error: no matching package named `log` found\nlocation searched: the index\nnote: offline mode":
        "a crate was not fetched before",
    "error: no matching package named `openssl-src` found\nlocation searched: directory source `/source/vendor`":
        "there is no package openssl-src in the directory source",
    "Caused by:\n  failed to read `/library/Cargo.toml`\n\nCaused by:\n  No such file or directory (os error 2)":
        "a dependency by path has no Cargo.toml",
    "could not parse TOML configuration in `/source/.cargo/config.toml`\n\nCaused by:\n  at line 3, column 4":
        "Cargo's configuration is broken",
    "error: extra `=`, expected nothing\n --> operator/Cargo.toml:7:5\n  |": "is not what Cargo understands",
    "error: failed to parse manifest at `/source/Cargo.toml`\n\nCaused by:\n  no targets specified in the manifest":
        "the package has neither a program nor a library",
    "error: failed to parse manifest at `/source/Cargo.toml`\n\nCaused by:\n  feature `x`":
        "is not what Cargo understands",
    'error: failed to select a version for the requirement `log = "^99"`': "no version of log fits",
    "error: failed to run custom build command for `openssl-sys v0.9.118`\n  Could not find openssl via pkg-config:":
        "openssl-sys found no OpenSSL for the target",
    "error: target `debug` in package `operator` requires the features: `tracing`\nConsider enabling them by passing":
        "debug requires the features `tracing`",
    "error: failed to run custom build command for `a v0.1.0`\n\nCaused by:\n  sh: 1: ./gen: Exec format error":
        "the build script of a v0.1.0 runs a program for the target platform",
    "error: proc macro panicked\n  = help: message: Exec format error (os error 8)\n\nerror: could not compile `a`":
        "a macro runs a program for the target platform",
    "error: failed to run custom build command for `ring v0.17.14`": "the build script of ring v0.17.14 failed",
    "error: linker `aarch64-linux-gnu-gcc` not found\n\nerror: could not compile `a`":
        "there is no linker aarch64-linux-gnu-gcc",
    "error: linking with `cc` failed\n  = note: No space left on device\n\nerror: could not compile `a`":
        "the disk is full",
    "error: could not write: No space left on device (os error 28)": "the disk is full",
    "error: could not compile `kafka-operator` (bin \"kafka-operator\")": "kafka-operator does not compile",
}  # fmt: skip


@pytest.mark.parametrize(("said", "what"), SAID.items())
def test_a_failure_is_called_by_its_cause(said: str, what: str) -> None:
    """Every text that Cargo is known to say has a cause, and something to do about it."""
    error = explain(said, ["build"], Path("/source"))

    assert what in error.what
    assert error.hint
    assert "{" not in str(error)


@pytest.mark.parametrize(
    ("said", "where"),
    [
        ("cannot create the lock file /source/Cargo.lock because --locked", "/source/Cargo.lock"),
        ("error: extra `=`, expected nothing\n --> operator/Cargo.toml:7:5\n  |", "operator/Cargo.toml:7"),
        ("could not parse TOML configuration in `/a/config.toml`\n at line 3, column 4", "/a/config.toml:3"),
        ("could not parse TOML configuration in `/a/config.toml`", "/a/config.toml"),
        ("error: could not compile `a`", "/source"),
    ],
)
def test_a_failure_names_its_file(said: str, where: str) -> None:
    """The file comes first, with the line where Cargo names one; else the project's folder."""
    assert explain(said, ["build"], Path("/source")).where == where


def test_an_unknown_failure_shows_cargos_words() -> None:
    """What has no sign is told with the command and Cargo's own words."""
    error = explain("error: the sky fell", ["tree", "--locked"], Path("/source"))

    assert str(error) == "/source: `cargo tree --locked` failed\n  error: the sky fell"


def test_long_words_lose_their_middle() -> None:
    """Of a long message the beginning and the end are shown, from the last error on."""
    said = "warning: x\nerror: first\n" + "\n".join(f"line {number}" for number in range(50))

    lines = explain(said, ["fetch"], Path("/source")).why.splitlines()

    assert len(lines) == MESSAGE_LINES
    assert (lines[0], lines[-1]) == ("error: first", "line 49")
    assert "…" in lines


HOSTILE = """\
   Compiling operator v0.1.0 (/source)
warning: unused variable: `x`

error[E0277]: cannot add `&str` to `{integer}`
 --> src/main.rs:4:30
  |
4 |     let x = table[7] + "s"; // [6] failed to connect, offline mode, No space left on device
  |                      ^ no implementation for `{integer} + &str`

error: expected one of `;` or `}`, found `failed to get successful HTTP response from `x`, got 403`
  |
5 |     [28] Operation too slow: Exec format error

error: could not compile `operator` (bin "operator") due to 2 previous errors
warning: build failed, waiting for other jobs to finish...
error: could not compile `other` (lib) due to 1 previous error
"""


@pytest.mark.parametrize("words", [["build"], ["build", "--offline"]])
def test_lines_of_the_source_are_no_signs(words: list[str]) -> None:
    """A mistake in the source is called so, with rustc's first error, whatever its lines look like."""
    error = explain(HOSTILE, words, Path("/source"))

    assert (error.what, error.where) == ("operator does not compile", "src/main.rs:4")
    assert error.why.splitlines()[0] == "error[E0277]: cannot add `&str` to `{integer}`"
    assert "E0277" in error.why
    assert "expected one of" not in error.why


@pytest.mark.parametrize(
    "message", ["table[7] [6] [60] ", "can't find crate for `std`", "linker `cc` not found", "Exec format error"]
)
def test_messages_of_the_source_are_no_signs(message: str) -> None:
    """``compile_error!`` may say anything."""
    said = f"error: it says {message}\n --> build.rs:1:1\n\nerror: could not compile `a` (build script)\n"

    assert explain(said, ["build"], Path("/source")).what == "a does not compile"


def test_words_of_a_build_script_are_no_signs_of_the_network() -> None:
    """What a build script prints is not Cargo's; only what it is known to say counts."""
    said = (
        "error: failed to run custom build command for `a v0.1.0`\n\nCaused by:\n  process didn't exit successfully\n"
        "  --- stderr\n  [7] failed to connect\n  error: could not compile `b`\n  lock file version 9 requires\n"
    )

    assert explain(said, ["build"], Path("/source")).what == "the build script of a v0.1.0 failed"


def test_no_network_is_no_cause_where_none_is_used() -> None:
    """Offline, a repository that was not fetched is no matter of the network."""
    said = (
        "error: failed to get `log`\n\nCaused by:\n  unable to update https://git.example/log\n\nCaused by:\n"
        "  can't checkout from 'https://git.example/log': you are in the offline mode (--offline)\n"
    )

    assert "was not fetched before" in explain(said, ["build", "--offline"], Path("/source")).what


def test_warnings_before_the_last_error_are_no_signs() -> None:
    """Cargo tries again after errors of the network; what stopped it comes last."""
    said = "warning: spurious network error (3 tries remaining): [6] Could not resolve host\nerror: the sky fell\n"

    assert explain(said, ["fetch"], Path("/source")).what == "`cargo fetch` failed"


def test_a_compiler_that_was_ended_is_told() -> None:
    """Without an error of rustc there is Cargo's word on how it ended."""
    said = "error: could not compile `a` (lib)\n\nCaused by:\n  rustc (signal: 9, SIGKILL: kill)\n"

    error = explain(said, ["build"], Path("/source"))

    assert error.what == "a does not compile"
    assert "signal: 9" in error.why


def test_a_long_error_of_rustc_is_cut() -> None:
    """Some fifteen lines of it are shown."""
    said = "error: x\n" + "  |\n" * 90 + "\nerror: could not compile `a`\n"

    assert len(explain(said, ["build"], Path("/source")).why.splitlines()) == DIAGNOSTIC_LINES


@pytest.fixture
def cargo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that is called cargo; a test writes it."""
    program = tmp_path / "bin" / "cargo"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return program


def test_cargo_speaks_english_and_without_colours(cargo: Path, tmp_path: Path) -> None:
    """Its output is read by machines: no colours, no translation; further variables are added."""
    cargo.write_text('#!/bin/sh\necho "$LC_ALL $CARGO_TERM_COLOR $EXTRA $*"\n')

    printed = run_cargo(["tree"], tmp_path, offline=True, environment={"EXTRA": "more"})

    assert printed == "C.UTF-8 never more tree --offline\n"


def test_a_shown_run_is_seen_and_still_explained(
    cargo: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A build's messages go to the user at once, and its failure has a cause all the same."""
    cargo.write_text("#!/bin/sh\necho 'error: could not compile `a`' >&2\nexit 101\n")

    with pytest.raises(CargoImageError, match="a does not compile"):
        run_cargo(["build"], tmp_path, shown=True)

    assert "could not compile" in capfd.readouterr().err


def test_a_shown_run_returns_what_is_printed(cargo: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Lines of JSON, however many, are for us; the user sees the rest."""
    cargo.write_text("#!/bin/sh\nhead -c 300000 /dev/zero | tr '\\0' x\necho words >&2\n")

    assert len(run_cargo(["build"], tmp_path, shown=True)) == 300000
    assert capfd.readouterr() == ("", "words\n")


def test_no_cargo_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Cargo there is a message, not a traceback."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(CargoImageError, match="Cargo cannot be run"):
        run_cargo(["tree"], tmp_path)


def test_no_folder_is_an_error(cargo: Path, tmp_path: Path) -> None:
    """A folder that does not exist is not taken for a missing Cargo."""
    with pytest.raises(CargoImageError, match="there is no such folder"):
        run_cargo(["tree"], tmp_path / "nothing")


def test_broken_manifest_of_a_member_is_told() -> None:
    """Cargo's last error only says whose manifest it is; the one before says what is wrong, and where."""
    said = """\
error: unclosed table, expected `]`
 --> a/Cargo.toml:1:9
  |
1 | [package
  |         ^
error: failed to load manifest for workspace member `/source/a`
referenced by workspace at `/source/Cargo.toml`
"""
    told = str(explain(said, ["metadata"], Path("/source")))

    assert told.startswith("a/Cargo.toml:1: is not what Cargo understands")
    assert "unclosed table" in told
