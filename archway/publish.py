"""``inv publish``: builds, proves and tests what is missing, then pushes members, then lists, then floating tags.

What is public changes last and in one step a list, so that a run may end at any moment: the next one goes on from what
the registry has.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from archway import log
from archway.build import Building
from archway.distribution import Repository
from archway.docker import last_lines
from archway.due import Wishes
from archway.engine import Engine, PushFailedError
from archway.errors import ArchwayError, ListError, RegistryError, VerifyError
from archway.joining import Joinable, Standing, Tagged, joinable, move_tags, write
from archway.lists import Wanted, images_of
from archway.machine.guard import require_emulation
from archway.manifests import LAG
from archway.members import check_origin, check_proof, read_member
from archway.proof import allowed, prove
from archway.records import Proofs
from archway.references import Reference
from archway.remote import repository_of
from archway.settings import Settings
from archway.smoke import smoke_test
from archway.targets import Step

PAUSES = (1.0, 4.0)
"""Seconds to wait before a push is tried again."""


@dataclass(kw_only=True)
class Publishing:
    """One run of ``inv publish``.

    :ivar test: run the smoke tests before anything is pushed
    :ivar keep_going: publish the images that are whole when others are not
    """

    engine: Engine
    settings: Settings
    building: Building
    test: bool = False
    keep_going: bool = False
    failures: dict[str, ArchwayError] = field(default_factory=dict)
    digests: dict[Reference, str] = field(default_factory=dict)
    ready: dict[Reference, Joinable] = field(default_factory=dict)
    done: list[Tagged] = field(default_factory=list)

    def run(self, lists: Sequence[Wanted]) -> list[Tagged]:
        """Publish the lists, with all that they need.

        :raises ArchwayError: an image is not whole (nothing of it was published; without ``keep_going`` nothing at all)
        """
        if self.building.revision.commit.endswith("-dirty"):
            log.warn("this checkout has changes that are not committed; the images' label revision says so")
        # What an hour of building would be in vain without is asked first.
        good = self._each(lists, self._check_push)
        good = self._each(good, self._make)
        if self.test:
            good = self._each(good, self._test)
        pushed = self._each(good, self._push)
        written = self._each(pushed, lambda wanted: self._write(self.ready[wanted.reference]))
        self._each(written, lambda wanted: self._move(self.ready[wanted.reference]))
        return self.done

    def _each(self, lists: Sequence[Wanted], work: Callable[[Wanted], None]) -> list[Wanted]:
        """Do a piece of work for each list; those for which it went well."""
        good = []
        for wanted in lists:
            try:
                work(wanted)
            except ArchwayError as failed:
                if not self.keep_going:
                    raise
                log.error(str(failed))
                self.failures[str(wanted)] = failed
            else:
                good.append(wanted)
        return good

    def _check_push(self, wanted: Wanted) -> None:
        repository_of(self.settings, wanted.reference).check_push()

    def _make(self, wanted: Wanted) -> None:
        self.building.run(wanted.plan)
        for step in wanted.steps:
            self._prove(step)

    def _prove(self, step: Step) -> None:
        """Prove an image unless that was done before, and keep its digest: only that can get into the list."""
        image = self.engine.image(str(step.reference))
        digest = self.digests[step.reference] = (image and image.repo_digest) or ""
        if digest and Proofs(self.settings.state).holds(digest, step.target.platform, allowed(step.image)):
            return
        with log.step(f"{step.target}: verifying"):
            report = prove(self.engine, self.settings, step, str(step.reference))
        if not report.ok:
            raise VerifyError(f"{step.target} is not what it should be", why=report.text())

    def _test(self, wanted: Wanted) -> None:
        smoke = wanted.image.metadata.smoke
        if smoke is None:
            log.note(f"{wanted} has no [smoke]: not tested")
            return
        require_emulation(wanted.platforms)
        for step in wanted.steps:
            result = smoke_test(self.engine, self.settings, step, smoke)
            if result.failure:
                raise result.failure
            log.done(f"{step.target}: smoke test passed in {result.seconds:.1f} s")

    def _push(self, wanted: Wanted) -> None:
        repository = repository_of(self.settings, wanted.reference)
        members = []
        for step in wanted.steps:
            digest = self._push_member(repository, step)
            named = Reference(repository=step.reference.repository, tag=digest)
            member = read_member(repository, named, step.target.platform, patience=LAG)
            check_origin(step.reference, member, wanted, foreign=False)
            check_proof(self.settings, repository, member, wanted.image)
            members.append(member)
        self.ready[wanted.reference] = joinable(self.settings, wanted, members)

    def _push_member(self, repository: Repository, step: Step) -> str:
        """Push an image unless it is there, and return the digest of its manifest there."""
        name, proven = str(step.reference), self.digests[step.reference]
        if proven and repository.digest(step.reference.tag) == proven:
            log.done(f"{name}: already there")
            return proven
        with log.step(f"{name}: pushing"):
            push(self.engine, repository, step.reference)
        image = self.engine.image(name)
        digest = (image and image.digest_in(step.reference.repository)) or ""
        if not digest or (proven and digest != proven):
            raise ListError(
                f"{name} was changed by another run while this one published it",
                hint="run it again, and let one run at a time publish an image",
            )
        log.done(f"{name}: pushed, {digest}")
        return digest

    def _write(self, one: Joinable) -> None:
        stored, tagged = write(one)
        self.ready[one.wanted.reference] = replace(one, current=stored)
        self.done.append(tagged)

    def _move(self, one: Joinable) -> None:
        self.done += move_tags(one)


def push(engine: Engine, repository: Repository, reference: Reference) -> None:
    """Push an image of the engine; tried again where that can help.

    :raises RegistryError: it cannot be pushed; the engine's own words say little, so the registry is asked
    """
    for wait in (*PAUSES, None):
        try:
            return engine.push(str(reference))
        except PushFailedError as failed:
            try:
                repository.check_push()
            except RegistryError as cause:
                if wait is None or not cause.passing:
                    raise
            if wait is None:
                raise RegistryError(
                    "the engine could not push it", where=str(reference), why=last_lines(str(failed), 3),
                    hint="run it again; what was published before is as it was", passing=True,
                ) from None  # fmt: skip
            log.note(f"{reference}: not pushed ({last_lines(str(failed), 1)}); again in {wait:g} s")
            time.sleep(wait)
    raise AssertionError("unreachable")


def publish_all(
    engine: Engine, settings: Settings, lists: Sequence[Wanted], *, test: bool, keep_going: bool, verbose: bool
) -> tuple[list[Tagged], ArchwayError | None]:
    """Publish lists; what was published, and the verdict where ``keep_going`` went on after a failure."""
    building = Building(engine=engine, settings=settings, wishes=Wishes(verbose=verbose))
    run = Publishing(engine=engine, settings=settings, building=building, test=test, keep_going=keep_going)
    done = run.run(lists)
    if not run.failures:
        return done, None
    names = ", ".join(run.failures)
    return done, ListError(f"{len(run.failures)} of {len(lists)} were not published: {names}", hint="see above for why")


def rehearse(engine: Engine, settings: Settings, lists: Sequence[Wanted]) -> list[Tagged]:
    """What publishing would do, from what the engine and the registry have now. Missing is what must be built first."""
    building = Building(engine=engine, settings=settings)
    found = []
    for wanted in lists:
        repository = repository_of(settings, wanted.reference)
        current = repository.get(wanted.reference.tag)
        if due := building.due(wanted.plan):
            why = f"{wanted.reference}: to be built first: {', '.join(str(step.target) for step in due)}"
            found += [Tagged(reference=tag, standing=Standing.MISSING, why=why)
                      for tag in (wanted.reference, *wanted.floating)]  # fmt: skip
            continue
        local = {step.target.platform: engine.image(str(step.reference)) for step in wanted.steps}
        so = (
            current is not None
            and current.is_list
            and sorted(
                (str(entry.platform and entry.platform.known), entry.digest) for entry in images_of(current.manifest)
            )
            == sorted((str(platform), (image and image.repo_digest) or "") for platform, image in local.items())
        )
        digest = current.digest if so and current else ""
        for tag in (wanted.reference, *wanted.floating):
            same = bool(digest) and repository.digest(tag.tag) == digest
            standing = Standing.ALREADY if same else Standing.TO_WRITE
            found.append(Tagged(reference=tag, standing=standing, digest=digest))
    return found
