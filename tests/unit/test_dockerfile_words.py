"""Facts about words: quotes, escapes and variables."""

from __future__ import annotations

import pytest

from archway.dockerfile.words import WordError, expand


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("$A", "1.22.3"),
        ("x${A}y", "x1.22.3y"),
        ("$NONE", ""),
        ("$Ax", ""),
        ("${NONE:-b}", "b"),
        ("${EMPTY:-b}", "b"),
        ("${EMPTY-b}", ""),
        ("${NONE-b}", "b"),
        ("${A:-b}", "1.22.3"),
        ("${A:+b}", "b"),
        ("${EMPTY:+b}", ""),
        ("${EMPTY+b}", "b"),
        ("${NONE+b}", ""),
        ("${A:?b}", "1.22.3"),
        ("${A#*.}", "22.3"),
        ("${A##*.}", "3"),
        ("${A%.*}", "1.22"),
        ("${A%%.*}", "1"),
        ("${A#2}", "1.22.3"),
        ("${A#}", "1.22.3"),
        ("${A#1\\.}", None),
        ("${A/2/x}", "1.x2.3"),
        ("${A//2/x}", "1.xx.3"),
        ("${A/./-}", "1-22.3"),
        ("${A/2?/-}", "1.-.3"),
        ("${A//*/-}", "-"),
        ("${A/.2*/}", "1"),
        ("${PATH_/\\//-}", "a-b/c"),
        ("${A%${DOT}*}", "1.22"),
        ("${NONE:-${ALSO:-${A}}}", "1.22.3"),
        ("'$A'", "$A"),
        ('"$A"', "1.22.3"),
        ('"\\$A"', "$A"),
        ("\\$A", "$A"),
        ("a\\b", "ab"),
        ('"a\\b"', "a\\b"),
        ("$", "$"),
        ("a$/", "a$/"),
        ("${A", None),
        ("${}", None),
        ("${A^^}", None),
        ("${A:%.*}", None),
        ("${A/2}", None),
        ("'a", None),
        ('"a', None),
        ("${NONE?must be there}", None),
        ("${EMPTY:?}", None),
    ],
)
def test_expand(word: str, expected: str | None) -> None:
    """A word means what BuildKit makes of it, or has no meaning."""
    variables = {"A": "1.22.3", "EMPTY": "", "DOT": ".", "PATH_": "a/b/c"}
    if expected is None:
        with pytest.raises(WordError):
            expand(word, variables)
    else:
        assert expected == expand(word, variables).text


def test_escape() -> None:
    """With a backtick as escape, a backslash is a character like others."""
    assert expand("a\\`$b", {"b": "c"}, escape="`").text == "a\\$b"


def test_unset() -> None:
    """Variables that are not set are told, unless the word provides for that."""
    assert expand("$A${B:-x}${C}$A", {}).unset == ("A", "C")


@pytest.mark.parametrize("word", ["${a:-" * 1_000 + "}" * 1_000, "${${", "$a" * 10_000, "${a//*a*a*a*a*a*a*b/}"])
def test_hostile(word: str) -> None:
    """A word that grows or nests without end is refused, and no pattern takes long."""
    with pytest.raises(WordError):
        expand(word, {"a": "a" * 5_000})
