"""Exceptions in the comments of Dockerfiles."""

from __future__ import annotations

import pytest

from archway.dockerfile import parse
from archway.lint import lint
from archway.verify.findings import Allowed, Report

ADD = "ADD https://x/y-amd64.zip /x\n"
ALLOW = "# archway: allow arch-word: only made for it\n"


def checked(text: str) -> Report:
    return lint(parse(text, "hive/Dockerfile"), source="hive/Dockerfile", builder=False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"FROM a\n{ALLOW}{ADD}", []),
        (f"FROM a\n{ALLOW}\n# more\n\n  {ADD}", []),
        (f"FROM a\n#archway:allow arch-word:x\n{ADD}", []),
        (f"FROM a\n  # archway: allow  arch-word :  a: reason, with # and : \n{ADD}", []),
        (f"FROM a\n{ALLOW}{ADD}{ADD}", [("arch-word", 4)]),
        (f"FROM a\n{ADD}{ALLOW}", [("arch-word", 2), ("allow-unused", 3)]),
        (f"FROM a\n{ALLOW}USER x\n{ADD}", [("allow-unused", 2), ("arch-word", 4)]),
        (f"FROM a\n{ALLOW}{ALLOW}{ADD}", [("allow-unused", 3)]),
        (f"{ALLOW}FROM --platform=linux/amd64 a-amd64\n", [("allow-unused", 1), ("final-platform", 2)]),
        ("# archway: allow final-platform: x\nFROM --platform=linux/amd64 a\n", []),
        ("# syntax=x\n# archway: allow final-platform: x\nFROM --platform=linux/amd64 a\n", []),
        (f"FROM a\n# archway: allow target-run: x\n{ALLOW}RUN curl https://x/y-amd64.zip\n", []),
        ("FROM a\n# archway: allow target-run, arch-word: x\nRUN curl https://x/y-amd64.zip\n", []),
        ("FROM a\n# archway: allow target-run: x\nRUN curl https://x/y-amd64.zip\n", [("arch-word", 3)]),
        (f"FROM a\nRUN a \\\n# archway: allow target-run: x\n{ALLOW} && curl https://x/y-amd64.zip\n", []),
        ("FROM a\n# archway: allow target-run: x\nRUN <<E\n# archway: allow arch-word: no comment\nE\n", []),
        ("FROM a\n# archway: allow base-missing: x\nUSER x\n", [("allow-malformed", 2)]),
        ("FROM a\n# archway makes it\n# see archway: allow\n# Archway: x\nUSER x\n", []),
        ("FROM a\n# archway:\nUSER x\n", [("allow-malformed", 2)]),
        ("FROM a\n# archway: ignore arch-word: x\nUSER x\n", [("allow-malformed", 2)]),
        (f"FROM a\n# archway: allow arch-word\n{ADD}", [("allow-malformed", 2), ("arch-word", 3)]),
        (f"FROM a\n# archway: allow arch-word:  \n{ADD}", [("allow-malformed", 2), ("arch-word", 3)]),
        (f"FROM a\n# archway: allow: x\n{ADD}", [("allow-malformed", 2), ("arch-word", 3)]),
        (f"FROM a\n# archway: allow arch-wrd, arch-word: x\n{ADD}", [("allow-malformed", 2)]),
        (
            "FROM a\n# archway: allow arg-default: x\nARG TARGETOS=linux\n",
            [("allow-malformed", 2), ("arg-default", 3)],
        ),
        ("FROM a\n# archway: allow allow-unused: x\nUSER x\n", [("allow-malformed", 2)]),
        ("FROM a\n# archway: allow elf-machine: x\nUSER x\n", [("allow-malformed", 2)]),
    ],
)
def test_exceptions(text: str, expected: list[tuple[str, int]]) -> None:
    """An exception allows findings of its rule on one instruction, and is a finding where it does not."""
    assert expected == [(finding.rule, finding.line) for finding in checked(text).findings]


def test_used() -> None:
    """What was allowed is reported, with its reason and the number of findings."""
    text = f"FROM a\n{ALLOW}{ADD}# archway: allow arg-scope: a b\nUSER $TARGETOS:$TARGETARCH\n"
    source = "hive/Dockerfile"

    assert checked(text).used == (
        (Allowed(path=f"{source}:2", reason="only made for it", rule="arch-word", source=source), 1),
        (Allowed(path=f"{source}:4", reason="a b", rule="arg-scope", source=source), 2),
    )


@pytest.mark.parametrize(
    ("comment", "found", "expected"),
    [
        ("arch-wrd: x", "the rule 'arch-wrd', which there is not", "a rule (did you mean arch-word?)"),
        ("arg-default: x", "arg-default, which takes no exceptions", "no exception, but a mended line"),
        ("elf-needed: x", "elf-needed, a rule of what an image holds", "[[verify.allow]] in image.toml"),
        ("uname", "no reason", "# archway: allow uname: REASON"),
        (": x", "no rule", "# archway: allow RULE: REASON"),
    ],
)
def test_malformed(comment: str, found: str, expected: str) -> None:
    """A comment that cannot be read is told with what to write."""
    (finding,) = checked(f"FROM a\n# archway: allow {comment}\nUSER x\n").findings

    assert (found, expected) == (finding.found, finding.expected)


def test_unused() -> None:
    """An exception that allows nothing is told with the instruction that it stands above."""
    text = f"FROM a\n{ALLOW}USER x\n{ALLOW}"

    assert [finding.found for finding in checked(text).findings] == [
        "an exception of arch-word for USER on line 3",
        "an exception of arch-word for no instruction, as none follows",
    ]
