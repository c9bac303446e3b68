"""Which library an archive is, by the descriptions within it: Maven's, a manifest, a wheel's metadata."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from archway.verify.tar import printable

DESCRIPTIONS = (b"META-INF/MANIFEST.MF", b"/pom.properties", b".dist-info/METADATA")
"""How the paths of descriptions end."""

_MANIFEST = (("Implementation-Title", "Implementation-Version"), ("Bundle-SymbolicName", "Bundle-Version"))
_LENGTH = 200  # characters of a library's name


class Origin:
    """Which library an archive is, or several where others were shaded into it."""

    def __init__(self, described: Mapping[str, str], name: str) -> None:
        parts = {tuple(path.split("/")): text for path, text in described.items()}
        maven = {path: text for path, text in parts.items() if path[:2] == ("META-INF", "maven") and len(path) == 5}
        self._name = posixpath.basename(name)
        self._maven = {path[3]: _maven(path[2], path[3], text) for path, text in maven.items()}
        self._else = self._fitting() or _said(described, self._name) or printable(self._name)[:_LENGTH]

    def of(self, path: str) -> str:
        """The library of one native: among several artifacts, the one whose every word stands in the native's path."""
        near = [artifact for artifact in self._maven if all(word in path for word in artifact.split("-"))]
        return self._maven[max(near, key=len)] if near and len(self._maven) > 1 else self._else

    def _fitting(self) -> str:
        """The only artifact, or the one that the archive is named after."""
        fitting = [artifact for artifact in self._maven if self._name.startswith(artifact) or len(self._maven) == 1]
        return self._maven[max(fitting, key=len)] if fitting else ""


def _maven(group: str, artifact: str, text: str) -> str:
    said = {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in text.splitlines())}
    return _joined(said.get("groupId", group), said.get("artifactId", artifact), said.get("version", ""))


def _said(described: Mapping[str, str], name: str) -> str:
    """What a wheel's metadata say, or a manifest. Many a manifest's title is no name: the file's must begin with it."""
    for path, text in sorted(described.items(), reverse=True):
        lines = text.replace("\r\n", "\n").partition("\n\n")[0].replace("\n ", "").split("\n")
        said = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
        if path.endswith(".dist-info/METADATA") and said.get("Name"):
            return _joined(said["Name"], said.get("Version", ""))
        for key, version in _MANIFEST:
            title = said.get(key, "").partition(";")[0]
            if path == "META-INF/MANIFEST.MF" and title and (name.startswith(title) or not name):
                return _joined(title, said.get(version, ""))
    return ""


def _joined(*words: str) -> str:
    return printable(":".join(filter(None, words)))[:_LENGTH]
