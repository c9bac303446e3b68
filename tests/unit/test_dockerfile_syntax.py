"""Facts about the syntax of Dockerfiles: lines, flags, heredocs, and the mistakes in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from archway.dockerfile import Dockerfile, Heredoc, Instruction, parse
from archway.errors import MetadataError


def read(text: str) -> tuple[Instruction, ...]:
    return parse(text, "Dockerfile").instructions


def last(text: str) -> Instruction:
    return read(f"FROM base\n{text}")[-1]


def refusal(text: str) -> str:
    with pytest.raises(MetadataError) as caught:
        parse(text, "hive/Dockerfile")
    return str(caught.value)


class TestLines:
    def test_keyword(self) -> None:
        """A keyword may be written in small letters."""
        found = last("run make")

        assert (found.keyword, found.value) == ("RUN", "make")

    def test_continuation(self) -> None:
        """A line that ends in a backslash goes on in the next one, with the blanks that this one begins with."""
        found = last("RUN make \\\n  install\n")

        assert found.value == "make   install"
        assert (found.line, found.end_line) == (2, 3)

    def test_comment_in_a_continuation(self) -> None:
        """A comment and an empty line inside a continuation are dropped."""
        assert last("RUN a \\\n# one\n   # two \\\n\n && b\n").value == "a  && b"

    def test_comment_with_a_backslash(self) -> None:
        """A comment has no continuation."""
        assert [found.keyword for found in read("FROM a\n# b \\\nRUN c\n")] == ["FROM", "RUN"]

    def test_two_backslashes(self) -> None:
        """Two backslashes at the end of a line do not continue it."""
        assert [found.keyword for found in read("FROM a\nRUN b \\\\\nUSER c\n")] == ["FROM", "RUN", "USER"]

    def test_escape_directive(self) -> None:
        """With the directive escape=` a backtick continues a line, and a backslash does not."""
        found = parse("# escape=`\nFROM a\nRUN b `\n c\nCOPY C:\\x D:\\\nUSER x\n", "Dockerfile")

        assert found.escape == "`"
        assert [instruction.value for instruction in found.instructions] == ["a", "b  c", "C:\\x D:\\", "x"]

    def test_syntax_directive(self) -> None:
        """The directive syntax names the reader of the file."""
        assert parse("# syntax=docker/dockerfile:1\nFROM a\n", "Dockerfile").syntax == "docker/dockerfile:1"

    def test_late_directive(self) -> None:
        """A directive after another comment is a comment."""
        assert parse("# hello\n# escape=`\nFROM a\n", "Dockerfile").escape == "\\"

    def test_crlf_and_byte_order_mark(self) -> None:
        """A file that an editor of Windows saved is read as any other."""
        found = read("\ufeffFROM a\r\nRUN b \\\r\n  c\r\n")

        assert [instruction.value for instruction in found] == ["a", "b   c"]


class TestFlags:
    def test_flags(self) -> None:
        """Flags are split off, quotes are removed from them, and one may be repeated."""
        found = last("RUN --mount=type=cache,target=/a --mount=\"from=b,target='/c d'\" --network=none make --all")

        assert found.flag("mount") == ("type=cache,target=/a", "from=b,target='/c d'")
        assert found.flag("network") == ("none",)
        assert found.value == "make --all"

    def test_switch(self) -> None:
        """A flag without a value is empty, and a flag that is not there is none."""
        found = last("COPY --link a b")

        assert found.flag("link") == ("",)
        assert found.flag("from") == ()

    def test_end_of_flags(self) -> None:
        """Two dashes end the flags."""
        found = last("RUN --network=none -- --version")

        assert found.value == "--version"


class TestHeredocs:
    def test_text_is_no_instruction(self) -> None:
        """The text of a heredoc is not read as instructions."""
        assert [found.keyword for found in read("FROM a\nRUN <<E\nFROM b\n\nE\nUSER c\n")] == ["FROM", "RUN", "USER"]

    def test_content(self) -> None:
        """A heredoc keeps its text as it stands, with tabs and comments."""
        expected = Heredoc(name="E", content="\ta\n# b\n", expand=True, strip_tabs=True, line=3)

        assert (expected,) == last("COPY <<-E /x\n\ta\n# b\n\tE\n").heredocs

    def test_quoted_name(self) -> None:
        """Quotes around the name keep the variables of the text."""
        (found,) = last("RUN <<'E'\n$x\nE\n").heredocs

        assert (found.name, found.expand) == ("E", False)

    def test_several(self) -> None:
        """One instruction may announce several heredocs, which follow one after the other."""
        found = last("COPY <<a.txt <<b.txt /etc/\n1\na.txt\n2\nb.txt\n")

        assert [(heredoc.name, heredoc.content) for heredoc in found.heredocs] == [("a.txt", "1\n"), ("b.txt", "2\n")]

    def test_onbuild(self) -> None:
        """ONBUILD may hold an instruction with a heredoc."""
        found = last("ONBUILD RUN <<E\nx\nE\n").trigger

        assert found is not None
        assert (found.keyword, found.heredocs[0].content) == ("RUN", "x\n")

    @pytest.mark.parametrize("text", ["CMD <<E", "USER <<E", 'RUN ["<<E"]', 'RUN echo "<<E"', "RUN cat <<<E"])
    def test_none(self, text: str) -> None:
        """Only the shell form of RUN, COPY and ADD has heredocs, and only outside quotes."""
        assert last(text).heredocs == ()

    def test_shift(self) -> None:
        """A shift in shell arithmetic is no heredoc."""
        assert last("RUN echo $((1 << 2)) $((1<<2))\nRUN x\n").heredocs == ()


class TestForms:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ('RUN ["a", "b c"]', ("a", "b c")),
            ('HEALTHCHECK CMD ["a"]', ("a",)),
            ("RUN a", None),
            ("RUN ['a']", None),
            ('USER ["a"]', None),
            ("CMD []", ()),
            ("RUN [NaN]", None),
        ],
    )
    def test_exec_form(self, text: str, expected: tuple[str, ...] | None) -> None:
        """A list of strings in JSON is the exec form; all else is the shell form."""
        assert expected == last(text).exec_form

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("COPY a  b\tc", ("a", "b", "c")),
            ('COPY ["a b", "c"]', ("a b", "c")),
            ("EXPOSE 1 2/udp", ("1", "2/udp")),
            ("ARG a=\"b c\" d='e'", ('a="b c"', "d='e'")),
        ],
    )
    def test_words(self, text: str, expected: tuple[str, ...]) -> None:
        """The words of a value come from its list, or lie between blanks."""
        assert expected == last(text).words

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("ARG a b=1 c=", (("a", None), ("b", "1"), ("c", ""))),
            ("ENV a=b c='d e' f=\\ g", (("a", "b"), ("c", "'d e'"), ("f", "\\ g"))),
            ("ENV a b  c=d", (("a", "b  c=d"),)),
            ("LABEL a.b=c", (("a.b", "c"),)),
        ],
    )
    def test_assignments(self, text: str, expected: tuple[tuple[str, str | None], ...]) -> None:
        """ARG, ENV and LABEL give names and values, in the new form and the old one of ENV."""
        assert expected == last(text).assignments

    def test_trigger(self) -> None:
        """ONBUILD holds an instruction with its flags."""
        found = last("onbuild copy --from=x a b").trigger

        assert found is not None
        assert (found.keyword, found.flag("from"), found.value, found.line) == ("COPY", ("x",), "a b", 2)

    def test_summary(self) -> None:
        """A command is told on one line of at most 80 characters, a heredoc by its first line."""
        assert last("RUN <<E\nset -eux\nmake\nE\n").summary == "<<E set -eux"
        assert last(f"RUN a \\\n   b {'c' * 100}\n").summary == "a b " + "c" * 76


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("", "hive/Dockerfile: the Dockerfile is empty"),
            ("# nothing\n\n", "hive/Dockerfile: the Dockerfile is empty"),
            ("ARG a\n", "hive/Dockerfile: the Dockerfile has no FROM"),
            ("RUN a\nFROM b\n", "hive/Dockerfile:1: RUN stands before the first FROM"),
            ("FROM a b\n", "hive/Dockerfile:1: FROM needs one image"),
            ("FROM a AS 1\n", "1 is no name for a stage"),
            ("FROM --platform=a --platform=b c\n", "--platform is there twice"),
            ("FROM --platform c\n", "--platform has no value"),
            ("FROM a\nCOPY b\n", "COPY needs a source and a destination"),
            ("FROM a\nUSER\n", "USER says nothing"),
            ("FROM a\nENV b\n", "ENV needs NAME=VALUE"),
            ("FROM a\nENV b=c d\n", "ENV needs NAME=VALUE"),
            ("FROM a\nARG =b\n", "ARG needs NAME=VALUE"),
            ("FROM a\nSHELL sh\n", "SHELL needs a list"),
            ("FROM a\nHEALTHCHECK curl x\n", "HEALTHCHECK needs CMD or NONE"),
            ("FROM a\nRUN [1]\n", "the list holds something else than strings"),
            ('FROM a\nRUN ["b"] && c\n', "there is more after the list"),
            ("FROM a\nCMD --help\n", "CMD does not know --help"),
            ("FROM a\nONBUILD FROM b\n", "ONBUILD cannot hold FROM"),
            ("FROM a\nONBUILD ONBUILD RUN b\n", "ONBUILD cannot hold ONBUILD"),
            ("FROM a\nONBUILD COPY b\n", "hive/Dockerfile:2: COPY needs a source and a destination"),
            ("# escape=x\nFROM a\n", "hive/Dockerfile:1: this is no escape character"),
            ("# escape=`\n# escape=`\nFROM a\n", "hive/Dockerfile:2: the directive escape is there twice"),
            ("FROM a\n\\\n\n", "a line that only continues is no instruction"),
            ("FROM a\nRUN \0\n", "hive/Dockerfile:2: there is a NUL byte"),
            (f"FROM a\nRUN {'b' * 65_536}\n", "hive/Dockerfile:2: the line is longer than 65,536 bytes"),
        ],
    )
    def test_mistake(self, text: str, expected: str) -> None:
        """Each mistake is told with what is wrong, and where."""
        assert expected in refusal(text)

    def test_unknown_instruction(self) -> None:
        """An instruction that does not exist is shown in its line, with the one that was meant."""
        expected = "hive/Dockerfile:2: RNU is no instruction\n  RNU make\n  ^^^\n  did you mean RUN?"

        assert expected == refusal("FROM a\nRNU make\n")

    def test_unknown_flag(self) -> None:
        """A flag that does not exist is told with the one that was meant."""
        expected = (
            "hive/Dockerfile:2: COPY does not know --form\n  COPY --form=a b c\n       ^^^^^^\n  did you mean --from?"
        )

        assert expected == refusal("FROM a\nCOPY --form=a b c\n")

    def test_heredoc_without_end(self) -> None:
        """A heredoc that does not end is told with the line that it starts on, not the last one."""
        told = refusal("FROM a\nRUN cat <<EOF\nb\nc\n")

        assert told.startswith("hive/Dockerfile:2: the heredoc EOF has no end\n  RUN cat <<EOF\n          ^^^^^\n")

    def test_together(self) -> None:
        """All mistakes of a file are told at once."""
        told = refusal("FROM a\nRNU b\nUSER\nCOPY c\nRUN <<E\n")

        assert [n for n in range(1, 7) if f"hive/Dockerfile:{n}:" in told] == [2, 3, 4, 5]

    def test_not_too_many(self) -> None:
        """Of a file that is no Dockerfile only the first mistakes are told."""
        told = refusal("lorem ipsum\n" * 100_000)

        assert told.count("LOREM is no instruction") == 20

    @pytest.mark.parametrize(
        "text",
        [
            "FROM a\n" + "RUN b\n" * 50_000,
            "FROM a\nRUN " + "b \\\n" * 200_000,
            "FROM a\nRUN " + "[" * 60_000,
            "FROM a\nRUN [" + "9" * 60_000,
            "FROM a\n" + "RUN $((1 << 2))\n" * 20_000,
            "FROM a\nRUN " + "<<b " * 10_000 + "\n" + "b\n" * 10_000,
            "FROM a\nRUN --mount=" + '"\\' * 30_000,
            "FROM a\nRUN echo ${" + "x:-${" * 10_000,
            "FROM a\nRUN \ud800 <<E\nE\n",
            '# escape=`\nFROM a\nARG b="`' + "'\"" * 20_000,
        ],
    )  # fmt: skip
    def test_hostile(self, text: str) -> None:
        """A text that wants to break the parser is read or refused, in little time."""
        try:
            parse(text, "Dockerfile")
        except MetadataError as error:
            assert len(str(error)) < 5_000  # noqa: PT017 - both ends are right


class TestRead:
    def test_file(self, tmp_path: Path) -> None:
        """A file is read, and remembers what messages call it."""
        path = tmp_path / "Dockerfile"
        path.write_text("FROM a\n", encoding="utf-8")

        found = Dockerfile.read(path, shown="products/hive/Dockerfile")

        assert (found.instructions[0].keyword, found.instructions[0].value) == ("FROM", "a")
        assert str(found.at(3)) == "products/hive/Dockerfile:3"

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            (b"FROM a\nRUN \xff\n", "x:2: this is not UTF-8 text"),
            ("FROM a\n".encode("utf-16"), "x:1: this is not UTF-8 text"),
            ("FROM a\n".encode("utf-16-le"), "x:1: there is a NUL byte"),
            (b"", "x: the Dockerfile is empty"),
        ],
    )
    def test_content(self, tmp_path: Path, content: bytes, expected: str) -> None:
        """A file that holds no text, or none in UTF-8, is refused with its line."""
        path = tmp_path / "Dockerfile"
        path.write_bytes(content)

        with pytest.raises(MetadataError) as caught:
            Dockerfile.read(path, shown="x")

        assert expected in str(caught.value)

    def test_missing(self, tmp_path: Path) -> None:
        """A file that is not there is told by its path."""
        with pytest.raises(MetadataError, match="there is no Dockerfile"):
            Dockerfile.read(tmp_path / "Dockerfile")

    def test_folder(self, tmp_path: Path) -> None:
        """A folder is no Dockerfile."""
        with pytest.raises(MetadataError, match="this is a folder"):
            Dockerfile.read(tmp_path)

    def test_unreadable(self) -> None:
        """A path that cannot exist is told like one that does not."""
        with pytest.raises(MetadataError, match="cannot be read"):
            Dockerfile.read(Path("a\0b"))


def test_comments() -> None:
    """Comments are kept with their lines, also those within an instruction; the text of a heredoc has none."""
    text = "# syntax=x\n  # a\nFROM a\nRUN b # no \\\n\t#c \n && d\nRUN <<E\n# no\nE\n#\n"

    assert parse(text, "x").comments == ((1, "# syntax=x"), (2, "# a"), (5, "#c"), (10, "#"))
