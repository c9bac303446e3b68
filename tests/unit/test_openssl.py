"""``inv patch-openssl``: options, the change as it is shown and made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archway.errors import ArchwayError, BuildError, MachineError, UsageError
from archway.metadata_cargo import Cargo
from archway.openssl import Answer, Subject, Verdict, rows, write
from archway.openssl_request import OpensslRequest
from archway.platforms import Platform
from archway.report_openssl import print_answers

AMD64, ARM64 = Platform.parse("amd64"), Platform.parse("arm64")
BEFORE, AFTER = "[package]\r\nname = 'x'\r\n", "[package]\r\nname = 'x'\r\n\r\n# ours\r\n"


def answer(folder: Path, *, ours: bool = True, state: str = "needed", changed: bool = True) -> Answer:
    chain = ("x 1.0.0", "openssl-sys 0.9.118")
    subject = Subject(name="x 1.0.0", folder=folder, cargo=Cargo(), platforms=(AMD64, ARM64), ours=ours)
    verdicts = tuple(Verdict(platform=p, state=state, why="because", chain=chain) for p in subject.platforms)
    return Answer(subject=subject, verdicts=verdicts, edits={"Cargo.toml": (BEFORE, AFTER)} if changed else {})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Cargo.toml").write_bytes(BEFORE.encode())
    return tmp_path


@pytest.mark.parametrize(
    "options",
    [
        {"check": True, "write": True},
        {"diff": True, "write": True},
        {"path": "a", "operators": ("b",)},
        {"package": "a"},
        {"undo": True},
        {"undo": True, "check": True},
    ],
)
def test_options_that_exclude_each_other_are_refused(options: dict[str, bool | str]) -> None:
    """What could be meant in two ways is not guessed."""
    with pytest.raises(UsageError):
        OpensslRequest(**options)  # type: ignore[arg-type]


def test_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    """Before anything is built."""
    with pytest.raises(UsageError, match=r"there is no Cargo\.toml"):
        OpensslRequest(path=str(tmp_path)).answers(None, None, None)  # type: ignore[arg-type]


def test_change_is_written_byte_for_byte(project: Path) -> None:
    """Line ends of the file stay as they are."""
    written = write(answer(project))

    assert written == [project / "Cargo.toml"]
    assert (project / "Cargo.toml").read_bytes() == AFTER.encode()
    assert [path.name for path in project.iterdir()] == ["Cargo.toml"]


def test_file_that_changed_meanwhile_is_left(project: Path) -> None:
    """An editor's work is not overwritten."""
    (project / "Cargo.toml").write_text("another\n")

    with pytest.raises(BuildError, match="changed while"):
        write(answer(project))
    assert (project / "Cargo.toml").read_text() == "another\n"


def test_somebody_elses_files_are_not_written(project: Path) -> None:
    """A crate that was fetched is not ours to change."""
    with pytest.raises(UsageError, match="comes from elsewhere"):
        write(answer(project, ours=False))


def test_all_files_or_none(project: Path) -> None:
    """What was written before the first failure is taken back."""
    (project / "locked").mkdir()
    (project / "locked/Cargo.lock").write_text("old\n")
    found = answer(project)
    both = Answer(
        subject=found.subject, verdicts=(), edits={**found.edits, "locked/Cargo.lock": ("old\n", "new\n")}
    )  # fmt: skip
    # A folder in the place of the temporary file: also root cannot write there.
    (project / f"locked/.Cargo.lock.{os.getpid()}.part").mkdir()
    with pytest.raises(MachineError, match="cannot be written"):
        write(both)

    assert (project / "Cargo.toml").read_bytes() == BEFORE.encode()
    assert (project / "locked/Cargo.lock").read_text() == "old\n"


def test_diff_can_be_applied(project: Path) -> None:
    """It names the files as patch -p1 wants them."""
    shown = answer(project).diff()

    assert shown.startswith("--- a/Cargo.toml\n+++ b/Cargo.toml\n")
    assert "+# ours\r\n" in shown


@pytest.mark.parametrize(("state", "fails"), [("needed", True), ("already", False), ("not needed", False)])
def test_check_fails_where_something_is_left_to_do(project: Path, state: str, fails: bool) -> None:
    """A script can ask whether a tree vendors by itself."""
    request, found = OpensslRequest(check=True), [answer(project, state=state, changed=False)]
    if fails:
        with pytest.raises(ArchwayError, match="not vendored by the files of x"):
            print_answers(request, found)
    else:
        print_answers(request, found)


def test_what_is_impossible_fails_always(project: Path) -> None:
    """Also without --check: no build of it can go well."""
    with pytest.raises(ArchwayError, match="cannot be vendored"):
        print_answers(OpensslRequest(), [answer(project, state="impossible", changed=False)])


def test_chain_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who brings openssl-sys is said for each platform."""
    print_answers(OpensslRequest(), [answer(project)])
    said = capsys.readouterr()

    assert "x 1.0.0 arm64: x 1.0.0 → openssl-sys 0.9.118" in said.err
    assert rows([answer(project)])[1] == ["x 1.0.0", "arm64", "needed", "because"]
