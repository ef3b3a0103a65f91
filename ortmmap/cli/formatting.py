"""Sizes, ages, tables and progress, as every command prints them.

Tables and bars are rich's if rich is installed and the output is a terminal. Otherwise tables are
plain lines, which are never wrapped, and there is no bar.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from ortmmap.cache.sizes import readable as size

if TYPE_CHECKING:
    import rich.console
    import rich.table

__all__ = ["Console", "Table", "ago", "counted", "progress_of", "size", "write"]

# Columns that are aligned right.
NUMBERS = (
    *("bytes", "size", "share", "made", "used"),
    *("PID", "mapped", "resident", "shared", "private", "anonymous"),
)


class Console:
    """The standard output, with rich's console if there is one to use."""

    def __init__(self) -> None:
        self.is_terminal = sys.stdout.isatty()
        self.rich = _rich_console() if self.is_terminal else None

    def print(self, *tables: Table) -> None:
        """Print those of the tables that have rows."""
        for table in tables:
            if not table.rows:
                continue
            if self.rich is None:
                click.echo("\n".join(table.lines()))
            else:
                self.rich.print(table.as_rich(self.rich.width))


class Table:
    """A table of texts.

    Parameters
    ----------
    title : str
    columns : sequence of str
        The headings; columns of numbers are aligned right. Without headings it is a list of names
        and values.
    cut : str, optional
        The heading of a column that is cut off where the terminal ends, so that no other one need
        be folded.
    """

    def __init__(self, title: str, columns: Sequence[str] = (), cut: str | None = None) -> None:
        self.title = title
        self.cut = cut
        self.columns = list(columns)
        self.rows: list[list[str]] = []

    def add(self, *cells: str) -> None:
        """Add a row."""
        self.rows.append(list(cells))

    def lines(self) -> list[str]:
        """Return the table as lines of plain text, each row in one."""
        rows = [self.columns, *self.rows] if self.columns else self.rows
        widths = self._widths()
        lines = [self._line(row, widths) for row in rows]
        return ["", self.title, *lines] if self.title else lines

    def _line(self, row: list[str], widths: list[int]) -> str:
        cells = [
            cell.rjust(width) if self._is_number(index) else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    def _widths(self) -> list[int]:
        columns = zip(*([self.columns] if self.columns else []), *self.rows, strict=True)
        return [max(map(len, column)) for column in columns]

    def _is_number(self, index: int) -> bool:
        return bool(self.columns) and self.columns[index] in NUMBERS

    def as_rich(self, width: int) -> rich.table.Table:
        """Return the table as rich's, for a terminal; columns of text may be folded."""
        from rich import box, table
        from rich.text import Text

        made = table.Table(
            title=Text(self.title, style="bold") if self.title else None,
            title_justify="left",
            box=box.SIMPLE_HEAD if self.title else None,
            show_header=bool(self.columns),
            header_style="bold",
            pad_edge=False,
        )
        for index, heading in enumerate(self.columns or self.rows[0]):
            made.add_column(
                heading,
                justify="right" if self._is_number(index) else "left",
                no_wrap=self._is_number(index) or self.cut is not None,
                overflow="fold",
                style=None if self.columns or index else "dim",
            )
        for row in self._cut_rows(width):
            made.add_row(*map(Text, row))
        return made

    def _cut_rows(self, width: int) -> list[list[str]]:
        """Return the rows, with the column that may be cut as wide as there is room."""
        if self.cut is None:
            return self.rows
        at, widths = self.columns.index(self.cut), self._widths()
        room = max(width - sum(widths) + widths[at] - 3 * len(widths) + 1, len(self.cut))
        rows = [list(row) for row in self.rows]
        for row in rows:
            if len(row[at]) > room:
                row[at] = f"{row[at][: room - 1]}…"
        return rows


def ago(moment: float) -> str:
    """Return the time since `moment`, in seconds since the epoch, in one unit."""
    seconds = max(time.time() - moment, 0)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """Return a count with its noun: ``1 node``, ``2 nodes``."""
    return f"{count} {singular}" if count == 1 else f"{count} {plural or f'{singular}s'}"


def write(console: Console, text: str) -> None:
    """Print plain text: no markup, no highlighting, no wrapping."""
    if console.rich is None:
        click.echo(text)
    else:  # below a bar that is shown
        console.rich.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress_of(
    console: Console, text: str, total: int | None
) -> Iterator[Callable[[int], object]]:
    """Show a bar, or a spinner if the total is not known, and yield a function that advances it.

    Nothing is shown without rich, or if the output is not a terminal.
    """
    if console.rich is None:
        yield lambda _count: None
        return
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
    )

    shown: tuple[Any, ...] = (SpinnerColumn(),)
    if total:
        shown = BarColumn(), DownloadColumn(binary_units=True)
    columns = (TextColumn("{task.description}", markup=False), *shown, TimeElapsedColumn())
    with Progress(*columns, console=console.rich, transient=True) as progress:
        task = progress.add_task(text, total=total)
        yield lambda count: progress.advance(task, count)


def _rich_console() -> rich.console.Console | None:
    try:
        from rich.console import Console as RichConsole
    except ModuleNotFoundError:
        return None
    return RichConsole()
