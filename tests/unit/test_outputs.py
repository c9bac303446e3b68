"""Facts about the files that CI services read."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archway.errors import UsageError
from archway.files import write_whole
from archway.outputs import sarif as sarif_module
from archway.outputs.files import check_writable, legible
from archway.outputs.junit import MOST, junit, write_junit
from archway.outputs.sarif import sarif, write_sarif
from archway.platforms import Platform
from archway.rules import RULES, Subject
from archway.verify.findings import Allowed, Finding, Report

ARM64 = Platform.parse("arm64")
FOREIGN = Finding(rule="elf-machine", path="/opt/x/libfoo.so", found="x86-64", expected="AArch64", layer="sha256:1")
DOCKERFILE = "products/hive/Dockerfile"
HIVE = Report(
    name="hive 4.0.1 arm64", source=DOCKERFILE, platform=ARM64, findings=(FOREIGN,), elf_files=7, files=90, archives=3,
    used=((Allowed(path="/opt/y", reason="data of a test"), 2),), digests=("sha256:2",),
)  # fmt: skip
LINE = Finding(rule="arch-word", found="amd64", expected="$TARGETARCH", source=DOCKERFILE, line=12)
LINT = Report(name=DOCKERFILE, subject=Subject.DOCKERFILE, source=DOCKERFILE, findings=(LINE,))
LIST = Report(name="hive:4.0.1", subject=Subject.LIST)


def suites(*reports: Report) -> list[ET.Element]:
    root = ET.fromstring(junit(reports))  # noqa: S314
    assert root.tag == "testsuites"
    return list(root)


def run(*reports: Report) -> dict[str, Any]:
    made: Any = json.loads(json.dumps(sarif(reports)[0]))
    return dict(made["runs"][0])


def result(report: Report) -> dict[str, Any]:
    (only,) = run(report)["results"]
    return dict(only)


# ---------------------------------------------------------------------------------------------------------------- files


def test_folder_of_a_file_is_made(tmp_path: Path) -> None:
    """The folder of results is made before the work, and nothing else."""
    path = check_writable(str(tmp_path / "out" / "new" / "junit.xml"))

    assert path == tmp_path / "out" / "new" / "junit.xml"
    assert list(path.parent.iterdir()) == []


@pytest.mark.parametrize("name", ["", "-"])
def test_stdout_is_no_file(name: str) -> None:
    """Results that go to a file do not go to stdout; the hint has what does."""
    with pytest.raises(UsageError, match="--json"):
        check_writable(name)


def test_folder_and_device_are_refused(tmp_path: Path) -> None:
    """A folder is no file, and a device or pipe would be replaced by one."""
    os.mkfifo(tmp_path / "pipe")

    for name in (tmp_path, tmp_path / "pipe", "/dev/null"):
        with pytest.raises(UsageError, match=r"is a folder|is not an ordinary file"):
            check_writable(str(name))


def test_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file in the place of a folder ends it, as an error that tasks explain."""
    (tmp_path / "file").touch()

    with pytest.raises(OSError, match="file"):
        check_writable(str(tmp_path / "file" / "junit.xml"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_rights_is_told(tmp_path: Path) -> None:
    """A folder that may not be written ends it before the work."""
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)

    with pytest.raises(PermissionError):
        check_writable(str(tmp_path / "junit.xml"))


def test_link_stays(tmp_path: Path) -> None:
    """What a link leads to is replaced, and the link is still one."""
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")

    write_whole(check_writable(str(tmp_path / "link")), b"new")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails changes nothing and leaves nothing beside the file."""
    path = tmp_path / "junit.xml"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, b"new")

    assert [path] == list(tmp_path.iterdir())
    assert path.read_text() == "old"


@given(st.text(st.characters(exclude_categories=())))
def test_every_text_is_legible(text: str) -> None:
    """Whatever an image has for a name, XML can be read again and JSON holds no half characters."""
    made = legible(text)

    assert (ET.fromstring(f"<a>{escaped(made)}</a>").text or "") == made  # noqa: S314
    assert made.encode().decode() == made


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# ---------------------------------------------------------------------------------------------------------------- JUnit


def test_suite_is_a_report() -> None:
    """Each report is a suite, each rule of its subject a test."""
    image, dockerfile, manifest_list = suites(HIVE, LINT, LIST)

    for suite, report, number in ((image, HIVE, "0"), (dockerfile, LINT, "1"), (manifest_list, LIST, "2")):
        rules = [rule.id for rule in RULES.values() if rule.subject is report.subject]

        assert suite.get("name") == report.name
        assert suite.get("id") == number
        assert rules == [case.get("name") for case in suite.iter("testcase")]
        assert suite.get("tests") == str(len(rules))
        assert suite.get("failures") == str(len(report.findings))
        assert suite.get("errors") == "0"


def test_order_that_schemas_want() -> None:
    """Ant's schema wants properties first and outputs last, and sums nowhere but in suites."""
    (suite,) = suites(HIVE)
    tags = [child.tag for child in suite]

    assert tags[0] == "properties"
    assert tags[-2:] == ["system-out", "system-err"]
    assert {"testcase"} == set(tags[1:-2])
    assert junit([HIVE]).startswith(b'<?xml version="1.0" encoding="utf-8"?>\n<testsuites><testsuite ')


def test_failure_says_what_and_why() -> None:
    """A test that failed has the finding, its layer, and what the rule says."""
    (suite,) = suites(HIVE)
    (failure,) = suite.iter("failure")

    assert failure.get("type") == "elf-machine"
    assert failure.get("message") == str(FOREIGN)
    assert failure.text is not None
    for part in (str(FOREIGN), "in layer sha256:1", RULES["elf-machine"].why, RULES["elf-machine"].mend):
        assert part in failure.text


def test_properties() -> None:
    """What was looked at and what was allowed stands with the suite."""
    (suite,) = suites(HIVE)
    properties = [(it.get("name"), it.get("value")) for it in suite.iter("property")]

    assert properties == [
        ("subject", "image"), ("source", DOCKERFILE), ("platform", "linux/arm64"), ("elf-files", "7"), ("files", "90"),
        ("archives", "3"), ("digest", "sha256:2"), ("allowed", "/opt/y: 2 findings (data of a test)"),
    ]  # fmt: skip


def test_finding_of_another_subject_is_a_failure() -> None:
    """A rule that looks at something else, and one that is unknown, are not lost."""
    stray = Finding(rule="allow-unused", found="none", expected="a use", path="/opt/z")
    unknown = Finding(rule="new", found="a", expected="b")
    (suite,) = suites(Report(name="x", platform=ARM64, findings=(stray, unknown)))

    assert [failure.get("type") for failure in suite.iter("failure")] == ["allow-unused", "new"]


def test_classes_are_one_a_report() -> None:
    """GitLab takes tests of one class and name for one test, and Jenkins cuts at the last dot."""
    first, second = suites(HIVE, Report(name="hive 4.0.2 arm64", platform=ARM64))

    assert {"image.hive 4_0_1 arm64"} == {case.get("classname") for case in first.iter("testcase")}
    assert {"image.hive 4_0_2 arm64"} == {case.get("classname") for case in second.iter("testcase")}


def test_long_failures_are_cut() -> None:
    """An image that is wrong as a whole does not make a file that no service takes."""
    (suite,) = suites(Report(name="x", platform=ARM64, findings=(FOREIGN,) * 100_000))
    (failure,) = suite.iter("failure")

    assert failure.get("message") == f"100000 findings: {FOREIGN}"
    assert f"and {100_000 - MOST} more" in str(failure.text)
    assert str(failure.text).count(str(FOREIGN)) == MOST


@pytest.mark.parametrize("bad", ["\x00", "\x1b[2J", "\ud800", "]]>", "<failure/>", "&x;", "\r", "\x85"])
def test_hostile_names(bad: str, tmp_path: Path) -> None:
    """What an image calls its files neither breaks the files nor adds to them."""
    finding = Finding(rule="elf-machine", path=f"/opt/{bad}", found=bad, expected=bad, layer=bad)
    report = Report(name=bad, platform=ARM64, source=bad, findings=(finding,))
    write_junit([report], tmp_path / "junit.xml")
    write_sarif([report], tmp_path / "sarif.json")

    assert len(list(ET.parse(tmp_path / "junit.xml").iter("failure"))) == 1  # noqa: S314
    (only,) = json.loads((tmp_path / "sarif.json").read_bytes())["runs"][0]["results"]
    assert unquote(only["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]) == legible(bad)


# ---------------------------------------------------------------------------------------------------------------- SARIF


def test_document(tmp_path: Path) -> None:
    """The document says its version and schema, and has one run of archway."""
    write_sarif([HIVE, LINT], tmp_path / "sarif.json")
    made = json.loads((tmp_path / "sarif.json").read_bytes())

    assert made["version"] == "2.1.0"
    assert made["$schema"].endswith("sarif-2.1.0.json")
    assert [run["tool"]["driver"]["name"] for run in made["runs"]] == ["archway"]
    assert made["runs"][0]["invocations"] == [{"executionSuccessful": True}]


def test_rules_explain_themselves() -> None:
    """Every rule is described, in the order that results count by."""
    rules = run(HIVE, LINT)["tool"]["driver"]["rules"]

    assert list(RULES) == [rule["id"] for rule in rules]
    for rule, made in zip(RULES.values(), rules, strict=True):
        assert made["shortDescription"] == {"text": rule.title}
        assert made["fullDescription"] == {"text": rule.why}
        assert made["help"] == {"text": rule.text()}


def test_results_lead_to_their_rules() -> None:
    """A result's index is that of its rule."""
    made = run(HIVE, LINT)
    rules = made["tool"]["driver"]["rules"]

    assert [it["ruleId"] for it in made["results"]] == ["elf-machine", "arch-word"]
    assert [rules[it["ruleIndex"]]["id"] for it in made["results"]] == ["elf-machine", "arch-word"]
    assert {"error"} == {it["level"] for it in made["results"]}


def test_finding_of_a_dockerfile_has_its_line() -> None:
    """A finding in a Dockerfile is shown at its line, from the monorepo's root."""
    location = result(LINT)["locations"][0]

    assert location == {
        "physicalLocation": {
            "artifactLocation": {"uri": DOCKERFILE, "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": 12},
        }
    }


def test_finding_of_an_image_is_shown_at_its_dockerfile() -> None:
    """A file of an image has no line in the monorepo: its Dockerfile stands for it, and its path in the image."""
    made = result(HIVE)
    location = made["locations"][0]

    assert location["physicalLocation"]["artifactLocation"]["uri"] == DOCKERFILE
    assert location["physicalLocation"]["region"] == {"startLine": 1}
    assert location["logicalLocations"] == [
        {"fullyQualifiedName": "hive 4.0.1 arm64:/opt/x/libfoo.so", "kind": "resource"}
    ]
    assert made["message"]["text"] == "hive 4.0.1 arm64: /opt/x/libfoo.so: found x86-64, expected AArch64"
    assert made["properties"] == {"layer": "sha256:1"}


def test_image_from_elsewhere_has_no_file() -> None:
    """An image that no file of the monorepo stands for has its own name only."""
    location = result(Report(name="x@sha256:1", platform=ARM64, findings=(FOREIGN,)))["locations"][0]

    assert list(location) == ["logicalLocations"]


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        ("products/a b/Dockerfile", {"uri": "products/a%20b/Dockerfile", "uriBaseId": "%SRCROOT%"}),
        ("/srv/Dockerfile", {"uri": "file:///srv/Dockerfile"}),
    ],
)
def test_uris(source: str, uri: dict[str, str]) -> None:
    """A path is written as a URI, and one outside of the monorepo not as if it were inside."""
    finding = Finding(rule="arch-word", found="a", expected="b", source=source, line=3)
    made = result(Report(name="x", subject=Subject.DOCKERFILE, findings=(finding,)))

    assert made["locations"][0]["physicalLocation"]["artifactLocation"] == uri


def mark(report: Report) -> str:
    return str(result(report)["partialFingerprints"]["archwayFinding/v1"])


def hive(**changes: str) -> Report:
    given = {"rule": "elf-machine", "path": "/a", "found": "x86-64", "expected": "AArch64", "layer": "sha256:1"}
    return Report(name="hive", source=DOCKERFILE, platform=ARM64, findings=(Finding(**(given | changes)),))  # type: ignore[arg-type]


def test_fingerprints_of_an_image() -> None:
    """The next build of a layer is the same finding; another file or rule is another."""
    assert mark(hive()) == mark(hive(layer="sha256:2"))
    assert len({mark(hive()), mark(hive(path="/b")), mark(hive(rule="elf-needed"))}) == 3


def test_fingerprints_of_a_dockerfile() -> None:
    """A line that moves is the same finding; the second one of a kind is another."""
    moved = Finding(rule="arch-word", found="amd64", expected="$TARGETARCH", source=DOCKERFILE, line=13)

    def lint(*findings: Finding) -> Report:
        return Report(name=DOCKERFILE, subject=Subject.DOCKERFILE, source=DOCKERFILE, findings=findings)

    both = [it["partialFingerprints"]["archwayFinding/v1"] for it in run(lint(LINE, moved))["results"]]

    assert mark(lint(LINE)) == mark(lint(moved))
    assert len(set(both)) == 2


def test_github_tells_files_of_an_image_apart() -> None:
    """All stand in line 1 of a Dockerfile, so GitHub is not left to tell them apart by that line."""
    of_image, of_line = (result(report)["partialFingerprints"] for report in (HIVE, LINT))

    assert of_image["primaryLocationLineHash"] == of_image["archwayFinding/v1"]
    assert "primaryLocationLineHash" not in of_line


def test_too_many_results_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What has no room is counted, in the file and at the terminal; no report is left out for another's many."""
    monkeypatch.setattr(sarif_module, "MOST", 10)
    many = Report(name="wrong", platform=ARM64, findings=(FOREIGN,) * 30)
    write_sarif([many, HIVE], tmp_path / "sarif.json")
    made = json.loads((tmp_path / "sarif.json").read_bytes())["runs"][0]
    (note,) = made["invocations"][0]["toolExecutionNotifications"]

    assert len(made["results"]) == 10
    assert any(it["message"]["text"].startswith(HIVE.name) for it in made["results"])
    assert note["message"]["text"].startswith("21 findings are not in it")
    assert "21 findings are not in it" in capsys.readouterr().err


def test_names_are_no_links() -> None:
    """A file that is called like a link is not shown as one."""
    assert "](" not in result(hive(path="/[look](http://x)"))["message"]["text"]


@pytest.mark.parametrize("write", [write_junit, write_sarif])
def test_no_report_is_a_file_too(write: Callable[[list[Report], Path], None], tmp_path: Path) -> None:
    """A run that had nothing to look at writes what readers take for no test and no finding."""
    write([], tmp_path / "out")

    assert [tmp_path / "out"] == list(tmp_path.iterdir())
    assert (tmp_path / "out").read_bytes()
