"""Our parser of Dockerfiles against BuildKit's own, which the package ``dockerfile`` brings along (0.12)."""

from __future__ import annotations

import platform
import re

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from archway.dockerfile import Instruction, parse
from archway.errors import MetadataError

if platform.machine() == "x86_64":
    import dockerfile as oracle
else:
    pytest.skip("the package dockerfile has wheels for x86_64 only", allow_module_level=True)

Read = tuple[object, ...]

# Newer BuildKits know blanks before the name of a heredoc; the one of the oracle does not. It also takes a flag that
# is not ASCII to pieces, byte by byte, which is a fault of it.
KNOWN_DIFFERENCE = re.compile(r"<<-?[\s\\]|--.*[^\x00-\x7f]", re.DOTALL)


def ours(text: str) -> list[Read]:
    return [_as_oracle(instruction) for instruction in parse(text, "Dockerfile").instructions]


def _as_oracle(instruction: Instruction) -> Read:
    trigger = instruction.trigger
    inner = trigger or instruction
    return (
        instruction.keyword,
        trigger.keyword if trigger else None,
        inner.exec_form is not None,
        instruction.line,
        instruction.end_line,
        instruction.flags,
        _value(inner),
        () if trigger else tuple((heredoc.name, heredoc.content) for heredoc in instruction.heredocs),
    )


def _value(instruction: Instruction) -> tuple[str, ...]:
    match instruction.keyword:
        case "ENV" | "LABEL":
            return tuple(part or "" for assignment in instruction.assignments for part in assignment)
        case "ARG" | "FROM" | "EXPOSE" | "ADD" | "COPY" | "VOLUME":
            return instruction.words
        case "HEALTHCHECK":
            kind, *command = instruction.value.split(maxsplit=1)
            return (kind, *(command if instruction.exec_form is None else instruction.exec_form))
    if instruction.exec_form is not None:
        return instruction.exec_form
    return (instruction.value,) if instruction.value else ()


def theirs(text: str) -> list[Read]:
    return [
        (
            command.cmd.upper(),
            command.sub_cmd.upper() if command.sub_cmd else None,
            command.json,
            command.start_line,
            command.end_line,
            tuple((name, value) for name, _, value in (flag[2:].partition("=") for flag in command.flags)),
            command.value,
            tuple((heredoc.name, heredoc.content) for heredoc in command.heredocs),
        )
        for command in oracle.parse_string(text)
    ]


BY_HAND = [
    "FROM a",
    "from --platform=$BUILDPLATFORM a:1 as Build\n",
    "# syntax=docker/dockerfile:1\n# escape=`\nFROM a\nRUN one `\n  two `\n\nCOPY C:\\a \\b\n",
    "#  Escape = `  \n\nFROM a\nRUN x `\n y\n",
    "\n# escape=`\nFROM a\nRUN x `\nRUN y\n",
    "# a comment\n# escape=`\nFROM a\nRUN x `\nRUN y\n",
    "\ufeff# escape=`\nFROM a\nRUN x `\n y\n",
    "FROM a\r\nRUN a \\\r\n  b\r\n\r\nRUN <<E\r\nx\r\nE\r\nCOPY a b\r\n",
    "FROM a\nRUN a \\\n# comment\n  # another\n\n   \n  b \\\n\t&& c\n",
    "FROM a\nRUN a \\ \t\n b\n",
    "FROM a\nRUN a \\\\\nRUN b \\\\\\\nRUN c\n",
    "FROM a\nRUN a \\",
    "FROM a\nRUN a \\\n",
    "FROM a\nRUN a \\\n# end",
    "FROM a\n\\\nRUN a\n",
    "FROM a\nRUN <<EOF\nFROM b\n\n# kept\nx \\\nEOF\nUSER x\n",
    "FROM a\nRUN <<A cat <<-B 3<<'C D'\na\nA\nb\n\tB\nc\nC D\n",
    'FROM a\nRUN <<"E" <<F"G"H\nx\nE\n$y\nFGH\n',
    "FROM a\nRUN <<\\E\nx\nE\n",
    "FROM a\nRUN <<$E <<${F}\nx\n$E\ny\n${F}\n",
    "FROM a\nRUN <<-E\n\tx\n\t\tE\n",
    "FROM a\nCOPY <<a.txt <<b.txt /etc/\na\na.txt\nb\nb.txt\nADD <<E /x\nE\n",
    "FROM a\nONBUILD RUN <<E\nx\nE\nonbuild copy --from=b <<E /x\nE\n",
    "FROM a\nRUN echo \"<<E\" '<<F' \\<<G <<<H a<<I 2<< J<<\n",
    "FROM a\nRUN echo it's <<E\nRUN x\n",
    "FROM a\nRUN echo ${x,,} <<E\nRUN x\n",
    "FROM a\nRUN echo $((1<<2)) $((1 << 2))\nRUN x\n",
    'FROM a\nRUN ["<<E"]\nCOPY ["<<E", "/x"]\nCMD <<E\nUSER <<E\nENV a=<<E\n',
    "FROM a\nRUN <<E echo \\\n  b\nx\nE\n",
    "FROM a\nRUN --mount=type=cache,target=/x --mount=\"type=bind,from=b\",target='/a b' --network=none make\n",
    "FROM a\nRUN --mount=target=/a\\ b -- --x\nCOPY --from=0 --chown=1:1 --link a b\n",
    'FROM a\nCOPY [ "a b" , "c" ]\nVOLUME ["/a"]\nVOLUME /a  /b\nCOPY ["a", "b"\nRUN []\nCMD []\nCMD\n',
    'FROM a\nRUN ["\\u0041\\n", "é"]\nENTRYPOINT ["a"]\nSHELL ["sh", "-c"]\n',
    'FROM a\nHEALTHCHECK --interval=3s CMD curl -f x\nHEALTHCHECK NONE\nHEALTHCHECK CMD ["a", "b c"]\n',
    'FROM a\nENV a b  c\nENV a=b c="d e" f=\'g h\' i=j\\ k l=\nENV a  =b\nLABEL "a b"=c d=e\\\n f=g\n',
    "FROM a\nARG a\nARG a=1 b c=\"x y\" 'd e'=f\\ g\n",
    "FROM a\nEXPOSE 1  2/udp\t3\nUSER  a:b \nWORKDIR /a b\nSTOPSIGNAL 9\nMAINTAINER A B <c>\n",
    "ARG a=1\nARG b=${a}\nFROM $b\n",
    "  FROM  a  AS  b  \n\t RUN\tx\n",
    "FROM a\nRUN x\u00a0y\u2003\nENV a=b\u00a0c=d\nRUN x\x1c\n",
    "FROM a\x0b\nRUN x \x0b y\n",
    'FROM a\nONBUILD COPY --from=b ["x", "y"]\nHEALTHCHECK CMD []\n',
    "FROM a\nRUN é \\\n ü\nLABEL a=é\n",
]


@pytest.mark.parametrize("text", BY_HAND)
def test_agrees_by_hand(text: str) -> None:
    """A Dockerfile that tries one rule is read as BuildKit reads it."""
    assert theirs(text) == ours(text)


def _json(words: list[str]) -> str:
    return "[" + ", ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' for word in words) + "]"


def _one(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


def _some(*texts: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(texts), min_size=1, max_size=4).map(" ".join)


def _row(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


SETTINGS = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WORDS = _some("a", "B", "x1", "${V}", "$V", "${V:-w}", "a/b:1", '"q"', "'q r'", "a\\ b", "é", "#", "=")
VALUE = _one("", "1", '"x y"', "'$z'", "a\\ b", '"\\""', "=", "${V:-w}")
PAIRS = st.lists(_row(_one("a=", "B_1=", "'c d'="), VALUE), min_size=1, max_size=3).map(" ".join)
LISTS = st.lists(_one("a", "b c", "", "<<E", "é", '"', "\\"), min_size=2, max_size=3).map(_json)
FLAGS = st.lists(
    _one("--mount=from=b,target=/b ", '--mount="target=/c d" ', "--network=none "), max_size=2, unique=True
)
INSTRUCTION = st.one_of(
    _row(_one("RUN ", "run\t"), FLAGS.map("".join), WORDS | LISTS),
    _row(_one("CMD ", "ENTRYPOINT ", "VOLUME ", "Cmd  "), WORDS | LISTS),
    _row(_one("COPY ", "COPY --from=b ", "ADD --chown=1:2 --link "), _row(WORDS, _one(" /x")) | LISTS),
    _row(_one("ENV ", "LABEL ", "ARG ", "onbuild ENV "), PAIRS),
    _row(_one("USER ", "WORKDIR ", "STOPSIGNAL ", "EXPOSE ", "ENV key ", "HEALTHCHECK CMD "), WORDS),
    _row(_one("ONBUILD RUN ", "ONBUILD CMD ", "ONBUILD USER ", "ONBUILD COPY /y "), WORDS),
    _one("FROM b", "FROM --platform=$P b AS c", "HEALTHCHECK NONE", 'SHELL ["sh"]'),
)
JOINT = _one("\\\n", " \\\n  ", " \\ \t\n", " \\\n# c\n ", " \\\n\n  # c \\\n\t", "\\\r\n")
END = _one("\n", "\n\n", "\r\n", " \n", "\n# comment\n", "\n  # comment \\\n")
BODY = st.lists(_one("FROM x", "", "# c", "\tt", "a \\", " A", "A ", "<<A"), max_size=3)


@st.composite
def heredoc(draw: st.DrawFn) -> str:
    """An instruction with heredocs."""
    line, body = draw(_one("RUN ", "ONBUILD RUN ", "COPY --link ", "add ")), ""
    for name in draw(st.lists(_one("A", "B_", "c.txt", "D E"), min_size=1, max_size=3, unique=True)):
        tabs = draw(st.booleans())
        quote = draw(_one("'", '"') if " " in name else _one("", "'", '"'))
        line += f"<<{'-' * tabs}{quote}{name}{quote} "
        body += "".join(f"{text}\n" for text in [*draw(BODY), "\t" * draw(st.integers(0, 2)) * tabs + name])
    return f"{line}/x\n{body}"


@st.composite
def broken_up(draw: st.DrawFn) -> str:
    """An instruction with some of its blanks made continuations, with comments and empty lines in them."""
    text: str = draw(INSTRUCTION)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(JOINT) + text[at:]
    return text + draw(END)


@SETTINGS
@given(
    start=_one("", "# escape=\\\n", "# syntax=x\n", "# comment\n", "\n", "ARG V=1\n", "\ufeff"),
    parts=st.lists(st.one_of(broken_up(), heredoc()), max_size=6),
)
def test_agrees_on_dockerfiles(start: str, parts: list[str]) -> None:
    """A Dockerfile put together from all kinds of instructions is read as BuildKit reads it."""
    text = f"{start}FROM a\n{''.join(parts)}"
    try:
        found = ours(text)
    except MetadataError:  # a cut can make nonsense: BuildKit checks that later, not in its parser
        return

    assert theirs(text) == found


PIECES = [
    "RUN",
    "COPY",
    "ENV",
    "ARG",
    "ONBUILD",
    "CMD",
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "\\",
    "\\\n",
    "#",
    "# c\n",
    "<<",
    "<<-",
]
PIECES += [
    "E",
    "E\n",
    "'",
    '"',
    "[",
    "]",
    ",",
    '["a"]',
    "--",
    "--mount=",
    "--from=",
    "=",
    "$",
    "${",
    "}",
    ":-",
    "a",
    "b",
    "<",
    "3",
]


@SETTINGS
@given(pieces=st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=2)), max_size=25))
def test_agrees_on_nonsense(pieces: list[str]) -> None:
    """Whatever our parser accepts, it reads as BuildKit does; all else is told as an error of ours."""
    text = "FROM a\n" + "".join(pieces)
    assume(not KNOWN_DIFFERENCE.search(text))
    try:
        found = ours(text)
    except MetadataError:
        return

    assert theirs(text) == found


@pytest.mark.parametrize(
    "text", ["FROM a\nRUN <<E\nx\n", "FROM a\nRUN [1]\n", "# escape=x\nFROM a\n", "FROM a\nENV a\n"]
)
def test_refuses_what_buildkit_refuses(text: str) -> None:
    """A mistake that BuildKit's parser finds is found here as well."""
    with pytest.raises(oracle.GoParseError):
        theirs(text)

    with pytest.raises(MetadataError):
        parse(text, "Dockerfile")


def test_blank_before_a_heredoc_name() -> None:
    """``<< EOF`` is a heredoc, as newer BuildKits have it; the one of the oracle did not know that."""
    text = "FROM a\nRUN cat << EOF\nUSER x\nEOF\nRUN y\n"

    assert [read[0] for read in ours(text)] == ["FROM", "RUN", "RUN"]
    assert [read[0] for read in theirs(text)] == ["FROM", "RUN", "USER", "EOF", "RUN"]
