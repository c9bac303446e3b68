"""Facts about what ``inv verify`` prints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from archway import log
from archway.errors import MachineError, UsageError, VerifyError
from archway.platforms import Platform
from archway.report_verify import explain, judge, print_reports
from archway.rules import RULES, Subject
from archway.verify.findings import Allowed, Finding, Report

ARM64 = Platform.parse("arm64")
FOREIGN = Finding(rule="elf-machine", path="/opt/a", found="x86-64", expected="AArch64")
BASE = Finding(rule="base-platform", found="amd64", expected="arm64", source="base/Dockerfile", line=1)
GOOD = Report(name="localhost:5000/archway/hive:4.0.1-0.1.0-dev-arm64", platform=ARM64, elf_files=7, files=4213)
BAD = Report(
    name="base 1 arm64", platform=ARM64, findings=(FOREIGN, FOREIGN), elf_files=2, files=2, archives=5,
    used=((Allowed(path="/opt/b", reason="data"), 3), (Allowed(path="/opt/c", reason="data"), 1)),
)  # fmt: skip
LINT = Report(name="base/Dockerfile", subject=Subject.DOCKERFILE, findings=(BASE,))
LIST = Report(name="localhost:5000/archway/hive:4.0.1", subject=Subject.LIST)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log.data, "_width", 80)


@pytest.mark.usefixtures("narrow")
def test_one_report_needs_no_summary(capsys: pytest.CaptureFixture[str]) -> None:
    """A single report is printed as it is."""
    assert print_reports([GOOD], json=False) == [GOOD]
    assert capsys.readouterr().out == f"{GOOD.text()}\n"


def test_reports_come_as_they_are_made(capsys: pytest.CaptureFixture[str]) -> None:
    """A report is printed before the next one is made."""

    def made() -> Iterator[Report]:
        yield GOOD
        assert GOOD.headline in capsys.readouterr().out
        yield LIST

    print_reports(made(), json=False)

    assert capsys.readouterr().out.startswith(LIST.headline)


@pytest.mark.usefixtures("narrow")
def test_summary(capsys: pytest.CaptureFixture[str]) -> None:
    """Several reports end with a line each, by what was looked at, with the columns that say something."""
    with pytest.raises(VerifyError):
        print_reports([LINT, GOOD, BAD, LIST], json=False)
    out = capsys.readouterr().out
    lines = [line.rstrip() for line in out[out.index("\n\nDockerfile") :].splitlines()]

    assert lines == [
        "",
        "",
        "Dockerfile       verdict",
        "base/Dockerfile  1 finding",
        "",
        "image                       platform  verdict     ELF  files  archives  allowed",
        "hive:4.0.1-0.1.0-dev-arm64  arm64     ok            7   4213",
        "base 1 arm64                arm64     2 findings    2      2         5        4",
        "",
        "list        verdict",
        "hive:4.0.1  ok",
    ]


@pytest.mark.usefixtures("narrow")
def test_long_names_are_broken_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """At 80 columns a long name takes two lines; numbers and verdicts stay whole."""
    long = Report(name=f"an-operator-of-{'x' * 40}:1.0", platform=ARM64, elf_files=1000, files=200_000, archives=4000)
    print_reports([long, GOOD], json=False)
    table = capsys.readouterr().out.partition("\n\n")[2].splitlines()

    assert all(len(line) <= 80 for line in table)
    assert any("ok" in line and "1000" in line and "200000" in line and "4000" in line for line in table)


def test_json_is_a_list_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON is one document, the reports, also when there are findings."""
    with pytest.raises(VerifyError):
        print_reports([GOOD, BAD], json=True)
    made = json.loads(capsys.readouterr().out)

    assert [report["ok"] for report in made] == [True, False]
    assert [finding["rule"] for finding in made[1]["findings"]] == ["elf-machine", "elf-machine"]


def test_verdict_names_the_rules() -> None:
    """The error counts findings and checks, and has the rules, the most frequent first."""
    with pytest.raises(VerifyError) as raised:
        judge([LINT, GOOD, BAD, GOOD, LIST])

    assert raised.value.what == "3 findings in 2 of 5 checks (rules elf-machine, base-platform)"
    assert raised.value.hint == "inv verify --explain elf-machine says more"
    assert raised.value.exit_code == 9


def test_verdict_of_one() -> None:
    """One is not many."""
    with pytest.raises(VerifyError, match=r"^1 finding in 1 of 1 check \(rule base-platform\)\n"):
        judge([LINT])


def test_no_finding_is_no_error() -> None:
    """Reports without findings, and no reports, are good."""
    judge([GOOD, LIST])
    judge([])


def test_files_are_written_before_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The files are there although there are findings; stdout stays JSON."""
    junit, sarif = tmp_path / "junit.xml", tmp_path / "archway.sarif"
    with pytest.raises(VerifyError):
        print_reports([BAD], json=True, junit=junit, sarif=sarif)

    assert b"<failure" in junit.read_bytes()
    assert len(json.loads(sarif.read_bytes())["runs"][0]["results"]) == 2
    assert len(json.loads(capsys.readouterr().out)) == 1


def test_run_that_ends_early_writes_no_file(tmp_path: Path) -> None:
    """Who reads a file takes what is missing in it for mended."""

    def made() -> Iterator[Report]:
        yield GOOD
        raise MachineError("the engine is gone")

    with pytest.raises(MachineError):
        print_reports(made(), json=False, junit=tmp_path / "junit.xml", sarif=tmp_path / "sarif.json")

    assert list(tmp_path.iterdir()) == []


def test_two_files_are_not_one(tmp_path: Path) -> None:
    """One file cannot hold both; that is told before the work."""

    def made() -> Iterator[Report]:
        pytest.fail("worked first")
        yield GOOD

    with pytest.raises(UsageError, match="same file"):
        print_reports(made(), json=False, junit=tmp_path / "a", sarif=tmp_path / "a")


# -------------------------------------------------------------------------------------------------------------- explain


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("rule", RULES)
def test_explanation_fits(rule: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every rule's text is printed whole, in lines that fit."""
    explain(rule)
    out = capsys.readouterr().out

    assert out.split() == RULES[rule].text().split()
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.usefixtures("narrow")
def test_all_rules(capsys: pytest.CaptureFixture[str]) -> None:
    """``all`` lists the rules with what a finding is."""
    explain("all")
    lines = capsys.readouterr().out.splitlines()

    assert list(RULES) == [words[0] for line in lines[1:] if (words := line.split()) and not line.startswith(" ")]
    assert max(map(len, lines)) <= 80


def test_explanations_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON, one rule is an object, and all are a list of them."""
    explain("uname", json=True)
    one = json.loads(capsys.readouterr().out)
    explain("all", json=True)
    every = json.loads(capsys.readouterr().out)

    assert one["id"] == "uname"
    assert one["subject"] == "Dockerfile"
    assert one["text"] == RULES["uname"].text()
    assert list(RULES) == [rule["id"] for rule in every]


def test_unknown_rule() -> None:
    """A rule that is nearly right gets the right ones."""
    with pytest.raises(UsageError, match="did you mean elf-machine") as raised:
        explain("elf-machines")

    assert "--explain all" in raised.value.hint
