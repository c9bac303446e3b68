"""Runs operators against a real Kubernetes API server, as ``[kubernetes]`` of their ``image.toml`` tells it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from archway import log
from archway.catalog import Catalog, Image
from archway.docker import last_lines
from archway.engine import Engine
from archway.errors import ArchwayError, Location, MachineError, MetadataError, Mistakes, SmokeTestError
from archway.kubernetes_containers import Container, Wish, running
from archway.kubernetes_documents import KubernetesObject, read_file
from archway.kubernetes_server import ApiServer, api_server, build_server, server_steps
from archway.kubernetes_trial import GRACE, TrialError, create, definitions, establish, reconcile, stop
from archway.metadata import find_line
from archway.metadata_kubernetes import Kubernetes
from archway.references import tag
from archway.scratch import scratch
from archway.settings import Settings
from archway.smoke import ImageTest, SmokeResult, resolve_images
from archway.smoke_checks import is_here
from archway.targets import Step, Target

FOLDER = "archway-kubernetes"
"""The folder in the operator's root that has its kubeconfig."""
SHOWN = "Kubernetes API server"
"""What results call the test; no image can have this name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KubernetesTest(ImageTest):
    """The test of an operator, with what its files say."""

    kubernetes: Kubernetes
    resources: tuple[KubernetesObject, ...]
    expect: tuple[KubernetesObject, ...]

    def __str__(self) -> str:
        return f"{self.step.target}: reconciles against a Kubernetes API server"


def kubernetes_tests_of(engine: Engine, steps: Sequence[Step]) -> tuple[KubernetesTest, ...]:
    """The tests of the operators that were asked for; one for a foreign platform is said to be left out.

    :raises MetadataError: their files have mistakes; all are told together
    """
    mistakes = Mistakes()
    found = []
    for step in steps:
        table = step.image.metadata.kubernetes
        if not (step.requested and table):
            continue
        if step.target.platform != engine.platform:
            log.note(f"{step.target}: [kubernetes] is run on the machine's own platform only ({engine.platform.tag})")
            continue
        resources = _objects(step.image, "resources", table.resources, mistakes)
        expect = _objects(step.image, "expect", table.expect, mistakes)
        found.append(
            KubernetesTest(step=step, of=SHOWN, kubernetes=table, resources=resources, expect=expect)
        )  # fmt: skip
    mistakes.check()
    return tuple(found)


def _objects(image: Image, key: str, name: str, mistakes: Mistakes) -> tuple[KubernetesObject, ...]:
    """The objects of a file that an image.toml names."""
    path = image.folder / name
    line = find_line(image.metadata_path.read_text(encoding="utf-8"), ("kubernetes", key))
    where = Location(image.shown(image.metadata_path), line)
    if not path.resolve().is_relative_to(image.folder.resolve()):
        mistakes.add(f"kubernetes.{key}: {name} is not in the image's folder", where=where)
    elif not path.is_file():
        mistakes.add(f"kubernetes.{key}: there is no file {name} in the image's folder", where=where)
    else:
        try:
            return read_file(path, shown=image.shown(path))
        except MetadataError as wrong:
            mistakes.add(str(wrong), where="")
    return ()


class KubernetesTests:
    """The tests of the operators that were asked for, ready to be run.

    Whatever can be wrong before something is started is told when this is made.
    """

    def __init__(self, engine: Engine, settings: Settings, catalog: Catalog, steps: Sequence[Step]) -> None:
        """
        :raises MetadataError: a file has mistakes, or the monorepo has no image of an API server
        :raises MachineError: an operator is not built, or the engine is on another machine
        """
        self.engine = engine
        self.settings = settings
        self.tests = kubernetes_tests_of(engine, steps)
        self._server: tuple[Step, ...] = ()
        self._images: dict[Target, str] = {}
        if self.tests:
            self._server = server_steps(catalog, engine.platform, wanted_by=self.tests[0].step.image)
            self._images = resolve_images(engine, settings, [test.step for test in self.tests])
            _check_reach(engine, self.tests[0])

    @property
    def targets(self) -> frozenset[Target]:
        return frozenset(test.step.target for test in self.tests)

    def run(self) -> Iterator[SmokeResult]:
        """Run one after the other, each against a server of its own; a failing one stops none.

        :raises ArchwayError: the server's image cannot be built, or the server does not start
        """
        server = build_server(self.engine, self.settings, self._server) if self.tests else ""
        for test in self.tests:
            yield self._result(test, server)

    def _result(self, test: KubernetesTest, server: str) -> SmokeResult:
        logfile = self.settings.state / "logs" / f"{test.step.target.slug}.kubernetes.log"
        logfile.parent.mkdir(parents=True, exist_ok=True)
        logfile.write_text("", encoding="utf-8")
        image = self._images[test.step.target] or str(test.step.reference)
        started = time.monotonic()
        ready, exit_code, failure = None, None, None
        with log.step(str(test)) as progress, scratch(self.settings.state, "kubernetes") as folder:
            trial = _Trial(self.engine, test, image=image, server=server, logfile=logfile, progress=progress)
            try:
                ready, exit_code = trial.run(folder)
            except TrialError as failed:
                failure = _told(test, failed, logfile, self.settings.root)
        found = self.engine.image(image)
        return SmokeResult(
            test=test, digest=(found and found.repo_digest) or image, seconds=time.monotonic() - started,
            ready=ready, exit_code=exit_code, failure=failure,
        )  # fmt: skip


class _Trial:
    """The containers of one test."""

    def __init__(
        self, engine: Engine, test: KubernetesTest, *, image: str, server: str, logfile: Path, progress: log.Progress
    ) -> None:
        self.engine = engine
        self.test = test
        self.image = image
        self.server = server
        self.logfile = logfile
        self.progress = progress
        self.labels = {"dev.archway.kubernetes": str(test.step.target)}
        self.name = f"archway-kubernetes-{tag(test.step.target.slug)}-{uuid.uuid4().hex[:8]}"

    def run(self, folder: Path) -> tuple[float, int]:
        """
        :param folder: for the kubeconfig
        :returns: the seconds until all was as expected, and the operator's exit code
        :raises TrialError: the operator does not do its work
        """
        table = self.test.kubernetes
        self.progress("its custom resource definitions")
        with self._running(self._wish("crds", table.crds)) as printing:
            found = definitions(printing, timeout=table.timeout)
        given = folder / FOLDER
        given.mkdir()
        self.progress("starting the API server")
        with api_server(
            self.engine, self.server, name=f"{self.name}-api", labels=self.labels, folder=given,
            logfile=self.logfile.with_suffix(".api.log"),
        ) as server:  # fmt: skip
            try:
                return self._reconciled(server, found, given)
            except TrialError:
                server.require()
                raise

    def _reconciled(
        self, server: ApiServer, found: Sequence[KubernetesObject], given: Path
    ) -> tuple[float, int]:  # fmt: skip
        establish(server.api, found)
        create(server.api, self.test.resources)
        wish = self._wish("operator", self.test.kubernetes.command, network_of=server.container.name, given=given)
        self.progress("reconciling")
        with self._running(wish) as operator:
            seconds = reconcile(server.api, operator, self.test.expect, timeout=self.test.kubernetes.timeout)
            self.progress("ending")
            return seconds, stop(operator)

    def _wish(self, part: str, command: Sequence[str], *, network_of: str = "", given: Path | None = None) -> Wish:
        return Wish(
            name=f"{self.name}-{part}", image=self.image, platform=self.engine.platform, labels=self.labels,
            command=command, network_of=network_of, stop_timeout=GRACE, folders=[given] if given else [],
            environment={"KUBECONFIG": f"/{FOLDER}/kubeconfig"} if given else {},
        )  # fmt: skip

    @contextmanager
    def _running(self, wish: Wish) -> Iterator[Container]:
        """A container of the operator; what it printed is in the log file when it has ended."""
        with running(self.engine, wish) as container:
            try:
                yield container
            finally:
                # An engine that is gone is told by what found that out.
                with suppress(ArchwayError):
                    self.logfile.write_text("".join(f"{line}\n" for line in container.lines()), encoding="utf-8")


def _check_reach(engine: Engine, test: KubernetesTest) -> None:
    """:raises MachineError: the engine is on another machine, so that the API server cannot be asked"""
    if not is_here(engine.endpoint):
        raise MachineError(
            f"{test}: its API server cannot be asked from here",
            why=f"the engine is at {engine.endpoint}, and ports are published on loopback of that machine",
            hint="run it there",
        )


def _told(test: KubernetesTest, failed: TrialError, logfile: Path, root: Path) -> SmokeTestError:
    printed = last_lines(logfile.read_text(encoding="utf-8"), 25)
    kept = logfile.relative_to(root).as_posix()
    return SmokeTestError(
        f"{test}: {failed.problem}",
        why="\n".join([*failed.details, *(["the last that it printed:", printed] if printed else [])]),
        hint=f"all that it printed: {kept}" if printed else "it printed nothing",
    )
