"""Facts about reading layers and laying them over each other."""

from __future__ import annotations

import io
import posixpath
import tarfile
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archway.errors import VerifyError
from archway.verify import Budget, Limits, printable
from archway.verify.tar import Member, Stream, members
from tests.unit import archives
from tests.unit.archives import (
    block,
    emptied,
    entry,
    files,
    folder,
    hard_link,
    padded,
    paths,
    pax,
    removed,
    symlink,
    tar,
)  # fmt: skip

END = bytes(1024)


def source(data: bytes, piece: int = 1000) -> Stream:
    pieces = (data[at : at + piece] for at in range(0, len(data), piece))
    return Stream(pieces, where="x.tar", budget=Budget(Limits(), where="x.tar"))


def read(data: bytes) -> list[Member]:
    return list(members(source(data)))


def refusal(data: bytes) -> str:
    with pytest.raises(VerifyError) as caught:
        files(data)
    return str(caught.value)


def test_place_at_the_end() -> None:
    """A read that the end cuts short leaves the place at the end, and a skip behind it is refused."""
    made = source(b"x" * 2500)

    assert (made.read(2400), made.read(200), made.tell()) == (b"x" * 2400, b"x" * 100, 2500)
    with pytest.raises(VerifyError, match="cut short"):
        made.skip(1)


# -------------------------------------------------------------------------------------------------- laying over


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
    """The root itself can be opaque."""
    assert paths(tar(entry("a"), entry("b/c")), tar(entry(".wh..wh..opq"), entry("d"))) == ["/d"]


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


def test_hard_link_to_symlink() -> None:
    """A hard link to something that is no regular file is none either."""
    assert paths(tar(symlink("a", "x"), hard_link("b", "a"))) == []
    assert paths(tar(symlink("a", "x")), tar(hard_link("b", "a"))) == []


@pytest.mark.parametrize("target", ["nowhere", "b"])
def test_hard_link_to_nothing(target: str) -> None:
    """A hard link that leads nowhere, or to itself, is given with its target: nobody can tell what it is."""
    (file,) = files(tar(hard_link("b", target)))

    assert ("/b", f"/{target}") == (file.path, file.lost)


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


@settings(max_examples=300, deadline=None)
@given(st.lists(st.dictionaries(PATHS, KINDS, max_size=5).map(possible), max_size=5))
def test_as_engines_do(plans: list[Plan]) -> None:
    """Reading from the top down gives what applying from the bottom up leaves."""
    tree: dict[str, str] = {}
    for number, plan in enumerate(plans):
        apply(tree, plan, number)
    left = {f"/{path}": content for path, content in tree.items() if content not in ("folder", "link")}
    found = files(*(written(plan, number) for number, plan in enumerate(plans)))

    assert left == {file.path: file.head.decode() for file in found}


LONG = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=120)
LONG_PATHS = st.lists(LONG.filter(lambda name: name not in (".", "..")), min_size=1, max_size=3).map("/".join)


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(LONG_PATHS, st.binary(max_size=1500), max_size=6),
    st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT]),
    st.integers(min_value=1, max_value=3000),
)
def test_as_tarfile_reads(content: dict[str, bytes], form: int, piece: int) -> None:
    """All forms of names and sizes that ``tarfile`` writes are read as it reads them, in pieces of any size."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=form) as writer:
        for path, data in content.items():
            try:
                info, _ = entry(path, data)
                writer.addfile(info, io.BytesIO(data))
            except ValueError:  # ustar does not take every name
                continue
    with tarfile.open(fileobj=io.BytesIO(made.getvalue())) as reader:
        there = [(it.name, it.size, it.offset_data) for it in reader]
    found = [(it.path, it.size, it.offset) for it in members(source(made.getvalue(), piece))]

    assert there == found
    assert [made.getvalue()[at : at + min(size, 64)] for _, size, at in there] == [
        it.head for it in read(made.getvalue())
    ]


# ------------------------------------------------------------------------------------------------- forms of tar


def test_gnu_names() -> None:
    """GNU's long names and link names are read."""
    (member,) = read(tar(hard_link("n" * 300, "t" * 300), form=tarfile.GNU_FORMAT))

    assert (member.path, member.link) == ("n" * 300, "t" * 300)


def test_gnu_names_win() -> None:
    """Of a GNU name and a PAX name for one entry, in any order, the GNU name counts, as engines have it."""
    gnu = block(b"L", kind=b"L", size=3) + padded(b"gnu")

    assert [it.path for it in read(gnu + pax(path="pax") + block(b"a") + END)] == ["gnu"]
    assert [it.path for it in read(pax(path="pax") + gnu + block(b"a") + END)] == ["gnu"]


def test_prefix() -> None:
    """A prefix belongs to the name in POSIX headers only: GNU and V7 keep something else there."""
    assert read(block(b"a", prefix=b"p") + END)[0].path == "p/a"
    assert read(block(b"a", prefix=b"p", magic=b"ustar  \0") + END)[0].path == "a"
    assert read(block(b"a", prefix=b"p", magic=bytes(8)) + END)[0].path == "a"


def test_signed_checksum() -> None:
    """A checksum over signed bytes, as old writers made it, is right as well."""
    made = bytearray(block(b"\xff"))
    made[148:156] = b"%06o\0 " % (int(made[148:154], 8) - 256)

    assert read(bytes(made) + END)[0].path == "\udcff"


def test_pax_size() -> None:
    """A size in a PAX header is the size."""
    first, second = read(pax(size="600") + block(b"a") + padded(b"x" * 600) + block(b"b") + END)

    assert (first.path, first.size, second.path) == ("a", 600, "b")


def test_binary_size() -> None:
    """A size in base 256 is read."""
    size = b"\x80" + (600).to_bytes(11, "big")
    first, second = read(block(b"a", size_field=size) + padded(b"x" * 600) + block(b"b") + END)

    assert (first.size, second.path) == (600, "b")


def test_global_records() -> None:
    """Global PAX records change no name: engines do not read them."""
    data = pax(path="elsewhere").replace(b"0" * 8 + b"x", b"", 1)
    text = data[512:]
    made = block(b"g", kind=b"g", size=len(text.rstrip(b"\0"))) + text + block(b"a") + END

    assert [member.path for member in read(made)] == ["a"]
    assert [member.path for member in read(pax(path="b") + made)] == ["a"]


def test_folder_with_size() -> None:
    """What carries no data has none, whatever size its header says."""
    assert [it.path for it in read(block(b"d", kind=b"5", size=4096) + block(b"a") + END)] == ["d", "a"]


def test_old_folder() -> None:
    """In the oldest form a folder is an entry whose name ends with a slash."""
    assert read(block(b"d/", kind=b"\0") + END)[0].kind == b"5"


def test_without_end() -> None:
    """An archive that ends after an entry, without the end mark, is read: engines do."""
    assert [member.path for member in read(block(b"a"))] == ["a"]


# --------------------------------------------------------------------------------------------------- hostile tar


@pytest.mark.parametrize("length", [1, 511, 513, 1024 + 511])
def test_cut_short(length: int) -> None:
    """A layer that is cut short is refused."""
    layer = tar(entry("a", b"x" * 600))

    assert "cut short" in refusal(layer[:length])


def test_damaged_header() -> None:
    """A damaged header is an error and not the end of the archive."""
    layer = bytearray(tar(entry("a"), entry("b")))
    layer[512] ^= 1

    assert "checksum" in refusal(bytes(layer))


def test_after_the_end() -> None:
    """Nothing can be hidden behind the end mark."""
    assert "end mark" in refusal(tar(entry("a")) + block(b"b"))
    assert "end mark" in refusal(block(b"a") + bytes(512) + block(b"b") + END)


@pytest.mark.parametrize(
    "made",
    [
        block(b"a", size_field=b"-0000000001\0"),
        block(b"a", size_field=b"00000000009\0"),
        block(b"a", size_field=b"0_0000000_1\0"),
        block(b"a", size_field=b"\xff" * 12),
        pax(size="-1") + block(b"a"),
        pax(size="1e3") + block(b"a"),
        pax(size="9" * 5000) + block(b"a"),
        pax(size="²") + block(b"a"),
    ],
)
def test_senseless_sizes(made: bytes) -> None:
    """A size that is no number is refused."""
    assert "number" in refusal(made + END)


@pytest.mark.parametrize(
    "records",
    [b"5 a=b", b"6 a=b", b"99 a=b\n", b"0 a=b\n", b"4 ab\n", b"x a=b\n", b" a=b\n", b"-6 a=b\n", b"12345678901 a=b\n",
     b"11 path=a\0\n", b"\0\0\0", b"1 ", b"2 2 2 2 2 ="],
)  # fmt: skip
def test_malformed_records(records: bytes) -> None:
    """PAX records that contradict themselves are refused."""
    made = block(b"x", kind=b"x", size=len(records)) + padded(records) + block(b"a") + END

    assert "malformed" in refusal(made)


@pytest.mark.parametrize("kind", [b"x", b"L", b"K"])
def test_huge_header(kind: bytes) -> None:
    """An extended header larger than any name is refused before it is read."""
    assert "extended header of 1073741824 bytes" in refusal(block(b"x", kind=kind, size=1 << 30))


def test_many_headers() -> None:
    """Any number of extended headers before one entry is read without nesting."""
    assert [it.path for it in read(pax(path="b") * 5000 + pax(path="c") + block(b"a") + END)] == ["c"]


def test_sparse_files() -> None:
    """Sparse files are refused: their data does not begin with the file's first bytes."""
    assert "sparse" in refusal(block(b"a", kind=b"S") + END)
    assert "sparse" in refusal(pax(GNU__sparse__major="1") + block(b"a") + END)


@pytest.mark.parametrize("path", ["a" * 5000, "a/" * 300 + "b"])
def test_endless_paths(path: str) -> None:
    """A path that no file system takes is refused."""
    assert "no file system takes it" in refusal(tar(entry(path)))


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (Limits(data=10_000), "bytes of data"),
        (Limits(entries=5), "entries"),
        (Limits(names=30), "bytes of names"),
    ],
)
def test_limits(limits: Limits, what: str) -> None:
    """A layer that asks for more than the limits is refused, and the message says which."""
    layer = tar(*(entry(f"folder{number}/file", b"x" * 600) for number in range(6)))
    with pytest.raises(VerifyError, match=f"more {what} than is read"):
        files(layer, limits=limits)


def test_implied_folders_count() -> None:
    """The folders that a path implies count as entries: they take memory as well."""
    with pytest.raises(VerifyError, match="more entries"):
        files(tar(entry("a/b/c/d/e/f")), limits=Limits(entries=5))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_layers(data: st.DataObject) -> None:
    """A layer with any bytes changed is read or refused, and nothing else happens."""
    layer = bytearray(
        pax(path="b" * 120)
        + tar(entry("a", b"x" * 600), hard_link("c" * 150, "a"), removed("d"), form=tarfile.GNU_FORMAT)
    )
    places = st.integers(min_value=0, max_value=len(layer) - 1)
    for at in data.draw(st.lists(places, min_size=1, max_size=6)):
        layer[at] = data.draw(st.integers(min_value=0, max_value=255))
        header = at // 512 * 512
        if data.draw(st.booleans()):  # a checksum that is right lets the damage reach what comes after
            total = sum(layer[header : header + 148]) + 256 + sum(layer[header + 156 : header + 512])
            layer[header + 148 : header + 156] = b"%06o\0 " % total
    try:
        found = files(bytes(layer))
    except VerifyError:
        return

    assert all(a.path < b.path for a, b in pairwise(found))
    assert all(file.path == posixpath.normpath(file.path) for file in found)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=2000))
def test_any_layer(data: bytes) -> None:
    """Bytes that are no tar archive are refused, unless they are the empty one."""
    try:
        found = files(data)
    except VerifyError:
        return

    assert found == []
