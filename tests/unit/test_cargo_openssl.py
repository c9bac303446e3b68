"""Whether OpenSSL must be built into a program, decided on trees that are written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from cargo_image.cargo import Dependency, Package
from cargo_image.openssl import State, hindrance, judge
from cargo_image.tree import parse_tree
from cargo_image.variables import Variable, known_variables

ARM = "aarch64-unknown-linux-gnu"


def state(*lines: str, **variables: str) -> State:
    tree = parse_tree("\n".join(["0a v0.1.0 (/a)\t", *lines]))
    known = {name: Variable(name=name, value=value) for name, value in variables.items()}
    return judge(tree, ARM, known).state


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], State.NOT_NEEDED),
        (["1rustls v0.23.0\tdefault", "2ring v0.17.14\talloc"], State.NOT_NEEDED),
        (["1boring-sys v5.4.0\t"], State.NOT_NEEDED),
        (["1openssl-sys v0.9.118\t"], State.NEEDED),
        (["1openssl-sys v0.9.118\tbindgen,default"], State.NEEDED),
        (["1openssl-sys v0.9.118 (/sys)\t"], State.NEEDED),
        (["1openssl-sys v0.9.118\topenssl-src,vendored"], State.ALREADY),
        (["1openssl-sys v0.9.118\taws-lc"], State.NOT_NEEDED),
        (["1openssl-sys v0.9.118\taws-lc-fips"], State.NOT_NEEDED),
        (["1openssl-sys v0.9.118\tunstable_boringssl"], State.NOT_NEEDED),
        (["1openssl-sys v0.9.118\tvendored", "1b v1.0.0\t", "2openssl-sys v0.8.0\t"], State.NEEDED),
    ],
)
def test_openssl_sys_decides(lines: list[str], expected: State) -> None:
    """What counts is openssl-sys and its features; another TLS library needs nothing."""
    assert state(*lines) is expected


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"OPENSSL_NO_VENDOR": "1"}, State.IMPOSSIBLE),
        ({"OPENSSL_NO_VENDOR": ""}, State.IMPOSSIBLE),
        ({"AARCH64_UNKNOWN_LINUX_GNU_OPENSSL_NO_VENDOR": "1"}, State.IMPOSSIBLE),
        ({"OPENSSL_NO_VENDOR": "0"}, State.NEEDED),
        ({"OPENSSL_NO_VENDOR": "1", "AARCH64_UNKNOWN_LINUX_GNU_OPENSSL_NO_VENDOR": "0"}, State.NEEDED),
        ({"X86_64_UNKNOWN_LINUX_GNU_OPENSSL_NO_VENDOR": "1"}, State.NEEDED),
    ],
)
def test_a_variable_can_switch_vendoring_off(variables: dict[str, str], expected: State) -> None:
    """openssl-sys looks for the variable with the target first, and takes ``0`` alone for no."""
    assert state("1openssl-sys v0.9.118\t", **variables) is expected


def test_a_variable_switches_off_what_was_on() -> None:
    """A crate that is vendored already would look for Debian's library, so that counts as impossible."""
    assert state("1openssl-sys v0.9.118\tvendored", OPENSSL_NO_VENDOR="1") is State.IMPOSSIBLE


def test_a_variable_means_nothing_without_openssl() -> None:
    """Who does not need OpenSSL may switch off what they like."""
    assert state(OPENSSL_NO_VENDOR="1") is State.NOT_NEEDED


def test_the_verdict_names_chain_and_version() -> None:
    """It can be told which dependency brings OpenSSL."""
    tree = parse_tree("0a v0.1.0 (/a)\t\n1native-tls v0.2.18\tdefault\n2openssl-sys v0.9.118\t\n")

    verdict = judge(tree, ARM, {})

    assert verdict.chain == ("a 0.1.0", "native-tls 0.2.18", "openssl-sys 0.9.118")
    assert (verdict.target, verdict.version) == (ARM, "0.9.118")


def sys_package(*entries: Dependency, vendored: bool = True) -> Package:
    return Package(
        name="openssl-sys", version="0.9.1", id="", manifest=Path("/sys/Cargo.toml"), source="", links="openssl",
        features={"vendored": ("openssl-src",)} if vendored else {}, dependencies=entries, targets=(),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("requirement", "expected"), [("^111", "OpenSSL 1.1.1"), ("^111.0.1", "OpenSSL 1.1.1"), ("^300.2.0", ""), ("*", "")]
)
def test_an_openssl_without_fixes_is_not_built_in(requirement: str, expected: str) -> None:
    """openssl-src 111 is OpenSSL 1.1.1; what nobody mends must not be put into programs."""
    source = Dependency(
        key="openssl-src", package="openssl-src", kind="build", target="", features=(), requirement=requirement
    )

    assert expected in hindrance(sys_package(source))
    assert bool(hindrance(sys_package(source))) == bool(expected)


def test_an_openssl_sys_without_the_feature_is_too_old() -> None:
    """The feature came with one of the versions 0.9."""
    assert "too old" in hindrance(sys_package(vendored=False))


def configuration(folder: Path, text: str, name: str = "config.toml") -> None:
    (folder / ".cargo").mkdir(parents=True, exist_ok=True)
    (folder / ".cargo" / name).write_text(text)


def test_cargos_configuration_sets_variables(tmp_path: Path) -> None:
    """``[env]`` of parent folders and of CARGO_HOME counts; the nearest folder wins."""
    project = tmp_path / "a" / "b"
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text('[env]\nONE = "home"\nTWO = "home"\nTHREE = "home"\n')
    configuration(tmp_path, '[env]\nTWO = "far"\nTHREE = { value = "far" }\n')
    configuration(project, '[env]\nTHREE = "near"\n')

    known = known_variables(project, {"CARGO_HOME": str(home)})

    assert [known[name].value for name in ("ONE", "TWO", "THREE")] == ["home", "far", "near"]
    assert known["THREE"].where == str(project / ".cargo" / "config.toml")


def test_the_environment_wins_unless_forced(tmp_path: Path) -> None:
    """As in Cargo: a variable that is set stays, but for ``force = true``."""
    configuration(tmp_path, '[env]\nONE = "file"\nTWO = { value = "file", force = true }\n')

    known = known_variables(tmp_path, {"ONE": "set", "TWO": "set", "CARGO_HOME": str(tmp_path / "none")})

    assert (known["ONE"].value, known["TWO"].value) == ("set", "file")
    assert str(known["ONE"]) == "ONE=set in the environment"


def test_the_old_name_of_the_configuration_counts(tmp_path: Path) -> None:
    """Cargo reads ``.cargo/config`` too, and a broken file is for Cargo to refuse."""
    configuration(tmp_path, '[env]\nONE = "old"\n', "config")
    configuration(tmp_path / "deep", "[env")

    assert known_variables(tmp_path / "deep", {"CARGO_HOME": "/nothing"})["ONE"].value == "old"
