"""``inv patch-openssl``: options, the change as it is shown and made."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from archway.errors import ArchwayError, BuildError, MachineError, UsageError
from archway.metadata_cargo import Cargo
from archway.openssl import Answer, Subject, Verdict, ask, read_report, rows, write
from archway.openssl_request import OpensslRequest, find_workspace, package_of
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
        {"write": True},
        {"write": True, "undo": True},
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
    (project / f"locked/.Cargo.lock.{os.getpid()}").mkdir()
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


def report(folder: Path, **changed: Any) -> Path:
    verdicts = [
        {"target": platform.names.rust, "state": "needed", "why": "a\nb", "chain": ["x"], "version": "1"}
        for platform in (AMD64, ARM64)
    ]
    path = folder.parent / f"{folder.name}.json"
    path.write_text(json.dumps({"openssl": "vendored", "verdicts": verdicts, "edits": {}, **changed}))
    return path


def edited(name: str) -> dict[str, Any]:
    return {name: {"before": BEFORE, "after": AFTER}}


def test_report_of_cargo_image_is_read(project: Path) -> None:
    """Verdicts by platform, and the change."""
    found = read_report(answer(project).subject, report(project, edits=edited("Cargo.toml")))

    assert [verdict.platform for verdict in found.verdicts] == [AMD64, ARM64]
    assert found.edits == {"Cargo.toml": (BEFORE, AFTER)}


@pytest.mark.parametrize(
    "name", ["../victim", "/etc/passwd", "src/main.rs", "sub/../Cargo.toml", "./Cargo.toml", "sub/Cargo.toml", "",
             "linked/Cargo.toml", "link/Cargo.lock", "target/Cargo.lock"],
)  # fmt: skip
def test_only_manifests_and_locks_of_the_project_are_changed(project: Path, name: str) -> None:
    """The report was made beside a project that may be hostile, and names files of this machine."""
    for made in ("src", "linked", "real", "target"):
        (project / made).mkdir()
    (project / "src/main.rs").write_text(BEFORE)
    (project / "linked/Cargo.toml").symlink_to("../Cargo.toml")
    (project / "real/Cargo.lock").write_text(BEFORE)
    (project / "link").symlink_to("real")
    (project / "target/Cargo.lock").write_text(BEFORE)
    (project / "target/CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55")
    subject = answer(project).subject
    with pytest.raises(BuildError, match="cannot be used") as refused:
        read_report(subject, report(project, edits=edited(name)))

    assert "no manifest and no lock" in refused.value.why
    with pytest.raises(BuildError, match="no manifest and no lock"):
        write(Answer(subject=subject, verdicts=(), edits={name: (BEFORE, AFTER)}))


@pytest.mark.parametrize(
    "text",
    ["", "no", "[]", "{}", "[" * 100_000, '{"verdicts": 1, "edits": {}}', '{"verdicts": [], "edits": []}',
     '{"verdicts": [], "edits": {}}', '{"verdicts": [null], "edits": {"\\ud800": 1}}', "\xff\x1b[2J"],
)  # fmt: skip
def test_text_that_is_no_report_is_refused(project: Path, text: str) -> None:
    """Each as a message, which does nothing to the terminal."""
    path = report(project)
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BuildError, match="cannot be used") as refused:
        read_report(answer(project).subject, path)

    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": "fine"}, {"target": "riscv64gc-unknown-linux-gnu"}, {"chain": "x"}, {"chain": [1]}, {"version": None},
        {"why": "\x1b[2J"}, {"why": "x" * 100_000}, {"chain": ["a\nb"]}, {"target": ARM64.names.rust},
    ],
)  # fmt: skip
def test_wrong_verdicts_are_refused(project: Path, wrong: dict[str, Any]) -> None:
    """One for each platform that was asked for, and of the right types."""
    path = report(project)
    verdicts = json.loads(path.read_text())["verdicts"]
    with pytest.raises(BuildError, match="cannot be used"):
        read_report(answer(project).subject, report(project, verdicts=[{**verdicts[0], **wrong}, verdicts[1]]))


def test_report_that_is_a_link_is_not_followed(project: Path) -> None:
    """It would be a file of this machine."""
    path = project.parent / "link.json"
    path.unlink(missing_ok=True)
    path.symlink_to(report(project))

    with pytest.raises(BuildError, match="cannot be used"):
        read_report(answer(project).subject, path)
    path.unlink()
    with pytest.raises(BuildError, match="cannot be used"):
        read_report(answer(project).subject, path)


def test_system_library_needs_no_change(project: Path) -> None:
    """Where image.toml says system, cargo is not asked, and --check is content."""
    subject = Subject(
        name="x", folder=project, cargo=Cargo(openssl="system"), platforms=(AMD64, ARM64), ours=True
    )  # fmt: skip
    found = ask(None, None, subject, builder="")  # type: ignore[arg-type]

    assert {verdict.state for verdict in found.verdicts} == {"not needed"}
    assert not found.edits
    print_answers(OpensslRequest(check=True), [found])


def workspace(root: Path, table: str = 'members = ["crates/*"]') -> Path:
    """A member of a workspace."""
    member = root / "crates/a"
    member.mkdir(parents=True)
    (root / "Cargo.toml").write_text(f"[workspace]\n{table}\n")
    (root / "Cargo.lock").write_text("")
    (member / "Cargo.toml").write_text('[package]\nname = "a"\n')
    return member


def test_member_is_looked_at_in_its_workspace(tmp_path: Path) -> None:
    """The lock is there, and the package is the member."""
    member = workspace(tmp_path)

    assert find_workspace(member) == tmp_path
    assert find_workspace(tmp_path) == tmp_path
    assert package_of(member) == "a"


def test_member_with_a_stale_lock_is_still_a_member(tmp_path: Path) -> None:
    """Cargo does not read that lock."""
    member = workspace(tmp_path)
    (member / "Cargo.lock").write_text("")

    assert find_workspace(member) == tmp_path


@pytest.mark.parametrize("table", ['members = ["other"]', 'members = ["."]', "members = 1", ""])
def test_project_with_a_lock_that_no_workspace_names_is_alone(tmp_path: Path, table: str) -> None:
    """It only lies below another one."""
    member = workspace(tmp_path, table)
    (member / "Cargo.lock").write_text("")

    assert find_workspace(member) == member


def test_workspace_that_a_member_names(tmp_path: Path) -> None:
    """It need not lie above."""
    member = workspace(tmp_path / "w", "")
    (member / "Cargo.toml").write_text('[package]\nname = "a"\nworkspace = "../../../other"\n')

    assert find_workspace(member) == tmp_path / "other"


def test_excluded_folder_is_no_member(tmp_path: Path) -> None:
    """The workspace says so itself."""
    member = workspace(tmp_path, 'exclude = ["crates"]')

    assert find_workspace(member) == member


def test_folder_without_a_lock_anywhere_is_refused(tmp_path: Path) -> None:
    """Both places are named."""
    (tmp_path / "Cargo.toml").write_text("[package]\nname = 'a'\n")

    with pytest.raises(UsageError, match=r"there is no Cargo\.lock, and no workspace above"):
        OpensslRequest(path=str(tmp_path)).answers(None, None, None)  # type: ignore[arg-type]
