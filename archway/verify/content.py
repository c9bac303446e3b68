"""What is known of one file's content: all that the rules need of it, so that a file is read once.

Files are judged by their first bytes, never by mode, and by name only where that is all there is: small texts that
have a meaning by their place (a package source, a wheel's description), and archives with anything before them, which
the JVM opens all the same.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import mmap
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace

from archway.verify import elf
from archway.verify.bundle import Bundle, read_bundle
from archway.verify.dynamic import Dynamic, read_dynamic
from archway.verify.elf import HEADER_SIZE, CutShort, ElfHeader
from archway.verify.tar import Member, Source, printable

_IN_MEMORY = 32 << 20
_PIECE = 1 << 20
_WHOLE_LIMIT = 1 << 30  # a larger file is judged by its first bytes alone
_TEXT_LIMIT = 1 << 20
_PEM_LIMIT = 16 << 20
_LINE_LIMIT = 256
_LINES_LIMIT = 200

_ZIP = b"PK\x03\x04"
_ZIP_NAME = re.compile(r"\.(?:jar|war|ear|nar|whl|zip)$", re.IGNORECASE)
_STARTERS = (b"MZ", b"@", b"PK")  # what build tools put before a JAR besides a script: a program or batch for Windows
_ENDS_WITHIN = (1 << 16) + 22

_OBJECTS = b"!<arch>\n"
_OBJECT = re.compile(rb"(.{16}).{32}([0-9]{1,10}) *`\n", re.DOTALL)
_OBJECT_HEAD = 60
_OBJECTS_MOST = 200_000  # members of a static library are looked at
_HEADERS_MOST = 64  # distinct ones are kept: no library has so many
_BSD_NAME = re.compile(rb"#1/([0-9]{1,10}) *")

_KEY_STORE = b"\xfe\xed\xfe\xed"  # Java's JKS
_PEM = b"-----BEGIN "
_PEM_NAME = re.compile(r"\.(pem|crt|cer|cert|key)$|/cacerts$")
_PUTTY = b"PuTTY-User-Key-File-"
_CERTIFICATE = re.compile(
    rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----([A-Za-z0-9+/=\s]{1,65536})-----END (?:TRUSTED )?CERTIFICATE-----"
)
_PRIVATE_KEY = re.compile(rb"^-----BEGIN (?:[A-Z0-9]{1,20} ){0,2}PRIVATE KEY(?: BLOCK)?-----\s*$", re.MULTILINE)
_TEXTS = re.compile(
    r"/etc/apt/(?:sources\.list(?:\.d/.+)?|(?:apt\.conf(?:\.d/.+)?|auth\.conf(?:\.d/.+)?))"
    r"|/etc/(?:pip\.conf|npmrc|environment|ld\.so\.conf(?:\.d/[^/]+)?|ld-musl-[^/]+\.path|apk/repositories"
    r"|yum\.repos\.d/.+|profile\.d/.+)"
    r"|.*/(?:pip\.conf|\.npmrc|\.yarnrc|\.m2/settings\.xml|\.cargo/config(?:\.toml)?|\.netrc|\.pypirc"
    r"|\.docker/config\.json|\.git-credentials|\.config/pip/pip\.conf|gradle\.properties)"
    r"|.*\.(?:dist|egg)-info/WHEEL"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """What a file is. What does not apply is left out.

    ``objects`` are the headers of a static library's members, each once. ``script`` is the first line of a script,
    without ``#!`` and the blanks around it; like a path, it is not yet printable. ``certificates`` are SHA-256
    fingerprints. ``secret`` says which kind of private key it is. ``lines`` are those of a small text whose path
    gives it a meaning.
    """

    elf: ElfHeader | CutShort | None = None
    dynamic: Dynamic | None = None
    objects: tuple[ElfHeader, ...] = ()
    script: str = ""
    bundle: Bundle | None = None
    certificates: tuple[str, ...] = ()
    secret: str = ""
    lines: tuple[str, ...] = ()


NOTHING = Content()


_Whole = bytes | mmap.mmap
"""A file in memory, or mapped into it."""


def read_content(path: str, member: Member, source: Source) -> Content:
    """Look at a file of a tar archive, which ``source`` has read up to the end of ``member.head``.

    :param path: where it lies in the image
    """
    head = member.head
    if head.startswith(elf.MAGIC):
        return _elf(path, member, source)
    if head.startswith(b"#!"):
        return _script(path, member, source)
    if head.startswith(_STARTERS) or _ZIP_NAME.search(path):
        return _archive(path, member, source)
    if head.startswith((_PEM, _PUTTY, _KEY_STORE)) or _PEM_NAME.search(path):
        return _keys(_whole(member, source)[:]) if member.size <= _PEM_LIMIT else NOTHING
    if head.startswith(_OBJECTS) and member.size <= _WHOLE_LIMIT:
        return _library(_whole(member, source))
    if _TEXTS.fullmatch(path) and member.size <= _TEXT_LIMIT:
        return Content(lines=tuple(_lines(_whole(member, source)[:])))
    return NOTHING


def _elf(path: str, member: Member, source: Source) -> Content:
    header = elf.read_header(member.head)
    if member.size > _WHOLE_LIMIT:
        return Content(elf=header)
    whole = _whole(member, source)
    return Content(elf=header, dynamic=read_dynamic(whole), bundle=_bundle(path, whole))


def _script(path: str, member: Member, source: Source) -> Content:
    if member.size > _WHOLE_LIMIT:
        return Content(script=_first_line(member.head))
    whole = _whole(member, source)
    bundle = read_bundle(whole, name=_name(path)) if _ends_as_zip(whole) else None
    return Content(script=_first_line(whole[:_LINE_LIMIT]), bundle=bundle)


def _first_line(data: bytes) -> str:
    """The kernel strips blanks and tabs and nothing else: a carriage return belongs to the interpreter's name."""
    line = data[2:].partition(b"\n")[0].partition(b"\0")[0]
    return line.decode("utf-8", "surrogateescape").strip(" \t")


def _archive(path: str, member: Member, source: Source) -> Content:
    """A file that may be a zip archive. By its name it may be something else as well, as far as that matters."""
    if member.size > _WHOLE_LIMIT:
        sure = member.head.startswith(_ZIP) or _ZIP_NAME.search(path)
        large = Bundle(natives=(), archives=0, entries=0, troubles=("larger than 1 GiB",))
        return Content(bundle=large) if sure else NOTHING
    whole = _whole(member, source)
    if member.head.startswith(_ZIP):
        return Content(bundle=read_bundle(whole, name=_name(path)))
    bundle = _bundle(path, whole)
    if member.head.startswith((_PEM, _PUTTY, _KEY_STORE)) and member.size <= _PEM_LIMIT:
        return replace(_keys(whole[:]), bundle=bundle)
    if member.head.startswith(_OBJECTS):
        return replace(_library(whole), bundle=bundle)
    return Content(bundle=bundle) if bundle else NOTHING


def _bundle(path: str, whole: _Whole) -> Bundle | None:
    """The archive at the end of a file that begins as something else.

    The bytes of an empty archive stand in every program that writes some: what has no entry is none, unless it is
    called one.
    """
    bundle = read_bundle(whole, name=_name(path)) if _ends_as_zip(whole) else None
    return bundle if bundle and (bundle.entries or _ZIP_NAME.search(path)) else None


def _library(whole: _Whole) -> Content:
    """A static library: the headers of its ELF objects, each once."""
    found = dict.fromkeys(itertools.islice(_objects(whole), _OBJECTS_MOST))
    headers = tuple(itertools.islice((header for header in found if header), _HEADERS_MOST))
    return Content(objects=headers) if headers else NOTHING


def _objects(whole: _Whole) -> Iterator[ElfHeader | None]:
    """The members of an ``ar`` archive; symbol tables, long names and all else that is no ELF file are None."""
    at = len(_OBJECTS)
    while head := _OBJECT.fullmatch(whole[at : at + _OBJECT_HEAD]):
        start, size = at + _OBJECT_HEAD, int(head[2])
        named = _BSD_NAME.fullmatch(head[1])  # BSD's long names stand before the data
        skipped = int(named[1]) if named else 0
        header = elf.read_header(whole[start + skipped : start + min(size, skipped + HEADER_SIZE)])
        yield header if isinstance(header, ElfHeader) else None
        at = start + size + size % 2


def _keys(whole: bytes) -> Content:
    key = "private key" if whole.startswith(_PUTTY) or _PRIVATE_KEY.search(whole) else ""
    return Content(certificates=tuple(dict.fromkeys(certificates(whole))), secret=key)


def certificates(data: bytes) -> Iterator[str]:
    """SHA-256 fingerprints of the certificates in a PEM file, or a Java key store."""
    return _key_store(data) if data.startswith(_KEY_STORE) else _pem(data)


def _pem(data: bytes) -> Iterator[str]:
    for found in _CERTIFICATE.finditer(data):
        try:
            yield hashlib.sha256(base64.b64decode(found[1])).hexdigest()
        except binascii.Error:
            continue


def _key_store(data: bytes) -> Iterator[str]:
    """The certificates of a Java key store in the form JKS: an X.509 certificate is a DER sequence behind its length.

    Format: the source of ``sun.security.provider.JavaKeyStore``; "X.509" as a Java string, then length and bytes.
    """
    end = 0
    for mark in re.finditer(rb"\x00\x05X\.509(.{4})", data, re.DOTALL):
        size = int.from_bytes(mark[1], "big")
        if mark.start() >= end and 0 < size <= len(data) - mark.end():
            end = mark.end() + size
            yield hashlib.sha256(data[mark.end() : end]).hexdigest()


def _lines(data: bytes) -> Iterator[str]:
    for line in data.decode("utf-8", "replace").splitlines()[:_LINES_LIMIT]:
        text = line.strip()
        # apt comments with two slashes; npm begins the line of a registry's token with them
        if text and not text.startswith(("#", ";")) and (not text.startswith("//") or ":_" in text):
            yield printable(text[:_LINE_LIMIT])


def _ends_as_zip(whole: _Whole) -> bool:
    return b"PK\x05\x06" in whole[max(0, len(whole) - _ENDS_WITHIN) : len(whole)]


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _whole(member: Member, source: Source) -> _Whole:
    """All of a file; a large one lies on the disk, not in memory."""
    if member.size <= _IN_MEMORY:
        return member.head + source.read(member.size - len(member.head))
    with tempfile.TemporaryFile() as file:
        file.write(member.head)
        left = member.size - len(member.head)
        while left and (piece := source.read(min(left, _PIECE))):
            file.write(piece)
            left -= len(piece)
        file.flush()
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
