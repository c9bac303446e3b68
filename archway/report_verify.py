"""Prints what ``inv verify`` has found, and what its rules mean."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.table import Table
from rich.text import Text

from archway import log
from archway.errors import UsageError, VerifyError, did_you_mean
from archway.rules import RULES, Rule, Subject
from archway.verify.findings import Report, count


def print_reports(
    reports: Iterable[Report], *, json: bool, junit: Path | None = None, sarif: Path | None = None
) -> list[Report]:
    """Each report as it comes, a summary of several, and the files that were asked for.

    A run that ends before its last report writes no file: who reads one takes what is missing for mended.

    :param junit: from :func:`archway.outputs.files.check_writable`, like ``sarif``
    :raises UsageError: both files are the same
    :raises VerifyError: there are findings
    """
    if junit and junit == sarif:
        raise UsageError("--junit and --sarif name the same file", where=junit)
    seen = []
    for report in reports:
        seen.append(report)
        if not json:
            log.data.print(Text(report.text()))
    if json:
        log.print_json([report.as_data() for report in seen])
    elif len(seen) > 1:
        for subject in dict.fromkeys(report.subject for report in seen):
            log.data.print()
            log.data.print(_summary(subject, [report for report in seen if report.subject is subject]))
    _write(seen, junit, sarif)
    judge(seen)
    return seen


def judge(reports: Sequence[Report]) -> None:
    """:raises VerifyError: there are findings"""
    rules = Counter(finding.rule for report in reports for finding in report.findings)
    if not rules:
        return
    wrong = sum(not report.ok for report in reports)
    names = [rule for rule, _ in rules.most_common()]
    raise VerifyError(
        f"{count(rules.total(), 'finding')} in {wrong} of {count(len(reports), 'check')}"
        f" ({'rule' if len(rules) == 1 else 'rules'} {', '.join(names)})",
        hint=f"inv verify --explain {names[0]} says more",
    )


def _write(reports: Sequence[Report], junit: Path | None, sarif: Path | None) -> None:
    """Imported where it is needed: most runs write no file."""
    if junit:
        from archway.outputs.junit import write_junit

        write_junit(reports, junit)
        log.done(f"JUnit: {junit}")
    if sarif:
        from archway.outputs.sarif import write_sarif

        write_sarif(reports, sarif)
        log.done(f"SARIF: {sarif}")


def _summary(subject: Subject, reports: Sequence[Report]) -> Table:
    """A line for each report, and the columns that say something of at least one."""
    columns = {
        str(subject): [_short(report) for report in reports],
        "platform": [report.platform.tag if report.platform else "" for report in reports],
        "verdict": ["ok" if report.ok else count(len(report.findings), "finding") for report in reports],
        "ELF": _numbers(report.elf_files for report in reports),
        "files": _numbers(report.files for report in reports),
        "archives": _numbers(report.archives for report in reports),
        "allowed": _numbers(sum(number for _, number in report.used) for report in reports),
    }
    told = {title: cells for title, cells in columns.items() if any(cells)}
    made = log.table("", list(told), [list(row) for row in zip(*told.values(), strict=True)])
    for column in made.columns[1:]:  # only names are broken in two where the terminal is narrow
        column.no_wrap = True
        column.justify = "left" if column.header in ("platform", "verdict") else "right"
    return made


def _short(report: Report) -> str:
    """An image without its registry and organization, which are the same for all; anything else as it is."""
    return report.name.rpartition("/")[2] if report.subject in (Subject.IMAGE, Subject.LIST) else report.name


def _numbers(numbers: Iterable[int]) -> list[str]:
    return [str(number or "") for number in numbers]


def explain(rule: str, *, json: bool = False) -> None:
    """What a rule means, why it is there, and what to do about a finding; of ``all``, the ids and titles.

    :raises UsageError: there is no such rule
    """
    if rule == "all":
        if json:
            log.print_json([_rule_data(one) for one in RULES.values()])
        else:
            rows = [[one.id, str(one.subject), one.title] for one in RULES.values()]
            log.data.print(log.table("", ["rule", "looks at", "a finding is"], rows))
        return
    if rule not in RULES:
        raise UsageError(f"there is no rule {rule!r}", hint=f"{did_you_mean(rule, RULES)}\nall rules: --explain all")
    if json:
        log.print_json(_rule_data(RULES[rule]))
        return
    width = min(log.data.width, 100)
    paragraphs = RULES[rule].text().split("\n\n")
    fitted = (textwrap.fill(part, width, break_long_words=False, break_on_hyphens=False) for part in paragraphs)
    log.data.print(Text("\n\n".join(fitted)))


def _rule_data(rule: Rule) -> dict[str, object]:
    return asdict(rule) | {"text": rule.text()}
