"""Facts about stages: which a build needs, what it takes from elsewhere, and what in it runs foreign code."""

from __future__ import annotations

import pytest

from archway.dockerfile import ImageUse, Line, parse, split_stages
from tests.unit.dockerfiles import AMD64, ARM64, bases, needs, refusal


class TestStages:
    def test_words(self) -> None:
        """A stage has the words of its FROM, and a name in small letters."""
        first, second = split_stages(parse("ARG V\nFROM --platform=$P a:$V AS Build\nRUN b\nFROM c\n", "x"))

        assert (first.index, first.name, first.line, first.base, first.platform) == (0, "build", 2, "a:$V", "$P")
        assert [found.keyword for found in first.instructions] == ["RUN"]
        assert (second.index, second.name, second.base, second.platform) == (1, None, "c", None)

    def test_title(self) -> None:
        """A stage without a name is called as BuildKit calls it."""
        assert [stage.title for stage in split_stages(parse("FROM a AS b\nFROM c\n", "x"))] == ["b", "stage-1"]


class TestNeeded:
    def test_only_what_is_needed(self) -> None:
        """Stages that nothing refers to are not part of a build."""
        found = needs("FROM a AS unused\nRUN x\nFROM b AS used\nFROM c\nCOPY --from=used / /\n")

        assert [stage.stage.index for stage in found.stages] == [1, 2]
        assert [image.name for image in found.images] == ["b", "c"]

    def test_transitive(self) -> None:
        """Need goes through FROM, COPY --from and RUN --mount, as far as it gets."""
        text = (
            "FROM a AS one\nFROM one AS two\nFROM b AS three\nCOPY --from=two / /\n"
            "FROM c AS four\nRUN --mount=type=bind,from=three,target=/x make\nFROM d\nCOPY --from=3 / /\n"
        )

        assert bases(needs(text)) == ["a", 0, "b", "c", "d"]

    def test_named_stage(self) -> None:
        """Another stage than the last can be built, whatever the letters of its name."""
        found = needs("FROM a AS Build\nFROM b\n", stage="BUILD")

        assert (found.final.base, len(found.stages)) == ("a", 1)

    def test_unknown_stage(self) -> None:
        """A stage that does not exist is told with the one that was meant."""
        told = refusal("FROM a AS build\n", stage="biuld")

        assert told == "hive/Dockerfile: there is no stage biuld\n  did you mean build?"

    def test_letters(self) -> None:
        """COPY --from and RUN --mount find a stage whatever the letters of its name."""
        text = "FROM a AS Build\nFROM b\nCOPY --from=BUILD / /\nRUN --mount=from=bUILD,target=/x y\n"

        assert [image.name for image in needs(text).images] == ["a", "b"]

    def test_from_looks_back(self) -> None:
        """FROM looks at earlier stages only: its own and later ones are no stages to it."""
        assert bases(needs("FROM b AS a\nFROM c AS b\nFROM a\nCOPY --from=b / /\n")) == ["b", "c", 0]

    def test_two_of_one_name(self) -> None:
        """Of two stages with one name, the last one counts."""
        text = "FROM a AS x\nFROM b AS x\nFROM x\nCOPY --from=x / /\n"

        assert bases(needs(text)) == ["b", 1]

    def test_many(self) -> None:
        """Two thousand stages are no trouble."""
        text = "FROM a AS s0\n" + "".join(f"FROM s{i} AS s{i + 1}\nCOPY --from={i} / /\n" for i in range(2_000))

        assert len(needs(text).stages) == 2_001


class TestImages:
    def test_places(self) -> None:
        """An image from elsewhere is told with the line and the instruction that uses it."""
        text = "FROM a:1\nCOPY --from=b:2 / /\nRUN --mount=type=cache,target=/x --mount=from=c,target=/y z\n"

        assert needs(text).images == (
            ImageUse(name="a:1", platform=ARM64, line=1, instruction="FROM"),
            ImageUse(name="b:2", platform=ARM64, line=2, instruction="COPY --from"),
            ImageUse(name="c", platform=ARM64, line=3, instruction="RUN --mount"),
        )

    def test_platform(self) -> None:
        """FROM takes an image for the stage's platform, COPY and RUN take it for the target's."""
        text = "FROM --platform=$BUILDPLATFORM a\nCOPY --from=b / /\nRUN --mount=from=c,target=/x y\n"

        assert [image.platform for image in needs(text).images] == [AMD64, ARM64, ARM64]

    def test_scratch(self) -> None:
        """scratch is no image, wherever it stands."""
        text = "FROM scratch\nCOPY --from=scratch / /\nRUN --mount=type=cache,from=scratch,target=/x y\n"

        assert needs(text).images == ()

    def test_mount_in_quotes(self) -> None:
        """The options of a mount may be quoted as in CSV, and their names have no fixed letters."""
        text = 'FROM a\nRUN --mount=\'"FROM=b","target=/x,y"\' z\n'

        assert [image.name for image in needs(text).images] == ["a", "b"]


class TestForeignRuns:
    def test_lines(self) -> None:
        """A RUN in a stage of another platform needs emulation: its line, its command and its stage are told."""
        text = "FROM a AS build\nRUN make \\\n  all\nFROM b\nRUN <<E\nset -e\nE\nCOPY --from=build / /\n"

        assert needs(text).foreign_runs == (
            Line(number=2, text="make all", stage="build"),
            Line(number=5, text="<<E set -e", stage="stage-1"),
        )

    def test_native(self) -> None:
        """A RUN of the machine's own platform needs no emulation."""
        assert needs("FROM a\nRUN make\n", target=AMD64).foreign_runs == ()

    def test_cross(self) -> None:
        """A target that only gets files from stages of the machine's platform needs no emulation."""
        text = (
            "FROM --platform=$BUILDPLATFORM a AS build\nRUN make\nFROM b\nWORKDIR /x\n"
            "COPY --from=build /x /x\nADD y /y\nCMD x\nHEALTHCHECK CMD x\n"
        )

        assert needs(text).foreign_runs == ()

    def test_not_needed(self) -> None:
        """A RUN in a stage that is not needed does not count."""
        assert needs("FROM a AS tests\nRUN make\nFROM b\n").foreign_runs == ()


class TestOnbuild:
    def test_recorded(self) -> None:
        """ONBUILD of the final stage is for others: it is recorded, and takes no part in this build."""
        found = needs("FROM a AS tools\nFROM b\nONBUILD COPY --from=tools / /\nONBUILD RUN x\n")

        assert [(it.line, it.value) for it in found.onbuild] == [(3, "COPY --from=tools / /"), (4, "RUN x")]
        assert (bases(found), found.foreign_runs) == (["b"], ())

    def test_runs_in_the_next_stage(self) -> None:
        """ONBUILD of a stage runs in the stage that is built on it, and not in the one after."""
        text = (
            "FROM t AS tools\nFROM a AS one\nONBUILD RUN x\nONBUILD COPY --from=tools / /\nONBUILD ARG Y\n"
            "FROM one AS two\nFROM two\n"
        )
        found = needs(text)

        assert found.foreign_runs == (Line(number=3, text="x", stage="two"),)
        assert bases(found) == ["t", "a", 1, 2]
        assert found.declared_arguments == {"Y"}

    def test_too_many(self) -> None:
        """A Dockerfile whose ONBUILD instructions multiply without end is refused."""
        text = "FROM a AS s\n" + "ONBUILD RUN x\n" * 1_000
        text += "".join(f"FROM s AS s{i}\nCOPY --from={i} / /\n" for i in range(200))

        assert "ONBUILD" in refusal(text)


class TestDeclaredArguments:
    def test_names(self) -> None:
        """The arguments of a build are those before the first FROM and those of the stages it needs."""
        text = "ARG A=1 B\nFROM a AS unused\nARG C\nFROM b AS used\nARG D=2\nFROM c\nARG E\nCOPY --from=used / /\n"

        assert needs(text).declared_arguments == {"A", "B", "D", "E"}


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("FROM $NONE\n", ":1: FROM $NONE names no image\n  NONE is not set here\n  declare it with ARG before"),
            ("ARG V=\nFROM a:$V\n", ":2: FROM a:$V names no image, but a:"),
            ("FROM a\nARG V=1\nFROM b:$V\n", ":3: FROM b:$V names no image, but b:\n  V is not set here"),
            ("FROM ${a\n", ":1: ${a has no meaning"),
            ("ARG V=${W:?say}\nFROM a\n", ":1: ${W:?say} has no meaning: W: say"),
            ("FROM A\n", ":1: FROM A names no image"),
            ("FROM a AS Build\nFROM Build\n", ":2: FROM Build finds no stage\n  write FROM build: "),
            ("FROM a\nCOPY --from=1 / /\n", ":2: COPY --from refers to stage 1\n  the last stage has the number 0"),
            ("FROM a\nCOPY --from=0 / /\n", ":2: COPY --from refers to its own stage"),
            ("FROM a AS b\nRUN --mount=from=b,target=/x y\n", ":2: RUN --mount refers to its own stage"),
            ("FROM a\nCOPY --from=c / /\nFROM b AS c\nCOPY --from=0 / /\n", ":2: COPY --from refers to c, which"),
            ("FROM a\nCOPY --from=-1 / /\n", ":2: COPY --from refers to stage -1"),
            ("FROM a\nCOPY --from=$X / /\n", ":2: COPY --from knows no variables: $X"),
            ("FROM a\nRUN --mount=from=$X,target=/x y\n", ":2: RUN --mount knows no variables: $X"),
            ("FROM a\nFROM b\nRUN --mount=from=0,target=/x y\n", ":3: RUN --mount finds stages by name only"),
            ("FROM a\nCOPY --from=B:/ / /\n", ":2: COPY --from names no image, but B:/"),
            ("FROM a\nRUN --mount='\"x' y\n", ":2: --mount=\"x cannot be read"),
        ],
    )  # fmt: skip
    def test_mistake(self, text: str, expected: str) -> None:
        """A reference that leads nowhere is told with its line, and with what to do."""
        assert refusal(text).startswith(f"hive/Dockerfile{expected}")

    def test_stage_called_like_its_image(self) -> None:
        """A stage may be called like the image it starts from; only what archway hands over may not (the planner)."""
        assert bases(needs("FROM a AS a\nFROM a\n")) == ["a", 0]

    def test_unknown_stage_comes_last(self) -> None:
        """A stage that does not exist is told when nothing else is wrong."""
        assert "names no image" in refusal("FROM $A\n", stage="b")

    def test_nearly_right(self) -> None:
        """A variable that is nearly one that exists is told with it."""
        told = refusal("ARG VERSION=1\nFROM a:$VERSOIN\n")

        assert "VERSOIN is not set here; did you mean VERSION" in told

    def test_together(self) -> None:
        """All mistakes of a file are told at once."""
        told = refusal("FROM $A\nFROM --platform=b c\nCOPY --from=7 / /\nCOPY --from=$X / /\n")

        assert [n for n in range(1, 6) if f"hive/Dockerfile:{n}:" in told] == [1, 2, 3, 4]

    @pytest.mark.parametrize(
        "text",
        [
            "ARG a0=xxxxxxxxxx\n" + "".join(f"ARG a{i + 1}=$a{i}$a{i}\n" for i in range(60)) + "FROM x$a60\n",
            "FROM " + "${a:-" * 5_000 + "}" * 5_000 + "\n",
            "FROM " + "a-" * 30_000 + "A\n",
            "FROM " + "$" * 60_000 + "\n",
            "FROM --platform=" + "9" * 5_000 + " a\n",
            "FROM a\nRUN --mount=from=" + '"' * 5_001 + " b\n",
        ],
    )
    def test_hostile(self, text: str) -> None:
        """A reference that wants to break the reader is refused in few words."""
        assert len(refusal(text)) < 1_000

    def test_big_number(self) -> None:
        """A number that no stage can have is taken for an image, as BuildKit takes it."""
        assert needs("FROM a\nCOPY --from=" + "9" * 5_000 + " / /\n").images[1].name == "9" * 5_000
