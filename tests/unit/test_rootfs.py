"""Facts about laying layers over each other."""

from __future__ import annotations

import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archway.verify import Budget, File, Limits, Scan, flatten, printable, read_header
from archway.verify.content import NOTHING
from archway.verify.scan import scan
from tests.unit import archives
from tests.unit.archives import (
    AMD64,
    ARM64,
    END,
    FakeLayer,
    block,
    elf,
    emptied,
    entry,
    files,
    folder,
    hard_link,
    padded,
    paths,
    removed,
    symlink,
    tar,
)  # fmt: skip

BUDGET = Budget(Limits(), where="test")


def scanned(layer: bytes, name: str = "") -> Scan:
    return scan(FakeLayer(name=name, data=layer, budget=BUDGET), BUDGET)


def test_one_layer() -> None:
    """Regular files are given once, with size, mode, layer and what they are; no folder and no device is."""
    layer = tar(
        folder("usr"),
        entry("usr/a", elf(ARM64, size=100), mode=0o4755),
        entry("usr/empty"),
        symlink("usr/link", "a"),
        entry("usr/pipe", kind=tarfile.FIFOTYPE),
        entry("usr/device", kind=tarfile.CHRTYPE),
    )
    first, second = files(layer)

    assert (first.path, first.size, first.mode, first.layer) == ("/usr/a", 100, 0o4755, "layer 0")
    assert first.content.elf == read_header(elf(ARM64))
    assert (second.path, second.size, second.content) == ("/usr/empty", 0, NOTHING)


def test_symbolic_links() -> None:
    """A symbolic link is given with what it says, and as nothing else; an upper layer replaces it or removes it."""
    lower, upper = tar(symlink("a", "../x"), symlink("b", "y"), symlink("c", "z")), tar(removed("b"), symlink("c", "w"))
    found = flatten([scanned(lower, "lower"), scanned(upper, "upper")], BUDGET)

    assert {
        File(path="/a", layer="lower", target="../x"),
        File(path="/c", layer="upper", target="w"),
    } == set(found)  # fmt: skip


def test_hard_link_to_symbolic_link() -> None:
    """A hard link to a symbolic link is that link, in its own place."""
    found = flatten([scanned(tar(symlink("a", "x"))), scanned(tar(hard_link("b", "a")))], BUDGET)

    assert {file.path: file.target for file in found} == {"/a": "x", "/b": "x"}


def test_no_layers() -> None:
    """An image without layers, and a layer without entries, have no files."""
    assert paths() == []
    assert paths(tar(), b"") == []


def test_replaced_file() -> None:
    """A file that an upper layer has again is the upper one."""
    (file,) = files(tar(entry("a", elf(AMD64))), tar(entry("a", elf(ARM64, size=80))))

    assert (file.size, file.layer) == (80, "layer 1")
    assert file.content.elf == read_header(elf(ARM64))


def test_removed_file() -> None:
    """A whiteout removes a file, and no whiteout is a file itself."""
    assert paths(tar(entry("a"), entry("b/c")), tar(removed("a"), removed("b/c"))) == []


def test_removed_folder() -> None:
    """A whiteout of a folder removes all that is below it, and nothing beside it that is named alike."""
    assert paths(tar(entry("a/b/c"), entry("ab")), tar(removed("a"))) == ["/ab"]


def test_removal_is_for_lower_layers() -> None:
    """A whiteout removes nothing of its own layer, nor of those above."""
    assert paths(tar(entry("a")), tar(removed("a"), entry("a", b"2")), tar(entry("b"))) == ["/a", "/b"]
    assert paths(tar(removed("a")), tar(entry("a"))) == ["/a"]


def test_emptied_folder() -> None:
    """An opaque folder hides what lower layers have in it; its own files stay, wherever the mark stands."""
    lower = tar(entry("a/old"), entry("b"))

    assert paths(lower, tar(entry("a/new"), emptied("a"))) == ["/a/new", "/b"]
    assert paths(lower, tar(emptied("a"), entry("a/new"))) == ["/a/new", "/b"]


def test_emptied_root() -> None:
    """A mark at a layer's root hides nothing: containers see through it, for overlay file systems ignore it there."""
    for mark in (".wh..wh..opq", "./.wh..wh..opq", "/.wh..wh..opq"):
        assert paths(tar(entry("a"), entry("b/c")), tar(entry(mark), entry("d"))) == ["/a", "/b/c", "/d"]


@pytest.mark.parametrize("above", [entry("a", b"file"), symlink("a", "b"), entry("a", kind=tarfile.CHRTYPE)])
def test_replaced_folder(above: archives.Entry) -> None:
    """What is no folder hides the folder of a lower layer with all in it."""
    assert "/a/x" not in paths(tar(folder("a"), entry("a/x")), tar(above))


def test_file_replaced_by_folder() -> None:
    """A folder of an upper layer hides a file of that name, also where only something in it is named."""
    assert paths(tar(entry("a")), tar(folder("a"))) == []
    assert paths(tar(entry("a")), tar(entry("a/b"))) == ["/a/b"]


def test_folder_file_folder() -> None:
    """A file between two folders of one name ends the lower one, though the uppermost folder hides the file."""
    assert paths(tar(entry("a/old")), tar(entry("a")), tar(entry("a/new"))) == ["/a/new"]


def test_merged_folders() -> None:
    """Folders of all layers are one folder."""
    assert paths(tar(folder("a"), entry("a/1")), tar(folder("a"), entry("a/2"))) == ["/a/1", "/a/2"]


def test_path_through_symlink() -> None:
    """A path through a symlink is its literal path: an upper ``lib/x`` makes a folder of the link."""
    lower = tar(entry("usr/lib/x", b"1"), symlink("lib", "usr/lib"))

    assert paths(lower, tar(entry("lib/x", b"2"))) == ["/lib/x", "/usr/lib/x"]
    assert paths(lower, tar(removed("lib/x"))) == ["/usr/lib/x"]


def test_same_path_twice() -> None:
    """Of one path twice in a layer the later entry counts."""
    (file,) = files(tar(entry("a", elf(AMD64)), entry("./a", elf(ARM64, size=80))))

    assert (file.size, file.content.elf) == (80, read_header(elf(ARM64)))
    assert paths(tar(entry("a"), symlink("a", "b"))) == []
    assert paths(tar(entry("a/b"), symlink("a", "b"))) == []
    assert paths(tar(symlink("a", "b"), entry("a/b"))) == ["/a/b"]
    assert paths(tar(entry("a/old")), tar(entry("a"), folder("a"))) == ["/a/old"]


def test_hard_link() -> None:
    """A hard link is a file of its own path, also when the path it was made from is gone."""
    amd64, arm64 = elf(AMD64), elf(ARM64, size=80)
    layer = tar(entry("a", amd64), hard_link("b", "a"), hard_link("c", "b"), entry("a", arm64))

    assert [file.size for file in files(layer)] == [80, 64, 64]
    assert [file.content.elf for file in files(layer)] == [read_header(it) for it in (arm64, amd64, amd64)]
    assert paths(layer, tar(removed("a"))) == ["/b", "/c"]


def test_hard_link_to_lower_layer() -> None:
    """A hard link to a file of a lower layer is that file, through other links and whiteouts above it."""
    lower, middle = tar(entry("a", elf(ARM64), mode=0o755)), tar(hard_link("b", "a"))
    (file,) = files(lower, middle, tar(hard_link("c", "b")), tar(removed("a"), removed("b")))

    assert (file.path, file.size, file.mode, file.layer, file.lost) == ("/c", 64, 0o755, "layer 0", "")
    assert file.content.elf == read_header(elf(ARM64))
    assert [it.size for it in files(lower, tar(hard_link("b", "a"), hard_link("c", "b")))] == [64] * 3


def test_hard_link_to_link_below() -> None:
    """A hard link to a hard link leads below the layer of that one, also where this layer replaces the file later."""
    lower = tar(*(entry(f"old{it}", b"x") for it in range(8)))
    middle = tar(*(made for it in range(8) for made in (hard_link(f"m{it}", f"old{it}"), entry(f"old{it}", b"xx"))))
    upper = tar(*(made for it in range(8) for made in (hard_link(f"k{it}", f"m{it}"), hard_link(f"j{it}", f"old{it}"))))
    found = {file.path: (file.size, file.layer) for file in files(lower, middle, upper)}

    assert {found[f"/k{it}"] for it in range(8)} == {(1, "layer 0")}
    assert {found[f"/j{it}"] for it in range(8)} == {(2, "layer 1")}


def test_hard_link_to_symlink() -> None:
    """A hard link to something that is no regular file is none either."""
    assert paths(tar(symlink("a", "x"), hard_link("b", "a"))) == []
    assert paths(tar(symlink("a", "x")), tar(hard_link("b", "a"))) == []


@pytest.mark.parametrize("target", ["nowhere", "b"])
def test_hard_link_to_nothing(target: str) -> None:
    """A hard link that leads nowhere, or to itself, is given with its target: nobody can tell what it is."""
    (file,) = files(tar(hard_link("b", target)))

    assert ("/b", f"/{target}") == (file.path, file.lost)


@pytest.mark.parametrize(
    "layers",
    [
        ([symlink("a", "x"), hard_link("k", "a/b")],),  # in a container this is /x/b
        ([hard_link("k", "a/b"), symlink("a", "x")],),
        ([symlink("a", "x")], [hard_link("k", "a/b")]),
        ([entry("a")], [hard_link("k", "a/b")]),
        ([removed("a"), hard_link("k", "a/b")],),
        ([emptied("a"), hard_link("k", "a/b")],),
        ([symlink("a", "x")], [folder("a")], [hard_link("k", "a/b")]),
        ([entry("a/b", b"amd64"), symlink("a", "x")], [hard_link("k", "a/b")]),
        ([symlink("a", "x"), hard_link("m", "a/b"), hard_link("k", "m"), removed("m")],),
        ([symlink("a", "x"), hard_link("m", "a/b")], [hard_link("k", "m"), removed("m")]),
        ([symlink("a", "x"), hard_link("k", "a/b"), folder("a")],),
        ([symlink("a", "x"), entry("a/b", b"?"), hard_link("k", "a/b")],),
    ],
)
def test_hard_link_through_link(layers: tuple[list[archives.Entry], ...]) -> None:
    """A hard link through a folder that was replaced or removed is lost: engines find another file, or none."""
    lower = tar(folder("a"), entry("a/b", b"amd64"), entry("x/b", b"arm64"))
    found = {file.path: file.lost for file in files(lower, *(tar(*layer) for layer in layers), tar(entry("x/b")))}

    assert found["/k"] == "/a/b"


@pytest.mark.parametrize(
    "layers",
    [
        ([hard_link("k", "a/b")], [symlink("a", "x")]),
        ([hard_link("k", "a/b")], [removed("a")]),
        ([folder("a"), entry("a/c"), hard_link("k", "a/b")],),
        ([entry("a/b", elf(ARM64)), hard_link("k", "a/b"), symlink("a", "x")],),
        ([removed("a")], [emptied("a"), entry("a/b", elf(ARM64))], [hard_link("k", "a/b")]),
    ],
)
def test_hard_link_through_folder(layers: tuple[list[archives.Entry], ...]) -> None:
    """A hard link is followed where its folders are what they were, whatever becomes of them above it."""
    lower = tar(symlink("a", "x")), tar(folder("a"), entry("a/b", elf(ARM64)))
    found = {file.path: file for file in files(*lower, *(tar(*layer) for layer in layers))}

    assert (found["/k"].content.elf, found["/k"].lost) == (read_header(elf(ARM64)), "")


def test_path_through_own_link() -> None:
    """What a layer puts into a link of its own lies elsewhere: nothing above is known to hide it."""
    astray = tar(symlink("a", "x"), entry("a/b", b"x"), entry("a/b", b"xx"), hard_link("a/k", "x/b"), symlink("a", "y"))
    found = files(tar(entry("x/b", b"")), astray, tar(removed("a")), tar(entry("x/b", b"xxx")))

    assert [(file.path, file.size, file.layer) for file in found] == [
        ("/a/b", 1, "layer 1"),
        ("/a/b", 2, "layer 1"),
        ("/a/k", 0, "layer 0"),
        ("/x/b", 3, "layer 3"),
    ]


@pytest.mark.parametrize("name", ["../../a", "/a", "//a", "./a", "b/../a", "../b/.././a"])
def test_paths_stay_in_the_root(name: str) -> None:
    """Absolute paths and paths that lead out are paths from the root, as engines take them."""
    assert paths(tar(entry(name))) == ["/a"]


def test_odd_whiteouts() -> None:
    """Whiteouts of nothing, of ``.`` and ``..``, and old engines' bookkeeping, remove nothing."""
    odd = tar(*(entry(f"a/{name}") for name in (".wh.", ".wh..", ".wh...", ".wh..wh.plnk")), entry(".wh..wh.aufs"))

    assert paths(tar(entry("a/b")), odd) == ["/a/b"]


def test_names_without_text() -> None:
    """A name that is no UTF-8 is kept byte for byte, removed as any other, and printed escaped."""
    layer = block(b"a\xff\x1b[1m", kind=b"0") + END
    (file,) = files(layer)

    assert file.path == "/a\udcff\x1b[1m"
    assert printable(file.path) == "/a\\xff\\x1b[1m"
    assert paths(layer, block(b".wh.a\xff\x1b[1m") + END) == []


def test_unknown_kinds_are_files() -> None:
    """An entry of a kind that no standard knows counts as a file."""
    (file,) = files(block(b"a", kind=b"Z", size=64) + padded(elf(ARM64)) + END)

    assert (file.size, file.content.elf) == (64, read_header(elf(ARM64)))


# --------------------------------------------------------------------------------------- model and random layers

NAMES = st.sampled_from(["a", "b", "c"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
Plan = dict[str, str]
KINDS = st.sampled_from(["file", "link", "folder", "removed", "emptied"])


def possible(plan: Plan) -> Plan:
    """Without what no layer can hold: something below a path that is no folder."""
    order = sorted(plan)
    kept: Plan = {}
    for path in order:
        above = [path[:at] for at, char in enumerate(path) if char == "/"]
        if all(kept.get(parent) in (None, "folder", "emptied") for parent in above):
            kept[path] = plan[path]
    return kept


def written(plan: Plan, number: int) -> bytes:
    makers = {
        "file": lambda path: [entry(path, elf(ARM64, size=64 + number))],
        "link": lambda path: [symlink(path, "x")],
        "folder": lambda path: [folder(path)],
        "removed": lambda path: [removed(path)],
        "emptied": lambda path: [folder(path), emptied(path)],
    }
    return tar(*(made for path, kind in plan.items() for made in makers[kind](path)))


def apply(tree: dict[str, str], plan: Plan, number: int) -> None:
    """What an engine does with a layer, from the lowest up, on a file system that is a dict."""

    def drop(path: str, *, itself: bool = True) -> None:
        for other in [it for it in tree if it.startswith(path + "/") or (itself and it == path)]:
            del tree[other]

    for path, kind in plan.items():
        if kind in ("removed", "emptied"):
            drop(path, itself=kind == "removed" or tree.get(path) != "folder")
    for path, kind in plan.items():
        if kind == "removed":
            continue
        for at in [at for at, char in enumerate(path) if char == "/"]:
            if tree.get(path[:at], "folder") != "folder":
                drop(path[:at])
            tree[path[:at]] = "folder"
        if kind in ("file", "link") or tree.get(path, "folder") != "folder":
            drop(path)
        tree[path] = str(number) if kind == "file" else "folder" if kind in ("folder", "emptied") else "link"


@settings(max_examples=100, deadline=None)
@given(st.lists(st.dictionaries(PATHS, KINDS, max_size=5).map(possible), max_size=5))
def test_as_engines_do(plans: list[Plan]) -> None:
    """Reading from the top down gives what applying from the bottom up leaves."""
    tree: dict[str, str] = {}
    for number, plan in enumerate(plans):
        apply(tree, plan, number)
    left = {f"/{path}": content for path, content in tree.items() if content != "folder"}
    scans = [scanned(written(plan, number), str(number)) for number, plan in enumerate(plans)]
    found = list(flatten(scans, BUDGET))

    assert left == {file.path: "link" if file.target else file.layer for file in found}
    assert all(file.content.elf and file.size == 64 + int(file.layer) for file in found if not file.target)
