"""SARIF 2.1.0, which code scanning services show beside the lines of the monorepo."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from archway import log
from archway.files import write_whole
from archway.outputs.files import legible
from archway.rules import RULES, Rule, Subject
from archway.verify.findings import Finding, Report

MOST = 5_000
"""So many results are written: GitHub shows no more of a run, and refuses one with 25,000."""

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_ROOT = "%SRCROOT%"
_INDEX = {rule: number for number, rule in enumerate(RULES)}

Data = dict[str, object]


def write_sarif(reports: Iterable[Report], path: Path) -> None:
    """Write reports as SARIF. Exceptions are not in it: a report counts what they silence, and does not keep it."""
    made, left_out = sarif(list(reports))
    if left_out:
        log.warn(f"{path}: {_cut(left_out)}")
    write_whole(path, json.dumps(made, indent=1).encode() + b"\n")


def sarif(reports: Sequence[Report]) -> tuple[Data, int]:
    """Reports as one SARIF run, and how many findings had no room in it."""
    chosen, left_out = _chosen(reports)
    driver = {"name": "archway", "version": version("archway"), "rules": [_rule(rule) for rule in RULES.values()]}
    invocation: Data = {"executionSuccessful": True}
    if left_out:
        note = {"level": "warning", "message": {"text": _cut(left_out)}}
        invocation["toolExecutionNotifications"] = [note]
    run = {
        "tool": {"driver": driver},
        "invocations": [invocation],
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the monorepo."}}},
        "columnKind": "unicodeCodePoints",
        "results": _results(chosen),
    }
    return {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, left_out


def _chosen(reports: Sequence[Report]) -> tuple[list[tuple[Report, Finding]], int]:
    """The findings that there is room for. An image that is wrong as a whole does not crowd out the others."""
    ranked = [(rank, report, finding) for report in reports for rank, finding in enumerate(report.findings)]
    if len(ranked) > MOST:
        ranked.sort(key=lambda one: one[0])
    return [(report, finding) for _, report, finding in ranked[:MOST]], max(0, len(ranked) - MOST)


def _cut(left_out: int) -> str:
    return f"{left_out} findings are not in it: it has room for {MOST}. The report on stdout counts all of them."


def _rule(rule: Rule) -> Data:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.text()},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": [str(rule.subject)]},
    }


def _results(chosen: Iterable[tuple[Report, Finding]]) -> list[Data]:
    seen: Counter[str] = Counter()
    results = []
    for report, finding in chosen:
        mark = _mark(report, finding)
        seen[mark] += 1
        results.append(_result(report, finding, f"{mark}:{seen[mark]}"))
    return results


def _result(report: Report, finding: Finding, mark: str) -> Data:
    image = f"{report.name}: " if report.subject in (Subject.IMAGE, Subject.LIST) else ""
    text = f"{image}{finding.where}: found {finding.found}, expected {finding.expected}"
    result: Data = {
        "ruleId": finding.rule,
        "ruleIndex": _INDEX.get(finding.rule, -1),
        "level": "error",
        "message": {"text": legible(text).replace("](", "] (")},  # a file's name shall not become a link
        "locations": [_location(report, finding)],
        "partialFingerprints": {"archwayFinding/v1": mark},
    }
    if not finding.source:
        # GitHub tells results of one rule in one place apart by this, and makes it from the line if it is not there:
        # right for a finding in a Dockerfile, while those of an image all stand in its first line.
        result["partialFingerprints"] = {"archwayFinding/v1": mark, "primaryLocationLineHash": mark}
    if finding.layer:
        result["properties"] = {"layer": legible(finding.layer)}
    return result


def _location(report: Report, finding: Finding) -> Data:
    location: Data = {}
    if source := finding.source or report.source:
        line = finding.line if finding.source and finding.line else 1
        location["physicalLocation"] = {"artifactLocation": _artifact(source), "region": {"startLine": line}}
    if not finding.source:
        name = legible(f"{report.name}:{finding.path}" if finding.path else report.name)
        location["logicalLocations"] = [{"fullyQualifiedName": name, "kind": "resource"}]
    return location


def _artifact(source: str) -> Data:
    if Path(source).is_absolute():
        return {"uri": Path(source).as_uri()}
    return {"uri": quote(legible(source)), "uriBaseId": _ROOT}


def _mark(report: Report, finding: Finding) -> str:
    """What is the same in the next run: neither a line's number nor a layer's digest, which move."""
    about = [finding.rule, report.name, finding.path, finding.source]
    if finding.source:
        about.append(finding.found)
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:32]
