"""Whatever Dockerfile can be read can be held to the rules, in time, and in step with what a build would do."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archway.dockerfile import Dockerfile, parse, resolve
from archway.errors import MetadataError
from archway.lint import lint
from archway.rules import RULES
from archway.verify.findings import Report
from tests.unit.dockerfiles import AMD64, ARM64

SETTINGS = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PIECES = [
    *(
        "RUN ",
        "COPY ",
        "ENV ",
        "ARG ",
        "ONBUILD ",
        "LABEL ",
        "ADD ",
        "FROM ",
        "--platform=",
        "--from=",
        "--mount=from=",
    ),
    *(" ", "\n", "\\\n", "#", "<<E", "\nE\n", "'", '"', "`", "$", "${", "$(", "}", ")", "(", ":-", "=", ";", "&&", "|"),
    *(
        "TARGETARCH",
        "BUILDPLATFORM",
        "$BUILDARCH",
        "linux/amd64",
        "x64",
        "-arm64.zip",
        "https://",
        "uname -m",
        "a",
        "b",
    ),
    *(
        "case ",
        " in ",
        " esac",
        "[",
        "]",
        '["a", "b"]',
        "\n# archway: allow ",
        "uname",
        "target-run",
        ": x\n",
        ",",
        "AS ",
    ),
]


def checked(dockerfile: Dockerfile) -> Report:
    return lint(dockerfile, source="Dockerfile", builder=False)


@SETTINGS
@given(pieces=st.lists(st.sampled_from(PIECES) | st.text(max_size=2), max_size=30), builder=st.booleans())
def test_never_fails(pieces: list[str], builder: bool) -> None:
    """A text is no Dockerfile, or has a report whose findings stand on its lines."""
    text = "ARG b\nFROM a\n" + "".join(pieces)
    try:
        dockerfile = parse(text, "Dockerfile")
    except MetadataError:
        return
    report = lint(dockerfile, source="Dockerfile", builder=builder)

    assert all(finding.line and 0 < finding.line <= text.count("\n") + 1 for finding in report.findings)
    assert all(RULES[finding.rule] and finding.found and finding.source for finding in report.findings)


LONG = [
    "$",
    "${",
    "$(",
    "`",
    "'",
    '"',
    "(",
    ")",
    "\\ ",
    "${X:-",
    "1",
    "amd64 ",
    "-x64",
    "https://x64?",
    "case x in a) ",
]
BASE = st.sampled_from(["scratch", "image", "s0", "s1", "s2", "s3"])
WHERE = st.sampled_from(["", "--platform=$BUILDPLATFORM ", "--platform=$TARGETPLATFORM "])
INSIDE = st.lists(
    st.sampled_from(["RUN x", "RUN --mount=from=s1,target=/x y", "COPY --from=s0 /x /x", "COPY --from=2 /x /x",
                     "COPY --from=s3 /x /x", "ONBUILD RUN z", "ONBUILD COPY --from=s1 /x /x", "USER x"]),
    max_size=3,
)  # fmt: skip


@SETTINGS
@given(stages=st.lists(st.tuples(WHERE, BASE, INSIDE), min_size=1, max_size=5))
def test_agrees_with_builds(stages: list[tuple[str, str, list[str]]]) -> None:
    """The RUNs that are found are those that a build for another platform emulates."""
    text = "".join(
        "\n".join([f"FROM {where}{base} AS s{index}", *inside, ""])
        for index, (where, base, inside) in enumerate(stages)
    )
    dockerfile = parse(text, "Dockerfile")
    try:
        runs = resolve(dockerfile, arguments={}, target=ARM64, build=AMD64).foreign_runs
    except MetadataError:
        checked(dockerfile)
        return

    assert sorted({run.number for run in runs}) == [
        finding.line for finding in checked(dockerfile).findings if finding.rule == "target-run"
    ]


@pytest.mark.parametrize("piece", LONG)
@pytest.mark.parametrize("start", ["RUN ", "ENV A=", "COPY a", "LABEL a="])
def test_takes_no_long_time(piece: str, start: str) -> None:
    """A line as long as lines can be takes no longer than many short ones."""
    try:
        dockerfile = parse(f"FROM a\n{start}{piece * (60_000 // len(piece))} /x\n", "Dockerfile")
    except MetadataError:
        return
    begin = time.process_time()
    checked(dockerfile)

    assert time.process_time() - begin < 5


def test_many_stages_and_exceptions() -> None:
    """A long Dockerfile takes time by its length."""
    stages = "".join(f"FROM a AS s{n}\nARG A{n}\nENV B=$A{n}\n" for n in range(1000))
    text = stages + "# archway: allow target-run: x\nRUN x\n" * 1000
    begin = time.process_time()
    report = checked(parse(text, "Dockerfile"))

    assert (len(report.findings), len(report.used)) == (0, 1000)
    assert time.process_time() - begin < 10
