"""One instruction of a Dockerfile, and the rules of each keyword."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from archway.dockerfile.words import SPACE, quoted_words
from archway.errors import did_you_mean

# Keyword to its flags: "=" takes a value, "=*" takes one and may be repeated, the others are switches.
KEYWORDS: dict[str, tuple[str, ...]] = {
    "ADD": ("chown=", "chmod=", "checksum=", "exclude=*", "keep-git-dir", "link", "unpack"),
    "ARG": (),
    "CMD": (),
    "COPY": ("from=", "chown=", "chmod=", "exclude=*", "link", "parents"),
    "ENTRYPOINT": (),
    "ENV": (),
    "EXPOSE": (),
    "FROM": ("platform=",),
    "HEALTHCHECK": ("interval=", "timeout=", "start-period=", "start-interval=", "retries="),
    "LABEL": (),
    "MAINTAINER": (),
    "ONBUILD": (),
    "RUN": ("mount=*", "network=", "security=", "device=*"),
    "SHELL": (),
    "STOPSIGNAL": (),
    "USER": (),
    "VOLUME": (),
    "WORKDIR": (),
}
_EXEC_FORM = ("ADD", "CMD", "COPY", "ENTRYPOINT", "RUN", "SHELL", "VOLUME")
_MAY_BE_EMPTY = ("CMD", "ENTRYPOINT", "RUN")
_BLANKS = re.compile(r"[\t\v\f\r ]+")
_STAGE_NAME = re.compile(r"[a-z][a-z0-9-_.]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Heredoc:
    """A text within the Dockerfile: ``content`` as it stands there, with its tabs even for ``<<-``."""

    name: str
    content: str
    expand: bool
    strip_tabs: bool
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Instruction:
    """One instruction: ``value`` is the text after keyword and flags, with continuations joined."""

    keyword: str
    value: str
    flags: tuple[tuple[str, str], ...] = ()
    line: int
    end_line: int
    heredocs: tuple[Heredoc, ...] = ()
    escape: str = "\\"

    @classmethod
    def of(cls, text: str, *, line: int, end_line: int, escape: str, heredocs: tuple[Heredoc, ...] = ()) -> Instruction:
        """Split ``text`` into keyword, flags and value."""
        keyword, *rest = _BLANKS.split(text.strip(SPACE), maxsplit=1)
        flags, value = _flags(rest[0] if rest else "", escape)
        return cls(
            keyword=keyword.upper() if keyword.isascii() else keyword,
            value=value,
            flags=flags,
            line=line,
            end_line=end_line,
            heredocs=heredocs,
            escape=escape,
        )

    def flag(self, name: str) -> tuple[str, ...]:
        """The values of ``--name=…``; of ``--mount`` there may be several."""
        return tuple(value for flag, value in self.flags if flag == name)

    @property
    def exec_form(self) -> tuple[str, ...] | None:
        """The words of ``["a", "b"]``, or nothing where the value has the shell form."""
        found = _json_list(self)
        return None if found is None else tuple(str(word) for word in found[0])

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the value, from its exec form or split at blanks; quotes and variables stay."""
        if self.keyword in ("ARG", "ENV", "LABEL"):
            return tuple(quoted_words(self.value, escape=self.escape))
        if (words := self.exec_form) is not None:
            return words
        return tuple(_BLANKS.split(self.value)) if self.value else ()

    @property
    def assignments(self) -> tuple[tuple[str, str | None], ...]:
        """The names and values of ARG, ENV and LABEL; a name alone has no value."""
        words = self.words
        if self.keyword != "ARG" and words and "=" not in words[0]:  # the old form: ENV NAME all of this
            name, *value = _BLANKS.split(self.value, maxsplit=1)
            return ((name, value[0] if value else None),)
        return tuple((name, value if equals else None) for name, equals, value in (w.partition("=") for w in words))

    @property
    def trigger(self) -> Instruction | None:
        """What ONBUILD keeps for the images that are built from this one."""
        if self.keyword != "ONBUILD" or not self.value:
            return None
        return Instruction.of(
            self.value, line=self.line, end_line=self.end_line, escape=self.escape, heredocs=self.heredocs
        )

    @property
    def summary(self) -> str:
        """The command on one line: at most 80 characters, with the first line of a heredoc."""
        text = self.value
        if self.heredocs:
            text = f"{text} {self.heredocs[0].content.partition(chr(10))[0]}"
        return " ".join(text.split())[:80]


Mistake = tuple[str, str, str]  # what is wrong, the word that it is about, what to do


def mistakes(instruction: Instruction) -> Iterator[Mistake]:
    """What is wrong with an instruction that stands for itself."""
    keyword = instruction.keyword
    if keyword not in KEYWORDS:
        shown = keyword[:40] or "a line that only continues"
        yield f"{shown} is no instruction", keyword, did_you_mean(keyword, KEYWORDS)
        return
    yield from _mistakes_of_flags(instruction)
    if instruction.value:
        yield from _mistakes_of_lists(instruction)
        yield from _mistakes_of_value(instruction)
    elif keyword not in _MAY_BE_EMPTY:
        yield f"{keyword} says nothing", keyword, ""


def _mistakes_of_value(instruction: Instruction) -> Iterator[Mistake]:
    keyword, value = instruction.keyword, instruction.value
    match keyword:
        case "FROM":
            yield from _mistakes_of_from(instruction.words)
        case "ADD" | "COPY" if len(instruction.words) < 2:
            yield f"{keyword} needs a source and a destination", value, f"write {keyword} SOURCE… DESTINATION"
        case "HEALTHCHECK" if _BLANKS.split(value, maxsplit=1)[0].upper() not in ("CMD", "NONE"):
            yield "HEALTHCHECK needs CMD or NONE", value, "write HEALTHCHECK CMD COMMAND"
        case "SHELL" if instruction.exec_form is None:
            yield "SHELL needs a list", value, 'write SHELL ["/bin/sh", "-c"]'
        case "ARG" | "ENV" | "LABEL":
            for name, assigned in instruction.assignments:
                if not name or (assigned is None and keyword != "ARG"):
                    yield f"{keyword} needs NAME=VALUE", name or value, ""
        case "ONBUILD" if trigger := instruction.trigger:
            if trigger.keyword in ("FROM", "MAINTAINER", "ONBUILD"):
                yield f"ONBUILD cannot hold {trigger.keyword}", trigger.keyword, ""
            else:
                yield from mistakes(trigger)


def _mistakes_of_lists(instruction: Instruction) -> Iterator[Mistake]:
    words, rest = _json_list(instruction) or ((), "")
    if rest:  # BuildKit 0.14 drops it without a word, 0.16 gives the whole value to the shell
        yield "there is more after the list", rest, "put it into the list, or write no list"
    elif not all(isinstance(word, str) for word in words):
        yield "the list holds something else than strings", instruction.value, 'write ["like", "this"]'


def _mistakes_of_from(words: tuple[str, ...]) -> Iterator[Mistake]:
    if len(words) == 1:
        return
    if len(words) != 3 or words[1].lower() != "as":
        yield (
            "FROM needs one image, and AS NAME at most",
            " ".join(words[1:]),
            "write FROM IMAGE, or FROM IMAGE AS NAME",
        )
    elif not _STAGE_NAME.fullmatch(words[2].lower()):
        yield f"{words[2][:40]} is no name for a stage", words[2], "begin with a letter; then letters, digits, - _ ."


def _mistakes_of_flags(instruction: Instruction) -> Iterator[Mistake]:
    known = {flag.rstrip("=*"): flag for flag in KEYWORDS[instruction.keyword]}
    seen: set[str] = set()
    for name, value in instruction.flags:
        shown = f"--{name[:40]}"
        form = known.get(name)
        if form is None:
            hint = did_you_mean(shown, [f"--{flag}" for flag in known]) or "it knows no flags"
            yield f"{instruction.keyword} does not know {shown}", shown, hint
        elif form.endswith("=") and name in seen:
            yield f"{shown} is there twice", shown, "remove one"
        elif "=" in form and not value:
            yield f"{shown} has no value", shown, f"write {shown}=VALUE"
        seen.add(name)


def _json_list(instruction: Instruction) -> tuple[list[object], str] | None:
    """The list that a value begins with, and the text after it."""
    value = instruction.value
    if instruction.keyword == "HEALTHCHECK":
        value = "".join(_BLANKS.split(value, maxsplit=1)[1:])
    elif instruction.keyword not in _EXEC_FORM:
        return None
    if not value.startswith("["):
        return None
    try:
        words, end = _JSON.raw_decode(value)
    except RecursionError:  # lists in lists in lists: no list of strings
        return [None], ""
    except ValueError:
        return None
    # JSON can hold half a character, which no output can
    return [word.encode(errors="replace").decode() if isinstance(word, str) else word for word in words], value[end:]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse)


def _flags(text: str, escape: str) -> tuple[tuple[tuple[str, str], ...], str]:
    """The flags before a value, and the value. ``--`` ends the flags."""
    flags: list[tuple[str, str]] = []
    while (text := text.strip(SPACE)).startswith("--"):
        flag, text = _flag(text, escape)
        if flag == "--":
            text = text.strip(SPACE)
            break
        name, _, value = flag.removeprefix("--").partition("=")
        flags.append((name, value))
    return tuple(flags), text


def _flag(text: str, escape: str) -> tuple[str, str]:
    """The first word, without quotes and escapes, and the text after it."""
    word: list[str] = []
    quote = ""
    at = 0
    while at < len(text) and (quote or text[at] not in SPACE):
        char = text[at]
        if char == escape:
            at += 1
            word += text[at : at + 1]
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        else:
            word.append(char)
        at += 1
    return "".join(word), text[at:]
