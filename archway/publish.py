"""``inv publish``: builds, proves and tests what is missing, then pushes members, then lists, then floating tags.

What is public changes last and in one step a list, so that a run may end at any moment: the next one goes on from what
the registry has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from archway import log
from archway.build import Building
from archway.distribution import Repository, Stored, transport
from archway.distribution.trouble import printable
from archway.docker import last_lines
from archway.engine import Engine, PushFailedError
from archway.errors import ArchwayError, ListError, MetadataError, RegistryError, VerifyError
from archway.joining import Joinable, Standing, Tagged, move_tag, rehearse_list, rehearse_tag, write
from archway.lists import Wanted, pairs
from archway.machine.guard import require_emulation
from archway.manifests import LAG, PAUSES
from archway.members import age_of, check_origin, check_proof, check_whole, read_member
from archway.proof import prove_once
from archway.published import LOCK, PublishedImage, record
from archway.references import Reference
from archway.remote import repository_of
from archway.settings import Settings, read
from archway.smoke import smoke_test, smoke_tests_of
from archway.targets import Step


@dataclass(kw_only=True)
class Publishing:
    """One run of ``inv publish``.

    :ivar test: run the smoke tests before anything is pushed
    :ivar back: floating tags may move to something older
    :ivar keep_going: publish the images that are whole when others are not
    """

    engine: Engine
    settings: Settings
    building: Building
    test: bool = False
    keep_going: bool = False
    back: bool = False
    failures: list[Wanted] = field(default_factory=list)
    digests: dict[Reference, str] = field(default_factory=dict)
    ready: dict[Reference, Joinable] = field(default_factory=dict)
    written: dict[Reference, Stored] = field(default_factory=dict)
    done: list[Tagged] = field(default_factory=list)

    def run(self, lists: Sequence[Wanted]) -> None:
        """Publish the lists, with all that they need; what was published is in ``done`` as it happens.

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
        try:
            written = self._each(pushed, self._write)
        finally:
            self._record()
        self._each(written, self._move)

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
                self.failures.append(wanted)
                self.done.append(Tagged(reference=wanted.reference, standing=Standing.FAILED, why=str(failed)))
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
        report = prove_once(self.engine, self.settings, step, digest)
        if report and not report.ok:
            raise VerifyError(f"{step.target} is not what it should be", why=report.text())

    def _test(self, wanted: Wanted) -> None:
        tests = [test for step in wanted.steps for test in smoke_tests_of(wanted.plan, step)]
        if not tests:
            log.note(f"{wanted} has no [smoke]: not tested")
            return
        require_emulation(wanted.platforms)
        for test in tests:
            # The very image that was proven, also if another run gives its name to one of its own.
            proven = self.digests[test.step.reference] if self.engine.holds_lists else None
            result = smoke_test(self.engine, self.settings, test.step, test.smoke, of=test.of, image=proven or None)
            if result.failure:
                raise result.failure
            log.done(f"{test} passed in {result.seconds:.1f} s")

    def _push(self, wanted: Wanted) -> None:
        repository = repository_of(self.settings, wanted.reference)
        members = []
        for step in wanted.steps:
            digest = self._push_member(repository, step)
            named = Reference(repository=step.reference.repository, tag=digest)
            member = read_member(repository, named, step.target.platform, patience=LAG)
            check_origin(step.reference, member, wanted, foreign=False)
            check_whole(repository, member)
            check_proof(self.settings, repository, member, wanted.image)
            members.append(member)
        self.ready[wanted.reference] = Joinable(wanted=wanted, repository=repository, members=tuple(members))

    def _push_member(self, repository: Repository, step: Step) -> str:
        """Push an image unless it is there, and return the digest of its manifest there."""
        name, proven = str(step.reference), self.digests[step.reference]
        there = repository.get(step.reference.tag) if proven else None
        if there and there.digest == proven and not repository.missing_blobs(there):
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

    def _write(self, wanted: Wanted) -> None:
        self.written[wanted.reference], tagged = write(self.settings, self.ready[wanted.reference])
        self.done.append(tagged)

    def _record(self) -> None:
        """Note in images.lock.toml what is public now. That it cannot be is told, and takes nothing back."""
        ready = [self.ready[reference] for reference in self.written]
        try:
            entries = [entry_of(self.settings, one, self.written[one.wanted.reference].digest) for one in ready]
            if entries and not is_home(self.settings):
                log.note(f"{LOCK} is left as it is: pyproject.toml names another registry or organization")
            elif record(self.settings.root, entries):
                log.done(f"{LOCK}: {', '.join(str(one.wanted) for one in ready)}")
        except (MetadataError, OSError, ValueError) as failed:
            log.warn(f"{LOCK} does not have what was published: {failed}")

    def _move(self, wanted: Wanted) -> None:
        repository, stored = self.ready[wanted.reference].repository, self.written[wanted.reference]
        for tag in wanted.floating:
            self.done.append(move_tag(repository, wanted.reference, stored, tag, back=self.back))


def is_home(settings: Settings) -> bool:
    """Whether this is published where the monorepo's own pyproject.toml says; images.lock.toml knows no other place."""
    committed = read(settings.root)
    return (settings.registry, settings.organization) == (committed["registry"], committed["organization"])


def entry_of(settings: Settings, one: Joinable, digest: str) -> PublishedImage:
    """What images.lock.toml says of a list."""
    image, release = one.wanted.image, one.wanted.release
    return PublishedImage(
        name=image.name, version=release.version, release=settings.release,
        default=image.release().version == release.version, reference=str(one.wanted.reference), digest=digest,
        members={str(member.platform): member.digest for member in one.members},
    )  # fmt: skip


def push(engine: Engine, repository: Repository, reference: Reference) -> None:
    """Push an image of the engine; tried again where that can help.

    :raises RegistryError: it cannot be pushed; the engine's own words say little, so the registry is asked
    """
    for wait in (*PAUSES, None):
        try:
            return engine.push(str(reference))
        except PushFailedError as failed:
            said = "\n".join(map(printable, last_lines(str(failed), 3).splitlines()))
            try:
                repository.check_push()
            except RegistryError as cause:
                if wait is None or not cause.passing:
                    raise
            if wait is None:
                raise RegistryError(
                    "the engine could not push it", where=str(reference), why=said,
                    hint="run it again; what was published before is as it was", passing=True,
                ) from None  # fmt: skip
            log.note(f"{reference}: not pushed ({last_lines(said, 1)}); again in {wait:g} s")
            transport.pause(wait)
    raise AssertionError("unreachable")


def publish_all(run: Publishing, lists: Sequence[Wanted]) -> tuple[list[Tagged], ArchwayError | None]:
    """Publish lists; what was published, and what went wrong, which may be after some of it."""
    try:
        run.run(lists)
    except ArchwayError as failed:
        return run.done, failed
    if not run.failures:
        return run.done, None
    names = ", ".join(map(str, run.failures))
    verdict = ListError(f"{len(run.failures)} of {len(lists)} were not published: {names}", hint="see above for why")
    return run.done, verdict


def rehearse(engine: Engine, settings: Settings, lists: Sequence[Wanted], *, back: bool = False) -> list[Tagged]:
    """What publishing would do, from what the engine and the registry have now. Missing is what must be built first."""
    building = Building(engine=engine, settings=settings)
    found = []
    for wanted in lists:
        repository = repository_of(settings, wanted.reference)
        due = {step.target for step in building.due(wanted.plan)}
        local: list[tuple[str, str]] = []
        for step in wanted.steps:
            image = None if step.target in due else engine.image(str(step.reference))
            if image is None:
                why = f"{step.target} must be built first"
                found.append(Tagged(reference=step.reference, standing=Standing.MISSING, why=why))
                continue
            local.append((str(step.target.platform), image.repo_digest or ""))
            found.append(rehearse_tag(repository, step.reference, image.repo_digest or ""))
        current = repository.get(wanted.reference.tag)
        so = current if current and current.is_list and pairs(current.manifest) == sorted(local) else None
        digest = so.digest if so else ""
        ours = None if back else age_of(wanted.release.version, settings.release)
        found += rehearse_list(repository, wanted.reference, wanted.floating, digest, ours=ours)
    return found
