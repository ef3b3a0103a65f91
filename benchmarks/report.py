"""Figures as a table in the terminal, as Markdown and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from benchmarks.difference import Difference
from benchmarks.growth import Growth, line
from benchmarks.machine import described
from benchmarks.spread import Spread

ABSENT = "n/a"

_DIFFERENCE = ("outputs differ", "at most")
_NO_OUTPUTS = ""


@dataclass(frozen=True)
class Row:
    """What was measured of one rival on one model; a figure is None where it can't be had.

    Attributes
    ----------
    model, rival, title : str
        What was measured.
    figures : dict of str to Spread
        By the column's name.
    difference : Difference or None
        From the outputs of the first; None of what has no outputs.
    axis, at : str, float or None
        What the figures grow with, and how much of it there was.
    """

    model: str
    rival: str
    title: str
    figures: dict[str, Spread | None]
    difference: Difference | None
    axis: str | None = None
    at: float | None = None

    @property
    def ours(self) -> bool:
        """Whether it is ortmmap."""
        return self.rival.startswith("ortmmap")

    @property
    def bare(self) -> bool:
        """Whether it opens no session."""
        return self.rival.startswith("bare-")


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
        The first row of each model and amount is what the others are compared with.
    left_out : list of str
        Rivals that were not measured, and why.
    machine : dict
        See `benchmarks.machine`.
    more_is_better : list of str
        Figures of which that holds.
    nbytes : dict of str to int
        The size of each model's file, external data included.
    """

    title: str
    caption: str
    units: dict[str, str]
    rows: list[Row]
    left_out: list[str]
    machine: dict[str, str | int | float]
    more_is_better: list[str] = field(default_factory=list)
    nbytes: dict[str, int] = field(default_factory=dict)

    def by_model(self) -> Iterator[tuple[str, list[Row]]]:
        """Give each model with its rows."""
        for model, rows in groupby(self.rows, key=lambda row: row.model):
            yield model, list(rows)

    def notes(self) -> list[str]:
        """Return the lines that belong below a table or a plot."""
        return [self.caption, *self.left_out, described(self.machine)]

    def growth(self) -> list[Growth]:
        """Return the lines of the figures that were measured at three amounts or more."""
        return [
            found
            for model, rows in self.by_model()
            for rival in dict.fromkeys(row.rival for row in rows)
            for name, unit in self.units.items()
            if (found := _growth([row for row in rows if row.rival == rival], model, name, unit))
        ]


def _growth(rows: list[Row], model: str, name: str, unit: str) -> Growth | None:
    points = [(row.at, row.figures[name]) for row in rows]
    known = [(at, figure.median) for at, figure in points if at is not None and figure]
    fitted = line(*zip(*known, strict=True)) if known else None
    if fitted is None:
        return None
    axis = rows[0].axis or ""
    return Growth(model, rows[0].rival, rows[0].title, name, unit, axis, *fitted)


def amount(value: float) -> str:
    """Return a figure with three or more significant digits, never in scientific notation."""
    size = abs(value)
    digits = next((n for limit, n in ((100, 0), (10, 1), (1, 2)) if size >= limit), 3)
    if 0 < size < 0.01:  # slopes: per node, per MiB
        digits = min(9, 2 - math.floor(math.log10(size)))
    return f"{value:.{digits}f}"


def ratio(figure: Spread | None, first: Spread | None) -> str | None:
    """Return one median over another, or None where there is none."""
    if figure is None or first is None or first.median <= 0 or figure.median < 0:
        return None
    times = figure.median / first.median
    return f"{times:.2f}x" if times >= 0.1 else f"{times:.3f}x"


def table(report: Report) -> RenderableType:
    """Return what rich prints: a median and its ratio to the first row, quartiles below."""
    tables = [_table(report, model, rows) for model, rows in report.by_model()]
    growth = report.growth()
    grown = [_growth_table(growth)] if growth else []
    return Group(*tables, *grown, *(f"[dim]{escape(note)}[/]" for note in report.notes()))


def _table(report: Report, model: str, rows: list[Row]) -> Table:
    title = f"{report.title}: [bold]{escape(model)}[/]"
    made = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    axis = rows[0].axis
    if axis:
        made.add_column(axis, justify="right")
    made.add_column("", min_width=22)
    for name, unit in (*report.units.items(), _DIFFERENCE):
        made.add_column(f"{name}\n[dim]{unit}[/]", justify="right")
    for row, first in with_first(rows):
        cells = (_cell(row.figures[name], first.figures[name]) for name in report.units)
        made.add_row(*_at(row), row.title, *cells, _outputs(row))
    return made


def with_first(rows: list[Row]) -> Iterator[tuple[Row, Row]]:
    """Give each row of a model with the one that it is compared with."""
    for _, group in groupby(rows, key=lambda row: row.at):
        together = list(group)
        for row in together:
            yield row, together[0]


def _at(row: Row) -> list[str]:
    return [] if row.axis is None or row.at is None else [f"{row.at:g}"]


def _outputs(row: Row) -> str:
    return _NO_OUTPUTS if row.difference is None else str(row.difference)


def _growth_table(growth: list[Growth]) -> Table:
    made = Table(title="Growth", title_justify="left", box=SIMPLE_HEAD)
    for name in ("", "figure", "unit"):
        made.add_column(name)
    for name in ("slope", "at none", "R²"):
        made.add_column(name, justify="right")
    for one in growth:
        made.add_row(*_growth_cells(one))
    return made


def _growth_cells(one: Growth) -> list[str]:
    return [
        f"{one.model}: {one.title}",
        one.figure,
        f"{one.unit} / {one.axis}",
        amount(one.slope),
        amount(one.intercept),
        f"{one.fit:.3f}",
    ]


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
    parts = [f"## {report.title}", *markdown_tables(report)]
    if grown := markdown_growth(report):
        parts.append(grown)
    return "\n\n".join(parts + report.notes())


def markdown_tables(report: Report) -> list[str]:
    """Return a Markdown table of each model, below its name."""
    parts = []
    for model, rows in report.by_model():
        names = [f"{name}, {unit}" for name, unit in (*report.units.items(), _DIFFERENCE)]
        heads = [rows[0].axis, "", *names] if rows[0].axis else ["", *names]
        lines = [markdown_line(heads), markdown_line(["---"] * len(heads))]
        for row, first in with_first(rows):
            cells = (_plain(row.figures[name], first.figures[name]) for name in report.units)
            lines.append(markdown_line([*_at(row), row.title, *cells, _outputs(row)]))
        parts.append("\n".join((f"### {model}", "", *lines)))
    return parts


def markdown_growth(report: Report, figures: Sequence[str] = ()) -> str:
    """Return a Markdown table of what figures grow by, or nothing where nothing grows."""
    growth = [one for one in report.growth() if not figures or one.figure in figures]
    if not growth:
        return ""
    heads = ["", "figure", "unit", "slope", "at none", "R²"]
    lines = [markdown_line(heads), markdown_line(["---"] * len(heads))]
    return "\n".join([*lines, *(markdown_line(_growth_cells(one)) for one in growth)])


def markdown_line(cells: list[str]) -> str:
    """Return one line of a Markdown table."""
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
    """Return the same as JSON values: every spread in full, and the lines fitted."""
    return asdict(report) | {"growth": [asdict(one) for one in report.growth()]}


def from_json(values: Mapping[str, Any]) -> Report:
    """Return the report that `as_json` was given.

    Raises
    ------
    ValueError
        The values are not a report's.
    """
    try:
        fields = {name: values[name] for name in Report.__dataclass_fields__}
        return Report(**fields | {"rows": [_row(row) for row in fields["rows"]]})
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a report of this version of the benchmarks: {error!r}") from error


def _row(values: Mapping[str, Any]) -> Row:
    figures = {name: one and Spread(**one) for name, one in values["figures"].items()}
    difference = values["difference"] and Difference(**values["difference"])
    return Row(**dict(values) | {"figures": figures, "difference": difference})
