"""Facts about the arguments and platforms that FROM sees."""

from __future__ import annotations

import pytest

from tests.unit.dockerfiles import ARMV7, bases, needs, platforms, refusal

DIGEST = f"sha256:{'0' * 64}"


class TestGlobalArguments:
    @pytest.mark.parametrize(
        ("text", "arguments", "expected"),
        [
            ("ARG V=1\nFROM a:$V\n", {}, "a:1"),
            ("ARG V=1\nFROM a:$V\n", {"V": "2"}, "a:2"),
            ("ARG V\nFROM a:${V:-1}\n", {}, "a:1"),
            ("ARG V\nFROM a:${V:-1}\n", {"V": "2"}, "a:2"),
            ("ARG V\nARG V=1\nFROM a:$V\n", {}, "a:1"),
            ("ARG V=1 W=${V}2\nFROM a:$W\n", {}, "a:12"),
            ("ARG V=1 W=${V}2\nFROM a:$W\n", {"V": "3"}, "a:32"),
            ("ARG V='1' W=\"2\"\nFROM a:$V$W\n", {}, "a:12"),
            ("FROM a:${V:-1}\n", {"V": "2"}, "a:1"),
            ("ARG B\nFROM ${B:-alpine}\n", {}, "alpine"),
            ("FROM a-$TARGETARCH\n", {}, "a-arm64"),
            ("FROM a-$TARGETOS-$BUILDARCH\n", {}, "a-linux-amd64"),
            ("FROM a-$TARGETARCH\n", {"TARGETARCH": "x"}, "a-x"),
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

    @pytest.mark.parametrize("word", ["linux/386", "windows/amd64", "linux/amd64/v3"])
    def test_unknown_but_not_needed(self, word: str) -> None:
        """A platform that archway does not know is no matter in a stage that is not needed."""
        text = f"FROM --platform={word} a AS other\nFROM b AS last\n"

        assert bases(needs(text)) == ["b"]
        assert f":1: {word!r} is no platform that archway knows" in refusal(text, stage="other")

    def test_empty_and_not_needed(self) -> None:
        """A platform that is empty, or has no meaning, is a mistake everywhere: BuildKit refuses it as well."""
        told = refusal("FROM --platform=$P a AS b\nFROM --platform=${P:?say} a AS c\nFROM d\n")

        assert "hive/Dockerfile:1: --platform=$P is empty" in told
        assert "hive/Dockerfile:2: ${P:?say} has no meaning: P: say" in told


class TestAutomaticArguments:
    """Each was tried with BuildKit 0.13 (docker.io 26.1.5)."""

    @pytest.mark.parametrize("text", ["ARG TARGETARCH\n", "ARG V=1\nARG W BUILDPLATFORM\n", "ARG TARGETVARIANT\n"])
    def test_emptied(self, text: str) -> None:
        """An automatic argument that is declared before the first FROM is empty there: the line is to go."""
        told = refusal(f"{text}FROM a\n", arguments={"TARGETARCH": "arm64"})

        assert f"hive/Dockerfile:{text.count(chr(10))}: ARG " in told
        assert "makes it empty in BuildKit up to 0.14\n  remove this line: BuildKit sets it by itself" in told

    @pytest.mark.parametrize("value", ["amd64", "''", "", "$BUILDARCH"])
    def test_global_default(self, value: str) -> None:
        """A default of an automatic argument wins over the platform that is built for, for every stage (B4)."""
        told = refusal(f"ARG TARGETARCH={value}\nFROM a-$TARGETARCH\n")

        assert told.startswith("hive/Dockerfile:1: the default of TARGETARCH wins over the platform that BuildKit")
        assert "  remove this line" in told

    @pytest.mark.parametrize("line", ["ARG TARGETARCH=amd64", "ARG A B=1 TARGETARCH=''", "onbuild arg TARGETARCH=x"])
    def test_default_in_a_stage(self, line: str) -> None:
        """A default of an automatic argument wins in its stage as well, even an empty one, or one of ONBUILD (B4)."""
        told = refusal(f"FROM a\nRUN x\n{line}\nFROM b\n")

        assert told.startswith("hive/Dockerfile:3: the default of TARGETARCH wins over the platform that BuildKit")
        assert "  write ARG TARGETARCH, without a default" in told

    def test_right(self) -> None:
        """In a stage an automatic argument is declared without a default, and other names may have one."""
        assert bases(needs("ARG TARGET=x\nFROM a\nARG TARGETARCH TARGETVARIANT\nARG TARGET_DEBIAN=x\n")) == ["a"]

    @pytest.mark.parametrize("text", ["ARG V=1\nARG V\n", "ARG A\nARG V=1 V\n", "ARG V=\nARG V\n"])
    def test_default_taken_back(self, text: str) -> None:
        """A second ARG without a default empties the first one's in one BuildKit and not in the next."""
        told = refusal(f"{text}FROM a:$V\n", arguments={"V": "2"})

        assert told.startswith("hive/Dockerfile:2: ARG V without a default, after one with: BuildKit 0.13 makes it")

    def test_declared_twice_in_a_stage(self) -> None:
        """In a stage a second ARG without a default changes nothing in any BuildKit."""
        assert bases(needs("FROM a\nARG V=1\nARG V\n")) == ["a"]
