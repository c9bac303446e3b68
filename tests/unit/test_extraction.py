"""Scripts that are run in an image: the Dockerfile for them, and what is read from BuildKit's output."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from archway.contexts import Names
from archway.dockerfile import Dockerfile
from archway.engine import BuildFailedError, BuildOrder, Engine, LocalImage, _field
from archway.errors import BuildError, MachineError, PackageSourceError
from archway.extraction import dockerfile, extract, printed
from archway.platforms import Platform
from tests.monorepo import Monorepo

RUN = '#7 [stage-0 3/3] RUN --mount=x ["with-host-settings", "sh", "-e", "/archway-script"]'


class FakeEngine(Engine):
    """Has every image but ``missing``, and says what it is told to say."""

    platform = Platform.parse("linux/amd64")
    answers = True

    def __init__(self, lines: list[str], *, fails: bool = False) -> None:
        self.lines = lines
        self.fails = fails
        self.orders: list[BuildOrder] = []
        self.files: dict[str, str] = {}

    def image(self, name: str) -> LocalImage | None:
        return None if name == "missing" else LocalImage(platform=self.platform, labels={}, repo_digest=None)

    def build(self, order: BuildOrder, heard: Any) -> None:
        self.orders.append(order)
        self.files = {path.name: path.read_text() for path in order.context.iterdir()}
        for line in self.lines:
            heard(line)
        if self.fails:
            raise BuildFailedError(self.lines)


@pytest.fixture(autouse=True)
def _names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images are handed over without an engine."""
    given = {"archway-builder": "docker-image://alias"}
    monkeypatch.setattr(Names, "contexts", lambda _self, _images: nullcontext(given))


def run(engine: FakeEngine, monorepo: Monorepo, image: str = "builder", **more: Any) -> list[str]:
    wanted: dict[str, Any] = {
        "script": "true\n",
        "contexts": {},
        "out": monorepo.root / "out",
        "what": "a test",
        **more,
    }
    return extract(engine, monorepo.catalog.settings, image=image, **wanted)


def test_script_and_folders_are_handed_over(monorepo: Monorepo) -> None:
    """The script comes as it is, folders under their names, the result goes to the wanted folder, never cached."""
    engine = FakeEngine([RUN, "#7 0.102 hello", "#7 0.2 ", "#7 DONE 0.3s", "#8 [stage-1 1/1] COPY --from=0 /out/ /"])
    source = monorepo.root / "source"

    said = run(engine, monorepo, script="echo $X \\\n'hello'\n", contexts={"source": source})
    [order] = engine.orders

    assert said == ["hello", ""]
    assert engine.files["script"] == "echo $X \\\n'hello'\n"
    assert order.contexts == {"archway-builder": "docker-image://alias", "source": str(source)}
    assert order.into == monorepo.root / "out"
    assert not order.cache
    assert list((monorepo.root / ".archway/scratch").iterdir()) == []


def test_dockerfile_of_a_script(tmp_path: Path) -> None:
    """The generated Dockerfile can be parsed, has the secrets, and the network only where it is wanted."""
    text = dockerfile({"source": "x"}, {"ca": Path("/ca")}, network=False)

    assert "COPY --from=source . /source" in text.splitlines()
    assert "RUN --network=none --mount=type=secret,id=ca --mount=type=bind,source=script," in text
    assert "type=cache" not in text
    assert "--network" not in dockerfile({}, {}, network=True)
    (tmp_path / "Dockerfile").write_text(text)
    assert len(Dockerfile.read(tmp_path / "Dockerfile").instructions) == 6


def test_failure_has_its_cause_without_a_line(monorepo: Monorepo) -> None:
    """A script that fails is told by its cause with what it has said; nobody is sent to the generated Dockerfile."""
    lines = [
        RUN,
        "#7 0.1 Could not resolve host: h",
        "#7 ERROR: process x did not complete",
        "ERROR: failed to solve: x",
    ]

    with pytest.raises(PackageSourceError, match="a test: a package registry") as failed:
        run(FakeEngine(lines, fails=True), monorepo)

    assert failed.value.why == "Could not resolve host: h"
    assert failed.value.where == ""
    assert (monorepo.root / ".archway/logs/a-test.log").read_text().splitlines() == lines


def test_files_that_cargo_image_names_are_the_users(monorepo: Monorepo) -> None:
    """The place is the file that the user has, not the container's copy."""
    said = "#7 0.1 cargo-image: error: /tmp/p/Cargo.lock: is not current"

    with pytest.raises(BuildError, match="a test: is not current") as failed:
        run(FakeEngine([RUN, said, "#7 ERROR: process x"], fails=True), monorepo, places={"/tmp/p": "operators/x"})

    assert failed.value.where == "operators/x/Cargo.lock"


def test_failure_without_known_cause(monorepo: Monorepo) -> None:
    """Any other failure is one of a step."""
    with pytest.raises(BuildError, match="a test: a step failed") as failed:
        run(FakeEngine([RUN, "#7 0.1 no", "#7 ERROR: process x"], fails=True), monorepo)

    assert type(failed.value) is BuildError


def test_image_that_is_not_there(monorepo: Monorepo) -> None:
    """No registry is asked for an image that the engine does not have."""
    engine = FakeEngine([])

    with pytest.raises(MachineError, match="there is no image missing"):
        run(engine, monorepo, image="missing")
    assert engine.orders == []


@pytest.mark.parametrize("name", ["", "A", "a b", "../x", "a/b", "-a"])
def test_names_of_folders(monorepo: Monorepo, name: str) -> None:
    """A name that would mean something else in a Dockerfile is refused."""
    with pytest.raises(ValueError, match="cannot be a folder"):
        run(FakeEngine([]), monorepo, contexts={name: monorepo.root})


def test_output_of_other_steps_is_not_the_script_s() -> None:
    """Only what the script has printed is returned."""
    assert printed(["#5 [stage-0 2/3] COPY x", "#5 0.1 copied", RUN, "#7 1.25 yes", "#70 0.1 no"]) == ["yes"]
    assert printed(["#5 0.1 x"]) == []


def test_folder_with_a_comma() -> None:
    """A folder's name may hold what separates docker's fields."""
    assert _field("dest", Path("/a,b=c")) == {'"dest': '/a,b=c"'}
    assert _field("dest", Path("/a b")) == {"dest": "/a b"}
