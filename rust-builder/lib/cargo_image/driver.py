"""Builds a Cargo project in two steps, each a layer of its own.

``dependencies`` needs the manifests only: it compiles everything that comes from elsewhere and keeps it in the layer.
``build`` takes the source, needs no network, and compiles the project's own packages. Cargo believes in times of files,
and those of a checkout, a cache and an archive say nothing; so what belongs to the project is always compiled once,
and never kept.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cargo_image import cache, natives, openssl, program
from cargo_image.cargo import Metadata, metadata, resolve, run_cargo
from cargo_image.errors import CargoImageError
from cargo_image.manifest import apply, plan_edit
from cargo_image.openssl import State, Verdict
from cargo_image.project import Project, Wishes
from cargo_image.toolchain import Toolchain
from cargo_image.tree import BUILD, dependency_tree

TARGET = Path("/target")
"""Cargo's target folder. It is the same in both steps, because paths get into programs and fingerprints."""
PATCHED = Path("/var/lib/cargo-image/patched")
"""The manifests that were changed for this build, and beside each the sum of what it was before (``.sha256``)."""
OUT = Path("/out/usr/local/bin")
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
    found = metadata(job.project)
    with cache.of_target(TARGET, package=job.project.package, triple=job.triple, anew=job.wishes.anew):
        _cargo_build(job)
        _forget_members(job, found)


def build(job: Job) -> None:
    """Compile the project's own packages, and put its programs where the image takes them from.

    :raises CargoImageError: it does not compile, or a program is not what the image needs
    """
    restore_patched(job.project.folder)
    _cargo_build(job)
    found = metadata(job.project)
    OUT.mkdir(parents=True, exist_ok=True)
    folder = TARGET / job.triple / "release"
    for name in job.project.binaries or found.binaries():
        shutil.copy(folder / name, OUT / name)
        program.check(OUT / name, job.toolchain, vendored=job.wishes.openssl == "vendored")


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


def native_triple() -> str:
    """The triple of this machine."""
    return run_cargo(["-vV"], Path("/")).split("host: ")[1].split()[0]


def _cargo_build(job: Job) -> None:
    run_cargo(
        ["auditable", "build", "--release", "--locked", "--offline", "--target", job.triple, *job.project.options],
        job.project.folder, environment=environment(job), shown=True,
    )  # fmt: skip


def environment(job: Job) -> dict[str, str]:
    """What a build needs beside Cargo's configuration: the same paths and times in every program."""
    remaps = {str(job.project.folder): "/source", os.environ.get("CARGO_HOME", ""): "/cargo", str(TARGET): "/target"}
    flags = [f"--remap-path-prefix={path}={shown}" for path, shown in remaps.items() if path]
    triple = job.triple.upper().replace("-", "_")
    return {
        "CARGO_TARGET_DIR": str(TARGET),
        f"CARGO_TARGET_{triple}_RUSTFLAGS": " ".join(flags),
        "SOURCE_DATE_EPOCH": EPOCH,
        **({"CARGO_PROFILE_RELEASE_OPT_LEVEL": job.wishes.opt_level} if job.wishes.opt_level else {}),
        # Without it a crate that asks for vendoring by itself would get Debian's library, and the reverse.
        **({"OPENSSL_NO_VENDOR": "1"} if job.wishes.openssl == "system" else {}),
        **natives.environment(job.triple, native_triple()),
    }


def _forget_members(job: Job, found: Metadata) -> None:
    """Leave nothing of the STUBS, which Cargo would take for the programs if its clocks said so."""
    names = [word for member in found.members for word in ("--package", member.name)]
    run_cargo(
        ["clean", "--release", "--locked", "--offline", "--target", job.triple, *names], job.project.folder,
        environment={"CARGO_TARGET_DIR": str(TARGET)},
    )  # fmt: skip


def say(text: str) -> None:
    print(f"cargo-image: {text}", flush=True)
