"""The shell text of a RUN: its commands, and the variables that it uses and sets.

This is no shell. It reads a text once, from left to right, and knows what decides where a command begins: quotes,
separators, ``$(…)``, here-documents that are scripts, and ``case``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from archway.dockerfile import Instruction

_TOKEN = re.compile(
    r"""
      (?P<escaped>\\.)
    | \$\{[#!]?(?P<braced>[A-Za-z_]\w*)(?P<operator>:?[-+=?]|[^\w]|$)
    | \$(?P<name>[A-Za-z_]\w*)
    | (?P<open>[$<>]?\()
    | (?P<blank>[ \t\r\f\v]+)
    | (?P<plain>[\w./:,=@+~^%\[\]*?!-]+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_KEYWORDS = frozenset(["then", "do", "else", "elif", "if", "while", "until", "!", "{", "}", "time", "done", "fi"])
_PREFIXES = frozenset(["sudo", "exec", "command", "builtin", "env", "nohup"])
_SHELLS = frozenset(["sh", "bash", "ash", "dash", "ksh", "zsh"])
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(?:\[\w*\])?\+?=", re.ASCII)
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_HEREDOC = re.compile(r"<<-?[ \t]*[^\s<]*")
_SETTERS = ("export", "local", "declare", "readonly", "typeset")


@dataclass(frozen=True, slots=True)
class Command:
    """A simple command. Quotes are gone from its words; variables stay, and ``$()`` stands for what another printed."""

    words: tuple[str, ...]

    @property
    def call(self) -> tuple[str, ...]:
        """The name of the program and its arguments, without assignments, ``sudo`` and the like before them."""
        for at, word in enumerate(self.words):
            if word not in _PREFIXES and not _ASSIGNMENT.match(word):
                return (word.rpartition("/")[2], *self.words[at + 1 :])
        return ()


@dataclass(slots=True)
class Shell:
    """What was read. ``used`` are variables without a default of their own; ``patterns`` are those of ``case``."""

    commands: list[Command] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)
    used: dict[str, None] = field(default_factory=dict)
    assigned: set[str] = field(default_factory=set)

    @property
    def words(self) -> Iterator[str]:
        return (word for command in self.commands for word in command.words)

    @property
    def sources(self) -> bool:
        """Whether it runs text that is not here, which can set any variable."""
        return any(command.call[:1] in ((".",), ("source",), ("eval",)) for command in self.commands)


def read_run(instruction: Instruction) -> Shell:
    """Read a RUN in either form."""
    shell = Shell()
    words = instruction.exec_form
    if words is None:
        _Scanner(instruction.value, shell).scan()
        _read_heredocs(instruction, shell)
    elif len(words) > 2 and is_shell(words[0]) and words[1].startswith("-") and words[1].endswith("c"):
        _Scanner(words[2], shell).scan()
    else:
        shell.commands.append(Command(words))
    for command in shell.commands:
        shell.assigned.update(_assigned(command))
    return shell


def is_shell(program: str) -> bool:
    """Whether a program, with or without its folder, reads the language of sh."""
    return program.rpartition("/")[2] in _SHELLS


def _read_heredocs(instruction: Instruction, shell: Shell) -> None:
    """A here-document is a script where the RUN has nothing else, or gives it to a shell; otherwise it is a text."""
    if not instruction.heredocs:
        return
    program = next(iter(_HEREDOC.sub(" ", instruction.value).split()), "sh")
    for heredoc in instruction.heredocs:
        if not is_shell(program):
            if heredoc.expand:
                _Scanner(heredoc.content, shell, text_only=True).scan()
            continue
        first = heredoc.content.partition("\n")[0]
        if not first.startswith("#!") or any(map(is_shell, first[2:].split())):
            _Scanner(heredoc.content, shell).scan()


def _assigned(command: Command) -> Iterator[str]:
    """The names that a command gives a value."""
    for word in command.words:
        if not (found := _ASSIGNMENT.match(word)):
            break
        yield found[1]
    name, *arguments = command.call or ("",)
    if name in ("for", "select"):
        yield from arguments[:1]
    elif name in (*_SETTERS, "read", "mapfile", "readarray", "getopts", "printf"):
        yield from (found[0] for word in arguments if (found := _NAME.match(word)))


@dataclass(slots=True)
class _Frame:
    """A text within the text: the whole, or what stands in ``(…)``, ``$(…)`` or back quotes."""

    kind: str = ""
    quoted: bool = False
    word: list[str] | None = None
    command: list[str] = field(default_factory=list)
    braces: list[bool] = field(default_factory=list)  # for each open ${, whether it stands in quotes
    cases: int = 0
    pattern: bool = False


class _Scanner:
    def __init__(self, text: str, shell: Shell, *, text_only: bool = False) -> None:
        self._text = text
        self._shell = shell
        self._frames = [_Frame(quoted=text_only)]
        self._text_only = text_only

    def scan(self) -> None:
        at = 0
        while found := _TOKEN.match(self._text, at):
            at = self._piece(found)
        while len(self._frames) > 1:
            self._pop()
        self._end_command(self._frames[0])

    def _piece(self, found: re.Match[str]) -> int:
        """Take one token; the place where the next one begins."""
        frame = self._frames[-1]
        at, piece = found.end(), found[0]
        match found.lastgroup:
            case "escaped":
                if piece != "\\\n":
                    self._add(piece[1])
            case "braced" | "operator":
                at = self._braced(frame, found)
            case "name":
                self._shell.used[found["name"]] = None
                self._add(f"${{{found['name']}}}")
            case "open" if piece == "$(" or not (frame.quoted or frame.braces):
                self._open(frame, piece)
            case "blank" if not (frame.quoted or frame.braces):
                self._end_word(frame)
            case "other":
                at = self._other(frame, piece, at)
            case _:
                self._add(piece)
        return at

    def _add(self, text: str) -> None:
        frame = self._frames[-1]
        frame.word = frame.word or []
        frame.word.append(text)

    def _braced(self, frame: _Frame, found: re.Match[str]) -> int:
        name, operator = found["braced"], found["operator"]
        self._add(f"${{{name}}}")
        if operator.removeprefix(":") == "=":
            self._shell.assigned.add(name)
        elif operator.removeprefix(":") not in ("-", "+", "?"):
            self._shell.used[name] = None
        if operator == "}":
            return found.end()
        frame.braces.append(frame.quoted)
        return found.start("operator") if len(operator) == 1 and operator not in "-+=?" else found.end()

    def _other(self, frame: _Frame, char: str, at: int) -> int:
        literal = frame.quoted or bool(frame.braces)
        match char:
            case '"' if not (self._text_only and len(self._frames) == 1 and not frame.braces):
                frame.quoted = not frame.quoted
                self._add("")
            case "'" if not frame.quoted:
                end = self._text.find("'", at)
                end = len(self._text) if end < 0 else end
                self._add(self._text[at:end])
                return end + 1
            case "`":
                if frame.kind == "`":
                    self._pop()
                else:
                    self._open(frame, "`")
            case "}" if frame.braces:
                frame.quoted = frame.braces.pop()
            case "#" if frame.word is None and not literal:
                end = self._text.find("\n", at)
                return len(self._text) if end < 0 else end
            case ";" | "&" | "|" | "\n" | ")" | "<" | ">" if not literal:
                return self._separator(frame, char, at)
            case _:
                self._add(char)
        return at

    def _separator(self, frame: _Frame, char: str, at: int) -> int:
        self._end_word(frame)
        if char in "<>":
            return at + (self._text[at : at + 1] == "&")
        if char == ")" and frame.kind.endswith("(") and not frame.cases:
            self._pop()
        elif not frame.pattern or char == ")":
            self._end_command(frame)
            frame.pattern = char == ";" and frame.cases > 0 and self._text[at : at + 1] in (";", "&")
        return at + (char == ";" and frame.pattern)

    def _open(self, frame: _Frame, piece: str) -> None:
        if frame.pattern and piece == "(":
            return
        if piece in ("$(", "`"):
            self._add("$()")
        else:
            self._end_word(frame)
        self._frames.append(_Frame(kind=piece))

    def _pop(self) -> None:
        frame = self._frames.pop()
        self._end_command(frame)
        if frame.kind == "(":  # a new command begins, also after f()
            self._end_command(self._frames[-1])

    def _end_word(self, frame: _Frame) -> None:
        if frame.word is None:
            return
        text, frame.word = "".join(frame.word), None
        if frame.pattern:
            if text == "esac":
                frame.pattern = False
                frame.cases -= 1
            else:
                self._shell.patterns.append(text)
        elif not frame.command and text == "esac":
            frame.cases = max(frame.cases - 1, 0)
        elif frame.command or text not in _KEYWORDS:
            frame.command.append(text)
            if frame.command[0] == "case" and len(frame.command) > 2 and text == "in":
                self._end_command(frame)
                frame.cases += 1
                frame.pattern = True

    def _end_command(self, frame: _Frame) -> None:
        self._end_word(frame)
        if frame.command and (frame.kind or not self._text_only):
            self._shell.commands.append(Command(tuple(frame.command)))
        frame.command = []
