"""Facts about the table of rules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from archway import rules
from archway.rules import EXEMPT, RULES, Rule, Subject

DOCS = Path(__file__).parents[2] / "docs" / "verify.md"


@pytest.fixture(params=RULES.values(), ids=list(RULES))
def rule(request: pytest.FixtureRequest) -> Rule:
    """Each rule."""
    made: Rule = request.param
    return made


def test_ids_are_unique() -> None:
    """No id is given twice."""
    assert len(rules._ALL) == len(RULES)


def test_id_is_words_with_dashes(rule: Rule) -> None:
    """An id can be typed: lower-case words, joined by dashes."""
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", rule.id)


def test_texts_are_sentences(rule: Rule) -> None:
    """Why and what to do are sentences; the title is a heading."""
    for text in (rule.why, rule.mend):
        assert text[0].isupper() or not text[0].isalpha() or text.split()[0] in {"uname", "apt"} or "-" in text[:12]
        assert text.endswith((".", "=:all:", "REASON"))
    assert not rule.title.endswith(".")
    assert "\n" not in rule.title + rule.why + rule.mend


def test_text_says_how_to_allow(rule: Rule) -> None:
    """The explanation ends with how a finding is allowed, or that it cannot be."""
    last = rule.text().split("\n\n")[-1]

    if not rule.exempt:
        assert last == "Cannot be allowed."
    elif rule.subject is Subject.DOCKERFILE:
        assert f"# archway: allow {rule.id}: " in last
    else:
        assert "[[verify.allow]]" in last
        assert f'rule = "{rule.id}"' in last


def test_what_a_build_refuses_is_in_a_dockerfile(rule: Rule) -> None:
    """Only what is known before building can refuse a build."""
    assert not rule.refuses or rule.subject is Subject.DOCKERFILE


def test_exempt_rules() -> None:
    """The rules that take exceptions in an image.toml are those that say so, but for those of Dockerfiles."""
    in_comments = {rule.id for rule in RULES.values() if rule.exempt and rule.subject is Subject.DOCKERFILE}

    assert {rule.id for rule in RULES.values() if rule.exempt} - in_comments == EXEMPT


def test_documentation_has_every_rule() -> None:
    """The table of docs/verify.md has the rules, in the same order."""
    rows = [line.split("|")[2].strip() for line in DOCS.read_text().splitlines() if line.count("|") == 4]
    named = [row.strip("`") for row in rows if row.startswith("`")]

    assert list(RULES) == named


def test_documentation_names_tests_that_exist() -> None:
    """The table of docs/verify.md says which test shows each rule on images and lists, and there is such a test."""
    text = DOCS.read_text()
    for rule in RULES.values():
        if rule.subject in (Subject.IMAGE, Subject.LIST):
            row = re.search(rf"^\|[^|]*\| `{rule.id}` \|[^|]*`(\w+)::(\w+)` \|$", text, re.MULTILINE)

            assert row, rule.id
            assert f"def {row[2]}(" in (Path(__file__).parent / f"{row[1]}.py").read_text(), rule.id


def test_documentation_has_what_cannot_be_allowed() -> None:
    """docs/verify.md marks the rules that take no exception."""
    paragraph = re.search(r"No exception is taken by ([^.]*)\.", " ".join(DOCS.read_text().split()))

    assert paragraph
    assert {rule.id for rule in RULES.values() if not rule.exempt} == set(re.findall(r"`([^`]+)`", paragraph[1]))
