"""How errors read, and how they end a command."""

from __future__ import annotations

import errno

import pytest
from invoke.context import Context
from invoke.exceptions import Exit

from archway import errors
from archway.errors import ArchwayError, Location, MetadataError, Mistakes, UsageError, did_you_mean
from archway.tasks.common import refuse_option_as_value, task


def all_errors(error: type[ArchwayError] = ArchwayError) -> list[type[ArchwayError]]:
    below = [sub for sub in error.__subclasses__() if sub.__module__ == errors.__name__]
    return [error, *(found for sub in below for found in all_errors(sub))]


def test_parts_of_a_message() -> None:
    """Where and what come first, then why and what to do, each on lines of their own."""
    error = MetadataError("is wrong", where=Location("a/image.toml", 3), why="x\ny", hint="do z")

    assert str(error) == "a/image.toml:3: is wrong\n  x\n  y\n  do z"


def test_exit_codes_are_those_of_the_table() -> None:
    """The module's picture names the exit code of each cause, and no two causes of it share one."""
    codes = {error.__name__: error.exit_code for error in all_errors()}

    assert len(set(codes.values())) == len(codes)
    for name, code in codes.items():
        assert any(name in line and f" {code} " in f"{line} " for line in (errors.__doc__ or "").splitlines()), name


def test_mistakes_are_raised_together() -> None:
    """All mistakes of a file are one error."""
    mistakes = Mistakes()
    mistakes.check()
    mistakes.add("one", where="f:1")
    mistakes.add("two", where="f:2")

    with pytest.raises(MetadataError, match="f:1: one\nf:2: two"):
        mistakes.check()


def test_near_names_are_offered_and_else_all() -> None:
    """A slip gets the nearest names, anything else the list."""
    assert did_you_mean("hvie", ["hive", "kafka"]) == "did you mean hive?"
    assert did_you_mean("zzz", ["hive", "kafka"]) == "there is: hive, kafka"
    assert did_you_mean("x", []) == ""


def run(body: BaseException) -> Exit:
    @task()
    def failing(_context: Context) -> None:
        raise body

    with pytest.raises(Exit) as caught:
        failing(Context())
    return caught.value


@pytest.mark.parametrize("error", all_errors())
def test_every_error_ends_with_its_exit_code(error: type[ArchwayError], capsys: pytest.CaptureFixture[str]) -> None:
    """A command ends with the cause's exit code and its message on stderr; stdout stays empty."""
    ended = run(error("it failed", hint="mend it"))

    assert ended.code == error.exit_code
    out, err = capsys.readouterr()
    assert out == ""
    assert "it failed\n  mend it" in err


def test_interruption_ends_with_130() -> None:
    """Ctrl-C has the exit code that shells give it."""
    assert run(KeyboardInterrupt()).code == 130


def test_full_disk_is_told() -> None:
    """A disk that is full while we write a log is the same error as one that is full in a build."""
    assert run(OSError(errno.ENOSPC, "No space left on device", "x.log")).code == errors.NoSpaceError.exit_code


def test_option_as_a_value_is_refused() -> None:
    """Invoke would take --help for the product's name."""
    with pytest.raises(UsageError, match="--product has no value, but '--help' follows it"):
        refuse_option_as_value({"product": ["--help"]})
