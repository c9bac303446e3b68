"""Facts about reading zip archives from a buffer."""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archway.verify.zipfiles import HEAD, TAIL, Entry, Zip, ZipError, open_zip

FILES = {"empty": b"", "folder/": b"", "short": b"x", "a/text.txt": b"text\n" * 500, "zeros": bytes(100_000)}


def packed(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=method)
        archive.comment = comment
    return buffer.getvalue()


class Pipe(io.RawIOBase):
    """Takes what is written and cannot go back, so that zipfile writes data descriptors."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        self.data += memoryview(data)  # type: ignore[arg-type]
        return memoryview(data).nbytes  # type: ignore[arg-type]


def opened(data: bytes) -> Zip:
    archive = open_zip(memoryview(data))
    assert archive is not None
    return archive


def read(data: bytes, limit: int = 1 << 20) -> dict[str, bytes]:
    archive = opened(data)
    found = {}
    for entry in archive:
        whole = archive.read(entry, limit)
        assert whole is not None
        assert bytes(whole[:HEAD]) == archive.head(entry)
        found[entry.name.decode()] = bytes(whole)
    return found


def trouble(data: bytes) -> str:
    with pytest.raises(ZipError) as caught:
        read(data)
    return str(caught.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_entries(method: int) -> None:
    """Entries are read as zipfile wrote them, packed or not."""
    assert read(packed(FILES, method)) == FILES


@pytest.mark.parametrize("comment", [b"", b"a comment", b"PK\5\6" * 90, b"x" * 65535])
def test_comment(comment: bytes) -> None:
    """A comment of any length is passed over, although it holds what looks like end records."""
    assert read(packed(FILES, comment=comment)) == FILES


def test_before() -> None:
    """What stands before the archive is passed over, as the shell script of an executable JAR."""
    assert read(b"#!/bin/sh\nexec java -jar $0\n" + packed(FILES)) == FILES


def test_before_counted() -> None:
    """Offsets may as well count what stands before."""
    buffer = io.BytesIO(b"#!/bin/sh\n")
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("x", b"data")

    assert read(buffer.getvalue()) == {"x": b"data"}


def test_behind() -> None:
    """What stands behind the archive is passed over, as long as the end record is near."""
    assert read(packed(FILES) + bytes(1000)) == FILES
    assert trouble(packed(FILES) + bytes(TAIL)) == "cut short: it has no end record"


def test_data_descriptors() -> None:
    """Sizes that a local header leaves open come from the directory."""
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", b"data" * 100)

    assert pipe.data[6] & 8  # its local header says so
    assert read(bytes(pipe.data)) == {"x": b"data" * 100}


def test_many_entries() -> None:
    """More than 65,535 entries need a 64-bit end record, and it is found."""
    files = {f"{number}": b"" for number in range(70_000)}

    assert sum(1 for _ in opened(packed(files))) == 70_000


def test_long_sizes() -> None:
    """Sizes of 64 bits are read from the extra field."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, archive.open("x", "w", force_zip64=True) as file:
        file.write(b"data")

    assert read(buffer.getvalue()) == {"x": b"data"}


def test_no_archive() -> None:
    """Other files are none, and neither are some that hold an archive somewhere."""
    for data in (b"", b"PK", b"text", bytes(100_000), b"x" + packed(FILES)[:-1], b"\xca\xfe\xba\xbe" + bytes(60)):
        assert open_zip(memoryview(data)) is None


def test_empty_archive() -> None:
    """An archive without entries is one."""
    assert read(packed({})) == {}


def test_limit() -> None:
    """What inflates to more than the limit is not given, and what fits exactly is."""
    archive = opened(packed({"zeros": bytes(1000)}))
    (entry,) = archive

    assert archive.read(entry, 999) is None
    assert bytes(archive.read(entry, 1000) or b"") == bytes(1000)


def test_stored_not_copied() -> None:
    """What is not packed is given as a part of the buffer."""
    data = bytearray(packed({"x": b"data"}, zipfile.ZIP_STORED))
    archive = open_zip(memoryview(data))
    assert archive is not None
    (entry,) = archive
    whole = archive.read(entry, 0)
    data[data.index(b"data")] = ord("D")

    assert bytes(whole or b"") == b"Data"


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (Entry(b"x", 1, 0, 4, 0), "encrypted"),
        (Entry(b"x", 0, 9, 4, 0), "packed with deflate64"),
        (Entry(b"x", 0, 77, 4, 0), "packed with a method of no name"),
        (Entry(b"x", 0, 0, 4, 1 << 64), "points outside the archive"),
        (Entry(b"x", 0, 0, 1 << 64, 0), "points outside the archive"),
        (Entry(b"x", 0, 0, 4, 1), "its local header is damaged"),
        (Entry(b"x", 0, 8, 2, 0), "cut short"),
    ],
)
def test_trouble(entry: Entry, text: str) -> None:
    """An entry that cannot be looked into says why, to both who want its beginning and who want all."""
    archive = opened(packed({"x": b"data" * 9}))
    with pytest.raises(ZipError) as of_head:
        archive.head(entry)
    with pytest.raises(ZipError) as of_all:
        archive.read(entry, 1 << 20)

    assert (text, text) == (str(of_head.value), str(of_all.value))


def test_damaged_data() -> None:
    """Data that cannot be inflated are damaged."""
    data = bytearray(packed({"x": b"data" * 9}))
    data[31] = 0xFF

    assert trouble(bytes(data)) == "damaged"


def test_disagreement() -> None:
    """An end record that counts other entries than the directory has is an attack on some other reader."""
    data = packed(FILES)
    changed = data[:-14] + struct.pack("<HH", 4, 4) + data[-10:]

    assert trouble(changed) == "its end record and its directory disagree"


@given(st.dictionaries(st.text(min_size=1, max_size=20).filter(lambda name: "\0" not in name), st.binary(), max_size=5))
def test_oracle(files: dict[str, bytes]) -> None:
    """Whatever zipfile writes is read as zipfile reads it."""
    data = packed(files)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        expected = {info.filename: archive.read(info) for info in archive.infolist()}

    assert expected == read(data)


@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\3\4", b"PK\5\6", b"#!/bin/sh\n"]))
def test_anything(data: bytes, begin: bytes) -> None:
    """Any bytes are an archive, none, or one in trouble: nothing else is raised."""
    with contextlib.suppress(ZipError):
        archive = open_zip(memoryview(begin + data))
        if archive:
            for entry in archive:
                archive.head(entry)
