"""Facts about the rules on native code in archives."""

from __future__ import annotations

import struct
import zipfile

import pytest

from archway.verify import Allowed
from tests.unit.archives import AMD64, ARM64, S390, elf, entry, folder, tar
from tests.unit.proofs import AMD64_PLATFORM, ARM64_PLATFORM, Found, found, packed, report

CANNOT = "an archive that can be looked into"
JAR = "opt/x/leveldbjni-all-1.8.jar"
LEVELDB = packed(
    ("META-INF/native/linux64/libleveldbjni.so", elf(AMD64)),
    ("META-INF/native/osx/libleveldbjni.jnilib", b"\xcf\xfa\xed\xfe" + bytes(60)),
    ("META-INF/maven/org.fusesource.leveldbjni/leveldbjni-all/pom.properties", b"version=1.8\n"),
)
LEVELDB_FOUND: Found = (
    "native-missing",
    f"/{JAR}!/META-INF/native/linux64/libleveldbjni.so",
    "libleveldbjni.so of org.fusesource.leveldbjni:leveldbjni-all:1.8 for linux/amd64",
    "one for linux/arm64",
)


def jar(*names: tuple[str, int]) -> bytes:
    return packed(*((name, elf(machine)) for name, machine in names))


# -------------------------------------------------------------------------------------------------------- missing code


def test_missing_native_code_is_found() -> None:
    """A JAR with libraries for other platforms of Linux and none for this one is found, with what there is (C1)."""
    rocksdb = packed(
        ("librocksdbjni-linux64.so", elf(AMD64)),
        ("librocksdbjni-linux-ppc64le.so", elf(21)),
        ("librocksdbjni-win64.dll", b"MZ" + bytes(100)),
        ("META-INF/maven/org.rocksdb/rocksdbjni/pom.properties", b"version=6.4.6\n"),
    )

    assert found(tar(entry("opt/rocksdbjni-6.4.6.jar", rocksdb))) == [
        (
            "native-missing",
            "/opt/rocksdbjni-6.4.6.jar!/librocksdbjni-linux64.so",
            "librocksdbjni.so of org.rocksdb:rocksdbjni:6.4.6 for linux/amd64, linux/ppc64le",
            "one for linux/arm64",
        )
    ]


def test_native_code_for_amd64_only_is_found() -> None:
    """A JAR for amd64 alone is found in an arm64 image, and fine in an amd64 one (C2)."""
    layer = tar(entry(JAR, LEVELDB))

    assert found(layer) == [LEVELDB_FOUND]
    assert found(layer, platform=AMD64_PLATFORM) == []


def test_native_code_for_all_platforms_is_fine() -> None:
    """A JAR with a library for every platform is fine on each (C3)."""
    fine = jar(
        ("org/xerial/snappy/native/Linux/x86_64/libsnappyjava.so", AMD64),
        ("org/xerial/snappy/native/Linux/aarch64/libsnappyjava.so", ARM64),
    )

    for platform in (AMD64_PLATFORM, ARM64_PLATFORM):
        assert found(tar(entry("opt/snappy-java-1.1.10.jar", fine)), platform=platform) == []


def test_exception_silences_missing_code() -> None:
    """An exception with a reason, for all that a JAR holds, silences the finding, and is counted."""
    allowed = Allowed(path=f"/{JAR}!/**", reason="the default store is RocksDB")
    layer = tar(entry(JAR, LEVELDB))
    made = report(layer, allow=[allowed])

    assert made.ok
    assert made.used == ((allowed, 1),)
    assert found(layer, allow=[Allowed(path=f"/{JAR}", reason="the JAR, not what it holds")]) == [LEVELDB_FOUND]
    assert found(layer, allow=[Allowed(path="**", reason="another rule", rule="elf-machine")]) == [LEVELDB_FOUND]


def test_twin_in_the_same_folder_is_fine() -> None:
    """The library for this platform may be in another JAR of the folder, named like this one: a classifier."""
    amd64 = entry("lib/netty-tcnative-linux-x86_64.jar", jar(("META-INF/native/libx_linux_x86_64.so", AMD64)))
    arm64 = jar(("META-INF/native/libx_linux_aarch_64.so", ARM64))

    assert found(tar(amd64, entry("lib/netty-tcnative-linux-aarch_64.jar", arm64))) == []
    assert len(found(tar(amd64, entry("opt/netty-tcnative-linux-aarch_64.jar", arm64)))) == 1


@pytest.mark.parametrize(
    "inside",
    [
        [("x.dll", b"MZ" + bytes(58) + b"\x80\0\0\0" + bytes(100))],
        [("x.jnilib", b"\xcf\xfa\xed\xfe" + bytes(60))],
        [("native/freebsd/x86_64/libx.so", elf(AMD64))],
        [("native/linux-aarch64/libx.so", elf(ARM64))],
        [("x.class", b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(60))],
        [],
    ],
)
def test_code_of_other_systems_is_fine(inside: list[tuple[str, bytes]]) -> None:
    """What is for other systems than Linux, or for this platform, is fine."""
    assert found(tar(entry("opt/x.jar", packed(*inside)))) == []


def test_archive_within_an_archive() -> None:
    """A NAR of NiFi holds JARs: what is missing in one of them is found, with the way to it."""
    nar = packed(("META-INF/bundled-dependencies/leveldbjni-all-1.8.jar", LEVELDB))
    way = "META-INF/bundled-dependencies/leveldbjni-all-1.8.jar!/META-INF/native/linux64/libleveldbjni.so"

    assert found(tar(entry("opt/nifi-x.nar", nar))) == [
        ("native-missing", f"/opt/nifi-x.nar!/{way}", LEVELDB_FOUND[2], LEVELDB_FOUND[3])
    ]
    assert found(tar(entry("opt/nifi-x.nar", nar)), platform=AMD64_PLATFORM) == []


def test_archive_in_a_folder_with_an_odd_name() -> None:
    """A folder whose name ends as an archive's path does is a folder like any other."""
    (finding,) = found(tar(folder("opt/a!"), entry("opt/a!/x.jar", jar(("native/libx.so", AMD64)))))

    assert finding[1] == "/opt/a!/x.jar!/native/libx.so"


def test_name_without_text() -> None:
    """A library whose name is no text is printed escaped."""
    (finding,) = found(tar(entry("opt/x.jar", jar(("native/lib\x1b[1m.so", AMD64)))))

    assert finding[1].endswith("!/native/lib\\x1b[1m.so")
    assert finding[2].isprintable()


# ------------------------------------------------------------------------------------------------------ misplaced code


def test_misplaced_native_code_is_found() -> None:
    """A library that lies where one for another platform belongs is found, on whatever platform."""
    layer = tar(entry("opt/x.jar", jar(("linux/aarch64/libx.so", AMD64), ("linux/amd64/libx.so", AMD64))))
    misplaced = (
        "native-misplaced",
        "/opt/x.jar!/linux/aarch64/libx.so",
        "64-bit little-endian x86-64 shared object, by its name for linux/arm64",
        "64-bit little-endian AArch64",
    )

    assert found(layer, platform=AMD64_PLATFORM) == [misplaced]
    assert misplaced in found(layer)


@pytest.mark.parametrize("path", ["linux/aarch64/libx.so", "linux/arm64/libx.so", "armor/libx.so", "libx-linux64.so"])
def test_code_in_its_place_is_fine(path: str) -> None:
    """A name with the word of the library's own platform, or with none, is fine."""
    assert found(tar(entry("opt/x.jar", jar((path, ARM64))))) == []


# -------------------------------------------------------------------------------------------------- what is not proven


def encrypted() -> bytes:
    """An archive whose entry says that it is encrypted."""
    data = bytearray(packed(("libx.so", elf(AMD64)), method=zipfile.ZIP_STORED))
    struct.pack_into("<H", data, 6, 1)
    struct.pack_into("<H", data, data.index(b"PK\1\2") + 8, 1)
    return bytes(data)


def nested(depth: int) -> bytes:
    data = packed(("libx.so", elf(AMD64)))
    for _ in range(depth - 1):
        data = packed(("x.jar", data))
    return data


def test_unreadable_archive_is_found() -> None:
    """An archive that is encrypted is found, and an exception silences it."""
    layer = tar(entry("opt/x.zip", encrypted()))

    assert found(layer) == [("archive-unread", "/opt/x.zip", "libx.so: encrypted", CANNOT)]
    assert found(layer, allow=[Allowed(path="/opt/x.zip", reason="test data")]) == []


def test_archive_that_is_cut_short_is_found() -> None:
    """So is one without its end."""
    assert found(tar(entry("opt/x.jar", packed(("a.txt", b"text"))[:-30]))) == [
        ("archive-unread", "/opt/x.jar", "cut short: it has no end record", CANNOT)
    ]


def test_deeply_nested_archive_is_found() -> None:
    """So is one that is nested 50 deep; eight deep is looked into."""
    way = "!/".join(["x.jar"] * 8)

    assert found(tar(entry("opt/x.jar", nested(50)))) == [
        ("archive-unread", "/opt/x.jar", f"{way}: nested deeper than 8 archives", CANNOT)
    ]
    assert [it[0] for it in found(tar(entry("opt/x.jar", nested(8))))] == ["native-missing"]


def test_readable_archive_is_fine() -> None:
    """Archives that are empty, stored or packed are fine, and so is a file that only looks like one."""
    assert found(tar(entry("a.jar", packed()), entry("b.jar", b"PK\3\4"[:3] + b"text"), entry("c.zip", b""))) == []
    assert found(tar(entry("a.jar", packed(("a", b"text"), method=zipfile.ZIP_STORED)))) == []


@pytest.mark.parametrize("path", [JAR, "opt/run"])
@pytest.mark.parametrize(
    "before",
    [
        b"@ 2>/dev/null # 2>nul & echo off & goto BOF\n:\nexec java -jar $0\n",  # Mill, sbt-assembly
        b"MZ" + bytes(58) + b"\x80\0\0\0" + bytes(2000),  # launch4j
        b"PK\5\6" + bytes(18),
    ],
)
def test_archive_behind_anything(path: str, before: bytes) -> None:
    """The JVM opens an archive whatever stands before it, and so does the proof."""
    assert [it[0] for it in found(tar(entry(path, before + LEVELDB)))] == ["native-missing"]


@pytest.mark.parametrize("name", ["x.jar", "x.WAR", "x.ear", "x.nar", "x.whl", "x.zip"])
def test_archive_by_name(name: str) -> None:
    """What is called an archive is looked into whatever it begins with, also where that means something else."""
    for before in (b"text\n", b"\0", b"-----BEGIN CERTIFICATE-----\n", b"!<arch>\n"):
        assert [it[0] for it in found(tar(entry(f"opt/{name}", before + LEVELDB)))] == ["native-missing"]


def test_secret_before_an_archive() -> None:
    """A private key does not hide before an archive, nor the archive behind it."""
    data = b"-----BEGIN PRIVATE KEY-----\n" + LEVELDB

    assert {it[0] for it in found(tar(entry("opt/x.jar", data)))} == {"leftover-key", "native-missing"}


def test_program_that_holds_an_end_record() -> None:
    """The bytes of an end record in a program for Windows, or in a text, are no archive; in one by name they are."""
    data = b"MZ" + bytes(2000) + b"PK\5\6" * 101 + b"PK\5\6\0\0\0\0\1\0\1\0" + bytes(10)

    assert found(tar(entry("opt/x.exe", data), entry("opt/x", b"@" + data))) == []
    assert [it[0] for it in found(tar(entry("opt/x.jar", data)))] == ["archive-unread"]


def test_archive_behind_a_program() -> None:
    """An archive at the end of a program or script is looked into as well."""
    script = b"#!/bin/sh\nexec java -jar $0\n" + LEVELDB
    layer = tar(entry("bin/sh", elf(ARM64)), entry("opt/run", script), entry("opt/program", elf(S390) + LEVELDB))

    assert {it[1].partition("!/")[0] for it in found(layer) if it[0] == "native-missing"} <= {
        "/opt/run",
        "/opt/program",
    }
    assert "native-missing" in {it[0] for it in found(layer)}
