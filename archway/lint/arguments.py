"""Rules of build arguments: arg-default, arg-scope."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from archway.dockerfile import Instruction, Stage
from archway.dockerfile.words import WordError, expand
from archway.lint.layout import AUTOMATIC, Layout
from archway.lint.shell import is_shell, read_run
from archway.verify.findings import Finding

_PROXIES = frozenset(
    form for word in ("HTTP", "HTTPS", "FTP", "NO", "ALL") for form in (f"{word}_PROXY", f"{word}_PROXY".lower())
)
_ALWAYS_SET = _PROXIES | {"HOME", "HOSTNAME", "PATH", "PWD", "SHELL"}
_EXPANDED = frozenset(["ADD", "COPY", "ENV", "EXPOSE", "LABEL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR", "ARG"])


def check_defaults(layout: Layout) -> Iterator[Finding]:
    """The default of an argument that the build gives wins over what it gives."""
    for instruction in layout.dockerfile.instructions:
        found = instruction.trigger or instruction
        for name, default in found.assignments if found.keyword == "ARG" else ():
            if default is not None and (name in AUTOMATIC or name in layout.declared):
                yield Finding(
                    rule="arg-default",
                    found=f"ARG {name}={default[:80]}",
                    expected=f"ARG {name}, without a default",
                    source=layout.source,
                    line=instruction.line,
                )


def check_scope(layout: Layout) -> Iterator[Finding]:
    """A name that stands for an empty text, as its ARG is elsewhere."""
    yield from _check_global(layout)
    names = _names(layout)
    scopes: list[_Scope] = []
    for stage in layout.stages:
        scope = _Scope([scopes[base] for base in layout.bases(stage.index)])
        scopes.append(scope)
        yield from _check_stage(layout, stage, scope, names)


class _Scope(Mapping[str, str]):
    """The names that a stage knows so far: its own, and those of the stages below it. All have the value x."""

    def __init__(self, below: Iterable[Mapping[str, str]] = ()) -> None:
        self._below = tuple(below)
        self._own: set[str] = set()

    def add(self, names: Iterable[str]) -> None:
        self._own.update(names)

    def __getitem__(self, name: str) -> str:
        waiting: list[Mapping[str, str]] = [self]
        seen: set[int] = set()
        while waiting:
            scope = waiting.pop()
            if id(scope) in seen or not isinstance(scope, _Scope):
                continue
            if name in scope._own:
                return "x"
            seen.add(id(scope))
            waiting += scope._below
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)


def _names(layout: Layout) -> frozenset[str]:
    """The names that are arguments for sure. Any other may be a variable of the base image."""
    declared = {
        name
        for instruction in layout.dockerfile.instructions
        for found in (instruction.trigger or instruction,)
        if found.keyword == "ARG"
        for name, _ in found.assignments
    }
    return (AUTOMATIC | layout.declared | declared) - _ALWAYS_SET


def _check_global(layout: Layout) -> Iterator[Finding]:
    """FROM and the arguments before it know each other, and the automatic ones."""
    scope = _Scope()
    scope.add(AUTOMATIC | _PROXIES)
    for instruction in layout.arguments:
        for name, default in instruction.assignments:
            yield from _findings(layout, instruction.line, _unset([default or ""], scope, instruction.escape), "")
            scope.add([name])
    for stage in layout.stages:
        words = [stage.base, stage.platform or ""]
        yield from _findings(layout, stage.line, _unset(words, scope, layout.dockerfile.escape), "")


def _check_stage(layout: Layout, stage: Stage, scope: _Scope, names: frozenset[str]) -> Iterator[Finding]:
    where = f"in {stage.title}"
    posix = True
    for instruction in stage.instructions:
        found = instruction.trigger or instruction
        unset: list[str] = []
        if found.keyword == "SHELL":
            posix = is_shell(next(iter(found.exec_form or ()), ""))
        elif found.keyword == "RUN":
            unset = _unset(found.flag("mount"), scope, found.escape)
            if posix and found.exec_form is None:
                unset += _unset_in_shell(found, scope)
        elif found.keyword in _EXPANDED:
            unset = _unset(_texts(found), scope, found.escape)
        yield from _findings(layout, instruction.line, [name for name in unset if name in names], where)
        if found.keyword in ("ARG", "ENV"):
            scope.add(name for name, _ in found.assignments)


def _unset_in_shell(instruction: Instruction, scope: _Scope) -> list[str]:
    """A script that another text can set variables of is held to the automatic arguments only."""
    shell = read_run(instruction)
    unset = [name for name in shell.used if name not in shell.assigned and name not in scope]
    return [name for name in unset if name in AUTOMATIC] if shell.sources else unset


def _texts(instruction: Instruction) -> Iterator[str]:
    """What BuildKit replaces variables in. COPY --from knows none at all, which the planner refuses."""
    yield from (value for name, value in instruction.flags if name != "from")
    if instruction.keyword in ("ARG", "ENV", "LABEL"):
        for name, value in instruction.assignments:
            yield from (name, value or "") if instruction.keyword == "LABEL" else (value or "",)
    else:
        yield from instruction.words
    yield from (heredoc.content for heredoc in instruction.heredocs if heredoc.expand)


def _unset(texts: Iterable[str], scope: Mapping[str, str], escape: str) -> list[str]:
    """The names in texts that are not known, apart from those with a default: ${NAME:-default}."""
    unset: list[str] = []
    for text in texts:
        if "$" in text:
            try:
                unset += expand(text, scope, escape=escape).unset
            except WordError:  # the planner, or BuildKit, refuses it
                continue
    return unset


def _findings(layout: Layout, line: int, names: Iterable[str], where: str) -> Iterator[Finding]:
    for name in dict.fromkeys(names):
        yield Finding(
            rule="arg-scope",
            found=f"${name[:80]}, which is not declared {where or 'before the first FROM'}",
            expected=f"ARG {name[:80]} {'above, in the same stage' if where else 'before the first FROM'}",
            source=layout.source,
            line=line,
        )
