"""The rule arch-word: the word of one architecture, written out where a name has to follow the target's platform."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from archway.dockerfile import Instruction, Stage
from archway.dockerfile.words import SPACE
from archway.lint.layout import AUTOMATIC, Kind, Layout
from archway.lint.shell import Shell, read_run
from archway.platforms import TABLE, Platform
from archway.verify.findings import Finding

# What no column of the table has.
_MORE = {
    "linux/amd64": ("x86-64",),
    "linux/arm64": ("arm64v8",),
    "linux/arm/v7": ("armv7", "armv7hf", "arm32v7"),
    "linux/ppc64le": ("powerpc64le",),
}
_TOO_SHORT = ("arm", "ppc64")  # words of other things as well: arm-none-eabi
_WORDS = {
    word: names.oci
    for names in TABLE
    for word in (names.uname, names.debian, names.node, names.rust.partition("-")[0],
                 names.maven.removeprefix("linux-"), *_MORE.get(names.oci, ()))
    if word not in _TOO_SHORT
}  # fmt: skip
_LONG = "|".join(sorted((re.escape(word) for word in _WORDS if word != "x64"), key=len, reverse=True))
_ARCH = re.compile(
    rf"(?<![a-z0-9])(?:{_LONG}|(?<=[-_./])x64|x64(?=[-_./]))(?![a-z0-9])",
    re.IGNORECASE | re.ASCII,
)
_OTHER_SYSTEM = re.compile(r"windows|(?<![a-z])win(?:32|64)?[-_.]|darwin|macos|osx|freebsd", re.IGNORECASE)
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*:(?:amd64|arm64|armhf|ppc64el|s390x|riscv64)(?:=\S*)?", re.ASCII)
_ENDINGS = (
    ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz", ".tar.zst", ".zip", ".gz", ".xz", ".bz2", ".zst",
    ".deb", ".rpm", ".apk", ".jar", ".whl", ".bin", ".run", ".sh", ".appimage",
)  # fmt: skip
_BUILD = re.compile(r"\$\{?(BUILD(?:PLATFORM|ARCH|_UNAME|_DEBIAN|_RUST|_MAVEN|_NODE|_QEMU))\b", re.ASCII)
_SWITCHES = ("GOARCH", "CARGO_BUILD_TARGET")


def check(layout: Layout) -> Iterator[Finding]:
    """One finding an instruction at most. Stages for one platform may name it: other rules look at those."""
    for instruction in layout.arguments:
        yield from _check(layout, None, instruction, instruction.line)
    for stage in layout.stages:
        if layout.kinds[stage.index] is Kind.CONSTANT or stage.index in layout.selected:
            continue
        yield from _check_base(layout, stage)
        for instruction in stage.instructions:
            yield from _check(layout, stage, instruction.trigger or instruction, instruction.line)


def _check_base(layout: Layout, stage: Stage) -> Iterator[Finding]:
    if not layout.bases(stage.index):
        found = _literal([stage.base]) or _of_machine(layout, stage, [stage.base])
        if found:
            yield _finding(layout, *found, stage.line)


def _check(layout: Layout, stage: Stage | None, instruction: Instruction, line: int) -> Iterator[Finding]:
    names = list(_names(layout, stage, instruction))
    found = _literal(names)
    if not found or len(_mentioned(instruction)) > 1:
        takes = instruction.keyword in ("ADD", "COPY", "RUN")
        found = _of_machine(layout, stage, names) if stage and takes else None
    if found:
        yield _finding(layout, *found, line)


def _finding(layout: Layout, word: str, name: str, line: int) -> Finding:
    return Finding(
        rule="arch-word",
        found=word if word == name else f"{word} in {_around(name, word)}",
        expected="a build argument: TARGETARCH, TARGET_UNAME, TARGET_DEBIAN …",
        source=layout.source,
        line=line,
    )


def _around(name: str, word: str) -> str:
    """The name, or the part of a long one that has the word."""
    at = max(name.find(word) - 60, 0)
    return "…" * (at > 0) + " ".join(name[at : at + 120].split())


def _literal(names: Iterable[str]) -> tuple[str, str] | None:
    """The first word of an architecture, and the name that has it."""
    for name in names:
        if (found := _ARCH.search(name)) and not _OTHER_SYSTEM.search(name):
            return found[0], name
        if name.lower() in _WORDS:
            return name, name
    return None


def _of_machine(layout: Layout, stage: Stage, names: Iterable[str]) -> tuple[str, str] | None:
    """The first variable that has a word for the machine that builds where the target's is meant, and its name."""
    if layout.builder or layout.kinds[stage.index] is not Kind.TARGET:
        return None
    return next(((f"${found[1]}", name) for name in names if (found := _BUILD.search(name))), None)


def _mentioned(instruction: Instruction) -> set[str]:
    """The platforms whose words an instruction has anywhere: with two, it tells them apart itself."""
    texts = (instruction.value, *(heredoc.content for heredoc in instruction.heredocs))
    return {_WORDS.get(found[0].lower(), "") for text in texts for found in _ARCH.finditer(text)}


def _names(layout: Layout, stage: Stage | None, instruction: Instruction) -> Iterator[str]:
    """The words of an instruction that have to follow the target's platform."""
    match instruction.keyword:
        case "ADD" | "COPY":
            heredocs = {heredoc.name for heredoc in instruction.heredocs}
            stages = {found.name for found in layout.stages}
            yield from (word for word in instruction.flag("from") if word.lower() not in stages)
            yield from (word for word in instruction.words[:-1] if word.lstrip("<-\"'").rstrip("\"'") not in heredocs)
        case "RUN":
            yield from _names_of_run(read_run(instruction))
        case "ARG" | "ENV":
            for name, value in instruction.assignments:
                if not _speaks_for_itself(layout, name):
                    yield from _names_of_value((value or "").strip("\"'"), platforms=stage is not None)
        case "LABEL":
            for _, value in instruction.assignments:
                plain = (value or "").strip("\"'")
                if plain.lower() in _WORDS or (_is_download(plain) and not any(blank in plain for blank in SPACE)):
                    yield plain


def _speaks_for_itself(layout: Layout, name: str) -> bool:
    """CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER is for that architecture only; of TARGETARCH arg-default tells."""
    return name in AUTOMATIC | layout.declared or _ARCH.search(name) is not None


def _names_of_value(value: str, *, platforms: bool) -> Iterator[str]:
    """A name alone, or the paths and addresses of a longer text. A platform is for --platform, of which others tell."""
    words = value.split()
    if len(words) == 1 and (platforms or Platform.known(value) is None or "/" not in value):
        yield value
    elif len(words) > 1:
        yield from (word for word in words if "/" in word and Platform.known(word) is None)


def _names_of_run(shell: Shell) -> Iterator[str]:
    if _tells_apart(shell):
        return
    for command in shell.commands:
        before = ""
        for word in command.words:
            option, _, value = word.partition("=")
            if option in ("--target", *_SWITCHES):
                yield value
            elif before == "--target" or _is_download(word) or _PACKAGE.fullmatch(word) or "/lib/" in word:
                yield word
            before = word


def _tells_apart(shell: Shell) -> bool:
    """Whether the script asks for an architecture, and so has its word on purpose."""
    asked = (
        word for command in shell.commands if command.call[:1] in (("[",), ("[[",), ("test",)) for word in command.words
    )
    return any(_literal([word]) for word in (*shell.patterns, *asked))


def _is_download(word: str) -> bool:
    plain = word.partition("?")[0].partition("#")[0].lower()
    return "://" in word or plain.endswith(_ENDINGS)
