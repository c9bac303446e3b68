"""Facts about laying layers over each other."""

from __future__ import annotations

import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archway.verify import printable
from tests.unit import archives
from tests.unit.archives import (
    END,
    block,
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


def test_one_layer() -> None:
    """Regular files are given once, with size, mode, layer and first bytes; nothing else is."""
    layer = tar(
        folder("usr"),
        entry("usr/a", b"x" * 100, mode=0o4755),
        entry("usr/empty"),
        symlink("usr/link", "a"),
        entry("usr/pipe", kind=tarfile.FIFOTYPE),
        entry("usr/device", kind=tarfile.CHRTYPE),
    )
    first, second = files(layer)

    assert (
        first.path,
        first.size,
        first.mode,
        first.head,
        first.layer,
    ) == ("/usr/a", 100, 0o4755, b"x" * 64, "layer 0")
    assert (second.path, second.size, second.head) == ("/usr/empty", 0, b"")


def test_no_layers() -> None:
    """An image without layers, and a layer without entries, have no files."""
    assert paths() == []
    assert paths(tar(), b"") == []


def test_replaced_file() -> None:
    """A file that an upper layer has again is the upper one."""
    (file,) = files(tar(entry("a", b"old")), tar(entry("a", b"new")))

    assert (file.head, file.layer) == (b"new", "layer 1")


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
    (file,) = files(tar(entry("a", b"1"), entry("./a", b"2")))

    assert file.head == b"2"
    assert paths(tar(entry("a"), symlink("a", "b"))) == []
    assert paths(tar(entry("a/b"), symlink("a", "b"))) == []
    assert paths(tar(symlink("a", "b"), entry("a/b"))) == ["/a/b"]
    assert paths(tar(entry("a/old")), tar(entry("a"), folder("a"))) == ["/a/old"]


def test_hard_link() -> None:
    """A hard link is a file of its own path, also when the path it was made from is gone."""
    layer = tar(entry("a", b"1"), hard_link("b", "a"), hard_link("c", "b"), entry("a", b"2"))

    assert [file.head for file in files(layer)] == [b"2", b"1", b"1"]
    assert paths(layer, tar(removed("a"))) == ["/b", "/c"]


def test_hard_link_to_lower_layer() -> None:
    """A hard link to a file of a lower layer is that file, through other links and whiteouts above it."""
    lower, middle = tar(entry("a", b"1")), tar(hard_link("b", "a"))
    (file,) = files(lower, middle, tar(hard_link("c", "b")), tar(removed("a"), removed("b")))

    assert (file.path, file.head, file.layer, file.lost) == ("/c", b"1", "layer 0", "")
    assert [it.head for it in files(lower, tar(hard_link("b", "a"), hard_link("c", "b")))] == [b"1"] * 3


def test_hard_link_to_link_below() -> None:
    """A hard link to a hard link leads below the layer of that one, also where this layer replaces the file later."""
    lower = tar(*(entry(f"old{it}", b"1") for it in range(8)))
    middle = tar(*(made for it in range(8) for made in (hard_link(f"m{it}", f"old{it}"), entry(f"old{it}", b"2"))))
    upper = tar(*(made for it in range(8) for made in (hard_link(f"k{it}", f"m{it}"), hard_link(f"j{it}", f"old{it}"))))
    found = {file.path: file.head for file in files(lower, middle, upper)}

    assert {found[f"/k{it}"] for it in range(8)} == {b"1"}
    assert {found[f"/j{it}"] for it in range(8)} == {b"2"}


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
        ([entry("a/b", b"arm64"), hard_link("k", "a/b"), symlink("a", "x")],),
        ([removed("a")], [emptied("a"), entry("a/b", b"arm64")], [hard_link("k", "a/b")]),
    ],
)
def test_hard_link_through_folder(layers: tuple[list[archives.Entry], ...]) -> None:
    """A hard link is followed where its folders are what they were, whatever becomes of them above it."""
    lower = tar(symlink("a", "x")), tar(folder("a"), entry("a/b", b"arm64"))
    found = {file.path: file for file in files(*lower, *(tar(*layer) for layer in layers))}

    assert (found["/k"].head, found["/k"].lost) == (b"arm64", "")


def test_path_through_own_link() -> None:
    """What a layer puts into a link of its own lies elsewhere: nothing above is known to hide it."""
    astray = tar(symlink("a", "x"), entry("a/b", b"1"), entry("a/b", b"2"), hard_link("a/k", "x/b"), symlink("a", "y"))
    found = files(tar(entry("x/b", b"0")), astray, tar(removed("a")), tar(entry("x/b", b"3")))

    assert [(file.path, file.head) for file in found] == [
        ("/a/b", b"1"),
        ("/a/b", b"2"),
        ("/a/k", b"0"),
        ("/x/b", b"3"),
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
    (file,) = files(block(b"a", kind=b"Z", size=4) + padded(b"data") + END)

    assert file.head == b"data"


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
        "file": lambda path: [entry(path, str(number).encode())],
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
    left = {f"/{path}": content for path, content in tree.items() if content not in ("folder", "link")}
    found = files(*(written(plan, number) for number, plan in enumerate(plans)))

    assert left == {file.path: file.head.decode() for file in found}
