"""Carries out a plan: builds what is not up to date, proves it, and only then gives it its name."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from archway import bootstrap, log
from archway.catalog import Catalog
from archway.contexts import Names
from archway.due import Wishes, due_steps
from archway.engine import BuildFailedError, BuildOrder, Engine
from archway.errors import BuildError, MachineError, VerifyError
from archway.failures import explain
from archway.labels import Parent, Revision, labels
from archway.machine.guard import require_emulation
from archway.metadata_cargo import Source
from archway.platforms import Platform
from archway.proof import prove
from archway.provided import RUST_BUILDER, files_digest, products_of, provided, shown_source
from archway.settings import Settings
from archway.sources import fetch
from archway.targets import MANIFESTS, ROOTFS, SOURCE, Step, Strategy, Target
from archway.verification import refuse_before
from archway.verify import Report


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a target came to be."""

    step: Step
    built: bool
    seconds: float = 0.0
    size: int = 0
    """Bytes of the root file system, uncompressed."""


@dataclass(kw_only=True)
class Building:
    """One run of ``inv build``."""

    engine: Engine
    settings: Settings
    wishes: Wishes = field(default_factory=Wishes)

    def __post_init__(self) -> None:
        self.revision = Revision.read(self.settings.root, source=self.settings.source)
        self.names = Names(self.engine)
        self.steps: dict[Target, Step] = {}
        self.products: frozenset[str] = frozenset()

    def due(self, steps: Sequence[Step]) -> tuple[Step, ...]:
        """The steps that must really be built (:func:`archway.due.due_steps`)."""
        images = {step.target: self.engine.image(str(step.reference)) for step in steps}
        # One that is made of images.lock.toml cannot get cleaner than this file is.
        folders = frozenset().union(*(step.folders for step in steps))
        return due_steps(steps, images, self.wishes, commit=self.revision.of(folders))

    def run(self, steps: Sequence[Step]) -> list[Outcome]:
        """Build what is due, in order; the first failure ends it.

        :raises MachineError: steps of a foreign platform cannot be run here
        :raises BuildError: a Dockerfile's step failed (by cause: see :mod:`archway.errors`)
        :raises VerifyError: a Dockerfile would give a wrong image (nothing was built), or an image is not what it
            should be (it was not given its name)
        """
        self.names.sweep()
        self.steps = {step.target: step for step in steps}
        due = {step.target: step for step in self.due(steps)}
        # Said before anything is built, not by the step that fails after a long way.
        require_emulation([step.target.platform for step in due.values() if step.strategy is Strategy.EMULATED])
        catalog = Catalog(self.settings)
        self.products = products_of(catalog)
        refuse_before(self.engine, catalog, list(due.values()))
        outcomes = []
        for step in steps:
            if step.target in due:
                outcomes.append(self._build(step))
            elif step.requested:
                log.done(f"{step.target}: up to date")
                outcomes.append(Outcome(step=step, built=False))
        return outcomes

    def _build(self, step: Step) -> Outcome:
        started = time.monotonic()
        logfile = self.settings.state / "logs" / f"{step.target.slug}.log"
        logfile.parent.mkdir(parents=True, exist_ok=True)
        unproven = self.names.fresh(step.target.image)
        images, outside = self._parents(step)
        try:
            with (
                log.step(f"{step.target}: {step.strategy}") as progress,
                logfile.open("w", encoding="utf-8", buffering=1) as file,
                self._provided(step) as folders,
                self.names.contexts(images) as contexts,
            ):

                def heard(line: str) -> None:
                    file.write(f"{line}\n")
                    if self.wishes.verbose:
                        log.note(line)
                    elif found := re.match(r"#\d+ (\[.*)", line):
                        progress(found[1])

                self.engine.build(self._order(step, unproven, contexts | outside | folders), heard)
                self._require_same_files(step)
                progress("verifying")
                report = self._prove(step, unproven)
            self.engine.tag(unproven, str(step.reference))
        except BuildFailedError as failed:
            raise self._cause(step, failed, logfile) from None
        finally:
            self.engine.remove(unproven)
        seconds = time.monotonic() - started
        log.done(f"{step.target}: {step.strategy}, {seconds:.1f} s, {report.size / 1e6:.0f} MB")
        return Outcome(step=step, built=True, seconds=seconds, size=report.size)

    def _provided(self, step: Step) -> AbstractContextManager[dict[str, str]]:
        fetched = partial(self._fetch, step)
        return provided(self.settings, step, fetched, products=self.products, anew=self.wishes.anew(step))

    def _cause(self, step: Step, failed: BuildFailedError, logfile: Path) -> BuildError | MachineError:
        rust = step.folders & {SOURCE, MANIFESTS}
        return explain(
            str(step.target), failed.log, dockerfile=step.image.shown(step.image.dockerfile_path),
            log=logfile.relative_to(self.settings.root).as_posix(), engine_gone=not self.engine.answers,
            places={"/source": shown_source(step.image, step.release)} if rust else {},
        )  # fmt: skip

    def _fetch(self, step: Step, source: Source) -> Path:
        """Bring the Cargo project of a step to this machine; a crate is fetched by cargo, which rust-builder has."""
        builders = [str(self.steps[target].reference) for target in step.parents.get(RUST_BUILDER, ())]
        return fetch(self.engine, self.settings, source, step.image, builder=builders[0] if builders else None)

    def _require_same_files(self, step: Step) -> None:
        """The image's label says which files it was made of: those of the plan, and no others."""
        if files_digest(step.image, step.release, step.folders, self.products) != step.context:
            raise BuildError(
                f"{step.target}: files changed while it was built", where=step.image.shown(step.image.folder),
                hint="the image was not kept; run it again",
            )  # fmt: skip

    def _parents(self, step: Step) -> tuple[dict[str, dict[Platform, str]], dict[str, str]]:
        """The images that a step stands on: those in the engine, by platform, and the contexts of those outside."""
        images = {
            name: {target.platform: str(self.steps[target].reference) for target in targets}
            for name, targets in step.parents.items()
        }
        if step.rootfs and not bootstrap.is_made_here(self.settings):
            return images, {ROOTFS: f"docker-image://{self.settings.rootfs}"}
        if step.rootfs:
            renew = self.wishes.anew(step)
            images[ROOTFS] = bootstrap.rootfs(self.engine, self.settings, step.rootfs, renew=renew)
        return images, {}

    def _order(self, step: Step, tag: str, contexts: dict[str, str]) -> BuildOrder:
        return BuildOrder(
            context=step.image.folder,
            tag=tag,
            platforms=(step.target.platform,),
            arguments={**step.arguments, "SOURCE_DATE_EPOCH": str(self.revision.epoch)},
            contexts=contexts,
            secrets=self.settings.secrets(),
            labels=labels(step, self.revision, dict(self._present(step.all_parents)), release=self.settings.release),
            cache=not self.wishes.anew(step),
        )

    def _present(self, targets: Iterable[Target]) -> Iterable[tuple[Target, Parent]]:
        for target in targets:
            reference = self.steps[target].reference
            if image := self.engine.image(str(reference)):
                yield target, Parent(reference=reference, digest=image.repo_digest or "")

    def _prove(self, step: Step, name: str) -> Report:
        report = prove(self.engine, self.settings, step, name)
        if report.findings:
            raise VerifyError(
                f"{step.target} is not what it should be", why=report.text(), hint="the image was not kept"
            )
        return report
