"""What a Dockerfile says that goes wrong on another platform, found before anything is built.

    shell       the commands and variables of a RUN
    layout      the stages, as builds for different platforms see them
    arguments   arg-default, arg-scope
    stages      final-platform, platform-constant, target-run
    names       arch-word
    machine     uname
    allow       exceptions in comments: allow-unused, allow-malformed

Nothing is asked of a registry or an engine here.
"""

from __future__ import annotations

from archway.dockerfile import Dockerfile
from archway.lint import allow, arguments, machine, names, stages
from archway.lint.layout import Layout
from archway.rules import Subject
from archway.verify.findings import Report

__all__ = ["lint"]

_CHECKS = (
    arguments.check_defaults,
    arguments.check_scope,
    stages.check_final,
    stages.check_constant,
    stages.check_runs,
    names.check,
    machine.check,
)


def lint(dockerfile: Dockerfile, *, source: str, builder: bool, declared: frozenset[str] = frozenset()) -> Report:
    """Hold a Dockerfile to the rules.

    :param source: what messages call it: ``products/hive/Dockerfile``
    :param builder: the image is only used in build stages, and so always for the machine's own platform
    :param declared: the arguments that archway gives beside BuildKit's own
    """
    layout = Layout.of(dockerfile, source=source, builder=builder, declared=declared)
    exceptions, malformed = allow.read(dockerfile, source)
    found = (finding for check in _CHECKS for finding in check(layout))
    stay, used = allow.settle(found, exceptions, source=source)
    return Report(
        name=source,
        subject=Subject.DOCKERFILE,
        source=source,
        findings=tuple(sorted((*stay, *malformed), key=lambda finding: finding.line or 0)),
        used=used,
    )
