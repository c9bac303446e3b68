"""Facts about families of native libraries: the layouts of real JARs, read from them once."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archway.platforms import TABLE, Platform
from archway.verify.bundle import Native
from archway.verify.elf import ElfHeader, read_header
from archway.verify.families import misplaced, missing
from tests.unit.archives import BPF, CUDA, elf

AMD64, ARM64 = Platform.parse("amd64"), Platform.parse("arm64")
ELF = {
    "x86-64": (62, 64, "little"), "AArch64": (183, 64, "little"), "x86": (3, 32, "little"), "ARM": (40, 32, "little"),
    "PPC": (20, 32, "big"), "PPC64": (21, 64, "big"), "PPC64LE": (21, 64, "little"), "S390": (22, 64, "big"),
    "RISC-V": (243, 64, "little"), "Loong": (258, 64, "little"), "MIPS": (8, 32, "little"), "IA-64": (50, 64, "little"),
    "SPARC": (2, 32, "big"), "SPARC V9": (43, 64, "big"), "CUDA": (CUDA, 64, "little"), "BPF": (BPF, 64, "little"),
}  # fmt: skip


def header(name: str) -> ElfHeader | None:
    if name in ("PE", "Mach-O"):
        return None
    machine, bits, order = ELF[name]
    read = read_header(elf(machine, bits=bits, order=order))
    assert isinstance(read, ElfHeader)
    return read


def natives(layout: str) -> list[tuple[str, Native]]:
    """Read lines of an archive's path, and below it, indented, its natives: ``path = what``."""
    found: list[tuple[str, Native]] = []
    archive = ""
    for line in filter(None, layout.splitlines()):
        path, _, what = line.strip().partition(" = ")
        if what:
            kind = what if what in ("PE", "Mach-O") else "ELF"
            found.append((archive, Native(path=path, header=header(what), format=kind, library="org.x:x:1")))
        else:
            archive = path
    return found


def lacking(layout: str, platform: Platform = ARM64) -> list[str]:
    return [finding.family for finding in missing(natives(layout), platform)]


COMPLETE = {
    "snappy-java 1.1.10.4": """
/lib/snappy-java-1.1.10.4.jar
    org/xerial/snappy/native/FreeBSD/x86_64/libsnappyjava.so = x86-64
    org/xerial/snappy/native/Linux/aarch64/libsnappyjava.so = AArch64
    org/xerial/snappy/native/Linux/android-aarch64/libsnappyjava.so = AArch64
    org/xerial/snappy/native/Linux/android-arm/libsnappyjava.so = ARM
    org/xerial/snappy/native/Linux/armv7/libsnappyjava.so = ARM
    org/xerial/snappy/native/Linux/ppc/libsnappyjava.so = PPC
    org/xerial/snappy/native/Linux/ppc64/libsnappyjava.so = PPC64
    org/xerial/snappy/native/Linux/ppc64le/libsnappyjava.so = PPC64LE
    org/xerial/snappy/native/Linux/riscv64/libsnappyjava.so = RISC-V
    org/xerial/snappy/native/Linux/s390x/libsnappyjava.so = S390
    org/xerial/snappy/native/Linux/x86/libsnappyjava.so = x86
    org/xerial/snappy/native/Linux/x86_64/libsnappyjava.so = x86-64
    org/xerial/snappy/native/Mac/aarch64/libsnappyjava.dylib = Mach-O
    org/xerial/snappy/native/SunOS/sparc/libsnappyjava.so = SPARC
    org/xerial/snappy/native/SunOS/x86_64/libsnappyjava.so = x86-64
    org/xerial/snappy/native/Windows/x86_64/snappyjava.dll = PE
""",
    "lz4-java 1.8.0": """
/lib/lz4-java-1.8.0.jar
    net/jpountz/util/darwin/aarch64/liblz4-java.dylib = Mach-O
    net/jpountz/util/linux/aarch64/liblz4-java.so = AArch64
    net/jpountz/util/linux/amd64/liblz4-java.so = x86-64
    net/jpountz/util/linux/i386/liblz4-java.so = x86
    net/jpountz/util/linux/ppc64le/liblz4-java.so = PPC64LE
    net/jpountz/util/linux/s390x/liblz4-java.so = S390
    net/jpountz/util/win32/amd64/liblz4-java.so = PE
""",
    "zstd-jni 1.5.6-4": """
/lib/zstd-jni-1.5.6-4.jar
    darwin/aarch64/libzstd-jni-1.5.6-4.dylib = Mach-O
    freebsd/amd64/libzstd-jni-1.5.6-4.so = x86-64
    freebsd/i386/libzstd-jni-1.5.6-4.so = x86
    linux/aarch64/libzstd-jni-1.5.6-4.so = AArch64
    linux/amd64/libzstd-jni-1.5.6-4.so = x86-64
    linux/arm/libzstd-jni-1.5.6-4.so = ARM
    linux/i386/libzstd-jni-1.5.6-4.so = x86
    linux/loongarch64/libzstd-jni-1.5.6-4.so = Loong
    linux/mips64/libzstd-jni-1.5.6-4.so = MIPS
    linux/ppc64/libzstd-jni-1.5.6-4.so = PPC64
    linux/ppc64le/libzstd-jni-1.5.6-4.so = PPC64LE
    linux/riscv64/libzstd-jni-1.5.6-4.so = RISC-V
    linux/s390x/libzstd-jni-1.5.6-4.so = S390
    win/aarch64/libzstd-jni-1.5.6-4.dll = PE
""",
    "rocksdbjni 7.0.3": """
/lib/rocksdbjni-7.0.3.jar
    librocksdbjni-linux32-musl.so = x86
    librocksdbjni-linux32.so = x86
    librocksdbjni-linux64-musl.so = x86-64
    librocksdbjni-linux64.so = x86-64
    librocksdbjni-osx-arm64.jnilib = Mach-O
    librocksdbjni-linux-ppc64le.so = PPC64LE
    librocksdbjni-linux-ppc64le-musl.so = PPC64LE
    librocksdbjni-linux-aarch64.so = AArch64
    librocksdbjni-linux-aarch64-musl.so = AArch64
    librocksdbjni-linux-s390x.so = S390
    librocksdbjni-win64.dll = PE
""",
    "jna 5.17.0": """
/lib/jna-5.17.0.jar
    com/sun/jna/win32-x86/jnidispatch.dll = PE
    com/sun/jna/darwin-aarch64/libjnidispatch.jnilib = Mach-O
    com/sun/jna/linux-x86/libjnidispatch.so = x86
    com/sun/jna/linux-x86-64/libjnidispatch.so = x86-64
    com/sun/jna/linux-arm/libjnidispatch.so = ARM
    com/sun/jna/linux-armel/libjnidispatch.so = ARM
    com/sun/jna/linux-aarch64/libjnidispatch.so = AArch64
    com/sun/jna/linux-ppc/libjnidispatch.so = PPC
    com/sun/jna/linux-mips64el/libjnidispatch.so = MIPS
    com/sun/jna/linux-loongarch64/libjnidispatch.so = Loong
    com/sun/jna/sunos-x86-64/libjnidispatch.so = x86-64
    com/sun/jna/sunos-sparcv9/libjnidispatch.so = SPARC V9
    com/sun/jna/dragonflybsd-x86-64/libjnidispatch.so = x86-64
    com/sun/jna/freebsd-x86/libjnidispatch.so = x86
    com/sun/jna/openbsd-x86-64/libjnidispatch.so = x86-64
""",
    "jansi 2.4.0": """
/lib/jansi-2.4.0.jar
    org/fusesource/jansi/internal/native/FreeBSD/x86_64/libjansi.so = x86-64
    org/fusesource/jansi/internal/native/Linux/arm/libjansi.so = ARM
    org/fusesource/jansi/internal/native/Linux/arm64/libjansi.so = AArch64
    org/fusesource/jansi/internal/native/Linux/ppc64/libjansi.so = PPC64LE
    org/fusesource/jansi/internal/native/Linux/x86/libjansi.so = x86
    org/fusesource/jansi/internal/native/Linux/x86_64/libjansi.so = x86-64
    org/fusesource/jansi/internal/native/Windows/x86_64/jansi.dll = PE
""",
    "jline 3.25.1": """
/lib/jline-3.25.1.jar
    org/jline/nativ/FreeBSD/x86/libjlinenative.so = x86
    org/jline/nativ/Linux/arm64/libjlinenative.so = AArch64
    org/jline/nativ/Linux/armv6/libjlinenative.so = ARM
    org/jline/nativ/Linux/x86_64/libjlinenative.so = x86-64
    org/jline/nativ/Windows/arm64/libjlinenative.so = PE
""",
    "epoll of Netty, a pair of JARs": """
/lib/netty-transport-native-epoll-4.1.127.Final-linux-x86_64.jar
    META-INF/native/libnetty_transport_native_epoll_x86_64.so = x86-64
/lib/netty-transport-native-epoll-4.1.127.Final-linux-aarch_64.jar
    META-INF/native/libnetty_transport_native_epoll_aarch_64.so = AArch64
/lib/netty-transport-native-epoll-4.1.127.Final-linux-riscv64.jar
    META-INF/native/libnetty_transport_native_epoll_riscv64.so = RISC-V
""",
    "netty-tcnative, a pair of JARs": """
/lib/netty-tcnative-boringssl-static-2.0.61.Final-linux-x86_64.jar
    META-INF/native/libnetty_tcnative_linux_x86_64.so = x86-64
/lib/netty-tcnative-boringssl-static-2.0.61.Final-linux-aarch_64.jar
    META-INF/native/libnetty_tcnative_linux_aarch_64.so = AArch64
""",
    "leveldbjni of OpenLab": """
/lib/leveldbjni-all-1.8.jar
    META-INF/native/linux32/libleveldbjni.so = x86
    META-INF/native/linux64/aarch64/libleveldbjni.so = AArch64
    META-INF/native/linux64/libleveldbjni.so = x86-64
    META-INF/native/osx/libleveldbjni.jnilib = Mach-O
    META-INF/native/windows64/leveldbjni.dll = PE
""",
    "commons-crypto 1.1.0": """
/lib/commons-crypto-1.1.0.jar
    org/apache/commons/crypto/native/Linux/aarch64/libcommons-crypto.so = AArch64
    org/apache/commons/crypto/native/Linux/armhf/libcommons-crypto.so = ARM
    org/apache/commons/crypto/native/Linux/x86_64/libcommons-crypto.so = x86-64
""",
    "hadoop-apache 3.3.5": """
/lib/hadoop-apache-3.3.5-3.jar
    nativelib/Linux-amd64/libhadoop.so = x86-64
    nativelib/Linux-aarch64/libhadoop.so = AArch64
""",
}

LACKING = {
    "leveldbjni 1.8": """
/lib/leveldbjni-all-1.8.jar
    META-INF/native/linux32/libleveldbjni.so = x86
    META-INF/native/linux64/libleveldbjni.so = x86-64
    META-INF/native/osx/libleveldbjni.jnilib = Mach-O
    META-INF/native/windows64/leveldbjni.dll = PE
libleveldbjni.so
""",
    "epoll of Netty in ZooKeeper": """
/lib/netty-transport-native-epoll-4.1.130.Final-linux-x86_64.jar
    META-INF/native/libnetty_transport_native_epoll_x86_64.so = x86-64
libnetty_transport_native_epoll.so
""",
    "conscrypt 2.5.2": """
/lib/conscrypt-openjdk-uber-2.5.2.jar
    META-INF/native/conscrypt_openjdk_jni-windows-x86_64.dll = PE
    META-INF/native/libconscrypt_openjdk_jni-linux-x86_64.so = x86-64
    META-INF/native/libconscrypt_openjdk_jni-osx-x86_64.dylib = Mach-O
libconscrypt_openjdk_jni.so
""",
    "jline 2.14.6, not helped by jansi's library of the same name": """
/lib/jline-2.14.6.jar
    META-INF/native/linux32/libjansi.so = x86
    META-INF/native/linux64/libjansi.so = x86-64
/lib/jansi-2.4.0.jar
    org/fusesource/jansi/internal/native/Linux/arm64/libjansi.so = AArch64
    org/fusesource/jansi/internal/native/Linux/x86_64/libjansi.so = x86-64
libjansi.so
""",
    "sigar in Druid": """
/lib/druid-processing-33.0.0.jar
    libsigar-amd64-freebsd-6.so = x86-64
    libsigar-amd64-linux.so = x86-64
    libsigar-amd64-solaris.so = x86-64
    libsigar-ia64-linux.so = IA-64
    libsigar-ppc-linux.so = PPC
    libsigar-ppc64-linux.so = PPC64
    libsigar-s390x-linux.so = S390
    libsigar-sparc64-solaris.so = SPARC V9
    libsigar-universal64-macosx.dylib = Mach-O
    libsigar-x86-linux.so = x86
    sigar-amd64-winnt.dll = PE
libsigar.so
""",
    "brotli4j in a NAR": """
/lib/nifi-standard-nar-2.3.0.nar
    META-INF/bundled-dependencies/native-linux-x86_64-1.18.0.jar!/lib/linux-x86_64/libbrotli.so = x86-64
libbrotli.so
""",
    "larray 0.4.1": """
/lib/larray-mmap-0.4.1.jar
    xerial/larray/native/Linux/i386/liblarray.so = x86
    xerial/larray/native/Linux/armhf/liblarray.so = ARM
    xerial/larray/native/Linux/arm/liblarray.so = ARM
    xerial/larray/native/Linux/amd64/liblarray.so = x86-64
    xerial/larray/native/Mac/x86_64/liblarray.jnilib = Mach-O
liblarray.so
""",
    "commons-crypto 1.0.0": """
/lib/commons-crypto-1.0.0.jar
    org/apache/commons/crypto/native/Linux/x86/libcommons-crypto.so = x86
    org/apache/commons/crypto/native/Linux/x86_64/libcommons-crypto.so = x86-64
libcommons-crypto.so
""",
}


@pytest.mark.parametrize("layout", COMPLETE.values(), ids=COMPLETE)
def test_complete(layout: str) -> None:
    """JARs, or pairs of JARs, with code for both platforms lack nothing on either."""
    assert lacking(layout) == []
    assert lacking(layout, AMD64) == []


@pytest.mark.parametrize("layout", LACKING.values(), ids=LACKING)
def test_lacking(layout: str) -> None:
    """JARs without code for arm64 lack one family there, and nothing on amd64."""
    *_, family = layout.split()

    assert lacking(layout.removesuffix(f"{family}\n")) == [family]
    assert lacking(layout.removesuffix(f"{family}\n"), AMD64) == []


@pytest.mark.parametrize("layout", [*COMPLETE.values(), *LACKING.values()], ids=[*COMPLETE, *LACKING])
def test_all_in_place(layout: str) -> None:
    """No library of these JARs is for another platform than its path says."""
    assert misplaced(natives(re.sub(r"\n\S+\n$", "\n", layout))) == []


def test_finding() -> None:
    """A finding names the first library, where it comes from, and the platforms that there are libraries for."""
    (finding,) = missing(natives(LACKING["sigar in Druid"].removesuffix("libsigar.so\n")), ARM64)

    assert finding.path == "/lib/druid-processing-33.0.0.jar!/libsigar-amd64-linux.so"
    assert finding.library == "org.x:x:1"
    assert finding.platforms == (
        "linux/amd64",
        "64-bit little-endian IA-64",
        "32-bit big-endian PowerPC",
        "64-bit big-endian PowerPC64",
        "linux/s390x",
        "32-bit little-endian x86",
    )


@pytest.mark.parametrize(
    ("amd64", "arm64", "families"),
    [
        ("/lib/x-linux-x86_64.jar", "/lib/x-linux-aarch_64.jar", 0),
        ("/lib/linux-x86_64/x.jar", "/lib/linux-aarch64/x.jar", 0),
        ("/plugin/a/x.jar", "/plugin/b/y.jar", 1),
        ("/lib/a.nar!/b/x.jar", "/lib/a.nar!/b/y.jar", 0),
        ("/lib/a.nar!/b/x.jar", "/lib/b.nar!/b/y.jar", 1),
        ("/lib/a.nar!/b/x.jar", "/lib/y.jar", 1),
    ],
)
def test_scope(amd64: str, arm64: str, families: int) -> None:
    """Twins are looked for in the same folder, be it in the image or in an archive, and for no other folder's JARs."""
    found = []
    for path, word, what in ((amd64, "x86_64", "x86-64"), (arm64, "aarch_64", "AArch64")):
        archive, _, within = path.partition("!/")
        inside = f"{within}!/" if within else ""
        found += natives(f"{archive}\n{inside}META-INF/native/libx_{word}.so = {what}\n")

    assert len(missing(found, ARM64)) == families


@pytest.mark.parametrize("what", ["PE", "Mach-O", "CUDA", "BPF"])
def test_no_concern(what: str) -> None:
    """Code for Windows and macOS alone is no concern, and what no CPU runs fits every platform."""
    assert lacking(f"/x.jar\nlib/x86_64/libx.so = {what}\n") == []


@pytest.mark.parametrize("system", ["freebsd", "freebsd32", "OpenBSD", "sunos", "Linux-Android", "aix"])
def test_other_systems(system: str) -> None:
    """ELF files for other systems are no concern, and are none of the platform's either."""
    foreign = f"/x.jar\nnative/{system}/aarch64/libx.so = AArch64\nnative/{system}/x86_64/libx.so = x86-64\n"

    assert lacking(foreign.replace("aarch64/libx.so = AArch64", "x86/libx.so = x86")) == []
    assert lacking(f"{foreign}native/linux/x86_64/libx.so = x86-64\n") == ["libx.so"]


def test_name_of_words_only() -> None:
    """A file whose name is an architecture and nothing else is shown by that name."""
    assert lacking("/x.jar\nbin/x86_64 = x86-64\n") == ["x86_64"]
    assert lacking("/x.jar\nbin/x86_64 = x86-64\nbin/aarch64 = AArch64\n") == []


def test_words_within_words() -> None:
    """An architecture that is part of another word is none."""
    assert lacking("/x.jar\nlibfarm.so = x86-64\nlibf.so = AArch64\n") == ["libfarm.so"]


def test_mixed_case() -> None:
    """The words are known in any case."""
    assert lacking("/x.jar\nLINUX-AMD64/libx.so = x86-64\nLinux-AArch64/libx.so = AArch64\n") == []


# --------------------------------------------------------------------------------------------------------- misplaced


@pytest.mark.parametrize(
    ("line", "platform"),
    [
        ("libx-aarch64.so = x86-64", "linux/arm64"),
        ("linux/amd64/libx.so = AArch64", "linux/amd64"),
        ("linux-x86-64/libx.so = x86", "linux/amd64"),
        ("META-INF/native/linux64/aarch64/libx.so = x86-64", "linux/arm64"),
        ("native/ppcle_64/libx.so = PPC64", "linux/ppc64le"),
        ("amd64.jar!/lib/Linux-ARM64/libx.so = RISC-V", "linux/arm64"),
        ("native/x64/libx.so = x86", "linux/amd64"),
    ],
)
def test_misplaced(line: str, platform: str) -> None:
    """A library for another platform than the last word of its path says is told, with the platform said."""
    ((archive, native, said),) = misplaced(natives(f"/x.jar\n{line}\n"))

    assert (archive, native.path, str(said)) == ("/x.jar", line.partition(" = ")[0], platform)


@pytest.mark.parametrize(
    "line",
    [
        "libx-aarch64.so = AArch64",
        "amd64/fallback/aarch64/libx.so = AArch64",
        "linux64/libx.so = AArch64",
        "ppc64/libx.so = PPC64LE",
        "arm/libx.so = AArch64",
        "aarch64.jar!/libx.so = x86-64",
        "aarch64/probe.o = BPF",
        "amd64/x.dll = PE",
        "libalarm64.so = x86-64",
    ],
)
def test_in_place(line: str) -> None:
    """What is right, says nothing that one can rely on, or belongs to every platform is not told."""
    assert misplaced(natives(f"/x.jar\n{line}\n")) == []


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.oci)
def test_all_names(row: object) -> None:
    """Every community's name of a platform, but for ambiguous ones, is known in a path."""
    names = (row.uname, row.debian, row.maven, row.rust, row.oci.replace("/", "-"))  # type: ignore[attr-defined]
    wrong = "x86" if row.oci != "linux/386" else "x86-64"  # type: ignore[attr-defined]
    for name in names:
        if not name.endswith("arm-v7"):
            assert len(misplaced(natives(f"/x.jar\nlib/{name}/libx.so = {wrong}\n"))) == 1


@given(st.lists(st.tuples(st.text(max_size=30), st.text(max_size=60), st.sampled_from([*ELF, "PE"])), max_size=5))
def test_any_names(found: list[tuple[str, str, str]]) -> None:
    """Names of any kind raise nothing."""
    made = [(archive, Native(path=path, header=header(what), format="", library="")) for archive, path, what in found]

    assert len(missing(made, ARM64)) <= len(made)
    assert len(misplaced(made)) <= len(made)
