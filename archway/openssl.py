"""``inv patch-openssl``: what cargo, in rust-builder, says about OpenSSL in a Cargo project, and the change it needs.

The decision itself is made by the command ``cargo-image`` of rust-builder, where builds make it too; docs/operators.md
tells how.
"""

from __future__ import annotations

import difflib
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from archway.cargo_folders import project_files, write_manifests
from archway.engine import Engine
from archway.errors import BuildError, MachineError, UsageError
from archway.extraction import extract
from archway.files import write_whole
from archway.metadata_cargo import Cargo
from archway.platforms import Platform
from archway.scratch import scratch
from archway.settings import Settings

NOT_NEEDED, NEEDED, IMPOSSIBLE = "not needed", "needed", "impossible"
LARGEST_REPORT = 1 << 26
_COPY = "/tmp/project"  # noqa: S108 - in the container, which nobody else uses
# What is shown in a line of a terminal, and does nothing else there.
_Line = Annotated[str, StringConstraints(max_length=2000, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
_Lines = Annotated[str, StringConstraints(max_length=20_000, pattern=r"^([^\x00-\x1f\x7f-\x9f]|[\n\t])*$")]


class _Said(BaseModel):
    """A table of what cargo-image says. The project may have a hand in it: its configuration can start programs."""

    model_config = ConfigDict(strict=True, frozen=True, defer_build=True)


class _Verdict(_Said):
    target: _Line
    state: Literal["not needed", "needed", "already", "impossible"]
    why: _Lines
    chain: list[_Line]
    version: _Line


class _Edit(_Said):
    before: str
    after: str


class _Report(_Said):
    verdicts: list[_Verdict]
    edits: dict[str, _Edit]


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """A Cargo project that is looked at."""

    name: str
    folder: Path
    cargo: Cargo
    platforms: tuple[Platform, ...]
    ours: bool
    """Whether its files may be changed; a crate or a git repository is somebody else's."""
    shown: str = ""
    """Its folder in messages; the name, if it is not said."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What is true for one platform."""

    platform: Platform
    state: str
    """not needed, needed, already or impossible."""
    why: str
    chain: tuple[str, ...]
    """The packages that lead from the project to openssl-sys."""
    version: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What cargo says of a project."""

    subject: Subject
    verdicts: tuple[Verdict, ...]
    edits: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Files that would change: the text before and after."""

    @property
    def open(self) -> bool:
        """Whether something is left to do in the tree, or cannot be done."""
        return any(verdict.state in (NEEDED, IMPOSSIBLE) for verdict in self.verdicts)

    def diff(self) -> str:
        """The change, as ``patch -p1`` takes it."""
        return "".join(
            "".join(
                difflib.unified_diff(
                    before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{name}", f"b/{name}"
                )
            )
            for name, (before, after) in sorted(self.edits.items())
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.subject.name,
            "verdicts": [
                {
                    "platform": str(verdict.platform), "state": verdict.state, "why": verdict.why,
                    "chain": list(verdict.chain), "openssl-sys": verdict.version,
                } for verdict in self.verdicts
            ],
            "changes": sorted(self.edits),
        }  # fmt: skip


def ask(engine: Engine, settings: Settings, subject: Subject, *, builder: str, undo: bool = False) -> Answer:
    """Let cargo in rust-builder look at a project.

    :param builder: the name of the image rust-builder in the engine
    :param undo: the change is the one that takes back what was added
    :raises BuildError: the project is not fit (no lock, a lock that is not current …), or a registry is out of reach
    """
    if subject.cargo.openssl == "system" and not undo:
        why = 'Debian\'s is linked: [cargo] openssl = "system"'
        verdicts = (Verdict(platform=each, state=NOT_NEEDED, why=why, chain=()) for each in subject.platforms)
        return Answer(subject=subject, verdicts=tuple(verdicts))
    by_triple = {platform.names.rust: platform for platform in subject.platforms}
    targets = " ".join(f"--target {triple}" for triple in by_triple)
    script = f"cp -r /project {_COPY}\ncd {_COPY}\ncargo-image openssl {targets} {'--undo' if undo else ''}"
    with scratch(settings.state, "openssl") as place:
        manifests, out = place / "manifests", place / "out"
        write_manifests(subject.folder, manifests, subject.cargo, ours=subject.ours)
        extract(
            engine, settings, image=builder, script=f"{script} > /out/report.json\n", contexts={"project": manifests},
            out=out, what=f"{subject.name}: OpenSSL", places={_COPY: subject.shown or subject.name},
        )  # fmt: skip
        return read_report(subject, out / "report.json")


def read_report(subject: Subject, path: Path) -> Answer:
    """What cargo-image has written of a project; it is believed no more than the project is.

    :raises BuildError: it is no such report, or names other platforms or files than were handed over
    """

    def refused(why: str) -> BuildError:
        return BuildError(
            f"{subject.name}: what cargo-image says cannot be used", why=why,
            hint="look at what its .cargo/config.toml starts; then build rust-builder anew",
        )  # fmt: skip

    try:
        if not stat.S_ISREG((found := path.lstat()).st_mode) or found.st_size > LARGEST_REPORT:
            raise refused("its report is no file of a sensible size")
        said = _Report.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise refused("there is no report") from None
    except ValidationError as wrong:
        mistakes = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in wrong.errors()[:5]]
        raise refused("\n".join(mistake[:300].encode("unicode_escape").decode() for mistake in mistakes)) from None
    by_triple = {platform.names.rust: platform for platform in subject.platforms}
    if sorted(verdict.target for verdict in said.verdicts) != sorted(by_triple):
        raise refused("its verdicts are not on the platforms that were asked for")
    if others := sorted(said.edits.keys() - _editable(subject)):
        raise refused("\n".join(f"{name[:200]!r} is no manifest and no lock of the project" for name in others[:5]))
    return Answer(
        subject=subject,
        verdicts=tuple(
            Verdict(
                platform=by_triple[verdict.target], state=verdict.state, why=verdict.why, chain=tuple(verdict.chain),
                version=verdict.version,
            ) for verdict in said.verdicts
        ),
        edits={name: (edit.before, edit.after) for name, edit in said.edits.items()},
    )  # fmt: skip


def _editable(subject: Subject) -> frozenset[str]:
    """The files that were handed over and may change; none is a link, or lies behind one."""
    found = project_files(subject.folder, ours=subject.ours)
    return frozenset(
        str(name)
        for name, path in found.items()
        if name.name in ("Cargo.toml", "Cargo.lock") and not path.is_symlink()
    )  # fmt: skip


def write(answer: Answer) -> list[Path]:
    """Make the change in the project's own files.

    :returns: the files that were written
    :raises UsageError: they are somebody else's
    :raises BuildError: they changed meanwhile; nothing was written
    :raises MachineError: they cannot be written; those that were are as before
    """
    subject = answer.subject
    if answer.edits and not subject.ours:
        raise UsageError(
            f"{subject.name} comes from elsewhere, so there is no file to write",
            hint="the build changes its own copy; --diff shows how",
        )
    if others := sorted(answer.edits.keys() - _editable(subject)):
        raise BuildError(f"{others[0]!r} is no manifest and no lock of {subject.name}", hint="nothing was written")
    paths = {subject.folder / name: edit for name, edit in sorted(answer.edits.items())}
    for path, (before, _) in paths.items():
        if path.read_bytes() != before.encode():
            raise BuildError("changed while cargo looked at it", where=path, hint="run it again; nothing was written")
    written: list[Path] = []
    try:
        for path, (_, after) in paths.items():
            write_whole(path, after.encode())
            written.append(path)
    except OSError as denied:
        for path in written:
            write_whole(path, paths[path][0].encode())
        raise MachineError(
            f"cannot be written: {denied.strerror}", where=path, hint="nothing was changed; look at its owner and mode"
        ) from None
    return written


def rows(answers: Sequence[Answer]) -> list[list[str]]:
    """The verdicts as lines of a table."""
    return [
        [answer.subject.name, verdict.platform.tag, verdict.state, verdict.why]
        for answer in answers
        for verdict in answer.verdicts
    ]
