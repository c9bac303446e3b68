from __future__ import annotations

from collections.abc import Mapping

import pytest

from archway.dockerfile import ImageUse, Line, Resolution, parse, resolve, split_stages
from archway.errors import MetadataError
from archway.platforms import Platform

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64")
ARMV7 = Platform("linux", "arm", "v7")
DIGEST = f"sha256:{'0' * 64}"


def needs(
    text: str, *, arguments: Mapping[str, str] | None = None, target: Platform = ARM64, stage: str | None = None
) -> Resolution:
    dockerfile = parse(text, "hive/Dockerfile")
    return resolve(dockerfile, arguments=arguments or {}, target=target, build=AMD64, stage=stage)


def refusal(text: str, *, arguments: Mapping[str, str] | None = None, stage: str | None = None) -> str:
    with pytest.raises(MetadataError) as caught:
        needs(text, arguments=arguments, stage=stage)
    return str(caught.value)


def bases(found: Resolution) -> list[int | str | None]:
    return [stage.base for stage in found.stages]


def platforms(found: Resolution) -> list[str]:
    return [stage.platform.architecture for stage in found.stages]


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


class TestGlobalArguments:
    @pytest.mark.parametrize(
        ("text", "arguments", "expected"),
        [
            ("ARG V=1\nFROM a:$V\n", {}, "a:1"),
            ("ARG V=1\nFROM a:$V\n", {"V": "2"}, "a:2"),
            ("ARG V\nFROM a:${V:-1}\n", {}, "a:1"),
            ("ARG V\nFROM a:${V:-1}\n", {"V": "2"}, "a:2"),
            ("ARG V=1\nARG V\nFROM a:$V\n", {}, "a:1"),
            ("ARG V=1 W=${V}2\nFROM a:$W\n", {}, "a:12"),
            ("ARG V=1 W=${V}2\nFROM a:$W\n", {"V": "3"}, "a:32"),
            ("ARG V='1' W=\"2\"\nFROM a:$V$W\n", {}, "a:12"),
            ("FROM a:${V:-1}\n", {"V": "2"}, "a:1"),
            ("ARG B\nFROM ${B:-alpine}\n", {}, "alpine"),
            ("FROM a-$TARGETARCH\n", {}, "a-arm64"),
            ("FROM a-$TARGETOS-$BUILDARCH\n", {}, "a-linux-amd64"),
            ("ARG TARGETARCH\nFROM a-$TARGETARCH\n", {}, "a-arm64"),
            ("ARG TARGETARCH=amd64\nFROM a-$TARGETARCH\n", {}, "a-amd64"),
            (f"ARG R=localhost:5000/x\nFROM $R/a@{DIGEST}\n", {}, f"localhost:5000/x/a@{DIGEST}"),
            ("FROM [::1]:5000/a\n", {}, "[::1]:5000/a"),
        ],
    )
    def test_base(self, text: str, arguments: dict[str, str], expected: str) -> None:
        """FROM sees the arguments before the first FROM, with a build argument before a default."""
        assert bases(needs(text, arguments=arguments)) == [expected]

    def test_variant(self) -> None:
        """The variant of a platform is an automatic argument of its own."""
        text = "FROM a:$TARGETARCH$TARGETVARIANT\n"

        assert bases(needs(text, target=ARMV7)) == ["a:armv7"]
        assert bases(needs(text)) == ["a:arm64"]

    def test_stage_scope(self) -> None:
        """ARG and ENV of a stage mean nothing to the next FROM."""
        text = "ARG V=1\nFROM a:$V\nARG V=2\nENV V=3\nFROM b:$V\nCOPY --from=0 / /\n"

        assert bases(needs(text)) == ["a:1", "b:1"]

    def test_escape(self) -> None:
        """The escape directive holds for FROM as well."""
        assert bases(needs("# escape=`\nARG V=a`:1\nFROM $V\n")) == ["a:1"]


class TestPlatforms:
    def test_target(self) -> None:
        """A stage without --platform is built for the target."""
        assert platforms(needs("FROM a\n")) == ["arm64"]

    @pytest.mark.parametrize(
        ("word", "expected"),
        [
            ("$BUILDPLATFORM", "amd64"),
            ("$TARGETPLATFORM", "arm64"),
            ("linux/${TARGETARCH}", "arm64"),
            ("linux/arm64/v8", "arm64"),
            ("amd64", "amd64"),
            ("${P:-linux/s390x}", "s390x"),
            ("$Q", "ppc64le"),
        ],
    )
    def test_own(self, word: str, expected: str) -> None:
        """A stage with --platform is built for that."""
        assert platforms(needs(f"ARG Q=linux/ppc64le\nFROM --platform={word} a\n")) == [expected]

    def test_inherited(self) -> None:
        """A stage on another stage has the platform of that one, even where its --platform says otherwise."""
        text = "FROM --platform=$BUILDPLATFORM a AS b\nFROM b AS c\nFROM --platform=$TARGETPLATFORM c\n"

        assert platforms(needs(text)) == ["amd64", "amd64", "amd64"]

    def test_scratch(self) -> None:
        """scratch is the target's, even where --platform says otherwise, and no image."""
        found = needs("FROM --platform=$BUILDPLATFORM scratch\n")

        assert platforms(found) == ["arm64"]
        assert (bases(found), found.images) == ([None], ())

    def test_forced_emulation(self) -> None:
        """A build argument BUILDPLATFORM wins, so that the stages of the machine run under emulation."""
        text = "FROM --platform=$BUILDPLATFORM a\nRUN make\n"

        assert needs(text).foreign_runs == ()
        assert len(needs(text, arguments={"BUILDPLATFORM": "linux/arm64"}).foreign_runs) == 1

    @pytest.mark.parametrize(
        ("word", "expected"),
        [
            ("$BUILDPLATFROM", "--platform=$BUILDPLATFROM is empty\n  BUILDPLATFROM is not set here; did you mean"),
            ("linux/arm46", "'linux/arm46' is no platform that archway knows\n  did you mean linux/arm64"),
            ("linux/$ARCH", "'linux/' is no platform that archway knows\n  ARCH is not set here"),
            ("${P:?choose}", "${P:?choose} has no meaning: P: choose"),
        ],
    )
    def test_unknown(self, word: str, expected: str) -> None:
        """A platform that does not exist, or a variable that is not set, is told with its line."""
        assert refusal(f"FROM --platform={word} a\n").startswith(f"hive/Dockerfile:1: {expected}")


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

    def test_stage_named_like_its_image(self) -> None:
        """FROM looks at earlier stages only: a stage may have the name of its own image."""
        assert bases(needs("FROM golang AS golang\nFROM golang\n")) == ["golang", 0]

    def test_two_of_one_name(self) -> None:
        """Of two stages with one name, the last one counts."""
        text = "FROM a AS x\nFROM b AS x\nFROM x\nCOPY --from=x / /\n"

        assert bases(needs(text)) == ["b", 1]

    def test_many(self) -> None:
        """Ten thousand stages are no trouble."""
        text = "FROM a AS s0\n" + "".join(f"FROM s{i} AS s{i + 1}\nCOPY --from={i} / /\n" for i in range(10_000))

        assert len(needs(text).stages) == 10_001


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

        assert [instruction.value for instruction in found.onbuild] == ["COPY --from=tools / /", "RUN x"]
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
