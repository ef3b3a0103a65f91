"""Figures as a table in the terminal, as Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from benchmarks.difference import Difference
from benchmarks.machine import described
from benchmarks.spread import Spread

ABSENT = "n/a"

_DIFFERENCE = ("outputs differ", "at most")


@dataclass(frozen=True)
class Row:
    """What was measured of one rival on one model; a figure is None where it can't be had."""

    model: str
    rival: str
    title: str
    figures: dict[str, Spread | None]
    difference: Difference


@dataclass(frozen=True)
class Report:
    """All rows of one run.

    Attributes
    ----------
    title, caption : str
        What was measured, and how.
    units : dict of str to str
        The unit of each figure, in the order of the columns.
    rows : list of Row
        The first row of each model is what the others are compared with.
    left_out : list of str
        Rivals that were not measured, and why.
    machine : dict
        See `benchmarks.machine`.
    """

    title: str
    caption: str
    units: dict[str, str]
    rows: list[Row]
    left_out: list[str]
    machine: dict[str, str | int | float]

    def by_model(self) -> Iterator[tuple[str, list[Row]]]:
        """Give each model with its rows."""
        for model, rows in groupby(self.rows, key=lambda row: row.model):
            yield model, list(rows)

    def notes(self) -> list[str]:
        """Return the lines that belong below a table or a plot."""
        return [self.caption, *self.left_out, described(self.machine)]


def amount(value: float) -> str:
    """Return a figure with three or more significant digits, never in scientific notation."""
    digits = next((n for limit, n in ((100, 0), (10, 1), (1, 2)) if abs(value) >= limit), 3)
    return f"{value:.{digits}f}"


def ratio(figure: Spread | None, first: Spread | None) -> str | None:
    """Return one median over another, or None where there is none."""
    if figure is None or first is None or first.median <= 0:
        return None
    times = figure.median / first.median
    return f"{times:.2f}x" if times >= 0.1 else f"{times:.3f}x"


def table(report: Report) -> RenderableType:
    """Return what rich prints: a median and its ratio to the first row, quartiles below."""
    tables = [_table(report, model, rows) for model, rows in report.by_model()]
    return Group(*tables, *(f"[dim]{escape(note)}[/]" for note in report.notes()))


def _table(report: Report, model: str, rows: list[Row]) -> Table:
    title = f"{report.title}: [bold]{escape(model)}[/]"
    made = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    made.add_column("")
    for name, unit in (*report.units.items(), _DIFFERENCE):
        made.add_column(f"{name}\n[dim]{unit}[/]", justify="right")
    for row in rows:
        cells = (_cell(row.figures[name], rows[0].figures[name]) for name in report.units)
        made.add_row(row.title, *cells, str(row.difference))
    return made


def _cell(figure: Spread | None, first: Spread | None) -> str:
    if figure is None:
        return ABSENT
    text = amount(figure.median)
    if times := ratio(figure, first):
        text += f" [cyan]{times}[/]"
    if figure.count > 1:
        text += f"\n[dim]{amount(figure.low_quartile)}..{amount(figure.high_quartile)}[/]"
    return text


def markdown(report: Report) -> str:
    """Return the same as Markdown."""
    parts = [f"## {report.title}"]
    for model, rows in report.by_model():
        names = [f"{name}, {unit}" for name, unit in (*report.units.items(), _DIFFERENCE)]
        lines = [_line(["", *names]), _line(["---"] * (len(names) + 1))]
        for row in rows:
            cells = (_plain(row.figures[name], rows[0].figures[name]) for name in report.units)
            lines.append(_line([row.title, *cells, str(row.difference)]))
        parts.append("\n".join((f"### {model}", "", *lines)))
    return "\n\n".join(parts + report.notes())


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(figure: Spread | None, first: Spread | None) -> str:
    if figure is None:
        return ABSENT
    text = amount(figure.median)
    if figure.count > 1:
        text += f" [{amount(figure.low_quartile)}..{amount(figure.high_quartile)}]"
    times = ratio(figure, first)
    return f"{text} ({times})" if times else text


def as_json(report: Report) -> dict[str, Any]:
    """Return the same as JSON values: every spread in full."""
    return asdict(report)
