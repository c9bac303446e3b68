"""Publishing and promoting for real: an engine, a registry, kills, and two runs at once."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from archway.build import Building
from archway.catalog import Catalog
from archway.distribution.documents import MEDIA_TYPES
from archway.engine import Engine
from archway.errors import BuildError
from archway.plan import make_plan
from archway.platforms import Platform
from archway.published import read
from archway.selection import Request, Selection
from archway.settings import load
from archway.smoke import smoke_test
from archway.targets import Step
from tests.engine.hive import Built
from tests.engine.run import ORGANIZATION, REPOSITORY, Inv, command, surroundings
from tests.images import Pushed
from tests.monorepo import Monorepo
from tests.registries import Proxy, docker_registry

TAG = "4.0.1-0.1.0-dev"
STABLE = "archway-tests-stable"
KILLS = 10


@dataclass
class Shop:
    """Hive, and a registry that begins empty as often as a test wants."""

    hive: Built
    proxy: Proxy
    folder: Path
    stack: ExitStack
    requests: list[tuple[str, str]] = field(default_factory=list)

    @property
    def settings(self) -> Mapping[str, str]:
        return {**self.hive.settings, "INVOKE_ARCHWAY_REGISTRY": self.proxy.host,
                "INVOKE_ARCHWAY_FLOATING_TAGS": "minor,latest"}  # fmt: skip

    @property
    def hive_repository(self) -> Pushed:
        return Pushed(self.proxy.host, f"{self.hive.markers.organization}/hive")

    def begin_anew(self) -> None:
        """Put an empty registry behind the same name."""
        self.stack.close()
        self.requests.clear()
        folder = self.folder / str(len(list(self.folder.iterdir())))
        self.proxy.upstream = self.stack.enter_context(docker_registry(folder))

    def publish(self, *, kill_at: int | None = None) -> tuple[int, str]:
        """Publish hive; with ``kill_at``, kill it (as kill -9 does) when that many requests have come."""
        self.requests.clear()
        running: list[subprocess.Popen[str]] = []

        def heard(method: str, path: str) -> None:
            self.requests.append((method, path))
            if len(self.requests) == kill_at:
                os.kill(running[0].pid, signal.SIGKILL)

        self.proxy.on_request = heard
        process = subprocess.Popen(
            command("publish", "--product", "hive"), cwd=REPOSITORY, env=surroundings(**self.settings),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        running.append(process)
        _, said = process.communicate(timeout=900)
        self.proxy.on_request = None
        return process.returncode, said


@pytest.fixture(scope="module")
def shop(hive: Built, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("registries")
    with ExitStack() as stack, Proxy("localhost:1") as proxy:
        yield Shop(hive=hive, proxy=proxy, folder=folder, stack=stack)
        for name in engine.names(f"{proxy.host}/*/*"):
            engine.remove(name)


@pytest.fixture(scope="module")
def members(shop: Shop, engine: Engine) -> list[tuple[str, str]]:
    """What the list of hive must hold, once all was published."""
    shop.begin_anew()
    exit_code, said = shop.publish()
    assert exit_code == 0, said
    name = f"{shop.proxy.host}/{shop.hive.markers.organization}/hive:{TAG}"
    found = {arch: engine.image(f"{name}-{arch}") for arch in ("amd64", "arm64")}
    return sorted((str(image.platform), image.repo_digest or "") for image in found.values() if image)


def test_publish_puts_members_then_list_then_floating_tags(shop: Shop, members: list[tuple[str, str]]) -> None:
    """All members are there before the list, and the list before the floating tags; all name the same digests."""
    tags = [path.rpartition("/")[2] for method, path in shop.requests if method == "PUT" and "/manifests/" in path]

    assert [f"{TAG}-amd64", f"{TAG}-arm64", TAG, "4.0", "latest"] == tags
    for tag in (TAG, "4.0", "latest"):
        assert sorted(shop.hive_repository.list_at(tag) or []) == members


def test_second_publish_sends_nothing(shop: Shop, members: list[tuple[str, str]]) -> None:
    """A second run finds all there, and writes nothing."""
    exit_code, said = shop.publish()

    assert exit_code == 0, said
    assert [(method, path) for method, path in shop.requests if method in ("PUT", "PATCH")] == []
    assert sorted(shop.hive_repository.list_at(TAG) or []) == members


def test_killed_at_any_moment(shop: Shop, members: list[tuple[str, str]]) -> None:
    """After kill -9 at ten moments there is no list or the whole one, and the next run completes it."""
    shop.begin_anew()
    assert shop.publish()[0] == 0
    # The moment of each manifest, and others spread over the run.
    written = [n for n, (method, path) in enumerate(shop.requests, 1) if method == "PUT" and "/manifests/" in path]
    others = [n for n in range(1, len(shop.requests) + 1) if n not in written]
    more = KILLS - len(written)
    chosen = sorted([*written, *others[:: len(others) // more][:more]])
    assert len(chosen) == KILLS
    for moment in chosen:
        shop.begin_anew()
        exit_code, said = shop.publish(kill_at=moment)
        assert exit_code == -signal.SIGKILL, (moment, said)
        for tag in (TAG, "4.0", "latest"):
            assert sorted(shop.hive_repository.list_at(tag) or members) == members, (moment, tag)

        exit_code, said = shop.publish()

        assert exit_code == 0, (moment, said)
        for tag in (TAG, "4.0", "latest"):
            assert sorted(shop.hive_repository.list_at(tag) or []) == members, (moment, tag)


def test_promoted_list_works_on_both_platforms(
    shop: Shop, members: list[tuple[str, str]], inv: Inv, engine: Engine, foreign: Platform
) -> None:
    """Promoted to another organization, the same list is pulled for each platform, and its smoke test passes."""
    options = ("--from", shop.hive.markers.organization, "--to", STABLE, "--product", "hive")
    rehearsed = inv(REPOSITORY, "promote", *options, "--dry-run", "--json", **shop.settings)
    stable = Pushed(shop.proxy.host, f"{STABLE}/hive")
    assert [one["state"] for one in json.loads(rehearsed.stdout)] == ["to be written"] * 3
    assert stable.list_at(TAG) is None
    ran = inv(REPOSITORY, "promote", *options, **shop.settings)

    assert ran.exit_code == 0, ran.stderr
    for tag in (TAG, "4.0", "latest"):
        assert sorted(stable.list_at(tag) or []) == members
    name = f"{shop.proxy.host}/{STABLE}/hive:{TAG}"
    for platform in (engine.platform, foreign):
        subprocess.run(
            ["docker", "pull", "--quiet", "--platform", str(platform), name], check=True, capture_output=True
        )
        step = step_of("hive", platform)
        assert step.image.metadata.smoke
        result = smoke_test(engine, load(REPOSITORY), step, step.image.metadata.smoke, image=name)
        assert result.failure is None, str(result.failure)


def step_of(product: str, platform: Platform) -> Step:
    """How a product of this monorepo is built for a platform."""
    catalog = Catalog(load(REPOSITORY))
    image = catalog.image(product)
    wanted = Request(image=image, release=image.release(), platforms=(platform,))
    return next(step for step in make_plan(catalog, [wanted], build_platform=Platform.native()) if step.requested)


def small(folder: Path, registry: str, content: str) -> Monorepo:
    """A monorepo with one image that both runs of a race have, each with contents of its own."""
    made = Monorepo(folder, f'registry = "{registry}"\norganization = "{ORGANIZATION}"\nimages = ["*"]\n')
    made.write("tasks.py", "from archway.tasks import namespace\n\nns = namespace()\n")
    made.image("test-app", "FROM scratch\nCOPY hello /hello\n")
    made.write("test-app/hello", content)
    return made


def test_two_runs_at_once_do_not_mix(tmp_path: Path, names: Callable[[], list[str]]) -> None:
    """Two runs that publish different builds of one image at once leave a list of which all members are of one."""
    with docker_registry(tmp_path / "registry") as host:
        shops = [small(tmp_path / name, host, name) for name in ("one", "two")]
        repository = Pushed(host, f"{ORGANIZATION}/test-app")
        succeeded = 0
        for _ in range(5):
            running = [
                subprocess.Popen(command("publish", "--image", "test-app"), cwd=shop.root, env=surroundings(),
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                for shop in shops
            ]  # fmt: skip
            said = [process.communicate(timeout=300)[1] for process in running]
            succeeded += sum(process.returncode == 0 for process in running)
            assert all("Traceback" not in text for text in said), said
            if (found := repository.list_at("1-0.1.0-dev")) is not None:
                assert sorted(platform for platform, _ in found) == ["linux/amd64", "linux/arm64"]
                assert len({maker(repository, digest) for _, digest in found}) == 1, said
        # One alone completes what a race left.
        done = subprocess.run(command("publish", "--image", "test-app"), cwd=shops[0].root, env=surroundings(),
                              capture_output=True, text=True, check=False)  # fmt: skip

        assert done.returncode == 0, done.stderr
        assert {maker(repository, digest) for _, digest in repository.list_at("1-0.1.0-dev") or []} == {"one"}


def maker(repository: Pushed, digest: str) -> str:
    """Which of the two runs made an image: what its one file holds."""
    kinds = ", ".join(MEDIA_TYPES)
    manifest = json.loads(repository.ask("GET", f"manifests/{digest}", Accept=kinds)[0])
    layer = gzip.decompress(repository.ask("GET", f"blobs/{manifest['layers'][-1]['digest']}")[0])
    return layer[512:515].decode()


def test_local_list_serves_both_platforms(monorepo: Monorepo, inv: Inv, engine: Engine, foreign: Platform) -> None:
    """A list in the engine's own store holds exactly the built images, runs, and can be pushed as a whole."""
    monorepo.image("test-app", "FROM rootfs\n")
    assert inv(monorepo.root, "build", "--image", "test-app", "--arch", "all").exit_code == 0
    first = inv(monorepo.root, "manifest", "--image", "test-app", "--local", "--json")
    second = inv(monorepo.root, "manifest", "--image", "test-app", "--local", "--json")
    assert first.exit_code == 0, first.stderr
    [made], [again] = json.loads(first.stdout), json.loads(second.stdout)
    shown = json.loads(inv(monorepo.root, "inspect", "test-app", "--local", "--json").stdout)
    members = {
        str(platform): image.repo_digest
        for platform in (engine.platform, foreign)
        if (image := engine.image(f"{made['reference']}-{platform.tag}"))
    }

    assert (made["state"], again["state"]) == ("written", "already so")
    assert {row["platform"]: row["digest"] for row in shown["rows"]} == members
    for platform in (engine.platform, foreign):
        ran = subprocess.run(
            ["docker", "run", "--rm", "--platform", str(platform), made["reference"], "uname", "-m"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert ran.stdout.strip() == platform.names.uname


def test_local_list_can_be_pushed(inv: Inv, tmp_path: Path, names: Callable[[], list[str]]) -> None:
    """docker push of a local list sends all of its members."""
    with docker_registry(tmp_path / "registry") as host:
        made = small(tmp_path / "one", host, "one")
        assert inv(made.root, "build", "--image", "test-app", "--arch", "all").exit_code == 0
        ran = inv(made.root, "manifest", "--image", "test-app", "--local", "--json")
        [tagged] = json.loads(ran.stdout)
        subprocess.run(["docker", "push", "--quiet", tagged["reference"]], check=True, capture_output=True)
        found = Pushed(host, f"{ORGANIZATION}/test-app").list_at("1-0.1.0-dev") or []

        assert sorted(platform for platform, _ in found) == ["linux/amd64", "linux/arm64"]


def test_incomplete_publish_publishes_nothing(inv: Inv, tmp_path: Path, names: Callable[[], list[str]]) -> None:
    """When one of two images is not whole nothing is pushed; with --keep-going the whole one is, and is recorded."""
    with docker_registry(tmp_path / "registry") as host:
        made = small(tmp_path / "one", host, "one")
        made.image("test-broken", "FROM scratch\nCOPY missing /missing\n")
        options = ("publish", "--image", "test-broken,test-app")
        first = inv(made.root, *options)
        recorded_first = read(made.root)
        repository = Pushed(host, f"{ORGANIZATION}/test-app")
        nothing = repository.list_at("1-0.1.0-dev"), repository.list_at("1-0.1.0-dev-amd64")
        second = inv(made.root, *options, "--keep-going")

        assert first.exit_code == 5, first.stderr
        assert nothing == (None, None)
        assert recorded_first == ()
        assert second.exit_code == 13, second.stderr
        assert "test-broken 1" in second.stderr
        assert len(members := repository.list_at("1-0.1.0-dev") or []) == 2
        assert [("test-app", dict(members))] == [(one.name, one.members) for one in read(made.root)]
        assert Pushed(host, f"{ORGANIZATION}/test-broken").list_at("1-0.1.0-dev") is None


def test_files_that_change_while_an_image_is_built(
    monorepo: Monorepo, engine: Engine, names: Callable[[], list[str]]
) -> None:
    """An image whose files are not those that its label speaks of gets no name."""
    monorepo.image("test-app", "FROM scratch\nCOPY hello /hello\n")
    monorepo.write("test-app/hello", "hello")
    settings = replace(monorepo.catalog.settings, organization=ORGANIZATION)
    catalog = Catalog(settings)
    selection = Selection.of([], [], ["test-app"], everything=False)
    requests = selection.requests(catalog, native=lambda: engine.platform)
    steps = make_plan(catalog, requests, build_platform=engine.platform)
    monorepo.write("test-app/hello", "something else")

    with pytest.raises(BuildError, match="files changed while it was built"):
        Building(engine=engine, settings=settings).run(steps)

    assert names() == []
