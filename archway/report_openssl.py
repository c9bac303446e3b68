"""Prints what was found out about OpenSSL."""

from __future__ import annotations

from collections.abc import Sequence

from archway import log
from archway.errors import ArchwayError
from archway.openssl import IMPOSSIBLE, Answer, rows, write
from archway.openssl_request import OpensslRequest


def print_answers(request: OpensslRequest, answers: Sequence[Answer]) -> None:
    """Print the verdicts or the change, or make it.

    :raises ArchwayError: ``--check``: something is left to do; or vendoring is impossible somewhere
    """
    for answer in answers:
        for verdict in answer.verdicts:
            if verdict.chain:
                log.note(f"{answer.subject.name} {verdict.platform.tag}: {' → '.join(verdict.chain)}")
    if request.write:
        for answer in answers:
            for path in write(answer):
                log.done(f"{path}: written")
            if not answer.edits:
                log.done(f"{answer.subject.name}: nothing to change")
    if request.json:
        log.print_json([answer.as_json() for answer in answers])
    elif request.write:
        return  # the verdicts are those of before
    elif request.diff:
        print("".join(answer.diff() for answer in answers), end="")
    else:
        log.data.print(log.table("", ["project", "platform", "OpenSSL", "because"], rows(answers)))
    _conclude(request, answers)


def _conclude(request: OpensslRequest, answers: Sequence[Answer]) -> None:
    impossible = [answer.subject.name for answer in answers for v in answer.verdicts if v.state == IMPOSSIBLE]
    if impossible and not request.undo:
        raise ArchwayError(
            f"OpenSSL cannot be vendored in {', '.join(dict.fromkeys(impossible))}",
            hint='mend the reason above, or link Debian\'s: [cargo] openssl = "system"',
        )
    if request.check and (left := [answer.subject.name for answer in answers if answer.open]):
        raise ArchwayError(
            f"OpenSSL is not vendored by the files of {', '.join(left)}",
            why="their builds do it in a copy, with the OpenSSL that rust-builder/image.toml names",
            hint="to have it in Cargo.toml and Cargo.lock: the same command with --write instead of --check",
        )
