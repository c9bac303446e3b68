"""The words of an instruction: quotes, escapes and variables, read as BuildKit reads them.

BuildKit has two ways to read a word, and both are needed: :func:`expand` gives the meaning of a word (quotes gone,
variables replaced), :func:`raw_words` and :func:`quoted_words` only find where words begin and end.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

# What Go takes for a space; Python's own idea adds the separators \x1c to \x1f.
SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))

# BuildKit has no such limits. A Dockerfile that doubles a variable forty times must not eat the machine, though.
MAX_LENGTH = 65_536
MAX_PATTERN = 4_096
MAX_DEPTH = 50


class WordError(ValueError):
    """A word that has no meaning. Its text says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Expanded:
    """A word with its variables replaced, and the names of those that were not set."""

    text: str
    unset: tuple[str, ...]


def expand(word: str, variables: Mapping[str, str], *, escape: str = "\\") -> Expanded:
    """Remove quotes and escapes of ``word`` and replace its variables.

    :raises WordError: the word breaks the rules, or a ``${NAME:?message}`` wants a variable that is not set
    """
    reader = _Reader(word, variables, escape)
    return Expanded(text=reader.until(""), unset=tuple(dict.fromkeys(reader.unset)))


def unquote(word: str) -> str:
    """Remove quotes and escapes of ``word``, and leave its variables alone: that is how a heredoc gets its name."""
    return _Reader(word, None, "\\").until("")


def raw_words(line: str) -> list[str]:
    """Split ``line`` at blanks outside quotes, and keep the text of each word as it stands.

    ``<< EOF`` is one word. A line that breaks the rules has no words, as the shell may well have other rules.
    """
    reader = _Reader(line, None, "\\")
    words: list[str] = []
    start: int | None = None
    try:
        while reader.at < len(line):
            if line[reader.at] in SPACE:
                if start is not None:
                    words.append(line[start : reader.at])
                start = None
                reader.at += 1
                continue
            start = reader.at if start is None else start
            if shift := _SHIFT.match(line, reader.at):
                reader.at = shift.end()
            else:
                reader.step(raw_escapes=True)
    except WordError:
        return []
    return words if start is None else [*words, line[start:]]


def quoted_words(text: str, *, escape: str) -> list[str]:
    """Split ``text`` at blanks outside quotes, as ARG, ENV and LABEL do. An open quote reaches to the end."""
    return _QUOTED_WORD[escape].findall(text)


_PLAIN = re.compile(r"[\w.:,=@+~^%-]+")
_SHIFT = re.compile(r"<<[ \t\r]*")
_NAME = re.compile(r"\d+|[@*#?\-$!]|[^\W\d]\w*")
_QUOTED_WORD = {
    escape: re.compile(
        rf"""(?:{re.escape(escape)}.|'[^']*'?|"(?:{re.escape(escape)}.|[^"{re.escape(escape)}])*"?"""
        rf"""|[^'"{re.escape(escape)}{SPACE}])++""",
        re.DOTALL,
    )
    for escape in ("\\", "`")
}


class _Reader:
    """Reads a text once, from left to right. Without ``variables`` a variable stands for itself."""

    def __init__(self, text: str, variables: Mapping[str, str] | None, escape: str) -> None:
        self.text = text
        self.at = 0
        self.unset: list[str] = []
        self._variables = variables
        self._escape = escape
        self._depth = 0

    def until(self, stop: str, *, raw_escapes: bool = False) -> str:
        """The meaning of the text up to an unquoted ``stop`` (which is skipped), or up to the end for ``""``."""
        parts: list[str] = []
        length = 0
        while (char := self._peek()) != stop:
            if not char:
                raise WordError(f"{stop!r} is missing")
            parts.append(self.step(raw_escapes=raw_escapes))
            length += len(parts[-1])
            if length > MAX_LENGTH:
                raise WordError(f"the value gets longer than {MAX_LENGTH:,} characters")
        self.at += 1
        return "".join(parts)

    def step(self, *, raw_escapes: bool) -> str:
        """The meaning of the next plain characters, quoted text, escape or variable."""
        if plain := _PLAIN.match(self.text, self.at):
            self.at = plain.end()
            return plain[0]
        match char := self._take():
            case "$":
                return self._variable()
            case "'":
                return self._single_quoted()
            case '"':
                return self._double_quoted()
            case self._escape:
                return (char if raw_escapes else "") + self._take()
        return char

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _take(self) -> str:
        char = self._peek()
        self.at += 1
        return char

    def _single_quoted(self) -> str:
        start = self.at
        end = self.text.find("'", start)
        if end < 0:
            raise WordError("a single quote is not closed")
        self.at = end + 1
        return self.text[start:end]

    def _double_quoted(self) -> str:
        parts: list[str] = []
        while (char := self._take()) != '"':
            if not char:
                raise WordError("a double quote is not closed")
            if char == "$":
                parts.append(self._variable())
            elif char == self._escape and self._peek() in ("", '"', "$", self._escape):
                parts.append(self._take())
            else:
                parts.append(char)
        return "".join(parts)

    def _variable(self) -> str:
        start = self.at - 1
        if self._peek() != "{":
            name = self._name()
            return self._value(name, start) or "" if name else "$"
        self.at += 1
        if self._peek() in ("", "{", "}", ":"):
            raise WordError("${ is not followed by a name")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise WordError(f"${{…}} is nested more than {MAX_DEPTH} times")
        text = self._substitution(self._name(), start)
        self._depth -= 1
        return text

    def _name(self) -> str:
        found = _NAME.match(self.text, self.at)
        if not found:
            return ""
        self.at = found.end()
        return found[0]

    def _value(self, name: str, start: int) -> str | None:
        if self._variables is None:
            return self.text[start : self.at]
        if name not in self._variables:
            self.unset.append(name)
        return self._variables.get(name)

    def _substitution(self, name: str, start: int) -> str:
        operator = self._take()
        if operator == "}":
            return self._value(name, start) or ""
        if operator == "/":
            return self._replace(name, start)
        if colon := operator == ":":
            operator = self._take()
        if operator not in (("-", "+", "?") if colon else ("-", "+", "?", "#", "%")):
            raise WordError(f"${{{name}{':' * colon}{operator or ''}…}} is not known")
        word = self.until("}", raw_escapes=operator in ("#", "%"))
        asked = len(self.unset)
        value = self._value(name, start)
        if self._variables is None:
            return value or ""
        if operator in ("-", "+"):  # the word provides for a variable that is not set
            del self.unset[asked:]
        present = bool(value) if colon else value is not None
        match operator:
            case "-":
                return value or "" if present else word
            case "+":
                return word if present else ""
            case "?":
                if not present:
                    raise WordError(f"{name}: {word or 'must be set'}")
                return value or ""
        longest = word.startswith(operator)
        return _trim(value or "", word[1:] if longest else word, end=operator == "%", longest=longest)

    def _replace(self, name: str, start: int) -> str:
        everywhere = self._peek() == "/"
        self.at += everywhere
        pattern = self.until("/", raw_escapes=True)
        replacement = self.until("}", raw_escapes=True)
        value = self._value(name, start) or ""
        if self._variables is None:
            return value
        parts: list[str] = []
        end = -1
        for found in _expression(_glob(pattern), value, longest=True).finditer(value):
            if found.end() == end:  # nothing, right after the last match: Go does not count that
                continue
            parts += value[max(end, 0) : found.start()], replacement
            end = found.end()
            if not everywhere:
                break
        return "".join(parts) + value[max(end, 0) :]


def _trim(value: str, pattern: str, *, end: bool, longest: bool) -> str:
    tokens = _glob(pattern)
    if end:  # an expression finds the shortest text only from the left, so mirror both
        tokens, value = tokens[::-1], value[::-1]
    found = _expression(tokens, value, longest=longest).match(value)
    rest = value[found.end() :] if found else value
    return rest[::-1] if end else rest


def _glob(pattern: str) -> list[str]:
    """The parts of a shell pattern as regular expressions: ``.*``, ``.`` or a character."""
    tokens: list[str] = []
    characters = iter(pattern)
    for char in characters:
        if char == "\\":
            char = next(characters, "")
            if char not in ("}", "/", "*", "?", "\\"):
                raise WordError(f"\\{char} is no escape of a pattern")
            tokens.append(re.escape(char))
        else:
            tokens.append({"*": ".*", "?": "."}.get(char, re.escape(char)))
    return tokens


def _expression(tokens: list[str], value: str, *, longest: bool) -> re.Pattern[str]:
    """An expression without backtracking: the part after each ``*`` but the last is best taken at its first place."""
    if len(tokens) > MAX_PATTERN or len(value) > MAX_PATTERN:
        raise WordError(f"a pattern is matched with at most {MAX_PATTERN:,} characters")
    parts = [""]
    for piece in tokens:
        if piece == ".*":
            parts.append("")
        else:
            parts[-1] += piece
    first, *others = parts
    between = [f"(?>.*?{part})" for part in others[:-1]]
    last = [f"{'.*' if longest else '.*?'}{part}" for part in others[-1:]]
    return re.compile("".join([first, *between, *last]))
