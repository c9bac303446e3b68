"""The rules of Dockerfiles: what each finds, on which line, and what it leaves alone."""

from __future__ import annotations

import pytest

from archway.dockerfile import Dockerfile, parse
from archway.inputs import platform_words
from archway.lint import lint
from archway.platforms import Platform
from archway.rules import RULES, Subject

Found = list[tuple[str, int | None]]
DECLARED = frozenset(
    name for prefix in ("TARGET", "BUILD") for name in platform_words(prefix, Platform.parse("linux/arm64"))
)


def found(text: str, *, builder: bool = False, without: tuple[str, ...] = ("target-run",)) -> Found:
    """The rules and lines of what is found. target-run is left out, but in its own tests."""
    report = lint(parse(text, "hive/Dockerfile"), source="hive/Dockerfile", builder=builder, declared=DECLARED)
    return [(finding.rule, finding.line) for finding in report.findings if finding.rule not in without]


def rows(rule: str, *texts: tuple[str, list[int]]) -> list[tuple[str, Found]]:
    return [(text, [(rule, line) for line in lines]) for text, lines in texts]


BUILD = "FROM --platform=$BUILDPLATFORM a AS b\n"
END = "FROM a\nCOPY --from=b /x /x\n"

DEFAULTS = rows(
    "arg-default",
    ("FROM a\nARG TARGETARCH=amd64\n", [2]),  # Vaultwarden-API #47
    ("FROM a\nARG TARGETARCH\n", []),
    ("ARG BUILDPLATFORM=linux/amd64\nFROM --platform=$BUILDPLATFORM a AS b\nFROM a\n", [1]),
    ("FROM a\nARG X=1 TARGET_UNAME=x86_64 Y\nARG BUILD_DEBIAN=\n", [2, 3]),
    ("FROM a\nONBUILD ARG TARGETOS=linux\n", [2]),
    ("FROM a\nARG TARGETS=amd64,arm64\nARG BUILD_NUMBER=1\n", []),
)
SCOPE = rows(
    "arg-scope",
    ("FROM a:$V\n", [1]),
    ("FROM a:${V:-1}\nFROM a:${V-1}${V:+-x}\n", []),
    ("ARG V=1\nFROM a:$V\nFROM --platform=$BUILDPLATFORM b:${V}\nFROM --platform=$TARGETPLATFORM c\n", []),
    ("FROM a AS b\nARG V=1\nFROM a:$V\n", [3]),
    ("FROM --platform=$TARGET_UNAME a AS b\nFROM a\n", [1]),
    ("ARG A=$B\nARG B=1\nFROM a:$A$HTTP_PROXY\n", [1]),
    ("ARG V=1\nFROM a\nLABEL version=$V\n", [3]),
    ("ARG V=1\nFROM a\nARG V\nLABEL version=$V x=$UNKNOWN\nENV Z=$JAVA_HOME\n", []),
    ("ARG V=1\nFROM a\nENV X=$V\nARG V\nENV Y=$V\n", [3]),
    ("ARG V=1\nFROM a\nARG V=$V\n", [3]),
    ("ARG V=1\nFROM a AS b\nARG V\nFROM b AS c\nFROM c\nWORKDIR /$V\n", []),
    ("ARG V=1\nFROM a AS b\nARG V\nFROM a\nCOPY --from=b /$V /x\nUSER $V\n", [5, 6]),
    ("ARG V=1\nFROM a\nENV V=2\nEXPOSE $V\n", []),
    ('ARG V=1\nFROM a\nCMD echo $V\nENTRYPOINT ["$V"]\nHEALTHCHECK CMD $V\n', []),
    ("ARG V=1\nFROM a\nLABEL x='$V' y=\\$V z=\"\\$V\" w=${V:-0}\n", []),
    ("ARG V=1\nFROM a\nONBUILD COPY $V /x\nONBUILD ARG V\nONBUILD USER $V\n", [3]),
    ("ARG U=1\nFROM a\nCOPY --chown=$U x /x\nRUN --mount=type=cache,target=/$U true\n", [3, 4]),
    ("FROM a\nCOPY <<E <<'F' /x/\n$TARGETARCH\nE\n$TARGETOS\nF\n", [2]),
    ("FROM a\nRUN echo $TARGETARCH\n", [2]),
    ("FROM a\nARG TARGETARCH\nRUN echo $TARGETARCH\n", []),
    ("FROM a AS b\nARG TARGETARCH\nFROM a\nRUN curl https://x/${TARGETARCH}\n", [4]),
    ("ARG V=1\nFROM a\nRUN V=2 && echo $V\nRUN export V=$(x); echo $V\nRUN for V in 1 2; do echo $V; done\n", []),
    ("ARG V=1\nFROM a\nRUN x | while read -r A V; do echo $V; done\nRUN echo ${V:=1} $V\nRUN y ${V-1} ${V:?no}\n", []),
    ("ARG V=1\nFROM a\nRUN make V=$V\n", [3]),
    ("ARG V=1\nFROM a\nRUN echo '$V' \\$V \"\\$V\" \"'$V'\"\n", [3]),
    ("ARG V=1\nFROM a\nRUN echo '$V' \\$V \"\\$V\" $$V\n", [3]),
    ("ARG V=1\nFROM a\nRUN echo ${V%.*} # $Z\nRUN true # $V\nRUN echo ${#V}\n", [3, 5]),
    ('ARG V=1\nFROM a\nRUN ["echo", "$V"]\n', []),
    ("ARG V=1\nFROM a\nRUN . /etc/os-release; echo $V $TARGETOS\n", [3]),
    ("ARG V=1\nFROM a\nRUN <<E\necho $V\nE\nRUN <<'E'\necho $V\nE\n", [3, 6]),
    ("ARG V=1\nFROM a\nRUN cat <<E >/x\nit's '$V'\nE\nRUN cat <<'E' >/x\n$V\nE\n", [3]),
    ('ARG V=1\nFROM a\nSHELL ["pwsh", "-c"]\nRUN echo $V\n', []),
    ("ARG PATH=/x\nFROM a\nENV PATH=/y:$PATH\n", []),
    ("FROM dl-$V AS x\n", [1]),
    ("FROM a AS dl-amd64\nARG V=1\nFROM a AS dl-arm64\nARG V=1\nFROM dl-$TARGETARCH\nUSER $V\n", []),
)
FINAL = rows(
    "final-platform",
    ("FROM --platform=$BUILDPLATFORM golang AS b\nFROM --platform=$BUILDPLATFORM debian\n", [2]),  # loop #1211
    ("FROM --platform=linux/amd64 a\n", [1]),
    ("FROM --platform=${BUILDPLATFORM} a\n", [1]),
    ("FROM --platform=linux/$BUILDARCH a\n", [1]),
    ("FROM --platform=${BUILDPLATFORM:-linux/amd64} a\n", [1]),
    ("ARG P=linux/arm64\nFROM --platform=$P a\n", [2]),
    ("FROM --platform=$TARGETPLATFORM a\n", []),
    ("FROM --platform=$TARGETOS/$TARGETARCH a\n", []),
    ("FROM --platform=linux/${TARGETARCH}/$TARGETVARIANT a\n", []),
    ("ARG P\nFROM --platform=$P a\n", []),
    ("FROM --platform=$BUILDPLATFORM a AS b\nFROM b AS c\nFROM c\n", [1]),
    ("FROM a AS b\nFROM --platform=$BUILDPLATFORM b\n", []),  # BuildKit heeds it for images only
    ("FROM --platform=$BUILDPLATFORM scratch\n", []),
    ("FROM --platform=linux/amd64 a AS t-amd64\nFROM --platform=linux/arm64 a AS t-arm64\nFROM t-$TARGETARCH\n", []),
    ("FROM --platform=linux/amd64 a AS t-amd64\nFROM --platform=linux/amd64 a AS t-arm64\nFROM t-$TARGETARCH\n", [2]),
)
CONSTANT = rows(
    "platform-constant",
    ("FROM --platform=linux/amd64 a AS b\n" + END, [1]),
    ("FROM --platform=linux/amd64 a AS unused\nFROM a\n", [1]),
    ("ARG P=linux/amd64\nFROM --platform=$P a AS b\n" + END, [2]),
    ("FROM --platform=linux/riscv64/ a AS b\n" + END, [1]),
    ("FROM --platform=windows/amd64 a AS b\n" + END, [1]),
    (BUILD + END, []),
    ("FROM --platform=linux/amd64 a AS d-amd64\nFROM --platform=linux/arm64 a AS d-arm64\n"
     "FROM d-$BUILDARCH AS b\n" + END, []),
    ("FROM a AS s\nFROM --platform=linux/amd64 s AS b\n" + END, []),
)  # fmt: skip
NAMES = rows(
    "arch-word",
    ("FROM a\nADD https://x.org/s6-overlay-x86_64.tar.xz /tmp\n", [2]),  # s6-overlay #512
    ("FROM a\nADD https://x.org/s6-overlay-noarch.tar.xz /tmp\n", []),
    ("FROM a\nADD --checksum=sha256:00 https://x.org/linux/amd64/kubectl /k\n", [2]),
    ("FROM a\nCOPY lib/aarch64/x.so /lib/\n", [2]),
    ("FROM a\nCOPY --from=b:12-arm64 /x /x\n", [2]),
    ("FROM a AS dl-arm64\nFROM a\nCOPY --from=dl-arm64 /x /x\n", []),
    ("FROM a\nCOPY x64/y node-x64 max64 x64x /z/\n", [2]),
    ("FROM a\nCOPY max64 x64x linux64 /z/\n", []),
    ("FROM a\nCOPY app-amd64 app-arm64 /opt/\n", []),
    ("FROM a\nCOPY <<linux-amd64.txt /x\nhttps://x/y-amd64.tar.gz\nlinux-amd64.txt\n", []),
    ("FROM amd64/debian\n", [1]),
    ("FROM debian:12-amd64\n", [1]),
    ("FROM arm64v8/alpine:3\n", [1]),
    ("ARG BASE=debian:12-amd64\nFROM $BASE\n", [1]),
    ("FROM tool:$BUILDARCH\n", [1]),
    ("FROM tool:$TARGETARCH\n", []),
    ("FROM --platform=$BUILDPLATFORM tool:$BUILDARCH AS b\n" + END, []),
    ("FROM a\nENV JAVA_HOME=/usr/lib/jvm/java-17-openjdk-amd64\n", [2]),
    ('FROM a\nENV O="-Dx=/usr/lib/x86_64-linux-gnu/jni -Xmx1g"\n', [2]),
    ('FROM a\nENV D="for linux/amd64 only"\nENV E="amd64 or so"\n', []),
    ("FROM a\nENV CC_AARCH64_UNKNOWN_LINUX_GNU=aarch64-linux-gnu-gcc\n", []),
    ("FROM a\nARG ARCH=amd64\nARG NODE_ARCH=x64\nARG Z=x6\n", [2, 3]),
    ("FROM a\nENV GOARCH=arm64\n", [2]),
    ('FROM a\nLABEL description="the linux-amd64 image" title=hive-linux-amd64\n', []),
    ("FROM a\nLABEL architecture=x86_64\nLABEL url=https://x/y-amd64.tar.gz\n", [2, 3]),
    ("FROM a\nRUN curl -fL https://x/y-linux-x64.tar.gz | tar xz\n", [2]),
    ("FROM a\nRUN wget \"https://x/$V/y_${V}_amd64.deb\" && dpkg -i y.deb\n", [2]),
    ("FROM a\nRUN dpkg -i /tmp/y_1_arm64.deb\n", [2]),
    ("FROM a\nRUN apt-get install -y libc6:armhf\n", [2]),
    ("FROM a\nRUN apt-get install -y qemu-system-x86 gcc-aarch64-linux-gnu crossbuild-essential-arm64\n", []),
    ("FROM a\nRUN ln -s /usr/lib/x86_64-linux-gnu/libz.so /usr/lib/\n", [2]),
    ('FROM a\nRUN echo "deb [arch=amd64] https://x/debian stable main" >/etc/apt/sources.list.d/x.list\n', [2]),
    ("FROM a\nRUN GOARCH=amd64 go build\nRUN cargo build --target x86_64-unknown-linux-musl\n", [2, 3]),
    ("FROM a\nARG TARGETARCH\nRUN case \"$TARGETARCH\" in amd64) A=x64 ;; arm64) A=arm64 ;; esac"
     " && curl https://x/y-$A.tar.gz https://x/z-amd64.zip\n", []),
    ("FROM a\nARG TARGETARCH\nRUN if [ \"$TARGETARCH\" = amd64 ]; then curl https://x/y-x64.zip; fi\n", []),
    ("FROM a\nARG TARGETARCH\nRUN case $TARGETARCH in\\\n (amd64) curl https://x/y-x64.zip;;\\\n esac\n", []),
    ("FROM a\nRUN case \"$(dpkg --print-architecture)\" in \\\n amd64) u=https://x/y-x86_64.zip;; \\\n"
     " *) exit 1;; \\\n esac\n", []),
    ("FROM a\nRUN A=$(uname -m | sed 's/x86_64/amd64/') && curl https://x/$A.zip\n", []),
    ("FROM a\n# libraries of /usr/lib/x86_64-linux-gnu\nRUN true # https://x/amd64.zip\n", []),
    ("FROM a\nRUN cat <<E >/x\nhttps://x/y-amd64.zip\nE\n", []),
    ("FROM a\nRUN <<E\ncurl https://x/y-amd64.zip\nE\n", [2]),
    ("FROM a\nRUN <<E\n#!/usr/bin/env python3\nget('https://x/y-amd64.zip')\nE\n", []),
    ('FROM a\nRUN ["curl", "https://x/y-amd64.zip"]\n', [2]),
    ("FROM a\nADD https://x/y-windows-amd64.zip https://x/y-darwin-arm64.zip /dist/\n", []),
    ("FROM a\nONBUILD ADD https://x/y-amd64.zip /x\n", [2]),
    ("FROM a\nCMD curl https://x/y-amd64.zip\nWORKDIR /amd64\n", []),
    ("FROM a AS t-amd64\nADD https://x/t-amd64 /t\nFROM a AS t-arm64\n"
     "ADD https://x/t-arm64 /t\nFROM t-$TARGETARCH\n", []),
    ("FROM a\nARG BUILDARCH\nADD https://x/y-$BUILDARCH.zip /x\nCOPY a-${BUILDARCH:-b} /x\n", [3, 4]),
    ("FROM a\nARG BUILD_UNAME\nRUN curl https://x/y-${BUILD_UNAME}.zip; echo $BUILD_UNAME\nRUN y $BUILD_UNAME\n", [3]),
    (BUILD + "ARG BUILDARCH\nRUN curl https://x/y-$BUILDARCH.zip\n" + END, []),
)  # fmt: skip
UNAME = rows(
    "uname",
    (BUILD + "RUN curl https://x/y-$(uname -m).zip\n" + END, [2]),  # s6-overlay #617
    (BUILD + 'RUN A="$(uname -m)"; B=`arch`\n' + END, [2]),
    (BUILD + "RUN true && uname -sm\nRUN x | uname --machine\nRUN if arch; then uname -p; fi\n" + END, [2, 3, 4]),
    (BUILD + "RUN (uname -i)\nRUN f() { uname -m; }; f\nRUN X=1 sudo /bin/uname -m\n" + END, [2, 3, 4]),
    (BUILD + "RUN dpkg --print-architecture\nRUN rpm -E %{_arch}\nRUN apk --print-arch >/x\n" + END, [2, 3, 4]),
    (BUILD + "RUN <<E\nset -e\nuname -m\nE\nRUN cat <<E\n$(uname -m)\nE\n" + END, [2, 6]),
    (BUILD + 'RUN ["uname", "-m"]\nRUN ["sh", "-ec", "x=$(arch)"]\n' + END, [2, 3]),
    (BUILD + "RUN case $(uname -m) in x86_64) a;; esac\n" + END, [2]),
    (BUILD + "RUN case $X in a) uname -m;; esac\nRUN case $X in arch) a;; esac\n" + END, [2]),
    (BUILD + "RUN uname -sr; uname; arch -h; dpkg --print-foreign-architectures\n" + END, []),
    (BUILD + "RUN echo arch uname -m \"uname -m\" '$(uname -m)' \\$(uname -m) # $(arch)\n" + END, [2]),
    (BUILD + "RUN echo \"arch\" uname -m \"uname -m\" '$(uname -m)' # $(arch)\nRUN echo \"arch\"\n" + END, []),
    (BUILD + "RUN cat <<E\nuname -m\nE\nRUN cat <<'E'\n$(uname -m)\nE\n" + END, []),
    (BUILD + "RUN make arch=x ARCH=arch\n" + END, []),
    ("FROM a AS b\nRUN uname -m\n" + END, []),
    (BUILD + "FROM b AS c\nRUN arch\nFROM a\n", [3]),
)  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), [*DEFAULTS, *SCOPE, *FINAL, *CONSTANT, *NAMES, *UNAME])
def test_rule(text: str, expected: Found) -> None:
    """A rule finds what it is there for, on its line, and no rule finds anything else."""
    assert expected == found(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    rows(
        "target-run",
        ("FROM a\nRUN x\nRUN y\n", [2, 3]),
        (BUILD + "RUN x\n" + END, []),
        ("FROM a AS b\nRUN x\n" + END, [2]),
        ("FROM a AS b\nRUN x\nFROM a\n", []),
        ("FROM a AS b\nRUN x\nFROM a\nCOPY --from=0 /x /x\n", [2]),
        ("FROM a AS b\nRUN x\nFROM --platform=$BUILDPLATFORM c AS d\nRUN --mount=type=bind,from=b,target=/b y\n"
         "FROM a\nCOPY --from=d /x /x\n", [2]),
        ("FROM --platform=$BUILDPLATFORM a AS b\nFROM --platform=$TARGETPLATFORM b AS c\nRUN x\n"
         "FROM a\nCOPY --from=c /x /x\n", []),
        ("FROM a AS b\nONBUILD RUN x\nFROM b\n", [2]),
        ("FROM a\nONBUILD RUN x\n", []),
        ("FROM a:$V\nRUN x\n", [2]),
        ("FROM --platform=linux/amd64 a AS b\nRUN x\n" + END, []),
        ("FROM a AS t-amd64\nRUN x\nFROM a AS t-arm64\nRUN y\nFROM t-$TARGETARCH\n", [2, 4]),
    ),
)  # fmt: skip
def test_target_run(text: str, expected: Found) -> None:
    """A RUN is found where a build for another platform runs it under emulation."""
    assert expected == [one for one in found(text, without=()) if one[0] == "target-run"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("FROM --platform=$BUILDPLATFORM a\nRUN uname -m\n", []),
        ("FROM a\nRUN arch\nADD https://x/y-$BUILDARCH.zip /x\nARG BUILDARCH\n", [("arg-scope", 3)]),
        ("FROM --platform=linux/amd64 a\n", [("platform-constant", 1)]),
        ("FROM a\nADD https://x/y-amd64.zip /x\nARG TARGETARCH=amd64\n", [("arch-word", 2), ("arg-default", 3)]),
    ],
)
def test_builder_image(text: str, expected: Found) -> None:
    """A builder image is for the machine's own platform, so its RUNs are no matter, but names and constants are."""
    assert expected == found(text, builder=True, without=())


def test_all_rules() -> None:
    """Every rule of Dockerfiles is checked here, apart from those of images in registries and of exceptions."""
    checked = {one for _, expected in [*DEFAULTS, *SCOPE, *FINAL, *CONSTANT, *NAMES, *UNAME] for one, _ in expected}
    rules = {rule.id for rule in RULES.values() if rule.subject is Subject.DOCKERFILE}

    assert checked | {"target-run"} == {rule for rule in rules if not rule.startswith(("base-", "allow-"))}


def test_without_given_arguments() -> None:
    """Which arguments are given beside BuildKit's own is the caller's knowledge."""
    text = "FROM a\nARG TARGET_UNAME=x86\nARG TARGETOS=linux\n"
    report = lint(parse(text, "x"), source="x", builder=False)

    assert [(finding.rule, finding.line) for finding in report.findings] == [("arg-default", 3)]


def test_text() -> None:
    """A finding says what stands there and what should."""
    text = "ARG V=1\nFROM --platform=linux/amd64 a\nADD https://x/y-$V-aarch64.zip /x\nUSER $V\n"
    report = lint(parse(text, "hive/Dockerfile"), source="hive/Dockerfile", builder=False)

    assert [str(finding) for finding in report.findings] == [
        "final-platform: hive/Dockerfile:2: found --platform=linux/amd64 in the final stage,"
        " expected FROM without --platform",
        "arg-scope: hive/Dockerfile:3: found $V, which is not declared in stage-0,"
        " expected ARG V above, in the same stage",
        "arg-scope: hive/Dockerfile:4: found $V, which is not declared in stage-0,"
        " expected ARG V above, in the same stage",
    ]


@pytest.mark.parametrize("path", ["base", "bootstrap", "java-base", "java-builder", "products/hive"])
def test_own_dockerfiles(path: str, request: pytest.FixtureRequest) -> None:
    """The Dockerfiles of this monorepo are held to the rules."""
    dockerfile = Dockerfile.read(request.config.rootpath / path / "Dockerfile")
    report = lint(dockerfile, source=path, builder=path in ("bootstrap", "java-builder"), declared=DECLARED)

    assert report.findings == ()
