"""One layer, read once: its entries in their order, and what is known of each file's content.

A scan depends on the layer's bytes alone (but for its name), never on the image or platform that it is looked at for.
So it can be kept by the layer's digest (:mod:`archway.records`) and made by another process
(:mod:`archway.verify.worker`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pydantic import TypeAdapter

from archway.verify.content import NOTHING, Content, read_content
from archway.verify.tar import Budget, Source, members, normal_path, weight

_OVERHEAD = 64  # bytes that Python needs for a text or a small tuple, besides its characters


class Layer(Protocol):
    """A layer of an image, as a tar archive."""

    @property
    def name(self) -> str: ...
    def open(self) -> Source: ...


class Entry(NamedTuple):
    """An entry of a layer. ``path`` and a hard link's ``link`` are normal, a symbolic link's is what it says; ``kind``
    is tar's; ``content`` is an index into :attr:`Scan.contents`."""

    path: str
    kind: str
    link: str
    size: int
    mode: int
    content: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Scan:
    """What a layer holds. ``name`` is what findings call it; the first of ``contents`` is that of all entries of which
    nothing need be known; ``data`` is the size as a tar archive, in bytes."""

    name: str
    entries: tuple[Entry, ...]
    contents: tuple[Content, ...]
    data: int

    @property
    def holds_programs(self) -> bool:
        """Whether a file of it is ELF, also one that is cut short."""
        return any(content.elf for content in self.contents)

    def spend(self, budget: Budget) -> None:
        """Count a scan that was made elsewhere against the limits of an archive.

        :raises VerifyError: it is more than they leave
        """
        names = sum(weight(entry.path) + weight(entry.link) for entry in self.entries)
        budget.spend(data=self.data, entries=len(self.entries), names=names + sum(map(_size, self.contents)))

    def as_json(self) -> str:
        """The scan as text of one line, in ASCII; :func:`from_json` reads it."""
        contents = _CONTENTS.dump_python(self.contents, exclude_defaults=True)
        return json.dumps({"name": self.name, "entries": self.entries, "contents": contents, "data": self.data})


_CONTENTS = TypeAdapter(tuple[Content, ...])


def from_json(text: str) -> Scan:
    """Read what :meth:`Scan.as_json` wrote.

    :raises ValueError: it is something else
    """
    try:
        data = json.loads(text)
        contents = _CONTENTS.validate_python(data["contents"])
        entries = tuple(Entry(*row) for row in data["entries"])
        if any(not 0 <= entry.content < len(contents) for entry in entries):
            raise ValueError("an entry's content is not there")
        return Scan(name=data["name"], entries=entries, contents=contents, data=data["data"])
    except (TypeError, KeyError, RecursionError) as error:
        raise ValueError(str(error)) from error


def scan(layer: Layer, budget: Budget) -> Scan:
    """Read a layer to its end. What it holds counts against the budget as it is read.

    :raises VerifyError: it cannot be read, is not what its digest says, or asks for more than the limits
    """
    entries: list[Entry] = []
    contents: list[Content] = [NOTHING]
    source = layer.open()
    for member in members(source):
        path = normal_path(member.path, layer.name)
        link = normal_path(member.link, layer.name) if member.kind == b"1" else member.link
        budget.spend(entries=1, names=weight(path) + weight(link))
        number = 0
        if member.is_file and (content := read_content(path, member, source)) is not NOTHING:
            number = len(contents)
            contents.append(content)
            budget.spend(names=_size(content))
        entries.append(Entry(path, member.kind.decode("latin-1"), link, member.size, member.mode, number))
    return Scan(name=layer.name, entries=tuple(entries), contents=tuple(contents), data=source.tell())


def _size(content: Content) -> int:
    """About how many bytes a content takes: each text as often as it is named, since in JSON none is shared."""
    texts: list[Iterable[str]] = [(content.script, content.secret), content.certificates, content.lines]
    pairs: list[tuple[str, str]] = []
    if there := content.dynamic:
        texts += [(there.interpreter, there.soname, there.damage), there.needed, there.runpath, there.defined]
        pairs += there.required
    if content.bundle:
        texts.append(content.bundle.troubles)
        pairs += [(native.path, native.library) for native in content.bundle.natives]
    size = sum(weight(text) + _OVERHEAD for some in texts for text in some if text)
    size += sum(weight(first) + weight(second) + _OVERHEAD for first, second in pairs)
    return size + _OVERHEAD * len(content.objects)
