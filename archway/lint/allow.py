"""Exceptions in comments: ``# archway: allow RULE: REASON`` above an instruction, or between its lines."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from archway.dockerfile import Dockerfile, Instruction
from archway.errors import did_you_mean
from archway.rules import RULES, Subject
from archway.verify.findings import Allowed, Finding

_COMMENT = re.compile(r"#\s*archway:\s*(\S*)\s*(.*)", re.DOTALL)
_EXPECTED = "# archway: allow RULE: REASON"


@dataclass(frozen=True, kw_only=True, slots=True)
class Exempted:
    """One rule that one comment allows for one instruction; none where no instruction follows."""

    line: int
    rule: str
    reason: str
    instruction: Instruction | None


def read(dockerfile: Dockerfile, source: str) -> tuple[tuple[Exempted, ...], tuple[Finding, ...]]:
    """The exceptions of a Dockerfile, and what is wrong with those that cannot be read.

    A comment is for the instruction that it stands in, or for the next one, also over empty lines.
    """
    exceptions: list[Exempted] = []
    wrong: list[Finding] = []
    instructions = iter(dockerfile.instructions)
    instruction = next(instructions, None)
    for line, text in dockerfile.comments:
        found = _COMMENT.fullmatch(text)
        if not found:
            continue
        while instruction is not None and instruction.end_line < line:
            instruction = next(instructions, None)
        head, colon, reason = found[2].partition(":")
        names = [name.strip() for name in head.split(",")]
        for what, expected in _mistakes(found[1], names, reason.strip() if colon else ""):
            wrong.append(Finding(rule="allow-malformed", found=what[:200], expected=expected, source=source, line=line))
        if found[1] == "allow" and reason.strip():
            exceptions += (
                Exempted(line=line, rule=name, reason=reason.strip(), instruction=instruction)
                for name in dict.fromkeys(names)
                if _refusal(name) is None
            )
    return tuple(exceptions), tuple(wrong)


def settle(
    findings: Iterable[Finding], exceptions: Iterable[Exempted], *, source: str
) -> tuple[tuple[Finding, ...], tuple[tuple[Allowed, int], ...]]:
    """The findings that stay, and how many each exception allowed. One that allowed none is a finding itself."""
    stay = sorted(findings, key=_line)
    by_rule: dict[str, list[Finding]] = {}
    for finding in stay:
        by_rule.setdefault(finding.rule, []).append(finding)
    used: list[tuple[Allowed, int]] = []
    allowed: set[int] = set()
    unused: list[Finding] = []
    for exception in exceptions:
        fitting = {id(one) for one in _within(by_rule.get(exception.rule, []), exception.instruction)} - allowed
        allowed |= fitting
        if fitting:
            path = f"{source}:{exception.line}"
            used.append((Allowed(path=path, reason=exception.reason, rule=exception.rule, source=source), len(fitting)))
        else:
            unused.append(_unused(exception, source))
    return (*(finding for finding in stay if id(finding) not in allowed), *unused), tuple(used)


def _within(findings: list[Finding], instruction: Instruction | None) -> list[Finding]:
    """Those of findings, which stand in the order of their lines, that an instruction has."""
    if instruction is None:
        return []
    start = bisect_left(findings, instruction.line, key=_line)
    return findings[start : bisect_right(findings, instruction.end_line, lo=start, key=_line)]


def _line(finding: Finding) -> int:
    return finding.line or 0


def _unused(exception: Exempted, source: str) -> Finding:
    one = exception.instruction
    where = f"{one.keyword} on line {one.line}" if one else "no instruction, as none follows"
    return Finding(
        rule="allow-unused",
        found=f"an exception of {exception.rule} for {where}",
        expected=f"a finding of {exception.rule} there, or no exception",
        source=source,
        line=exception.line,
    )


def _mistakes(verb: str, names: list[str], reason: str) -> Iterator[tuple[str, str]]:
    if verb != "allow":
        yield f"archway: {verb}", _EXPECTED
        return
    if not any(names):
        yield "no rule", _EXPECTED
        return
    if not reason:
        yield "no reason", f"# archway: allow {names[0]}: REASON"
    for name in names:
        if (refusal := _refusal(name)) is not None:
            yield refusal


def _refusal(name: str) -> tuple[str, str] | None:
    """Why an exception in a Dockerfile cannot name a rule, and what to do."""
    rule = RULES.get(name)
    if rule is None:
        takers = [rule.id for rule in RULES.values() if rule.exempt and rule.subject is Subject.DOCKERFILE]
        return f"the rule {name[:80]!r}, which there is not", f"a rule ({did_you_mean(name[:80], takers)})"
    if not rule.exempt:
        return f"{name}, which takes no exceptions", "no exception, but a mended line"
    if rule.subject is not Subject.DOCKERFILE:
        return f"{name}, a rule of what an {rule.subject} holds", "[[verify.allow]] in image.toml"
    return None
