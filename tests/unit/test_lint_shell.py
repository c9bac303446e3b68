"""What is read of the shell text of a RUN."""

from __future__ import annotations

import pytest

from archway.dockerfile import parse
from archway.lint.shell import Shell, read_run


def read(script: str) -> Shell:
    return read_run(parse(f"FROM a\nRUN {script}\n", "x").instructions[1])


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("a b && c || d; e & f | g", ["a b", "c", "d", "e", "f", "g"]),
        ("a \"b c\" 'd e' f\\ g", ["a b c d e f g"]),
        ('a "$(b "c d")" e', ["b c d", "a $() e"]),
        ("a `b c` d", ["b c", "a $() d"]),
        ("(a; b) && c", ["a", "b", "c"]),
        ("if a; then b; elif ! c; then d; else e; fi", ["a", "b", "c", "d", "e"]),
        ("for x in a b; do c; done; while d; do e; done", ["for x in a b", "c", "d", "e"]),
        ("case $x in a|b) c ;; (d) e;; *) f; esac; g", ["case ${x} in", "c", "e", "f", "g"]),
        ("x=$(case a in b) c;; esac) d", ["case a in", "c", "x=$() d"]),
        ("f() { a; }; f", ["f", "a", "f"]),
        ("a 2>&1 >/dev/null && b", ["a 2 1 /dev/null", "b"]),
        ("a ${x:-b; c} d", ["a ${x}b; c d"]),
        ('a "${x:-"b; c"}" d', ["a ${x}b; c d"]),
        ("a $((1 + (2))) && b", ["2", "1 +", "a $()", "b"]),
        ("a # b; c", ["a"]),
        ("a#b", ["a#b"]),
        ("<<E\na\\\n b # c\nd\nE", ["E", "a b", "d"]),
        ('["a", "b; c"]', ["a b; c"]),
        ("a 'b", ["a b"]),
        ('a "b $(c', ["c", "a b $()"]),
        ("a ${b", ["a ${b}"]),
        ("a) b;; esac", ["a", "b"]),
    ],
)
def test_commands(script: str, expected: list[str]) -> None:
    """A text is split where the shell begins a new command, and nowhere else."""
    assert expected == [" ".join(command.words) for command in read(script).commands]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("a b", ("a", "b")),
        ("X=1 Y=2 sudo env Z=3 /usr/bin/a b", ("a", "b")),
        ("X=1", ()),
    ],
)
def test_call(script: str, expected: tuple[str, ...]) -> None:
    """What is called stands after assignments and the programs that only call another one."""
    assert expected == read(script).commands[0].call


def test_variables() -> None:
    """Variables with a default are not told, nor what is no variable for the shell."""
    shell = read('a $A "$B" \'$C\' \\$D ${E} ${F:-1} ${G%x} ${H:=1} ${I?} ${#J} $1 $$ "${K:-$L}" $((M + $N)) # $O')

    assert list(shell.used) == ["A", "B", "E", "G", "J", "L", "N"]


def test_assigned() -> None:
    """Variables get values by assignments, loops, and the commands that set some."""
    shell = read("A=1 B+=2; export C=3 D; for E in x; do read -r F G; done; make H=1; : ${I:=1} J=2; local K; x L=1")

    assert sorted(shell.assigned) == ["A", "B", "C", "D", "E", "F", "G", "I", "K"]
