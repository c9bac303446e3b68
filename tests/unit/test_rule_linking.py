"""Facts about the rules on what the dynamic loader looks for."""

from __future__ import annotations

import pytest

from tests.unit.archives import AMD64, ARM64, Entry, elf, entry, symlink, tar
from tests.unit.proofs import Found, found, linked

LOADER = "/lib/ld-linux-aarch64.so.1"
MUSL = "/lib/ld-musl-aarch64.so.1"
LOADED = entry(LOADER, elf(ARM64))
LIBRARY = linked(soname="libx.so.1")


def tool(*needed: str, runpath: tuple[str, ...] = (), path: str = "usr/bin/tool") -> Entry:
    return entry(path, linked(interpreter=LOADER, needed=needed, runpath=runpath), mode=0o755)


def missing(what: str = "none in the image", *, path: str = "/usr/bin/tool", name: str = "libx.so.1") -> list[Found]:
    return [("elf-needed", path, what, name)]


def search(*entries: Entry, env: tuple[str, ...] = ()) -> list[Found]:
    """What is found of a program that needs libx.so.1."""
    return found(tar(LOADED, tool("libx.so.1"), *entries), env=env)


# ------------------------------------------------------------------------------------------------------- the loader


def test_missing_loader_is_found() -> None:
    """A glibc program in a musl image is found: its loader is not there."""
    layer = tar(tool(), entry(MUSL, elf(ARM64)), entry("bin/x", linked(interpreter=MUSL)))

    assert found(layer) == [("elf-interpreter", "/usr/bin/tool", "none in the image", LOADER)]


def test_foreign_loader_is_found() -> None:
    """A loader of another platform does not start a program."""
    header = "64-bit little-endian x86-64"

    assert found(tar(tool(), entry(LOADER, elf(AMD64)))) == [
        ("elf-machine", LOADER, f"{header} shared object", "64-bit little-endian AArch64"),
        ("elf-interpreter", "/usr/bin/tool", f"{LOADER}, a {header} shared object", "64-bit little-endian AArch64"),
    ]


def test_loader_that_is_no_program() -> None:
    """A text in the loader's place does not start a program either."""
    assert found(tar(tool(), entry(LOADER, b"text"))) == [
        ("elf-interpreter", "/usr/bin/tool", f"{LOADER}, which is no program", "64-bit little-endian AArch64")
    ]


@pytest.mark.parametrize(
    "entries",
    [
        [LOADED],
        [symlink("lib", "usr/lib"), entry("usr/lib/ld-linux-aarch64.so.1", elf(ARM64))],
        [symlink(LOADER, "/opt/ld.so"), entry("opt/ld.so", elf(ARM64))],
        [symlink(LOADER, "../opt/../opt/ld.so"), entry("opt/ld.so", elf(ARM64))],
    ],
)
def test_loader_is_found_through_links(entries: list[Entry]) -> None:
    """The loader may lie behind links, as a kernel follows them."""
    assert found(tar(tool(), *entries)) == []


def test_loader_in_a_circle() -> None:
    """Links in a circle lead to no loader."""
    layer = tar(tool(), symlink(LOADER, "b"), symlink("lib/b", "ld-linux-aarch64.so.1"))

    assert found(layer) == [("elf-interpreter", "/usr/bin/tool", "none in the image", LOADER)]


def test_loader_without_a_full_path() -> None:
    """A loader that is looked for from the working directory is nowhere."""
    layer = tar(entry("a/tool", linked(interpreter="ld.so")), entry("a/ld.so", elf(ARM64)))

    assert found(layer) == [("elf-interpreter", "/a/tool", "none in the image", "ld.so")]


# ---------------------------------------------------------------------------------------------------------- libraries


def test_missing_library_is_found() -> None:
    """A program whose library is not there is found, once for each library."""
    layer = tar(LOADED, tool("libssl.so.3", "libssl.so.3", "libz.so.1"))

    assert found(layer) == missing(name="libssl.so.3") + missing(name="libz.so.1")


@pytest.mark.parametrize("folder", ["lib", "usr/lib", "usr/lib/aarch64-linux-gnu", "lib64", "usr/local/lib"])
def test_library_in_the_system_is_fine(folder: str) -> None:
    """A library is found in the folders that every loader knows."""
    assert search(entry(f"{folder}/libx.so.1", LIBRARY)) == []


def test_library_elsewhere_is_found() -> None:
    """A library where the loader does not look is as good as none, to a program in PATH."""
    assert search(entry("opt/libx.so.1", LIBRARY)) == missing("/opt/libx.so.1, where the loader does not look")


def test_library_by_its_own_name() -> None:
    """A library whose file has another name than the one that is wanted is not found by the loader."""
    assert search(entry("usr/lib/libx-1.2.so", LIBRARY)) == missing()


def test_own_name_of_a_library_is_no_file() -> None:
    """Also a program outside of PATH finds no library that only calls itself by the name."""
    program = tool("libx.so.1", path="opt/x/tool")

    assert found(tar(LOADED, program, entry("opt/y/libother.so", LIBRARY))) == missing(path="/opt/x/tool")
    assert found(tar(LOADED, program, entry("opt/y/libx.so.1", linked(soname="libother.so")))) == []


def test_library_of_another_machine_is_found() -> None:
    """A foreign library does not count, and is named."""
    header = "64-bit little-endian x86-64 shared object"
    foreign = entry("usr/lib/x86_64-linux-gnu/libx.so.1", linked(AMD64, soname="libx.so.1"))

    assert search(foreign)[1:] == missing(f"/usr/lib/x86_64-linux-gnu/libx.so.1, a {header}")
    assert search(foreign, entry("usr/lib/libx.so.1", LIBRARY))[1:] == []


@pytest.mark.parametrize("origin", ["$ORIGIN/../opt/x", "${ORIGIN}/../opt/x", "/usr/opt/x"])
def test_library_by_runpath(origin: str) -> None:
    """The program's own search path counts, from the folder that it lies in."""
    layer = (LOADED, tool("libx.so.1", runpath=(origin,)))

    assert found(tar(*layer, entry("usr/opt/x/libx.so.1", LIBRARY))) == []
    assert found(tar(*layer)) == missing()


def test_origin_behind_a_link() -> None:
    """$ORIGIN is the folder that the program really lies in."""
    program = tool("libx.so.1", runpath=("$ORIGIN/../lib2",), path="opt/tool/bin/tool")
    link = symlink("usr/bin/tool", "/opt/tool/bin/tool")

    assert found(tar(LOADED, program, link, entry("opt/tool/lib2/libx.so.1", LIBRARY))) == []


@pytest.mark.parametrize("path", ["etc/ld.so.conf", "etc/ld.so.conf.d/x.conf", "etc/ld-musl-aarch64.path"])
def test_library_by_configuration(path: str) -> None:
    """The loader's configuration adds folders, and a comment in it does not."""
    library = entry("opt/x/libx.so.1", LIBRARY)

    assert search(library, entry(path, b"/opt/y\n/opt/x\n")) == []
    assert search(library, entry(path, b"# /opt/x\n")) == missing("/opt/x/libx.so.1, where the loader does not look")


def test_library_by_environment() -> None:
    """LD_LIBRARY_PATH of the image's configuration adds folders."""
    library = entry("opt/x/libx.so.1", LIBRARY)

    assert search(library, env=("LD_LIBRARY_PATH=/opt/y:/opt/x",)) == []
    assert search(library, env=("LD_LIBRARY_PATH=/opt/y:x",)) != []


def test_library_behind_links() -> None:
    """The folder of libraries, and a library's name, may be links."""
    linked_folder = (
        symlink("lib2", "opt/x"),
        entry("opt/x/libx.so.1.2", LIBRARY),
        symlink("opt/x/libx.so.1", "libx.so.1.2"),
    )

    assert search(*linked_folder, env=("LD_LIBRARY_PATH=/lib2",)) == []
    assert search(symlink("usr/lib/libx.so.1", "libx.so.1")) == missing()


def test_private_program() -> None:
    """A program outside of PATH is started by scripts that may say where its libraries are: anywhere is fine."""
    layer = (LOADED, tool("libx.so.1", path="opt/tool/tool"))

    assert found(tar(*layer, entry("srv/libx.so.1", LIBRARY))) == []
    assert found(tar(*layer)) == missing(path="/opt/tool/tool")


def test_path_of_the_image() -> None:
    """What is a command is told by the image's own PATH."""
    layer = tar(LOADED, tool("libx.so.1", path="opt/tool/tool"), entry("srv/libx.so.1", LIBRARY))

    assert found(layer, env=("PATH=/opt/tool:/bin",)) == missing(
        "/srv/libx.so.1, where the loader does not look", path="/opt/tool/tool"
    )


def test_library_of_a_library() -> None:
    """What a library needs is looked for as well."""
    library = entry("usr/lib/liby.so", linked(soname="liby.so", needed=("libx.so.1",)))

    assert found(tar(library)) == missing(path="/usr/lib/liby.so")
    assert found(tar(library, entry("usr/lib/libx.so.1", LIBRARY))) == []


def test_library_by_full_path() -> None:
    """A library that is wanted by its path is looked for there alone."""
    layer = (LOADED, tool("/opt/libx.so.1"), entry("usr/lib/libx.so.1", LIBRARY))

    assert found(tar(*layer)) == missing("/usr/lib/libx.so.1, where the loader does not look", name="/opt/libx.so.1")
    assert found(tar(*layer, entry("opt/libx.so.1", LIBRARY))) == []
    assert len(found(tar(*layer, entry("opt/libx.so.1", b"text")))) == 1


def test_many_missing_libraries() -> None:
    """Of very many missing libraries of one file the first are named, and the others counted."""
    findings = found(tar(LOADED, tool(*(f"lib{number:02}.so" for number in range(33)))))

    assert [it[3] for it in findings[:20]] == [f"lib{number:02}.so" for number in range(20)]
    assert findings[20:] == [("elf-needed", "/usr/bin/tool", "13 findings more", "the libraries that it needs")]


GLIBC, MUSL_LIBC = entry("usr/lib/libc.so.6", elf(ARM64)), entry("lib/libc.musl-aarch64.so.1", elf(ARM64))


def prebuilt(path: str, libc: str) -> Entry:
    return entry(path, linked(needed=(libc,)))


@pytest.mark.parametrize("folder", ["app/node_modules/x/prebuilds/linux-arm64", "usr/lib/node_modules/x"])
def test_library_for_another_libc_is_fine(folder: str) -> None:
    """A package's library for the C library that is not there is fine beside one for that which is."""
    both = (
        prebuilt(f"{folder}/x.glibc.node", "libc.so.6"),
        prebuilt(f"{folder}/x.musl.node", "libc.musl-aarch64.so.1"),
    )

    assert found(tar(GLIBC, *both)) == []
    assert found(tar(MUSL_LIBC, *both)) == []
    assert {it[1] for it in found(tar(*both))} == {f"/{folder}/x.glibc.node", f"/{folder}/x.musl.node"}


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("app/x/x.node", "app/y/x.node"), ("usr/lib/libx.so", "usr/lib/liby.so"), ("lib/libx.so", "lib/liby.so")],
)
def test_library_for_another_libc_is_found(theirs: str, ours: str) -> None:
    """It is found in another folder, and always in the folders of the system; a program is found anywhere."""
    name = "libc.musl-aarch64.so.1"
    program = entry("app/tool", linked(interpreter=LOADER, needed=(name,)))

    assert found(tar(GLIBC, prebuilt(theirs, name), prebuilt(ours, "libc.so.6"))) == missing(
        path=f"/{theirs}", name=name
    )
    assert found(tar(LOADED, GLIBC, program, prebuilt("app/x.node", "libc.so.6"))) == missing(
        path="/app/tool", name=name
    )


@pytest.mark.parametrize("first", [True, False])
def test_long_chain_of_links(first: bool) -> None:
    """Through more than 40 links nothing is found; the last of them work, also after the first was tried."""
    links = [symlink(f"opt/l{number:03}", f"l{number + 1:03}") for number in range(300)]
    wanted = ("/opt/l000", "/opt/l290") if first else ("/opt/l290", "/opt/l000")
    layer = (LOADED, tool(*wanted), *links, entry("opt/l300", LIBRARY))

    assert found(tar(*layer)) == missing(name="/opt/l000")


def test_names_without_text() -> None:
    """The names that a file gives are printed escaped."""
    layer = tar(LOADED, tool("lib\udcff\x1b.so"))

    assert found(layer) == missing(name="lib\\xff\\x1b.so")


# ----------------------------------------------------------------------------------------------------------- versions


def versions(
    *wanted: str, weak: tuple[str, ...] = (), defined: tuple[str, ...] = ("GLIBC_2.17", "GLIBC_2.4")
) -> list[Found]:
    program = linked(
        interpreter=LOADER,
        needed=("libc.so.6",),
        required=[("libc.so.6", version) for version in wanted],
        weak=[("libc.so.6", version) for version in weak],
    )
    library = linked(soname="libc.so.6", defined=defined)
    return found(tar(LOADED, entry("usr/bin/tool", program), entry("usr/lib/libc.so.6", library)))


def test_old_library_is_found() -> None:
    """A program that wants a version that its library does not have is found: the newest one, compared as numbers."""
    assert versions("GLIBC_2.17", "GLIBC_2.38", "GLIBC_2.5") == [
        ("elf-version", "/usr/bin/tool", "/usr/lib/libc.so.6 with GLIBC_2.17", "GLIBC_2.38 of libc.so.6")
    ]


def test_versions_that_are_fine() -> None:
    """Versions that are there, those that may be missing, and a library without any are fine."""
    assert versions("GLIBC_2.17", "GLIBC_2.4") == []
    assert versions("GLIBC_2.17", weak=("GLIBC_2.38",)) == []
    assert versions("GLIBC_2.38", defined=()) == []
    assert versions() == []


def test_version_of_another_kind() -> None:
    """Versions are compared with those of their own kind."""
    assert versions("GLIBC_PRIVATE") == [
        ("elf-version", "/usr/bin/tool", "/usr/lib/libc.so.6 with GLIBC_2.17", "GLIBC_PRIVATE of libc.so.6")
    ]
    assert versions("CXXABI_1.3") == [
        ("elf-version", "/usr/bin/tool", "/usr/lib/libc.so.6 with none", "CXXABI_1.3 of libc.so.6")
    ]


def test_many_versions_of_many_libraries() -> None:
    """A library's versions are read once, however many programs and names lead to it."""
    names = [f"lib{number}.so" for number in range(60)]
    program = linked(interpreter=LOADER, needed=names, required=[(name, "X_9") for name in names])
    library = entry("usr/lib/lib0.so", linked(defined=[f"X_{number}.1" for number in range(2000)]))
    links = [symlink(f"usr/lib/{name}", "lib0.so") for name in names[1:]]
    findings = found(tar(LOADED, entry("usr/bin/tool", program), library, *links))

    assert findings[0] == ("elf-version", "/usr/bin/tool", "/usr/lib/lib0.so with X_1999.1", "X_9 of lib0.so")
    assert findings[20:] == [("elf-version", "/usr/bin/tool", "40 findings more", "the libraries that it needs")]
