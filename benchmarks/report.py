"""Figures summed up, and shown as a table in the terminal, as Markdown and as JSON."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any, Self

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from benchmarks.arrays import Difference

ABSENT = "n/a"


@dataclass(frozen=True)
class Spread:
    """The median and the quartiles of measurements of one quantity."""

    count: int
    low_quartile: float
    median: float
    high_quartile: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Return the spread of one value or more."""
        known = np.fromiter(values, float)
        return cls(known.size, *np.quantile(known, (0.25, 0.5, 0.75)).tolist())


@dataclass(frozen=True)
class Row:
    """What was measured of one rival on one model."""

    model: str
    rival: str
    title: str  # of the rival
    figures: dict[str, Spread | None]  # by column; None if it can't be had
    difference: Difference | None  # of the outputs from the first row's; None without outputs
    axis: str | None = None  # what the figures grow with
    at: float | None = None  # how much of it there was

    @property
    def ours(self) -> bool:
        """Whether the rival is ortmmap."""
        return self.rival.startswith("ortmmap")


@dataclass(frozen=True)
class Report:
    """The results of one benchmark run."""

    title: str
    caption: str  # how it was measured, and what the figures mean
    units: dict[str, str]  # of each figure, in the order of the columns
    rows: list[Row]  # ratios are to the first row of each model and amount
    left_out: list[str]  # rivals that were not measured, and why
    machine: dict[str, str]
    more_is_better: list[str] = field(default_factory=list)  # figures; of others, less is better

    def by_model(self) -> Iterator[tuple[str, list[Row]]]:
        """Yield each model with its rows."""
        for model, rows in groupby(self.rows, key=lambda row: row.model):
            yield model, list(rows)

    def groups(self) -> Iterator[list[Row]]:
        """Yield the rows of each model and amount."""
        for _, rows in groupby(self.rows, key=lambda row: (row.model, row.at)):
            yield list(rows)

    def notes(self) -> list[str]:
        """Return the lines that belong below a table or a plot."""
        return [self.caption, *self.left_out, "; ".join(self.machine.values())]

    def growth(self) -> list[dict[str, Any]]:
        """Return straight lines through the medians of figures at three amounts or more."""
        found = []
        for model, rows in self.by_model():
            for title in dict.fromkeys(row.title for row in rows if row.difference):
                for name, unit in self.units.items():
                    points = [(row.at, row.figures[name]) for row in rows if row.title == title]
                    fitted = line([(at, figure.median) for at, figure in points if figure])
                    if fitted:
                        what = {"model": model, "title": title, "figure": name}
                        found.append(what | {"unit": f"{unit} / {rows[0].axis}"} | fitted)
        return found


def line(points: Sequence[tuple[float | None, float]]) -> dict[str, float] | None:
    """Fit a straight line by least squares; return None of fewer than three amounts.

    ``fit`` is the coefficient of determination: 1 if the line explains everything.
    """
    if len({at for at, _ in points}) < 3:
        return None
    x, y = np.array(points, float).T
    slope, intercept = np.polyfit(x, y, 1).tolist()
    left = float(np.var(y - slope * x - intercept))
    return {"slope": slope, "intercept": intercept, "fit": 1 - left / (float(np.var(y)) or 1)}


def amount(value: float) -> str:
    """Return a figure with three or more significant digits, never in scientific notation."""
    size = abs(value)
    digits = next((n for limit, n in ((100, 0), (10, 1), (1, 2)) if size >= limit), 3)
    if 0 < size < 0.01:  # slopes: per node, per MiB
        digits = min(9, 2 - math.floor(math.log10(size)))
    return f"{value:.{digits}f}"


def cell(figure: Spread | None, first: Spread | None, quartiles: bool = True) -> str:
    """Return the median with its ratio to the first row's, and the quartiles, as text."""
    if figure is None:
        return ABSENT
    text = amount(figure.median)
    if first and first.median > 0 and figure.median >= 0:
        times = figure.median / first.median
        text += f" ({times:.2f}x)" if times >= 0.1 else f" ({times:.3f}x)"
    if quartiles and figure.count > 1:
        text += f" [{amount(figure.low_quartile)}..{amount(figure.high_quartile)}]"
    return text


def tables(report: Report) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Yield title, head and lines of the table of each model, and of the table of growth."""
    names = [f"{name}, {unit}" for name, unit in report.units.items()]
    for model, rows in report.by_model():
        axis = [rows[0].axis] if rows[0].axis else []
        lines = []
        for row in rows:
            first = next(one for one in rows if one.at == row.at)
            cells = [cell(row.figures[name], first.figures[name]) for name in report.units]
            at = [f"{row.at:g}"] if axis else []
            lines.append([*at, row.title, *cells, str(row.difference or "")])
        yield model, [*axis, "", *names, "outputs differ, at most"], lines
    if growth := report.growth():
        lines = [[x if isinstance(x, str) else amount(x) for x in one.values()] for one in growth]
        yield "Growth, as straight lines", list(growth[0]), lines


def terminal(report: Report) -> RenderableType:
    """Return a rich table of each model, with quartiles below medians."""
    parts: list[RenderableType] = []
    for title, head, lines in tables(report):
        made = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
        for name in head:
            made.add_column(name.replace(", ", "\n"), justify="right" if name else "left")
        for cells in lines:
            ours = any(one.startswith("ortmmap") for one in cells)
            shown = (escape(one).replace(" [", "\n").rstrip("]") for one in cells)
            made.add_row(*shown, style="bold" if ours else "bright_black")
        parts.append(made)
    return Group(*parts, *(f"[dim]{escape(note)}[/]" for note in report.notes()))


def markdown(report: Report) -> str:
    """Return the tables as Markdown."""
    made = [f"### {title}\n\n{markdown_table(*table)}" for title, *table in tables(report)]
    return "\n\n".join([f"## {report.title}", *made, *report.notes()])


def markdown_table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def as_json(report: Report) -> dict[str, Any]:
    """Return the report as JSON values: every spread in full, and the fitted lines."""
    return asdict(report) | {"growth": report.growth()}


def from_json(values: Mapping[str, Any]) -> Report:
    """Return the report of which `as_json` made the values; raise ValueError for others."""
    try:
        rows = []
        for row in values["rows"]:
            figures = {name: one and Spread(**one) for name, one in row["figures"].items()}
            difference = row["difference"] and Difference(**row["difference"])
            rows.append(Row(**row | {"figures": figures, "difference": difference}))
        fields = {name: values[name] for name in Report.__dataclass_fields__}
        return Report(**fields | {"rows": rows})
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a report of this version of the benchmarks: {error!r}") from error
