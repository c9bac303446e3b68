"""Carries out a plan: builds what is not up to date, proves it, and only then gives it its name."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from archway import bootstrap, log
from archway.engine import BuildFailedError, BuildOrder, Engine
from archway.errors import VerifyError
from archway.failures import explain
from archway.labels import BASE_DIGEST, INPUT_DIGEST, STRATEGY, Revision, labels
from archway.lists import join
from archway.plan import ROOTFS, Step, Target
from archway.proof import prove
from archway.settings import Settings
from archway.verify import Report


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """How a target came to be."""

    step: Step
    built: bool
    seconds: float = 0.0
    size: int = 0
    """Bytes of the root file system, uncompressed."""


class Building:
    """One run of ``inv build``.

    :param cache: False builds the requested targets without BuildKit's cache, also when they are up to date
    :param same_strategy: what was built with another strategy is not up to date
    :param verbose: show all that BuildKit says
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        cache: bool = True,
        same_strategy: bool = False,
        verbose: bool = False,
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.cache = cache
        self.same_strategy = same_strategy
        self.verbose = verbose
        self.steps: dict[Target, Step] = {}
        self.revision = Revision.read(settings.root, source=settings.source)

    def due(self, steps: Iterable[Step]) -> tuple[Step, ...]:
        """The steps that must really be built: requested ones that are not up to date, and what these stand on."""
        self.steps |= {step.target: step for step in steps}
        wanted: set[Target] = set()
        due: list[Step] = []
        for step in reversed(self.steps.values()):
            if (step.requested or step.target in wanted) and not self._up_to_date(step):
                due.insert(0, step)
                wanted.update(parent for parents in step.parents.values() for parent in parents)
        return tuple(due)

    def run(self, steps: Sequence[Step]) -> list[Outcome]:
        """Build what is due, in order; the first failure ends it.

        :raises BuildError: a Dockerfile's step failed (by cause: see :mod:`archway.errors`)
        :raises VerifyError: an image is not what it should be; it was not given its name
        """
        due = {step.target for step in self.due(steps)}
        outcomes = []
        for step in steps:
            if step.target in due:
                outcomes.append(self._build(step))
            elif step.requested:
                log.done(f"{step.target}: up to date")
                outcomes.append(Outcome(step=step, built=False))
        return outcomes

    def _up_to_date(self, step: Step) -> bool:
        image = self.engine.image(str(step.reference))
        if image is None or (step.requested and not self.cache):
            return False
        if image.platform != step.target.platform or image.labels.get(INPUT_DIGEST) != step.input_digest:
            return False
        if self.same_strategy and step.requested and image.labels.get(STRATEGY) != step.strategy:
            return False
        base = step.base and self.engine.image(str(self.steps[step.base].reference))
        return not base or not base.repo_digest or image.labels.get(BASE_DIGEST) == base.repo_digest

    def _build(self, step: Step) -> Outcome:
        started = time.monotonic()
        logfile = self.settings.state / "logs" / f"{step.target.slug}.log"
        logfile.parent.mkdir(parents=True, exist_ok=True)
        # The name is given only to an image that is proven.
        unproven = f"{step.reference}.unproven"
        order = self._order(step, unproven)
        try:
            with log.step(f"{step.target}: {step.strategy}") as progress, logfile.open("w", buffering=1) as file:

                def heard(line: str) -> None:
                    file.write(f"{line}\n")
                    if self.verbose:
                        log.note(line)
                    elif found := re.match(r"#\d+ (\[.*)", line):
                        progress(found[1])

                self.engine.build(order, heard)
                progress("verifying")
                report = self._prove(step, unproven)
            self.engine.tag(unproven, str(step.reference))
        except BuildFailedError as failed:
            dockerfile = step.image.shown(step.image.dockerfile_path)
            shown = logfile.relative_to(self.settings.root).as_posix()
            raise explain(str(step.target), failed.log, dockerfile=dockerfile, log=shown) from None
        finally:
            self.engine.remove(unproven)
        seconds = time.monotonic() - started
        log.done(f"{step.target}: {step.strategy}, {seconds:.1f} s, {report.size / 1e6:.0f} MB")
        return Outcome(step=step, built=True, seconds=seconds, size=report.size)

    def _images(self, step: Step) -> dict[str, str]:
        """What the monorepo's image names in the Dockerfile mean."""
        members = {
            name: {t.platform: self.steps[t].reference for t in targets} for name, targets in step.parents.items()
        }
        return {name: str(join(self.engine, self.settings, found)) for name, found in members.items()}

    def _order(self, step: Step, tag: str) -> BuildOrder:
        images = self._images(step)
        outside: dict[str, str] = {}
        if step.rootfs:
            renew = step.requested and not self.cache
            found = bootstrap.rootfs(self.engine, self.settings, step.rootfs, renew=renew)
            (images if bootstrap.is_made_here(self.settings) else outside)[ROOTFS] = found
        base = self.steps[step.base].reference if step.base else None
        base_image = self.engine.image(str(base)) if base else None
        return BuildOrder(
            context=step.image.folder,
            tag=tag,
            platforms=(step.target.platform,),
            arguments={**step.arguments, "SOURCE_DATE_EPOCH": str(self.revision.epoch)},
            images=images,
            outside=outside,
            secrets=self.settings.secrets(),
            labels=labels(step, self.revision, (base, base_image) if base and base_image else None),
            cache=self.cache or not step.requested,
        )

    def _prove(self, step: Step, name: str) -> Report:
        report = prove(self.engine, self.settings, step, name)
        if report.findings:
            raise VerifyError(
                f"{step.target} is not what it should be", why=report.text(), hint="the image was not kept"
            )
        return report
