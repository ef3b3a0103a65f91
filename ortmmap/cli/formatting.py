"""Sizes, ages, tables and progress, as every command prints them."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

__all__ = ["ago", "counted", "progress_of", "size", "table", "write"]

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def size(nbytes: int) -> str:
    """Return a number of bytes in the largest fitting unit, such as ``3.0 MiB``."""
    number, unit = float(nbytes), UNITS[0]
    for unit in UNITS:
        if number < 1024 or unit == UNITS[-1]:
            break
        number /= 1024
    return f"{number:.0f} {unit}" if unit == UNITS[0] else f"{number:.1f} {unit}"


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


def table(title: str, *columns: str) -> Table:
    """Return an empty table; columns of numbers are aligned right."""
    made = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_header=bool(columns),
        pad_edge=False,
    )
    for column in columns:
        right = column in ("bytes", "size", "share")
        made.add_column(column, justify="right" if right else "left", no_wrap=right)
    return made


def write(console: Console, text: str) -> None:
    """Print plain text: no markup, no highlighting, no wrapping."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def progress_of(
    console: Console, text: str, total: int | None
) -> Iterator[Callable[[int], object]]:
    """Show a bar, or a spinner if the total is not known, and yield a function that advances it.

    Nothing is shown if the output is not a terminal.
    """
    bar = (BarColumn(), DownloadColumn(binary_units=True)) if total else (SpinnerColumn(),)
    columns = (TextColumn("{task.description}", markup=False), *bar, TimeElapsedColumn())
    disabled = not console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=disabled) as progress:
        task = progress.add_task(text, total=total)
        yield lambda count: progress.advance(task, count)
