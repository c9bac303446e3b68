"""The edit that has OpenSSL built from source: three lines at the end of a Cargo.toml, and what follows in the lock.

The lines ask for openssl-sys with its feature ``vendored``, for one target, in the package that owns the binaries.
Cargo unites the features that are asked for anywhere, so no line of the user is touched whatever entries there are,
and taking the edit back is taking these lines out. An edit is made in a stand-in of the user's files, and is returned
only if Cargo accepts it and nothing else changed in the lock.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from cargo_image import block
from cargo_image.cargo import Metadata, Package, metadata, resolve, run_cargo
from cargo_image.edits import Edits
from cargo_image.errors import CargoImageError
from cargo_image.lock import carried_over, unwanted_changes
from cargo_image.openssl import SYS, VENDORED, State, Verdict
from cargo_image.pinned import lock_pinned, read_pin
from cargo_image.project import Project
from cargo_image.scratch import Scratch, scratch
from cargo_image.tree import dependency_tree

PUBLIC = "/crates.io-index"
"""The end of the public crate registry's name in locks, wherever its packages really come from."""


def plan_edit(project: Project, verdicts: Sequence[Verdict]) -> Edits:
    """What to change so that OpenSSL is vendored for all targets that need it; empty if none does.

    The version of openssl-src is the one that the environment names (:mod:`cargo_image.pinned`), else the newest.

    :raises CargoImageError: there is no such edit, or the lock would change in other ways too
    """
    needed = [verdict for verdict in verdicts if verdict.state is State.NEEDED]
    if not needed:
        return {}
    found = metadata(project)
    found = dataclasses.replace(found, project=resolve(project, found))
    owner, lock = found.owner(), found.root / "Cargo.lock"
    pin = read_pin(os.environ)
    packages = metadata(found.project, [verdict.target for verdict in needed]).packages

    def edit(made: Scratch) -> None:
        moved = dataclasses.replace(found.project, folder=made(project.folder.resolve()))
        for verdict in needed:
            wanted = next(p for p in packages if (p.name, p.version) == (SYS, verdict.version))
            _add(moved, made(owner.manifest), verdict.target, entry(owner, wanted))
        run_cargo(["update", "--workspace"], moved.folder)
        lock_pinned(pin, lock.read_bytes(), made(lock))
        _carry_over(lock.read_bytes(), made(lock), grows=True)
        _check_vendored(moved, needed)

    return _planned(found, [owner.manifest], edit)


def plan_undo(project: Project) -> Edits:
    """What to change to take back all that :func:`plan_edit` ever added; empty if there is nothing.

    :raises CargoImageError: the lock would change in other ways too
    """
    found = metadata(project)
    lock = found.root / "Cargo.lock"
    manifests = [m.manifest for m in found.members if block.MARK.encode() in m.manifest.read_bytes()]
    if not manifests:
        return {}

    def edit(made: Scratch) -> None:
        for manifest in manifests:
            made(manifest).write_bytes(block.remove(manifest.read_bytes()))
        run_cargo(["update", "--workspace"], made(found.root), offline=True)
        _carry_over(lock.read_bytes(), made(lock), grows=False)

    return _planned(found, manifests, edit)


def entry(owner: Package, wanted: Package) -> block.Entry:
    """The owner's entry that asks for just this openssl-sys, from wherever it comes.

    Cargo wants one package under one name and from one place in all tables of a manifest, so an entry that the owner
    has for it already is followed in both.
    """
    there = next((dependency for dependency in owner.dependencies if dependency.package == SYS), None)
    if there:
        key, source, folder = there.key, there.source, there.path
    else:
        taken = any(dependency.key == SYS for dependency in owner.dependencies)
        key, source, folder = "vendored-openssl" if taken else SYS, wanted.source, str(wanted.manifest.parent)
    values = {"package": SYS} if key != SYS else {}
    if not source:
        values["path"] = os.path.relpath(folder, owner.manifest.parent)
    elif source.startswith("git+"):
        address = urlsplit(source.removeprefix("git+"))
        values |= {"git": address._replace(query="", fragment="").geturl(), **dict(parse_qsl(address.query))}
    else:
        values["version"] = _requirement(wanted.version)
        if not source.endswith(PUBLIC):
            values["registry-index"] = source.removeprefix("registry+")
    return block.Entry(key=key, values=values, features=(VENDORED,))


def _requirement(version: str) -> str:
    """What ``cargo add`` would write, as wide as compatible versions are: 0.9 for 0.9.118."""
    major, minor, _ = version.split("+")[0].split(".", 2)
    if "-" in version:
        return version
    return f"{major}.{minor}" if major == "0" else major


def _add(project: Project, manifest: Path, target: str, added: block.Entry) -> None:
    """Add the block for one target to a manifest of the stand-in, in a table that Cargo accepts."""
    before = manifest.read_bytes()
    if block.is_in(before, target):
        return
    for table in block.tables(target):
        manifest.write_bytes(block.add(before, table, added))
        try:
            metadata(project)
        except CargoImageError as failed:
            refusal = failed
        else:
            return
    raise CargoImageError(
        f"openssl-sys cannot be asked for again for {target}", where=manifest, why=refusal.why,
        hint='add features = ["vendored"] to its entry by hand',
    )  # fmt: skip


def _check_vendored(project: Project, verdicts: Iterable[Verdict]) -> None:
    for verdict in verdicts:
        found = dependency_tree(project, verdict.target).find(SYS)
        if not found or any(VENDORED not in node.features for node in found):
            raise CargoImageError(
                f"openssl-sys does not get its feature vendored for {verdict.target}", where=project.folder,
                why=f"there is {', '.join(map(str, found)) or 'none'}", hint="ask for it in your own Cargo.toml",
            )  # fmt: skip


def _planned(found: Metadata, manifests: Iterable[Path], edit: Callable[[Scratch], None]) -> Edits:
    files = [*manifests, found.root / "Cargo.lock"]
    with scratch(files) as made, _real_paths(made):
        edit(made)
        both = {path: (path.read_bytes(), made(path).read_bytes()) for path in files}
    return {_named(path, found.project): (old, new) for path, (old, new) in both.items() if old != new}


@contextmanager
def _real_paths(made: Scratch) -> Iterator[None]:
    """Errors name the user's files, not the stand-in's."""
    try:
        yield
    except CargoImageError as failed:
        what, where, why, hint = (
            part.replace(str(made.root), "") for part in (failed.what, failed.where, failed.why, failed.hint)
        )
        raise CargoImageError(what, where=where, why=why, hint=hint) from None


def _named(path: Path, project: Project) -> Path:
    """A file by the name under which the project was given, which may lead over links."""
    folder = project.folder.resolve()
    return project.folder / path.relative_to(folder) if path.is_relative_to(folder) else path


def _carry_over(own: bytes, decided: Path, *, grows: bool) -> None:
    """Put the user's own lock, with no more than the wanted changes, in the place of the one that Cargo wrote."""
    new = decided.read_bytes()
    if changes := unwanted_changes(own, new) if grows else unwanted_changes(new, own):
        raise CargoImageError(
            "more would change in it than OpenSSL needs", where=decided, why="\n".join(changes),
            hint="run `cargo update --workspace` on your machine, and commit Cargo.lock",
        )  # fmt: skip
    decided.write_bytes(carried_over(own, new))
