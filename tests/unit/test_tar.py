"""Facts about reading tar archives: all the forms they come in, and those that are refused."""

from __future__ import annotations

import io
import posixpath
import tarfile
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from archway.errors import VerifyError
from archway.verify import Budget, Limits
from archway.verify.tar import Member, Stream, members
from tests.unit.archives import END, block, entry, files, hard_link, padded, pax, removed, tar


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


LONG = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=120)
LONG_PATHS = st.lists(LONG.filter(lambda name: name not in (".", "..")), min_size=1, max_size=3).map("/".join)


@settings(max_examples=75, deadline=None)
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


@settings(max_examples=100, deadline=None)
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


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=2000))
def test_any_layer(data: bytes) -> None:
    """Bytes that are no tar archive are refused, unless they are the empty one."""
    try:
        found = files(data)
    except VerifyError:
        return

    assert found == []
