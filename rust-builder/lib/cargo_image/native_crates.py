"""Crates that bring or look for C and C++ code, and what it takes to compile them for another platform.

The facts are from the build scripts (``build.rs``) of the crates at the versions that the rows name as ``seen``, and
from ``configure`` and ``CMakeLists.txt`` of the sources that they carry. What is in no row compiles Rust only, or C
with the crate ``cc``, which finds the cross compiler by itself. Names of packages are those of Debian 13.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Place(Enum):
    """Where the code of a crate runs."""

    PROGRAM = "in the program"
    BUILD = "on the build machine"


@dataclass(frozen=True, kw_only=True, slots=True)
class Native:
    """One crate, or one way to use it. Of the rows for a crate the first that fits its features counts.

    :param seen: the version whose build script was read
    :param on: fits if one of these features is on; always if there are none
    :param off: fits only if none of these features is on
    :param tools: commands of the build machine
    :param pkg_config: name of the library in pkg-config, whose files must be there for the target
    :param headers: Debian package that holds those
    :param runtime: Debian package that the image must ship, because the library is linked dynamically
    :param library: what the program then asks for
    :param newest: Debian's version, where the build script wants the version that its crate's names behind the ``+``
    :param sometimes: many who depend on it never call the tools
    :param variables: what the build script must see
    :param cross_variables: what it must see when it cannot run what it compiled
    :param target_variables: the same with the target before the name, by the word before the first dash in the triple
    :param refusal: why it compiles only on the platform that it is for
    :param way_out: what to do about that, or about what is missing
    """

    crate: str
    seen: str
    on: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()
    place: Place = Place.PROGRAM
    tools: tuple[str, ...] = ()
    pkg_config: str = ""
    headers: str = ""
    runtime: str = ""
    library: str = ""
    newest: str = ""
    sometimes: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    cross_variables: Mapping[str, str] = field(default_factory=dict)
    target_variables: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    refusal: str = ""
    way_out: str = ""

    def fits(self, features: frozenset[str]) -> bool:
        """Whether this is the way in which a crate with these features is used."""
        return (not self.on or bool(self.on & features)) and not self.off & features


def _on(*features: str) -> frozenset[str]:
    return frozenset(features)


# jemalloc is told the page size when it is compiled, takes 4 KiB if it cannot try the target out (configure.ac), and
# refuses to run where pages are larger. Kernels for these machines have pages up to 64 KiB.
_LARGE_PAGES = {word: {"JEMALLOC_SYS_WITH_LG_PAGE": "16"} for word in ("aarch64", "powerpc64le")}

_SASL_REFUSAL = "sasl2-sys runs ./configure with the compiler of the build machine"
_SASL_WAY_OUT = "do without its features vendored, plain, scram and gssapi-vendored, and link Debian's libsasl2"

TABLE = (
    Native(crate="aws-lc-fips-sys", seen="0.14.4", tools=("cmake", "perl", "go", "clang")),
    Native(crate="aws-lc-sys", seen="0.47.0", on=_on("bindgen", "fips", "ssl"), tools=("cmake", "clang")),
    Native(crate="boring-sys", seen="5.4.0", tools=("cmake", "clang", "git"),
           runtime="libstdc++6", library="libstdc++.so.6"),
    # What follows is compiled from source, so that an image does not depend on what a builder happens to have.
    Native(crate="bzip2-sys", seen="0.1.13+1.0.8", variables={"BZIP2_NO_PKG_CONFIG": "1"}),
    Native(crate="curl-sys", seen="0.4.91+curl-8.22.0", variables={"LIBCURL_NO_PKG_CONFIG": "1"}),
    Native(crate="libgit2-sys", seen="0.18.8+1.9.7", variables={"LIBGIT2_NO_PKG_CONFIG": "1"}),
    Native(crate="liblzma-sys", seen="0.4.9", variables={"LZMA_API_STATIC": "1"}),
    Native(crate="lzma-sys", seen="0.1.20", variables={"LZMA_API_STATIC": "1"}),
    Native(crate="libz-sys", seen="1.1.31", on=_on("zlib-ng"), tools=("cmake",)),
    Native(crate="libz-sys", seen="1.1.31", variables={"LIBZ_SYS_STATIC": "1"}),
    Native(crate="libz-ng-sys", seen="1.1.32", tools=("cmake",)),
    Native(crate="zstd-sys", seen="2.1.3+zstd.1.5.7", on=_on("pkg-config"), tools=("pkg-config",),
           pkg_config="libzstd", headers="libzstd-dev", runtime="libzstd1", library="libzstd.so.1"),
    Native(crate="zstd-sys", seen="2.1.3+zstd.1.5.7", on=_on("cmake"), tools=("cmake",)),
    Native(crate="openssl-src", seen="300.6.1+3.6.3", place=Place.BUILD, tools=("perl", "make")),
    Native(crate="libdbus-sys", seen="0.2.7", on=_on("vendored")),
    Native(crate="libdbus-sys", seen="0.2.7", tools=("pkg-config",),
           pkg_config="dbus-1", headers="libdbus-1-dev", runtime="libdbus-1-3", library="libdbus-1.so.3"),
    Native(crate="libgssapi-sys", seen="0.3.4", tools=("pkg-config", "clang"), pkg_config="mit-krb5-gssapi",
           headers="libkrb5-dev", runtime="libgssapi-krb5-2", library="libgssapi_krb5.so.2",
           variables={"LIBGSSAPI_IMPL": "mit"}),
    Native(crate="libsqlite3-sys", seen="0.40.0",
           on=_on("bundled", "bundled-sqlcipher", "bundled-sqlcipher-vendored-openssl")),
    Native(crate="libsqlite3-sys", seen="0.40.0", tools=("pkg-config",),
           pkg_config="sqlite3", headers="libsqlite3-dev", runtime="libsqlite3-0", library="libsqlite3.so.0"),
    Native(crate="libsystemd-sys", seen="0.10.0", tools=("pkg-config",),
           pkg_config="libsystemd", headers="libsystemd-dev", runtime="libsystemd0", library="libsystemd.so.0"),
    Native(crate="libudev-sys", seen="0.1.4", tools=("pkg-config",),
           pkg_config="libudev", headers="libudev-dev", runtime="libudev1", library="libudev.so.1"),
    Native(crate="librocksdb-sys", seen="0.17.3+10.4.2", tools=("clang",),
           runtime="libstdc++6", library="libstdc++.so.6"),
    Native(crate="libsodium-sys", seen="0.2.7", tools=("make",)),
    Native(crate="mysqlclient-sys", seen="0.5.2", on=_on("bundled"), tools=("cmake",)),
    Native(crate="mysqlclient-sys", seen="0.5.2", tools=("pkg-config",),
           pkg_config="libmariadb", headers="libmariadb-dev", runtime="libmariadb3", library="libmariadb.so.3"),
    Native(crate="pq-sys", seen="0.7.8", on=_on("bundled", "bundled_without_openssl")),
    Native(crate="pq-sys", seen="0.7.8", tools=("pkg-config",),
           pkg_config="libpq", headers="libpq-dev", runtime="libpq5", library="libpq.so.5"),
    Native(crate="rdkafka-sys", seen="4.10.0+2.12.1", on=_on("dynamic-linking", "dynamic_linking"),
           tools=("pkg-config",), pkg_config="rdkafka", headers="librdkafka-dev", runtime="librdkafka1",
           library="librdkafka.so.1", newest="2.8.0"),
    # librdkafka's config.h says 0 for what is off, and rdkafka_conf.c only looks whether it says anything.
    Native(crate="rdkafka-sys", seen="4.10.0+2.12.1", on=_on("cmake-build", "cmake_build"),
           off=_on("curl", "curl-static"), tools=("cmake", "make"), pkg_config="libcurl",
           headers="libcurl4-openssl-dev", way_out='or switch its feature "curl-static" on'),
    Native(crate="rdkafka-sys", seen="4.10.0+2.12.1", on=_on("cmake-build", "cmake_build"), tools=("cmake", "make")),
    Native(crate="rdkafka-sys", seen="4.10.0+2.12.1", tools=("make",),
           refusal="rdkafka-sys runs librdkafka's ./configure without saying for which machine",
           way_out='switch its feature "cmake-build" on: rdkafka = { …, features = ["cmake-build", "curl-static"] }'),
    Native(crate="sasl2-sys", seen="0.1.22+2.1.28", on=_on("vendored", "plain", "scram", "gssapi-vendored"),
           tools=("make",), refusal=_SASL_REFUSAL, way_out=_SASL_WAY_OUT),
    Native(crate="sasl2-sys", seen="0.1.22+2.1.28", tools=("pkg-config",),
           pkg_config="libsasl2", headers="libsasl2-dev", runtime="libsasl2-2", library="libsasl2.so.2"),
    # What its configure cannot try out (build.rs names these three); they hold for GNU/Linux.
    Native(crate="krb5-src", seen="0.3.4", tools=("make", "perl"),
           cross_variables={"krb5_cv_attr_constructor_destructor": "yes,yes", "ac_cv_func_regcomp": "yes",
                            "ac_cv_printf_positional": "yes"}),
    Native(crate="jemalloc-sys", seen="0.5.4", tools=("make",), target_variables=_LARGE_PAGES),
    Native(crate="tikv-jemalloc-sys", seen="0.7.1", tools=("make",), target_variables=_LARGE_PAGES),
    # Tools that build scripts of whatever crate call.
    Native(crate="bindgen", seen="0.73.2", place=Place.BUILD, tools=("clang",)),
    Native(crate="cmake", seen="0.1.58", place=Place.BUILD, tools=("cmake",), sometimes=True),
    Native(crate="prost-build", seen="0.14.6", place=Place.BUILD, tools=("protoc",), sometimes=True),
    Native(crate="protobuf-src", seen="2.1.1+27.1", place=Place.BUILD, tools=("cmake",)),
)  # fmt: skip
"""Measured for aarch64 on x86-64: aws-lc-sys, libgit2-sys, libgssapi-sys, libz-sys, rdkafka-sys, ring, zstd-sys."""
