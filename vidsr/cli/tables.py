"""Tables and JSON on stdout, and quantities as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vidsr.errors import PipeClosed

PIPE_WIDTH = 240  # columns where stdout is not a terminal, so that a program reads whole lines


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Report the end of the reader; Rich itself would end the program with exit code 1."""
        raise PipeClosed("the reader of the standard output ended: let it read to the end")


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a table; the first column is aligned to the left, the others to the right."""
    table = Table(title=title or None, box=None, padding=(0, 2, 0, 0), title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*(Text(str(value)) for value in row))
    console = _Console(highlight=False)
    console.print(table, width=None if console.is_terminal else PIPE_WIDTH)


def print_json(value: object) -> None:
    """Print ``value`` as indented JSON."""
    print(json.dumps(value, indent=1, default=str))


def print_json_line(value: object) -> None:
    """Print ``value`` as JSON on one line, at once."""
    print(json.dumps(value, default=str), flush=True)


def bytes_text(size: int) -> str:
    """Return a size in MB or GB."""
    return f"{size / 1e6:.3g} MB" if size < 1e9 else f"{size / 1e9:.3g} GB"
