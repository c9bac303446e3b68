"""Builds a Cargo project in two steps, each a layer of its own.

``dependencies`` needs the manifests only: it compiles everything that comes from elsewhere and keeps it in the layer.
``build`` takes the source, needs no network, and compiles the project's own packages. Cargo believes in times of files,
and those of a checkout, a cache and an archive say nothing; so what belongs to the project is always compiled once,
and never kept.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cargo_image import cache, natives, openssl, program
from cargo_image.cargo import Package, metadata, resolve, run_cargo
from cargo_image.edits import apply
from cargo_image.errors import CargoImageError
from cargo_image.manifest import plan_edit
from cargo_image.openssl import State, Verdict
from cargo_image.project import Project, Wishes
from cargo_image.toolchain import Toolchain
from cargo_image.tree import BUILD, dependency_tree
from cargo_image.variables import known_variables

TARGET = Path("/target")
"""Cargo's target folder. It is the same in both steps, because paths get into programs and fingerprints."""
PATCHED = Path("/var/lib/cargo-image/patched")
"""The manifests that were changed for this build, and beside each the sum of what it was before (``.sha256``)."""
OUT = Path("/out/usr/local/bin")
EMPTY = "// archway: an empty program in the place of the real one"
"""How the programs begin that archway hands over with the manifests."""
EPOCH = "315532800"
"""SOURCE_DATE_EPOCH, 1 January 1980: a commit's time would compile every dependency anew with every commit."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A project, built for one platform on another."""

    wishes: Wishes
    toolchain: Toolchain

    @cached_property
    def project(self) -> Project:
        """The project with its package named, so that every command of Cargo means the same one."""
        return resolve(self.wishes.project)

    @property
    def triple(self) -> str:
        return self.toolchain.rust


def dependencies(job: Job) -> None:
    """Fetch and compile what the project stands on, with OpenSSL vendored where that is needed.

    :raises CargoImageError: the project, its lock or a crate is not fit, or a registry is out of reach
    """
    if not job.wishes.anew:
        cache.seed_crates(job.project.folder)
    run_cargo(["fetch", "--locked", "--target", job.triple], job.project.folder)
    _vendor_openssl(job)
    _check_natives(job)
    cache.save_crates()
    with cache.of_target(TARGET, package=job.project.package, triple=job.triple, anew=job.wishes.anew):
        _cargo_build(job)
        forget_folders(job.project, [job.triple, native_triple()])


def build(job: Job) -> None:
    """Compile the project's own packages, and put its programs where the image takes them from.

    :raises CargoImageError: it does not compile, or a program is not what the image needs
    """
    owner = metadata(job.project).owner()
    _refuse_empty(owner)
    restore_patched(job.project.folder)
    made = programs(_cargo_build(job), owner, job.triple)
    lacking = set(job.project.binaries) - made.keys()
    if lacking or not made:
        raise _not_made(job.project, owner, sorted(lacking))
    OUT.mkdir(parents=True, exist_ok=True)
    for name, path in made.items():
        if name in (job.project.binaries or made):
            shutil.copy(path, OUT / name)
            needed = program.check(OUT / name, job.toolchain, vendored=job.wishes.openssl == "vendored")
            say(f"{name} needs {', '.join(needed) or 'no shared library'}")


def require_project(folder: Path) -> None:
    """:raises CargoImageError: there is no Cargo project in a folder"""
    if not (folder / "Cargo.toml").is_file():
        raise CargoImageError(
            "there is no Cargo.toml here", where=folder,
            hint="the project must be there first. In the Dockerfile: COPY --from=manifests . .",
        )  # fmt: skip


def _refuse_empty(owner: Package) -> None:
    """What stands in the place of the real programs while dependencies are compiled is no program to ship."""
    for target in owner.targets:
        if target.source.is_file() and target.source.read_bytes().startswith(EMPTY.encode()):
            raise CargoImageError(
                "is still the empty program that dependencies were compiled with", where=target.source,
                hint="the source must be there first. In the Dockerfile: COPY --from=source . .",
            )  # fmt: skip


def programs(printed: str, owner: Package, triple: str) -> dict[str, Path]:
    """The programs that Cargo says it made of a package for the target, by name.

    :param printed: lines of JSON, from ``--message-format``
    """
    made: dict[str, Path] = {}
    for line in printed.splitlines():
        # What macros print stands in between.
        if not line.startswith('{"reason":"compiler-artifact",'):
            continue
        said = json.loads(line)
        path = Path(said.get("executable") or "/")
        if (
            said["package_id"] == owner.id and "bin" in said["target"]["kind"]
            and path.is_relative_to(TARGET / triple)
        ):  # fmt: skip
            made[said["target"]["name"]] = path
    return made


def _not_made(project: Project, owner: Package, lacking: Sequence[str]) -> CargoImageError:
    enabled = owner.enabled(project)
    waits = {
        one.name: sorted(set(one.required_features) - enabled) or list(one.required_features)
        for one in owner.programs if one.required_features
    }  # fmt: skip
    return CargoImageError(
        f"{owner.name} was built, and no program {', '.join(lacking)}".rstrip() + " was made",
        where=owner.manifest,
        why="\n".join(f"{name} requires the features {', '.join(features)}" for name, features in waits.items()),
        hint="ask for them: [cargo] features in image.toml" if waits else "look at [[bin]] in it",
    )


def _vendor_openssl(job: Job) -> None:
    if job.wishes.openssl == "system":
        return
    (verdict,) = openssl.decide(job.project, [job.triple], dict(os.environ))
    say(f"OpenSSL for {job.triple}: {verdict.state}, {verdict.why}")
    match verdict.state:
        case State.NEEDED:
            _patch(job.project, verdict)
        case State.IMPOSSIBLE:
            raise CargoImageError(
                f"OpenSSL cannot be vendored for {job.triple}", why="\n".join([verdict.why, *verdict.chain]),
                hint='or link Debian\'s: [cargo] openssl = "system" in image.toml',
            )  # fmt: skip
        case State.NOT_NEEDED | State.ALREADY:
            pass


def _patch(project: Project, verdict: Verdict) -> None:
    """Change the build's copy of the manifests, and keep what they became for :func:`build`."""
    edits = plan_edit(project, [verdict])
    for path, (before, after) in edits.items():
        kept = PATCHED / path.relative_to(project.folder)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(after)
        kept.with_name(f"{kept.name}.sha256").write_text(hashlib.sha256(before).hexdigest())
    apply(edits)
    run_cargo(["fetch", "--locked", "--target", verdict.target], project.folder)


def restore_patched(folder: Path) -> None:
    """Put the changed manifests over the project's own.

    :raises CargoImageError: the project's own are not those that were changed
    """
    for kept in sorted(PATCHED.rglob("*")):
        if kept.is_dir() or kept.suffix == ".sha256":
            continue
        own = folder / kept.relative_to(PATCHED)
        wanted = kept.with_name(f"{kept.name}.sha256").read_text()
        if not own.is_file() or hashlib.sha256(own.read_bytes()).hexdigest() != wanted:
            raise CargoImageError(
                "is not the file that the dependencies were compiled for", where=own.relative_to(folder),
                hint="copy the same manifests before `cargo-image dependencies` and before `cargo-image build`",
            )  # fmt: skip
        own.write_bytes(kept.read_bytes())


def _check_natives(job: Job) -> None:
    program = dependency_tree(job.project, job.triple)
    compiled = dependency_tree(job.project, job.triple, edges=BUILD)
    for need in natives.check(program, job.triple, native_triple(), build_tree=compiled):
        say(str(need))


@functools.cache
def native_triple() -> str:
    """The triple of this machine."""
    return run_cargo(["-vV"], Path("/")).split("host: ")[1].split()[0]


def _cargo_build(job: Job) -> str:
    """Let Cargo compile, and return what it made, as lines of JSON."""
    return run_cargo(
        ["auditable", "build", "--release", "--locked", "--offline", "--target", job.triple,
         "--message-format=json-render-diagnostics", *job.project.options],
        job.project.folder, environment=environment(job), shown=True,
    )  # fmt: skip


def environment(job: Job) -> dict[str, str]:
    """What a build needs beside Cargo's configuration: the same paths and times in every program."""
    known = known_variables(job.wishes.project.folder, os.environ)
    return {
        "CARGO_TARGET_DIR": str(TARGET),
        "RUSTC_WRAPPER": str(cache.WRAPPER),
        "SOURCE_DATE_EPOCH": EPOCH,
        **({"CARGO_PROFILE_RELEASE_OPT_LEVEL": job.wishes.opt_level} if job.wishes.opt_level else {}),
        # Without it a crate that asks for vendoring by itself would get Debian's library, and the reverse.
        **({"OPENSSL_NO_VENDOR": "1"} if job.wishes.openssl == "system" else {}),
        **natives.environment(job.triple, native_triple(), known),
    }


def forget_folders(project: Project, targets: Sequence[str]) -> None:
    """Leave nothing of the empty programs, which Cargo would take for the real thing: those are newer than the source.

    One stands in every package that lies in a folder, be it a member of the workspace or not. ``cargo clean`` with
    a target leaves part of what was made for the build machine (macros, build scripts and what they stand on).
    """
    found = metadata(project, targets).packages
    ids = [word for package in found if not package.source for word in ("--package", package.id)]
    for selection in (["--target", targets[0]], []):
        run_cargo(
            ["clean", "--release", "--locked", "--offline", *selection, *ids], project.folder,
            environment={"CARGO_TARGET_DIR": str(TARGET)},
        )  # fmt: skip


def say(text: str) -> None:
    print(f"cargo-image: {text}", flush=True)
