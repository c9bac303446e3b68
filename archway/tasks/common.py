"""What the tasks share: their options, and how an error ends a command.

The modules of tasks import what they call when they run, because Invoke imports them all to list them, and a list shall
not take a second.
"""

from __future__ import annotations

import errno
import functools
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from invoke.exceptions import Exit
from invoke.tasks import Task
from invoke.tasks import task as invoke_task

from archway import log
from archway.errors import ArchwayError, MachineError, NoSpaceError, UsageError

SELECTION = {
    "product": "a product, NAME or NAME=VERSION; several with commas or by repeating the option",
    "operator": "an operator, in the same way",
    "image": "any image, shared ones too, in the same way",
    "all_": "every image that is shipped",
    "registry": "the registry in the images' names",
    "organization": "the organization in the images' names",
    "release": "the monorepo's release in the images' tags",
}


def task(help: dict[str, str] | None = None, **options: Any) -> Callable[[Callable[..., None]], Task[Any]]:  # noqa: A002
    """Invoke's task, ending with a message and an exit code where archway knows the error, never with a traceback."""

    def decorate(body: Callable[..., None]) -> Task[Any]:
        @functools.wraps(body)
        def ended(*args: Any, **kwargs: Any) -> None:
            try:
                refuse_option_as_value(kwargs)
                signal.signal(signal.SIGTERM, _terminated)
                body(*args, **kwargs)
            except ArchwayError as failed:
                log.error(str(failed))
                raise Exit(code=failed.exit_code) from None
            except KeyboardInterrupt as stopped:
                log.error("interrupted; what was finished is whole, nothing half-done was kept")
                raise Exit(code=143 if isinstance(stopped, _Terminated) else 130) from None
            except OSError as failed:
                told = _told(failed)
                log.error(str(told))
                raise Exit(code=told.exit_code) from None

        # Letters that Invoke picks by itself would change as options come and go.
        made: Task[Any] = invoke_task(help=help or {}, auto_shortflags=False, **options)(ended)
        return made

    return decorate


def _told(failed: OSError) -> ArchwayError:
    """A file that could not be read or written, as an error that says what to do."""
    if failed.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpaceError("the disk is full", where=failed.filename, hint="free some room and run it again")
    what = f"cannot be read or written: {failed.strerror or failed}"
    return MachineError(what, where=failed.filename, hint="look at its owner and mode (sudo inv leaves files of root)")


class _Terminated(KeyboardInterrupt):
    """SIGTERM came: all is left as at Ctrl-C."""


def _terminated(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _Terminated


def refuse_option_as_value(options: dict[str, Any]) -> None:
    """Invoke takes what follows an option for its value, whatever it is: ``--product --help`` asks for ``--help``.

    :raises UsageError: a value looks like an option
    """
    for name, value in options.items():
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and text.startswith("-"):
                shown = name.rstrip("_").replace("_", "-")
                raise UsageError(f"--{shown} has no value, but {text!r} follows it", hint="for help: inv --help TASK")
