"""Talk to the person at the terminal: always on stderr, so that stdout holds nothing but data.

Rich decides about colours and terminals (``NO_COLOR``, ``TERM=dumb``, pipes).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

talk = Console(stderr=True, highlight=False, soft_wrap=True)
data = Console(highlight=False, soft_wrap=True)


def note(message: str) -> None:
    """Say something that needs no attention."""
    talk.print(Text(message))


def warn(message: str) -> None:
    """Say something that deserves attention and stops nothing."""
    talk.print(Text("! ", style="yellow"), Text(message), sep="")


def error(message: str) -> None:
    """Say what went wrong."""
    talk.print(Text("✗ ", style="bold red"), Text(message), sep="")


def done(message: str) -> None:
    """Say that a piece of work is finished."""
    talk.print(Text("✓ ", style="green"), Text(message), sep="")


class Progress(Protocol):
    """Tells how far a piece of long work has come."""

    def __call__(self, detail: str, /) -> None: ...


@contextmanager
def step(title: str) -> Iterator[Progress]:
    """Show a piece of long work: a moving line on a terminal, one plain line elsewhere.

    The caller says how it ended (:func:`done`, or an error that is raised).
    """
    if not talk.is_terminal:
        note(f"· {title}")
        yield lambda _detail: None
        return
    spinner = Spinner("dots", text=Text(title))
    with Live(spinner, console=talk, transient=True, refresh_per_second=8):
        yield lambda detail: spinner.update(text=Text(f"{title}  {detail}", overflow="ellipsis", no_wrap=True))


def wide(made: Table) -> None:
    """Print a table as data, as wide as it is: a digest that is broken in pieces cannot be copied."""
    Console(highlight=False, width=400).print(made)


def print_json(document: object) -> None:
    """Print data for scripts on stdout, as it is: nothing is coloured or broken into lines."""
    data.print(Text(json.dumps(document, indent=2)))


def table(title: str, columns: list[str], rows: list[list[str]]) -> Table:
    """A plain table; print it with ``data.print``."""
    made = Table(title=title or None, box=None, title_justify="left", header_style="bold", pad_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made
