"""JUnit's XML, which CI services show as tests: a suite for each report, a test for each rule that was looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from junitparser import Attr, Failure, JUnitXml, SystemErr, SystemOut, TestCase, TestSuite

from archway.files import write_whole
from archway.outputs.files import legible
from archway.rules import RULES
from archway.verify.findings import Finding, Report, count

MOST = 100
"""So many findings of a rule are written out: an image that is wrong as a whole has a hundred thousand."""


class _Suite(TestSuite):
    """With two attributes that Ant's schema wants, as it does both outputs."""

    id = Attr()
    package = Attr()


def write_junit(reports: Iterable[Report], path: Path) -> None:
    """Write reports as JUnit's XML."""
    write_whole(path, junit(reports))


def junit(reports: Iterable[Report]) -> bytes:
    """Reports as JUnit's XML."""
    suites = JUnitXml()  # without sums: Jenkins' schema and Ant's allow different ones here
    for number, report in enumerate(reports):
        suites.add_testsuite(_suite(report, number))
    text: bytes = suites.tostring()
    return text if text.startswith(b"<?xml") else b'<?xml version="1.0" encoding="utf-8"?>\n' + text


def _suite(report: Report, number: int) -> _Suite:
    suite = _Suite(legible(report.name))
    suite.id = str(number)
    suite.package = str(report.subject)
    suite.hostname = "localhost"
    suite.timestamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    for name, value in _properties(report):
        suite.add_property(name, legible(value))
    suite.add_testcases(list(_cases(report)))
    suite.append(SystemOut(""))
    suite.append(SystemErr(""))
    return suite


def _properties(report: Report) -> Iterator[tuple[str, str]]:
    yield "subject", str(report.subject)
    if report.source:
        yield "source", report.source
    if report.platform:
        yield "platform", str(report.platform)
        yield "elf-files", str(report.elf_files)
        yield "files", str(report.files)
        yield "archives", str(report.archives)
    for digest in report.digests:
        yield "digest", digest
    for allowed, number in report.used:
        yield "allowed", f"{allowed.path}: {count(number, 'finding')} ({allowed.reason})"


def _cases(report: Report) -> Iterator[TestCase]:
    """A test for each rule of the subject, and for whatever else was found."""
    found: dict[str, list[Finding]] = {rule.id: [] for rule in RULES.values() if rule.subject is report.subject}
    for finding in report.findings:
        found.setdefault(finding.rule, []).append(finding)
    # Readers take what stands before the last dot for a package, and tests of one class and name for the same test.
    within = ".".join(part.replace(".", "_") for part in (str(report.subject), report.name))
    for rule, findings in found.items():
        case = TestCase(rule, legible(within), 0.0)
        if findings:
            case.append(_failure(rule, findings))
        yield case


def _failure(rule: str, findings: Sequence[Finding]) -> Failure:
    first = str(findings[0])
    failure = Failure(legible(first if len(findings) == 1 else f"{count(len(findings), 'finding')}: {first}"), rule)
    failure.text = legible("\n".join(_text(rule, findings)))
    return failure


def _text(rule: str, findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings[:MOST]:
        yield str(finding)
        if finding.layer:
            yield f"    in layer {finding.layer}"
    if len(findings) > MOST:
        yield f"and {len(findings) - MOST} more"
    if rule in RULES:
        yield f"\n{RULES[rule].why}\n{RULES[rule].mend}"
