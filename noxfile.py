"""What is run before a change is merged, and by the release engineer.

    lint       ruff and mypy
    tests      unit tests (seconds, no engine), registry tests (a real registry), engine tests (a real engine)
    verify     proof of all images that are built
    bench      the figures of docs/figures.md
    catalogue  everything that is shipped: built for every platform, proven and run

The logic is archway's; here are only commands.
"""

from __future__ import annotations

import nox

nox.needs_version = ">=2026.4"
nox.options.sessions = ["lint", "tests"]
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"

TESTS = ["unit", "registry", "engine"]
PROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, *groups: str) -> None:
    """Archway as ./inv installs it, with the locked packages, and the tools of some dependency groups."""
    session.install("--require-hashes", "-r", "requirements.txt")
    session.install("--no-deps", "--no-build-isolation", "-e", ".")
    if groups:
        session.install(*nox.project.dependency_groups(PROJECT, *groups))


@nox.session(tags=["static"])
def lint(session: nox.Session) -> None:
    """Ruff's rules and format, and mypy in strict mode."""
    install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Unit, registry and engine tests: `nox -s tests -- unit` for some of them, or any pytest options."""
    install(session, "test")
    parts = [word for word in session.posargs if word in TESTS] or TESTS
    options = [word for word in session.posargs if word not in TESTS]
    session.run("pytest", *(f"tests/{part}" for part in parts), *options)


@nox.session
def verify(session: nox.Session) -> None:
    """Proof of every image for every platform: `inv verify --all`, or with the options given after `--`."""
    install(session)
    session.run("inv", "verify", *(session.posargs or ["--all"]))


@nox.session
def catalogue(session: nox.Session) -> None:
    """Builds, proves and runs all images for every platform, hours from nothing; options after `--` go to each task."""
    install(session)
    for task in ("build", "verify", "test"):
        session.run("inv", task, "--all", "--arch", "all", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """The figures of this machine: hive and an operator, again and again; `-- catalogue`: every product."""
    install(session)
    session.run("python", "-m", "archway.bench", *session.posargs)
