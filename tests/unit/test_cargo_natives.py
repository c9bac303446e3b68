"""Crates with C and C++ code: what they need, and what cannot be compiled for another platform."""

from __future__ import annotations

import pytest

from cargo_image.errors import CargoImageError
from cargo_image.native_crates import TABLE
from cargo_image.natives import Need, check, environment
from cargo_image.toolchain import gnu_triplet
from cargo_image.tree import parse_tree
from cargo_image.variables import Variable

ARM, AMD = "aarch64-unknown-linux-gnu", "x86_64-unknown-linux-gnu"


def needs(line: str, target: str = ARM, *, lacks: tuple[str, ...] = ()) -> list[Need]:
    tree = parse_tree(f"0a v0.1.0 (/a)\t\n1{line}\n")
    return check(tree, target, AMD, installed=lambda name: not any(word in name for word in lacks))


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("rdkafka-sys v4.10.0+2.12.1\tcmake,cmake-build,curl-static,default", "needs cmake, make"),
        ("libgssapi-sys v0.3.4\t", "needs pkg-config, clang, libkrb5-dev of the target"),
        ("libgssapi-sys v0.3.4\t", "the image must ship libgssapi-krb5-2 (libgssapi_krb5.so.2)"),
        ("libsqlite3-sys v0.40.0\tbundled,cc", "needs a C compiler"),
        ("libsqlite3-sys v0.40.0\tdefault", "the image must ship libsqlite3-0 (libsqlite3.so.0)"),
        ("pq-sys v0.7.8\tdefault,pkg-config", "the image must ship libpq5 (libpq.so.5)"),
        ("zstd-sys v2.1.3+zstd.1.5.7\tpkg-config", "the image must ship libzstd1 (libzstd.so.1)"),
        ("sasl2-sys v0.1.22+2.1.28\tdefault", "the image must ship libsasl2-2 (libsasl2.so.2)"),
        ("libz-sys v1.1.31\tlibc", "needs a C compiler"),
        ("libz-sys v1.1.31\tlibc,zlib-ng", "needs cmake"),
    ],
)
def test_a_native_crate_tells_its_needs(line: str, told: str) -> None:
    """Tools, packages of the target, and what the image must ship; with the chain that brings the crate."""
    (need,) = needs(line)

    assert told in str(need)
    assert f"(a 0.1.0 > {need.node})" in str(need)


@pytest.mark.parametrize(
    "line", ["ring v0.17.14\talloc", "zstd-sys v2.1.3+zstd.1.5.7\tlegacy", "lz4-sys v1.11.1\t", "serde v1.0.229\t"]
)
def test_a_crate_of_no_row_needs_nothing(line: str) -> None:
    """What the crate ``cc`` compiles needs no more than a cross compiler."""
    assert needs(line) == []


@pytest.mark.parametrize(
    ("line", "way_out"),
    [
        ("rdkafka-sys v4.10.0+2.12.1\tdefault,libz", "cmake-build"),
        ("sasl2-sys v0.1.22+2.1.28\tdefault,gssapi-vendored,krb5-src,vendored", "link Debian's libsasl2"),
    ],
)
def test_what_cannot_be_crossed_is_refused_with_a_way_out(line: str, way_out: str) -> None:
    """A ./configure that knows of one machine only makes objects for the wrong one; on its own platform it may."""
    with pytest.raises(CargoImageError, match=way_out) as caught:
        needs(line)

    assert "a 0.1.0 > " in str(caught.value)
    assert len(needs(line, AMD)) == 1


def test_librdkafka_wants_curl_though_it_is_off() -> None:
    """Its CMake build includes curl's header either way, so Debian's must be there, or the feature on."""
    with pytest.raises(CargoImageError, match=r"libcurl4-openssl-dev of the target .*curl-static"):
        needs("rdkafka-sys v4.10.0+2.12.1\tcmake,cmake-build,libz", lacks=("libcurl.pc",))

    assert len(needs("rdkafka-sys v4.10.0+2.12.1\tcmake,cmake-build,libz")) == 1


def test_all_that_is_missing_is_told_together() -> None:
    """Tools and packages, each with the crate that needs it."""
    with pytest.raises(CargoImageError) as caught:
        needs("libgssapi-sys v0.3.4\t\n1libz-ng-sys v1.1.32\t", lacks=("clang", "cmake", "mit-krb5-gssapi.pc"))

    assert str(caught.value).splitlines()[:3] == [
        f"native crates cannot be compiled for {ARM} here",
        "  libgssapi-sys 0.3.4 needs clang, libkrb5-dev of the target (a 0.1.0 > libgssapi-sys 0.3.4)",
        "  libz-ng-sys 1.1.32 needs cmake (a 0.1.0 > libz-ng-sys 1.1.32)",
    ]


def test_headers_of_the_build_machine_do_not_count() -> None:
    """What pkg-config finds for this machine says nothing of the target."""
    looked: list[str] = []

    def installed(name: str) -> bool:
        looked.append(name)
        return "/" not in name or name.startswith("/usr/lib/x86_64-linux-gnu")

    with pytest.raises(CargoImageError, match="libpq-dev of the target"):
        check(parse_tree("0a v0.1.0 (/a)\t\n1pq-sys v0.7.8\tdefault\n"), ARM, AMD, installed=installed)

    assert "/usr/lib/aarch64-linux-gnu/pkgconfig/libpq.pc" in looked


@pytest.mark.parametrize(("version", "refused"), [("4.10.0+2.12.1", True), ("4.9.0+2.8.0", False)])
def test_a_library_can_be_too_old(version: str, refused: bool) -> None:
    """rdkafka-sys wants librdkafka of its own version or newer, and Debian 13 has 2.8.0."""
    line = f"rdkafka-sys v{version}\tdynamic-linking"
    if refused:
        with pytest.raises(CargoImageError, match=r"Debian's is 2\.8\.0"):
            needs(line)
    else:
        assert needs(line)


def test_build_dependencies_are_looked_at_where_they_are_given() -> None:
    """bindgen needs clang; that a crate could call cmake or protoc is no reason to stop."""
    program = parse_tree("0a v0.1.0 (/a)\t\n")
    build = parse_tree("0a v0.1.0 (/a)\t\n1bindgen v0.73.2\t\n1prost-build v0.14.6\t\n1cmake v0.1.58\t\n")

    assert check(program, ARM, AMD, installed=lambda _: False) == []
    assert len(check(program, ARM, AMD, build_tree=build, installed=lambda _: True)) == 3
    with pytest.raises(CargoImageError, match=r"bindgen 0\.73\.2 needs clang") as caught:
        check(program, ARM, AMD, build_tree=build, installed=lambda _: False)
    assert "protoc" not in str(caught.value)


def test_variables_are_those_of_the_target() -> None:
    """jemalloc for arm64 must run with large pages, wherever it was compiled; configure is told what it cannot try."""
    arm, amd = environment(ARM, AMD, {}), environment(AMD, AMD, {})

    assert arm["AARCH64_UNKNOWN_LINUX_GNU_JEMALLOC_SYS_WITH_LG_PAGE"] == "16"
    assert environment(ARM, ARM, {})["AARCH64_UNKNOWN_LINUX_GNU_JEMALLOC_SYS_WITH_LG_PAGE"] == "16"
    assert arm["LIBGSSAPI_IMPL"] == amd["LIBGSSAPI_IMPL"] == "mit"
    assert "ac_cv_func_regcomp" in arm
    assert not any("JEMALLOC" in name or "_cv_" in name for name in amd)


@pytest.mark.parametrize("prefix", ["", "AARCH64_UNKNOWN_LINUX_GNU_"])
def test_variables_that_the_user_set_stay(prefix: str) -> None:
    """What a Dockerfile or Cargo's configuration says wins, with the target before its name or without."""
    names = ("JEMALLOC_SYS_WITH_LG_PAGE", "LIBZ_SYS_STATIC", "ac_cv_func_regcomp")
    known = {f"{prefix}{name}": Variable(name=f"{prefix}{name}", value="0") for name in names}

    made = environment(ARM, AMD, known)

    assert not any(name.endswith(names) for name in made)
    assert made["LIBGSSAPI_IMPL"] == "mit"


@pytest.mark.parametrize(
    ("target", "gnu"),
    [
        (AMD, "x86_64-linux-gnu"),
        (ARM, "aarch64-linux-gnu"),
        ("armv7-unknown-linux-gnueabihf", "arm-linux-gnueabihf"),
        ("powerpc64le-unknown-linux-gnu", "powerpc64le-linux-gnu"),
        ("s390x-unknown-linux-gnu", "s390x-linux-gnu"),
        ("riscv64gc-unknown-linux-gnu", "riscv64-linux-gnu"),
    ],
)
def test_debian_has_its_own_triplets(target: str, gnu: str) -> None:
    """They name the folders of libraries."""
    assert gnu_triplet(target) == gnu


def test_the_table_is_whole() -> None:
    """A row says what was read; a library comes with its packages; a refusal with a way out; nothing is behind a row
    that always fits."""
    always: set[str] = set()
    for row in TABLE:
        assert row.crate not in always, f"a row for {row.crate} is never reached"
        if not row.on:
            always.add(row.crate)
        assert row.seen
        assert bool(row.pkg_config) == bool(row.headers)
        assert bool(row.runtime) == bool(row.library)
        assert row.way_out or not row.refusal
