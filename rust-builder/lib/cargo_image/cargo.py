"""Runs Cargo, and reads what it says of a project."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cargo_image.errors import CargoImageError
from cargo_image.project import Project
from cargo_image.signs import explain


def run_cargo(
    args: Sequence[str], folder: Path, *,
    offline: bool = False, environment: Mapping[str, str] | None = None, shown: bool = False,
) -> str:  # fmt: skip
    """Run Cargo in a folder, and return what it prints.

    :param environment: variables beside this process's own
    :param shown: the user sees what Cargo says on stderr while it works
    :raises CargoImageError: it failed, or there is no Cargo
    """
    words = [*args, *(["--offline"] if offline else [])]
    variables = {**os.environ, "LC_ALL": "C.UTF-8", "CARGO_TERM_COLOR": "never", **(environment or {})}
    try:
        code, printed, said = (_watch if shown else _collect)(["cargo", *words], folder, variables)
    except OSError as failed:
        if not folder.is_dir():
            raise CargoImageError("there is no such folder", where=folder) from None
        raise CargoImageError("Cargo cannot be run", why=str(failed), hint="install Rust, with cargo on PATH") from None
    if code:
        raise explain(said, words, folder)
    return printed


def _collect(command: list[str], folder: Path, variables: Mapping[str, str]) -> tuple[int, str, str]:
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    return done.returncode, done.stdout, done.stderr


def _watch(command: list[str], folder: Path, variables: Mapping[str, str]) -> tuple[int, str, str]:
    said: list[str] = []
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as printed,
        subprocess.Popen(
            command, cwd=folder, env=variables, stdout=printed, stderr=subprocess.PIPE,
            encoding="utf-8", errors="replace",
        ) as process,
    ):  # fmt: skip
        for line in process.stderr or ():
            sys.stderr.write(line)
            said.append(line)
        process.wait()
        printed.seek(0)
        return process.returncode, printed.read(), "".join(said)


@dataclass(frozen=True, kw_only=True, slots=True)
class Dependency:
    """An entry in a table of dependencies of a Cargo.toml.

    :param key: how the entry is called there; another name than the package's if it is renamed
    :param kind: ``normal``, ``dev`` or ``build``
    :param target: the triple or ``cfg(…)`` of its table; empty for all
    :param source: as a lock names it; empty for a folder
    :param path: of the folder
    :param requirement: of its version
    """

    key: str
    package: str
    kind: str
    target: str
    features: tuple[str, ...]
    source: str = ""
    path: str = ""
    requirement: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """What a package makes: a library, a program, a test …"""

    name: str
    kinds: tuple[str, ...]
    source: Path
    required_features: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """A package as Cargo sees it. ``source`` is empty for one that lies in a folder."""

    name: str
    version: str
    id: str
    manifest: Path
    source: str
    links: str
    features: Mapping[str, tuple[str, ...]]
    dependencies: tuple[Dependency, ...]
    targets: tuple[Target, ...]

    @property
    def programs(self) -> tuple[Target, ...]:
        return tuple(target for target in self.targets if "bin" in target.kinds)

    def enabled(self, project: Project) -> set[str]:
        """The package's features that are on when it is built as the project says."""
        enabled: set[str] = set()
        waiting = [feature.removeprefix(f"{self.name}/") for feature in project.features]
        waiting += ["default"] if project.default_features else []
        while waiting:
            if (feature := waiting.pop()) not in enabled:
                enabled.add(feature)
                waiting += self.features.get(feature, ())
        return enabled


@dataclass(frozen=True, kw_only=True, slots=True)
class Metadata:
    """A project's packages.

    :param root: the workspace's folder, where Cargo.lock is
    :param packages: the members, and with ``targets`` all that these platforms need
    :param chosen: ids of the members that are built when none is named
    """

    project: Project
    root: Path
    packages: tuple[Package, ...]
    member_ids: tuple[str, ...]
    chosen: tuple[str, ...]

    @property
    def members(self) -> tuple[Package, ...]:
        return tuple(package for package in self.packages if package.id in self.member_ids)

    def owner(self, name: str = "") -> Package:
        """The package that owns the binaries: the named one, or the only one that has some.

        Where the project's folder is that of a package with binaries, it is that one, as for ``cargo build``.

        :raises CargoImageError: there is none, or there are several
        """
        name = name or self.project.package
        if name:
            return self._member(name)
        able = [package for package in self.members if self._fits(package)]
        for few in ([p for p in able if p.manifest.parent == self.project.folder.resolve()],
                    [p for p in able if p.id in self.chosen], able):  # fmt: skip
            if len(few) == 1:
                return few[0]
        where = self.project.folder / "Cargo.toml"
        if able:
            names = ", ".join(sorted(package.name for package in able))
            raise CargoImageError(
                "several packages have binaries", where=where, why=f"these have: {names}",
                hint="name one: [cargo] package in image.toml",
            )  # fmt: skip
        wanted = ", ".join(self.project.binaries)
        raise CargoImageError(
            f"no package has the binaries {wanted}" if wanted else "no package has a binary", where=where,
            hint="a program has a src/main.rs, a src/bin/, or a table [[bin]]",
        )  # fmt: skip

    def _fits(self, package: Package) -> bool:
        names = {program.name for program in package.programs}
        return bool(names) and names.issuperset(self.project.binaries)

    def _member(self, name: str) -> Package:
        names = {package.name: package for package in self.members}
        if name in names:
            return names[name]
        near = difflib.get_close_matches(name, names) or sorted(names)
        raise CargoImageError(
            f"the project has no package {name}", where=self.project.folder / "Cargo.toml",
            hint=f"there is: {', '.join(near)}",
        )  # fmt: skip


def metadata(project: Project, targets: Sequence[str] = ()) -> Metadata:
    """The project's packages. Without targets only the members are read, which needs no network.

    :param targets: also read all that the project stands on, with all its features, on these platforms
    :raises CargoImageError: the project or its lock is not fit
    """
    words = ["metadata", "--locked", "--format-version", "1"]
    words += ["--all-features", *(f"--filter-platform={target}" for target in targets)] if targets else ["--no-deps"]
    return parse_metadata(run_cargo(words, project.folder), project)


def parse_metadata(printed: str, project: Project) -> Metadata:
    """Read what ``cargo metadata --format-version 1`` prints."""
    said = json.loads(printed)
    return Metadata(
        project=project,
        root=Path(said["workspace_root"]),
        packages=tuple(_package(package) for package in said["packages"]),
        member_ids=tuple(said["workspace_members"]),
        chosen=tuple(said.get("workspace_default_members", ())),
    )


def _package(said: Mapping[str, Any]) -> Package:
    return Package(
        name=said["name"],
        version=said["version"],
        id=said["id"],
        manifest=Path(said["manifest_path"]),
        source=said["source"] or "",
        links=said["links"] or "",
        features={name: tuple(needs) for name, needs in said["features"].items()},
        dependencies=tuple(
            Dependency(
                key=entry["rename"] or entry["name"], package=entry["name"], kind=entry["kind"] or "normal",
                target=entry["target"] or "", features=tuple(entry["features"]),
                source=entry["source"] or "", path=entry.get("path") or "",
                requirement=entry.get("req", ""),
            )
            for entry in said["dependencies"]
        ),
        targets=tuple(
            Target(
                name=target["name"], kinds=tuple(target["kind"]), source=Path(target["src_path"]),
                required_features=tuple(target.get("required-features", ())),
            )
            for target in said["targets"]
        ),
    )  # fmt: skip


def resolve(project: Project, found: Metadata | None = None) -> Project:
    """The same project with its package named, so that every command of Cargo means the same one.

    :raises CargoImageError: there is no such package, or several have binaries and none is named
    """
    owner = (found or metadata(project)).owner()
    return dataclasses.replace(project, package=owner.name)
