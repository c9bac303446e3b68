"""Reads the objects of a YAML file: what Kubernetes could be given as JSON, and nothing that only looks like it.

Aliases are refused: they are seldom needed in objects, and a few lines of them can stand for gigabytes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from archway.errors import Location, MetadataError, Mistakes

if TYPE_CHECKING:
    import yaml

LARGEST = 4 << 20
"""Bytes of a file. Kubernetes takes no object of more than 1.5 MiB."""
DEEPEST = 100
"""So many mappings and lists may be inside of each other."""
MOST_VALUES = 500_000
"""In a file. The definitions of a large operator have some tens of thousands."""
DEFAULT_NAMESPACE = "default"

_API_VERSION = re.compile(r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?v[a-z0-9]+")
_KIND = re.compile("[A-Za-z][A-Za-z0-9]*")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:_-]*[A-Za-z0-9])?")
_TAG = "tag:yaml.org,2002:"
_INT = re.compile(r"[-+]?(0b[01_]+|0x[0-9a-fA-F_]+|0|0[0-7_]+|[1-9][0-9_]*)")
"""The integers of YAML 1.1 without those of 60: 12:30 is a text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KubernetesObject:
    """An object as it is written in a file, or as much of it as matters."""

    api_version: str
    kind: str
    name: str
    namespace: str
    """Without meaning for a kind that is in no namespace."""
    body: Mapping[str, object] = field(repr=False)
    where: Location = field(repr=False, compare=False)

    def __str__(self) -> str:
        space = f"{self.namespace}/" if self.namespace != DEFAULT_NAMESPACE else ""
        return f"{self.kind} {space}{self.name}"


def read_file(path: Path, *, shown: str) -> tuple[KubernetesObject, ...]:
    """The objects of a file.

    :raises MetadataError: it is missing, too large, no YAML, or holds no objects; all mistakes are told together
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as denied:
        raise MetadataError(f"cannot be read: {denied.strerror}", where=shown) from None
    return read_objects(data, shown=shown)


def read_objects(data: bytes, *, shown: str) -> tuple[KubernetesObject, ...]:
    """The objects of a text in YAML, document by document; empty documents are none.

    :param shown: what messages call the text
    :raises MetadataError: as :func:`read_file`
    """
    mistakes = Mistakes()
    if len(data) > LARGEST:
        raise MetadataError(f"is larger than {LARGEST >> 20} MiB", where=shown)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as broken:
        raise MetadataError(f"is not UTF-8 at byte {broken.start}", where=shown) from None
    reader = _Reader(shown, mistakes)
    found = [made for node in _documents(text, shown) if (made := reader.read(node))]
    if not found:
        mistakes.add("holds no object", where=shown)
    seen: dict[tuple[str, str, str, str], KubernetesObject] = {}
    for one in found:
        other = seen.setdefault((one.api_version, one.kind, one.namespace, one.name), one)
        if other is not one:
            mistakes.add(f"{one} stands twice: also in line {other.where.line}", where=one.where)
    mistakes.check()
    return tuple(found)


def _documents(text: str, shown: str) -> list[yaml.Node]:
    """The nodes of the documents, when nothing in them could make them grow or be too deep to walk through."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _refuse_hostile(yaml.parse(text, Loader=loader), shown)
        return [node for node in yaml.compose_all(text, Loader=loader) if node is not None]
    except yaml.YAMLError as broken:
        mark = getattr(broken, "problem_mark", None)
        problem = getattr(broken, "problem", None) or str(broken).splitlines()[0]
        raise MetadataError(
            f"is no valid YAML: {problem}", where=Location(shown, mark.line + 1 if mark else None)
        ) from None


def _refuse_hostile(events: Iterator[yaml.Event], shown: str) -> None:
    import yaml

    depth = 0
    for number, event in enumerate(events):
        if isinstance(event, yaml.AliasEvent):
            raise MetadataError(
                f"*{event.anchor}: aliases are not taken here", where=_place(shown, event),
                why="a few lines of them can stand for gigabytes", hint="write out what it stands for",
            )  # fmt: skip
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if number > MOST_VALUES:
            raise MetadataError(f"has more than {MOST_VALUES} values", where=_place(shown, event))
        if depth > DEEPEST:
            raise MetadataError(f"is more than {DEEPEST} levels deep", where=_place(shown, event))


def _place(shown: str, part: yaml.Event | yaml.Node) -> Location:
    mark = part.start_mark
    return Location(shown, mark.line + 1 if mark else None)


class _Reader:
    """Turns nodes into what JSON has, and notes down what JSON has not."""

    def __init__(self, shown: str, mistakes: Mistakes) -> None:
        self._shown = shown
        self._mistakes = mistakes

    def read(self, node: yaml.Node) -> KubernetesObject | None:
        """The object of a document; None where it is empty or wrong."""
        where = _place(self._shown, node)
        body = self._value(node)
        if body is None:
            return None
        if not isinstance(body, dict):
            self._mistakes.add("a document is no mapping, so it is no object", where=where)
            return None
        metadata = body.get("metadata")
        given = metadata if isinstance(metadata, dict) else {}
        texts = [
            self._text(body.get("apiVersion"), "apiVersion", _API_VERSION, where),
            self._text(body.get("kind"), "kind", _KIND, where),
            self._text(given.get("name"), "metadata.name", _NAME, where),
            self._text(given.get("namespace", DEFAULT_NAMESPACE), "metadata.namespace", _NAME, where),
        ]
        version, kind, name, namespace = texts
        if not (version and kind and name and namespace):
            return None
        return KubernetesObject(
            api_version=version, kind=kind, name=name, namespace=namespace, body=body, where=where
        )  # fmt: skip

    def _text(self, value: object, key: str, form: re.Pattern[str], where: Location) -> str:
        if isinstance(value, str) and len(value) <= 253 and form.fullmatch(value):
            return value
        is_ = "is missing" if value is None else f"cannot be {short(value)}"
        self._mistakes.add(f"the object that begins here: {key} {is_}", where=where)
        return ""

    def _value(self, node: yaml.Node) -> object:
        import yaml

        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self._value(item) for item in node.value]
        try:
            if isinstance(node, yaml.ScalarNode):
                return _scalar(node.tag.removeprefix(_TAG), str(node.value))
        except ValueError:
            pass
        self._mistakes.add(f"is nothing that JSON has ({node.tag.removeprefix(_TAG)})", where=_place(self._shown, node))
        return ""

    def _mapping(self, node: yaml.MappingNode) -> dict[str, object]:
        made: dict[str, object] = {}
        for key_node, value_node in node.value:
            key, where = self._value(key_node), _place(self._shown, key_node)
            if not isinstance(key, str):
                self._mistakes.add(f"the key {short(key)} is no text", where=where, hint="write it in quotes")
            elif key in made:
                self._mistakes.add(f"the key {short(key)} stands twice", where=where)
            else:
                made[key] = self._value(value_node)
        return made


def _scalar(tag: str, text: str) -> object:
    """:raises ValueError: it is nothing that JSON has"""
    match tag:
        case "str" | "timestamp" | "value" | "merge":
            return text
        case "null":
            return None
        case "bool":
            return text.lower() in ("yes", "true", "on")
        case "int":
            return _integer(text) if _INT.fullmatch(text) else text
        case "float" if ":" in text:
            return text
        case "float":
            number = float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
            if math.isfinite(number):
                return number
    raise ValueError(tag)


def _integer(text: str) -> int:
    digits = text.replace("_", "").lower()
    bare = digits.lstrip("+-")
    octal = bare.startswith("0") and bare[1:].isdigit()
    return int(digits, 8 if octal else 0)


def short(value: object) -> str:
    """A value as messages show it: as JSON, and not the whole of a long one."""
    text = json.dumps(value, ensure_ascii=False).encode(errors="replace").decode()
    return text if len(text) <= 80 else f"{text[:79]}…"
