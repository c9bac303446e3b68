"""Facts about images that are made to do harm: they are refused or found, in bounded time, and nothing is written."""

from __future__ import annotations

import io
import itertools
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archway.errors import VerifyError
from archway.verify import Budget, Limits, Report, check_archive, open_archive
from archway.verify.dynamic import Dynamic
from archway.verify.scan import scan
from archway.verify.tar import Stream, members
from tests.unit.archives import (
    AMD64,
    ARM64,
    Entry,
    Made,
    blob_entry,
    block,
    describe,
    docker,
    elf,
    entry,
    folder,
    hard_link,
    layout,
    oci,
    oci_list,
    removed,
    sha256,
    symlink,
    tar,
    to_json,
)
from tests.unit.elves import Elf, written
from tests.unit.proofs import ARM64_PLATFORM, found, linked, packed, report

LOADER = "/lib/ld-linux-aarch64.so.1"
LONG = 20.0
"""Seconds that no image here may take: a hundred times as long as one does."""


@pytest.fixture(autouse=True)
def _writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is written in the working directory, beside it, or in the folder for temporary files."""
    outside, inside, temporary = (tmp_path / name for name in ("outside", "outside/inside", "temporary"))
    for path in (outside, inside, temporary):
        path.mkdir()
    monkeypatch.chdir(inside)
    monkeypatch.setenv("TMPDIR", str(temporary))
    before = sorted(tmp_path.rglob("*")), sorted(Path("/").iterdir())
    start = time.monotonic()
    yield

    assert before == (sorted(tmp_path.rglob("*")), sorted(Path("/").iterdir()))
    assert time.monotonic() - start < LONG


def check(data: bytes, limits: Limits | None = None) -> Report:
    return check_archive(io.BytesIO(data), ARM64_PLATFORM, limits=limits)


# --------------------------------------------------------------------------------------------------------------- paths


@pytest.mark.parametrize("path", ["../../evil", "/evil", "a/../../../evil", "./evil", "//evil", "..//evil"])
def test_way_out(path: str) -> None:
    """A path that leads out of the image leads to its root, as for engines."""
    assert [it[1] for it in found(tar(entry(path, elf(AMD64))))] == ["/evil"]
    assert [it[1] for it in found(tar(entry("x", elf(AMD64)), hard_link(path, "../../x")))] == ["/x", "/evil"]


@pytest.mark.parametrize("path", ["a/" * 3000 + "x", "x" * 5000, "../" * 2000 + "x"])
def test_long_path(path: str) -> None:
    """A path that no file system takes is refused; one that is short in truth is not."""
    if path.startswith(".."):
        assert [it[1] for it in found(tar(entry(path, elf(AMD64))))] == ["/x"]
    else:
        with pytest.raises(VerifyError, match="no file system takes it"):
            report(tar(entry(path)))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_device_named_like_a_program(kind: bytes) -> None:
    """Devices and pipes are no files, whatever they are called: no interpreter and no library either."""
    script = entry("x", b"#!/bin/sh\n", mode=0o755)
    program = entry("y", linked(interpreter=LOADER, needed=["libx.so"]))
    devices = [entry(path, kind=kind) for path in ("bin/sh", "lib/libx.so", LOADER)]

    assert [it[0] for it in found(tar(script, program, *devices))] == [
        "elf-interpreter",
        "elf-needed",
        "script-interpreter",
    ]


@pytest.mark.parametrize("kind", [b"7", b"A", b"\0", b"V", b"M"])
def test_unknown_kind(kind: bytes) -> None:
    """An entry of a kind that no standard knows is a file: no program hides in one."""
    layer = block(b"x", kind=kind, size=64) + elf(AMD64).ljust(512, b"\0") + bytes(1024)

    assert [it[:2] for it in found(layer)] == [("elf-machine", "/x")]


# ------------------------------------------------------------------------------------------------------- links


def test_circles_of_links() -> None:
    """Links in a circle lead nowhere, wherever a loader or a kernel meets them."""
    layer = tar(
        entry("usr/bin/tool", linked(interpreter=LOADER, needed=["libx.so"], runpath=["/a", "/a/../b/c"])),
        entry("usr/bin/run", b"#!/a/b\n", mode=0o755),
        symlink("a", "b"),
        symlink("b", "a"),
        symlink("lib", "/lib"),
        symlink("usr/lib", "lib"),
        symlink("lib64", "lib64/lib64"),
        symlink("etc", "."),
    )

    assert [it[0] for it in found(layer)] == ["elf-interpreter", "elf-needed", "script-interpreter"]


def test_chain_of_links() -> None:
    """Forty links in a row are followed, as by the kernel, and no more."""
    for number, rules in ((39, []), (41, ["script-interpreter"])):
        chain = [symlink(f"l{at}", f"l{at + 1}") for at in range(number)]
        layer = tar(entry("x", b"#!/l0\n", mode=0o755), *chain, entry(f"l{number}", elf(ARM64)))

        assert rules == [it[0] for it in found(layer)]


def test_links_that_unfold() -> None:
    """Links whose targets grow each other are followed a while and then not."""
    links = [symlink(f"l{at}", f"l{at + 1}/" * 200 + "x") for at in range(38)]
    many = [symlink(f"m/{at}", "/l0/l0/l0") for at in range(5000)]

    assert found(tar(entry("x"), *links, *many)) == []


def test_hard_links_in_a_circle() -> None:
    """Hard links in a circle are lost."""
    assert {it[0] for it in found(tar(hard_link("a", "b"), hard_link("b", "a")), tar(hard_link("b", "a")))} == {
        "link-lost"
    }


# ------------------------------------------------------------------------------------------------------------ programs


def test_program_cut_anywhere() -> None:
    """A program that ends anywhere is a finding or none, and never an error."""
    whole = linked(
        interpreter=LOADER,
        soname="x",
        needed=["liby.so"],
        required=[("liby.so", "Y_1")],
        defined=["X_1"],
        runpath=["/x"],
    )
    entries = [entry(f"opt/{size}", whole[:size]) for size in range(len(whole) + 1)]
    rules = {(it[0], int(it[1].rpartition("/")[2])) for it in found(tar(*entries))}

    assert {("elf-truncated", size) for size in range(4, len(whole) - 20)} <= rules
    assert ("elf-truncated", len(whole)) not in rules
    assert {("elf-interpreter", len(whole)), ("elf-needed", len(whole))} <= rules


def test_very_many_libraries() -> None:
    """A program that wants a hundred thousand libraries, in thousands of folders, is read as far as any is."""
    names = [f"l{number}" for number in range(100_000)]
    folders = tuple(f"/{number}" for number in range(9_000))
    data = written(Elf(machine=ARM64, is_=Dynamic(interpreter=LOADER, needed=tuple(names), runpath=folders)))
    many = linked(needed=names[:4000], runpath=folders)
    there = [entry(f"opt/{name}", linked(soname=name)) for name in names[:4000]]
    findings = found(tar(entry(LOADER, elf(ARM64)), entry("usr/bin/x", data), entry("usr/bin/y", many), *there))

    assert {it[0] for it in findings} == {"elf-truncated"}


def test_very_many_versions() -> None:
    """So is one that wants tens of thousands of versions of a library that has as many others."""
    versions = [f"A_{number}" for number in range(30_000)]
    wanting = linked(needed=["libx.so"], required=[("libx.so", f"B_{version}") for version in versions])
    library = linked(soname="libx.so", defined=versions)

    assert [it[0] for it in found(tar(entry("lib/x", wanting), entry("lib/libx.so", library)))] == ["elf-version"]


def test_very_long_versions() -> None:
    """A library's long name counts for each version wanted of it: a small file cannot fill the memory of a scan."""
    pairs = [("l" * 4000, str(number)) for number in range(60_000)]
    data = linked(interpreter=LOADER, needed=["l" * 4000], required=pairs)

    assert len(data) < 3 << 20
    with pytest.raises(VerifyError, match="more bytes of names and documents"):
        report(tar(entry("x", data)))


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (linked(interpreter="/" + "x" * 4000), 4000),
        (linked(soname="x" * 4000), 4000),
        (linked(needed=["x" * 4000]), 4000),
        (linked(required=[("x", "v" * 4000)]), 4000),
        (linked(required=[("l" * 4000, "1"), ("l" * 4000, "2")]), 8000),
        (b"#!/" + b"x" * 300, 250),
        (packed((f"{'x' * 4000}.so", elf(AMD64))), 4000),
        (packed(("x.so", elf(AMD64)), ("META-INF/maven/g/a/pom.properties", b"groupId=" + b"g" * 200)), 200),
    ],
)
def test_all_texts_count(data: bytes, size: int) -> None:
    """Every text that is kept of a file counts against the limits, when it is read and when it was kept."""
    layer = oci(Made(layers=[tar(entry("x", data))], platform="linux/arm64"))
    with open_archive(io.BytesIO(layer)) as archive:
        (image,) = archive.images()
        made = scan(image.layers[0], Budget(Limits(), where="test"))

        with pytest.raises(VerifyError, match="more bytes of names"):
            scan(image.layers[0], Budget(Limits(names=size), where="test"))
    with pytest.raises(VerifyError, match="more bytes of names"):
        made.spend(Budget(Limits(names=size), where="test"))
    made.spend(Budget(Limits(names=size + 500), where="test"))


def test_very_long_numbers() -> None:
    """Versions that are no numbers, or endless ones, are compared all the same."""
    wanting = linked(
        needed=["libx.so"], required=[("libx.so", f"X_{text}") for text in ("9" * 4000, "²", "", "1..2", "x")]
    )

    assert len(found(tar(entry("x", wanting), entry("libx.so", linked(soname="libx.so", defined=["X_1"]))))) == 1


def test_many_folders_of_the_loader() -> None:
    """Folders that the loader's configuration names by the thousand cost little."""
    places = "\n".join(" ".join(f"/{line}/{at}" for at in range(30)) for line in range(190)).encode()
    configuration = [entry(f"etc/ld.so.conf.d/{number}", places) for number in range(200)]
    programs = [entry(f"opt/{number}", linked(needed=[f"l{at}" for at in range(200)])) for number in range(50)]
    there = [entry(f"srv/l{at}", linked(soname=f"l{at}")) for at in range(200)]

    assert found(tar(*configuration, *programs, *there)) == []


def test_many_words_of_architectures() -> None:
    """A path of nothing but words of architectures is looked at a few times and then not."""
    path = "/".join(["x64", "amd64", "x86_64"] * 80)
    entries = [entry(f"{path}/{number}", elf(AMD64)) for number in range(300)]

    assert len(found(tar(*entries))) == 300


# ------------------------------------------------------------------------------------------------------------ archives


def test_nested_archives() -> None:
    """A JAR that is nested 50 deep is looked into as far as any is."""
    data = packed(("x.so", elf(AMD64)))
    for _ in range(50):
        data = packed(("x.jar", data))

    assert [it[0] for it in found(tar(entry("x.jar", data)))] == ["archive-unread"]


def test_zip_bomb() -> None:
    """An archive that unpacks to very much is found as one that is not read, or costs little."""
    zeros = packed(("zeros.jar", b"PK\3\4" + bytes(64 << 20)))
    bomb = packed(*((f"{number}.jar", zeros) for number in range(8)))

    assert {it[0] for it in found(tar(entry("bomb.jar", bomb)))} == {"archive-unread"}


def test_damaged_zip() -> None:
    """An archive cut anywhere, or with any byte changed, is a finding or none."""
    whole = packed(("linux/aarch64/x.so", elf(ARM64)), ("META-INF/MANIFEST.MF", b"Bundle-SymbolicName: x\n" * 3))
    cut = [entry(f"cut/{size}.jar", whole[:size]) for size in range(len(whole))]
    odd = [entry(f"odd/{at}.jar", whole[:at] + b"\xff" + whole[at + 1 :]) for at in range(len(whole))]
    rules = {it[0] for it in found(tar(*cut, *odd))}

    assert rules <= {"archive-unread", "native-missing", "native-misplaced", "elf-truncated"}
    assert "archive-unread" in rules


def test_key_stores_in_each_other() -> None:
    """A key store whose certificates claim all of the rest is read once."""
    store = b"\xfe\xed\xfe\xed" + b"".join(b"\0\5X.509" + (8 << 20).to_bytes(4, "big") for _ in range(1_000_000))

    assert found(tar(entry("x", store))) == []


def test_endless_first_line() -> None:
    """A script whose first line is endless is read as far as the kernel would."""
    (finding,) = found(tar(entry("x", b"#!/" + b"x" * 1_000_000, mode=0o755)))

    assert finding[3] == "/" + "x" * 253


# ------------------------------------------------------------------------------------------------- the image archive


def test_index_that_names_itself() -> None:
    """An index that is named by what it names is read once; one that claims to be another is refused."""
    (made,) = [list(Made(layers=[tar(entry("x"))], platform="linux/arm64").blobs())]
    inner = to_json({"schemaVersion": 2, "manifests": [describe(made[-1])]})
    outer = to_json({"schemaVersion": 2, "manifests": [describe(inner)] * 100})
    data = layout([describe(outer), describe(inner), describe(outer)], [*made, inner, outer])

    assert check(data).files == 1

    itself = to_json({"schemaVersion": 2, "manifests": [{"digest": f"sha256:{'0' * 64}", "mediaType": "x", "size": 1}]})
    false = tar(entry("index.json", itself), entry(f"blobs/sha256/{'0' * 64}", itself))

    with pytest.raises(VerifyError, match="the data is not what its digest says"):
        check(false)


def test_wrong_digests() -> None:
    """A layer, a configuration or a manifest that is not what its digest says is refused."""
    image = Made(layers=[tar(entry("x"))], platform="linux/arm64", pack=bytes)
    for blob in image.blobs():
        changed = blob.replace(b"x", b"y", 1) if b"x" in blob else blob[:-1] + b"!"
        others = [blob_entry(other) for other in image.blobs() if other != blob]
        index = to_json({"schemaVersion": 2, "manifests": [describe(list(image.blobs())[-1])]})
        data = tar(*others, entry(f"blobs/sha256/{sha256(blob)[7:]}", changed), entry("index.json", index))

        with pytest.raises(VerifyError, match=r"digest|checksum"):
            check(data)


def test_links_in_the_archive() -> None:
    """Links of the archive itself in a circle, or out of it, lead to nothing."""
    data = docker(Made(layers=[tar(entry("x"))], platform="linux/arm64"))
    loop = tar(symlink("index.json", "index.json"))
    out = tar(symlink("index.json", "../../../../etc/passwd"))

    assert check(data).ok
    for wrong in (loop, out):
        with pytest.raises(VerifyError, match="is not in the archive"):
            check(wrong)


def test_endless_tar() -> None:
    """A layer that never ends is refused when the limit is reached."""
    header = block(b"x", size=512) + bytes(512)
    for pieces in (itertools.repeat(header), itertools.chain([bytes(1024)], itertools.repeat(bytes(1 << 16)))):
        budget = Budget(Limits(data=64 << 20), where="test")

        with pytest.raises(VerifyError, match="more bytes of data than is read of any archive"):
            list(members(Stream(pieces, where="test", budget=budget)))


def test_packed_zeros() -> None:
    """A small layer that unpacks to very much is refused."""
    bomb = Made(layers=[tar(entry("x", bytes(64 << 20)))], platform="linux/arm64")

    with pytest.raises(VerifyError, match="more bytes of data"):
        check(oci(bomb), Limits(data=32 << 20))


def test_many_layers() -> None:
    """Tens of thousands of layers that are not there are refused in little time."""
    layers = [{"digest": f"sha256:{number:064x}", "mediaType": "x", "size": 1} for number in range(30_000)]
    config = to_json({"os": "linux", "architecture": "arm64", "rootfs": {"diff_ids": [it["digest"] for it in layers]}})
    manifest = to_json({"schemaVersion": 2, "config": describe(config), "layers": layers})

    with pytest.raises(VerifyError, match=r"is not in the archive|larger than"):
        check(layout([describe(manifest)], [config, manifest]))


# ------------------------------------------------------------------------------------------------------------- fuzzing


LAYER: list[Entry] = [
    folder("bin"),
    entry("bin/sh", linked(interpreter=LOADER, needed=["libx.so"], runpath=["$ORIGIN"], required=[("libx.so", "X_1")])),
    entry("lib/libx.so", linked(soname="libx.so", defined=["X_1"])),
    symlink("bin/x", "sh"),
    hard_link("bin/y", "bin/sh"),
    entry("opt/x.jar", packed(("linux/aarch64/x.so", elf(ARM64)), ("y.jar", packed(("z.txt", b"text"))))),
    entry("x/a.dist-info/WHEEL", b"Tag: py3-none-any\n"),
    entry("etc/ld.so.conf", b"/opt\n"),
    entry("run", b"#!/usr/bin/env sh\n", mode=0o755),
    entry("etc/ssl/certs/java/cacerts", b"\xfe\xed\xfe\xed\0\0\0\2\0\5X.509\0\0\0\1x"),
]
MADE = Made(layers=[tar(*LAYER), tar(removed("run"))], platform="linux/arm64", described="linux/arm64", pack=bytes)
WRITERS: list[Callable[[Made], bytes]] = [oci, oci_list, docker]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_archive(data: st.DataObject) -> None:
    """An image archive with any bytes changed, taken out or repeated is refused, or there is a report."""
    whole = bytearray(data.draw(st.sampled_from(WRITERS))(MADE))
    for at in data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=4)):
        match data.draw(st.sampled_from(["change", "cut", "repeat", "end"])):
            case "change":
                whole[at : at + 1] = data.draw(st.binary(min_size=1, max_size=4))
            case "cut":
                del whole[at : at + 512]
            case "repeat":
                whole[at:at] = whole[at : at + 512]
            case _:
                del whole[len(whole) - at // 8 :]
    try:
        made = check(bytes(whole))
    except VerifyError:
        return

    assert made.text().isprintable() or "\n" in made.text()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_layer(data: st.DataObject) -> None:
    """So is one whose layer has other bytes, and whose digests are those of that layer."""
    layer = bytearray(tar(*LAYER))
    for at in data.draw(st.lists(st.integers(0, len(layer) - 1), min_size=1, max_size=6)):
        layer[at] = data.draw(st.integers(0, 255))
    try:
        made = report(bytes(layer))
    except VerifyError:
        return

    assert all(it.isprintable() for finding in made.findings for it in (finding.path, finding.found, finding.expected))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_file(data: st.DataObject) -> None:
    """So is one whose files hold other bytes, in a layer that is right."""
    entries: list[Entry] = []
    for info, content in LAYER:
        changed = bytearray(content)
        for at in data.draw(st.lists(st.integers(0, len(content)), max_size=3)) if content else []:
            changed[at : at + 1] = data.draw(st.binary(max_size=3))
        entries.append(entry(info.name, bytes(changed), kind=info.type, link=info.linkname, mode=info.mode))
    made = report(tar(*entries))

    assert all(it.isprintable() for finding in made.findings for it in (finding.path, finding.found, finding.expected))
