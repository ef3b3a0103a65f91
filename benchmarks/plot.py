"""A report as a picture: bars for each rival, or lines where figures grow with something."""

from __future__ import annotations

import textwrap
from itertools import cycle
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.report import ABSENT, Report, Row, amount

_PANEL_WIDTH, _LABEL_WIDTH = 2.3, 2.6  # inches
_BAR_HEIGHT, _PANEL_MARGIN, _NOTES_HEIGHT = 0.42, 0.75, 0.9
_LINES_WIDTH, _LINES_HEIGHT, _LEGEND_HEIGHT = 3.2, 2.6, 0.25
_LINES_A_ROW = 3
_OURS = ("#e4572e", "#f2a07f", "#f9d0bf", "#b5391a")
_OTHERS = ("#5b6770", "#8c99a3", "#b9c2c9")
_INK, _FAINT = "#222222", "#777777"
_OUR_STYLES, _OTHER_STYLES = ("o-", "o--", "o:"), ("s-", "s--", "s:", "s-.")


def plot(report: Report, path: Path, dpi: int = 150, notes: bool = True) -> None:
    """Write the picture; the suffix of `path` says in which format."""
    grows = any(row.axis for row in report.rows)
    figure = _lines(report) if grows else _all_bars(report)
    width = figure.get_figwidth()
    if notes:
        figure.supxlabel(_wrapped(report.notes(), width), fontsize=8, color=_FAINT)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi, facecolor="white")


def _all_bars(report: Report) -> Figure:
    """Draw one panel for each model and figure, one bar for each rival."""
    models = list(report.by_model())
    heights = [_PANEL_MARGIN + _BAR_HEIGHT * len(rows) for _, rows in models]
    width = _LABEL_WIDTH + _PANEL_WIDTH * len(report.units)
    figure = Figure((width, sum(heights) + _NOTES_HEIGHT), layout="constrained")
    panels = figure.subplots(len(models), len(report.units), squeeze=False, height_ratios=heights)
    for row, (model, rows) in zip(panels, models, strict=True):
        for panel, (name, unit) in zip(row, report.units.items(), strict=True):
            _bars(panel, rows, name)
            panel.set_title(f"{name}, {unit}", fontsize=10, color=_INK)
        _label_rivals(row[0], model, rows)
    figure.suptitle(report.title, fontsize=13, fontweight="bold", color=_INK)
    return figure


def _bars(panel: Axes, rows: list[Row], name: str) -> None:
    figures = [row.figures[name] for row in rows]
    medians = [figure.median if figure else 0.0 for figure in figures]
    bars = panel.barh(range(len(rows)), medians, color=_colours(rows), height=0.72)
    labels = [amount(figure.median) if figure else ABSENT for figure in figures]
    panel.bar_label(bars, labels, padding=3, fontsize=9, color=_INK)
    panel.set_xlim(0, max(*medians, 1e-9) * 1.3)
    panel.invert_yaxis()
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[["top", "right", "bottom"]].set_visible(False)
    panel.spines["left"].set_color(_FAINT)


def _label_rivals(panel: Axes, model: str, rows: list[Row]) -> None:
    titles = [textwrap.fill(row.title, 26) for row in rows]
    panel.set_yticks(range(len(rows)), titles, fontsize=9, color=_INK)
    panel.tick_params(axis="y", length=0)
    panel.set_ylabel(model, fontsize=11, fontweight="bold", color=_INK, labelpad=10)


def _lines(report: Report) -> Figure:
    """Draw one panel for each model and figure, one line for each rival."""
    wanted = [
        (model, rows, name)
        for model, rows in report.by_model()
        for name in report.units
        if any(row.figures[name] for row in rows)
    ]
    columns = min(_LINES_A_ROW, len(wanted))
    height = -(-len(wanted) // columns)
    rivals = len({row.rival for row in report.rows})
    size = (
        _LINES_WIDTH * columns,
        _LINES_HEIGHT * height + _NOTES_HEIGHT + _LEGEND_HEIGHT * rivals,
    )
    figure = Figure(size, layout="constrained")
    panels = figure.subplots(height, columns, squeeze=False).ravel()
    for panel in panels[len(wanted) :]:
        panel.set_visible(False)
    for panel, (model, rows, name) in zip(panels, wanted, strict=False):
        _grown(panel, rows, name)
        panel.set_title(f"{model}: {name}, {report.units[name]}", fontsize=9, color=_INK)
        panel.set_xlabel(rows[0].axis or "", fontsize=8, color=_FAINT)
    handles = {
        label: handle
        for panel in panels
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper center",
        ncols=2,
        fontsize=8,
        title=report.title,
        title_fontproperties={"size": 13, "weight": "bold"},
        frameon=False,
    )
    return figure


def _grown(panel: Axes, rows: list[Row], name: str) -> None:
    """Draw medians at each amount, whiskers to the quartiles; logarithmic where they span far."""
    rivals: dict[str, list[Row]] = {}
    for row in rows:
        rivals.setdefault(row.rival, []).append(row)
    ours, others = cycle(_OUR_STYLES), cycle(_OTHER_STYLES)
    colours = _colours([of_rival[0] for of_rival in rivals.values()])
    for colour, of_rival in zip(colours, rivals.values(), strict=True):
        style = next(ours if of_rival[0].ours else others)
        points = [(row.at, row.figures[name]) for row in of_rival if row.figures[name]]
        medians = [figure.median for _, figure in points]
        whiskers = [
            [figure.median - figure.low_quartile for _, figure in points],
            [figure.high_quartile - figure.median for _, figure in points],
        ]
        panel.errorbar(
            [at for at, _ in points],
            medians,
            yerr=whiskers,
            fmt=style,
            color=colour,
            markersize=3,
            linewidth=1.2,
            label=of_rival[0].title,
        )
    amounts = [row.at for row in rows if row.at]
    if max(amounts) > 100 * min(amounts):
        panel.set_xscale("log")
        panel.set_yscale("log")  # what is not above 0 is left out
    panel.tick_params(labelsize=7)
    panel.grid(color="#eeeeee")
    panel.spines[["top", "right"]].set_visible(False)


def _colours(rows: list[Row]) -> list[str]:
    """Return a colour for each row: ours stand out, the others are shades of grey."""
    ours, others = cycle(_OURS), cycle(_OTHERS)
    return [next(ours if row.ours else others) for row in rows]


def _wrapped(notes: list[str], inches: float) -> str:
    return "\n".join(textwrap.fill(note, int(inches * 15)) for note in notes)
