"""The syntax of a Dockerfile: from a text to its instructions, as BuildKit reads them.

A line becomes an instruction in three steps: continuations are joined, keyword and flags are split off, and the
heredocs that the rest announces are read from the lines that follow. The mistakes of a file are reported together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from archway.dockerfile.instructions import Heredoc, Instruction, mistakes
from archway.dockerfile.words import SPACE, raw_words, unquote
from archway.errors import Location, MetadataError, Mistakes

MAX_LINE = 65_536  # bytes; BuildKit reads no longer line
_HEREDOC = re.compile(r"\d*<<(-?)([ \t\r]*)([^<]+)", re.ASCII)
_DIRECTIVE = re.compile(r"#\s*([a-z][a-z0-9]*)\s*=\s*(.+)", re.ASCII | re.IGNORECASE)


class FirstMistakes(Mistakes):
    """The mistakes of one file, as many as one wants to read."""

    LIMIT = 20

    def __init__(self) -> None:
        super().__init__()
        self._count = 0

    def add(self, what: str, *, where: Location | Path | str, hint: str = "") -> None:
        super().add(what, where=where, hint=hint)
        self._count += 1
        if self._count == self.LIMIT:
            super().add("there may be more mistakes: mend these first", where=where)
            self.check()


@dataclass(frozen=True, kw_only=True, slots=True)
class Dockerfile:
    """A Dockerfile that was read. ``path`` is what messages call it, ``comments`` have their lines and begin with #."""

    path: Path | str
    instructions: tuple[Instruction, ...]
    escape: str
    syntax: str
    comments: tuple[tuple[int, str], ...] = ()

    @classmethod
    def read(cls, path: Path, *, shown: str | None = None) -> Dockerfile:
        """Read the file ``path``, which messages call ``shown``.

        :raises MetadataError: the file cannot be read, or has mistakes
        """
        where = path if shown is None else shown
        try:
            data = path.read_bytes()
        except IsADirectoryError:
            raise MetadataError("this is a folder, not a Dockerfile", where=where) from None
        except FileNotFoundError:
            raise MetadataError("there is no Dockerfile", where=where) from None
        except (OSError, ValueError) as error:  # a path with a NUL byte is a ValueError
            raise MetadataError("the Dockerfile cannot be read", where=where, why=str(error)) from None
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise MetadataError(
                "this is not UTF-8 text", where=Location(where, line), hint="save the file as UTF-8"
            ) from None
        return parse(text, where)

    def at(self, line: int) -> Location:
        """Where ``line`` is, for messages."""
        return Location(self.path, line)


def parse(text: str, path: Path | str) -> Dockerfile:
    """Read the instructions of ``text``.

    :raises MetadataError: what is wrong with the text, all of it
    """
    return _Parser(text, path).parse()


class _Parser:
    def __init__(self, text: str, path: Path | str) -> None:
        self._lines: list[str] = re.findall(r"[^\n]*\n|[^\n]+", text.removeprefix("\ufeff"))
        self._at = 0
        self._path = path
        self._mistakes = FirstMistakes()
        self._last_lines: dict[bool, dict[str, int]] = {}
        self._escape = "\\"
        self._syntax = ""
        self._comments: list[tuple[int, str]] = []

    def parse(self) -> Dockerfile:
        self._directives()
        instructions = tuple(self._instructions())
        if not instructions:
            self._mistake("the Dockerfile is empty", None, "begin with FROM")
        elif all(instruction.keyword != "FROM" for instruction in instructions):
            self._mistake("the Dockerfile has no FROM", None, "say what the image stands on, or FROM scratch")
        self._mistakes.check()
        return Dockerfile(
            path=self._path,
            instructions=instructions,
            escape=self._escape,
            syntax=self._syntax,
            comments=tuple(self._comments),
        )

    def _mistake(self, what: str, line: int | None, hint: str) -> None:
        self._mistakes.add(what, where=Location(self._path, line), hint=hint)

    def _fail(self, what: str, line: int, hint: str) -> NoReturn:
        """Report a mistake after which the rest of the file has no meaning."""
        self._mistake(what, line, hint)
        self._mistakes.check()
        raise AssertionError("a mistake was added, so check() raises")

    def _directives(self) -> None:
        seen: set[str] = set()
        for line, text in enumerate(self._lines, start=1):
            found = _DIRECTIVE.fullmatch(text.strip(SPACE))
            name = found[1].lower() if found else ""
            if not found or name not in ("syntax", "escape", "check"):
                return
            if name in seen:
                self._mistake(f"the directive {name} is there twice", line, "remove one")
            seen.add(name)
            if name == "syntax":
                self._syntax = found[2]
            elif name == "escape" and found[2] in ("\\", "`"):
                self._escape = found[2]
            elif name == "escape":
                self._mistake("this is no escape character", line, _point(text, found[2], "it is \\ or `"))

    def _instructions(self) -> Iterator[Instruction]:
        building = False
        while self._at < len(self._lines):
            line = self._at + 1
            text = self._logical_line()
            if text is None:
                continue
            instruction = self._instruction(text, line)
            wrong = list(mistakes(instruction))
            building = building or instruction.keyword == "FROM"
            if not (building or wrong or instruction.keyword == "ARG"):
                what = f"{instruction.keyword} stands before the first FROM"
                wrong = [(what, instruction.keyword, "only ARG may stand there")]
            for what, word, hint in wrong:
                self._mistake(what, line, _point(text, word, hint))
            yield instruction

    def _take(self) -> str:
        line: str = self._lines[self._at]
        self._at += 1
        if "\0" in line:
            self._fail("there is a NUL byte", self._at, "save the file as UTF-8 text")
        if len(line) * 4 > MAX_LINE and len(line.encode(errors="replace")) > MAX_LINE:
            self._fail(f"the line is longer than {MAX_LINE:,} bytes", self._at, "BuildKit refuses it: break it up")
        return line

    def _logical_line(self) -> str | None:
        """The next line, joined with the lines that continue it; nothing for a comment or an empty line."""
        line = self._take().lstrip(SPACE)
        if not line or self._is_comment(line):
            return None
        text, more = self._continued(line)
        parts = [text]
        while more and self._at < len(self._lines):
            line = self._take()
            if (bare := line.strip(SPACE)) and not self._is_comment(bare):
                text, more = self._continued(line)
                parts.append(text)
        return "".join(parts).strip(SPACE)

    def _is_comment(self, line: str) -> bool:
        """Whether the line that was just taken is a comment, which is kept."""
        if line.startswith("#"):
            self._comments.append((self._at, line.strip(SPACE)))
        return line.startswith("#")

    def _continued(self, line: str) -> tuple[str, bool]:
        """The line without its end, and whether the next one continues it: one escape does that, two do not."""
        line = line.rstrip("\r\n")
        bare = line.rstrip(" \t")
        if bare.endswith(self._escape) and not bare.endswith(self._escape * 2):
            return bare[:-1], True
        return line, False

    def _instruction(self, text: str, line: int) -> Instruction:
        instruction = Instruction.of(text, line=line, end_line=self._at, escape=self._escape)
        inner = instruction.trigger or instruction
        if "<<" not in text or inner.keyword not in ("ADD", "COPY", "RUN") or inner.exec_form is not None:
            return instruction
        heredocs = tuple(self._heredocs(text, line))
        return replace(instruction, heredocs=heredocs, end_line=self._at)

    def _heredocs(self, text: str, line: int) -> Iterator[Heredoc]:
        for word in raw_words(text):
            found = _HEREDOC.fullmatch(word)
            name = unquote(found[3]) if found else ""
            if not found or not name:
                continue
            strip_tabs = found[1] == "-"
            # With blanks after << it is a heredoc for BuildKit 0.22, and was none for 0.20. Where no line could
            # end it, it is meant for the shell: $((1 << 2)).
            if found[2] and self._last_line(name, strip_tabs=strip_tabs) < self._at:
                continue
            start = self._at
            while self._at < len(self._lines):
                if _end_of_heredoc(self._take(), strip_tabs=strip_tabs) == name:
                    break
            else:
                hint = f"end it with a line that says {name[:60]}"
                self._fail(f"the heredoc {name[:60]} has no end", line, _point(text, word, hint))
            yield Heredoc(
                name=name,
                content="".join(self._lines[start : self._at - 1]),
                expand=not any(quote in found[3] for quote in "'\""),
                strip_tabs=strip_tabs,
                line=start + 1,
            )

    def _last_line(self, name: str, *, strip_tabs: bool) -> int:
        """The index of the last line that ends the heredoc ``name``, or -1."""
        if strip_tabs not in self._last_lines:
            ends = (_end_of_heredoc(line, strip_tabs=strip_tabs) for line in self._lines)
            self._last_lines[strip_tabs] = {end: index for index, end in enumerate(ends)}
        return self._last_lines[strip_tabs].get(name, -1)


def _end_of_heredoc(line: str, *, strip_tabs: bool) -> str:
    line = line.rstrip("\r\n")
    return line.lstrip("\t") if strip_tabs else line


def _point(text: str, word: str, hint: str) -> str:
    """A part of the line, a caret under ``word``, and the hint."""
    at = max(text.upper().find(word.upper()), 0)
    start = max(at - 60, 0)
    shown = "".join(char if char.isprintable() else " " for char in text[start : start + 100].rstrip())
    caret = " " * (at - start) + "^" * max(min(len(word), len(shown) - (at - start)), 1)
    return "\n".join(filter(None, (shown, caret, hint)))
