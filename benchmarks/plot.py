"""A report as a picture: bars for each rival, or lines where figures grow with something."""

import textwrap
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.report import ABSENT, Report, Row, amount

_PANEL_WIDTH, _LABEL_WIDTH = 2.4, 2.6  # inches
_LINES_HEIGHT, _BAR_HEIGHT, _MARGIN, _NOTES_HEIGHT = 2.4, 0.42, 0.75, 0.9
_OURS = (("#e4572e", "o-"), ("#f2a07f", "o--"), ("#f9d0bf", "o:"), ("#b5391a", "o-."))
_OTHERS = (("#5b6770", "s-"), ("#8c99a3", "s--"), ("#b9c2c9", "s:"))  # greys: ours stand out
_INK, _FAINT = "#222222", "#777777"


def plot(report: Report, path: Path, dpi: int = 150, notes: bool = True) -> None:
    """Write a picture with a panel for each model and figure; the suffix says in which format."""
    models = list(report.by_model())
    grows = any(row.axis for row in report.rows)
    heights = [
        _MARGIN + (_LINES_HEIGHT if grows else _BAR_HEIGHT * len(rows)) for _, rows in models
    ]
    width = _LABEL_WIDTH + _PANEL_WIDTH * len(report.units)
    figure = Figure((width, sum(heights) + _NOTES_HEIGHT), layout="constrained")
    panels = figure.subplots(len(models), len(report.units), squeeze=False, height_ratios=heights)
    for line, (model, rows) in zip(panels, models, strict=True):
        for panel, (name, unit) in zip(line, report.units.items(), strict=True):
            (_lines if grows else _bars)(panel, rows, name)
            panel.set_title(f"{name}, {unit}", fontsize=10, color=_INK)
            panel.spines[["top", "right"]].set_visible(False)
        if not grows:
            titles = [textwrap.fill(one.title, 26) for one in rows]
            line[0].set_yticks(range(len(rows)), titles, fontsize=9, color=_INK)
        line[0].set_ylabel(model, fontsize=11, fontweight="bold", color=_INK, labelpad=10)
    if grows:
        handles, labels = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper", fontsize=8, frameon=False)
    figure.suptitle(report.title, fontsize=13, fontweight="bold", color=_INK)
    if notes:
        text = "\n".join(textwrap.fill(note, int(width * 15)) for note in report.notes())
        figure.supxlabel(text, fontsize=8, color=_FAINT)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=dpi, facecolor="white")


def _bars(panel: Axes, rows: Sequence[Row], name: str) -> None:
    figures = [row.figures[name] for row in rows]
    medians = [figure.median if figure else 0.0 for figure in figures]
    colours = [colour for colour, _ in _styles(rows)]
    bars = panel.barh(range(len(rows)), medians, color=colours, height=0.72)
    labels = [amount(figure.median) if figure else ABSENT for figure in figures]
    panel.bar_label(bars, labels, padding=3, fontsize=9, color=_INK)
    panel.set_xlim(0, max(*medians, 1e-9) * 1.3)
    panel.invert_yaxis()
    panel.set_xticks([])
    panel.set_yticks([])
    panel.tick_params(axis="y", length=0)
    panel.spines["bottom"].set_visible(False)
    panel.spines["left"].set_color(_FAINT)


def _lines(panel: Axes, rows: Sequence[Row], name: str) -> None:
    """Draw medians and quartiles over amounts, on logarithmic axes if these span a wide range."""
    rivals = list({row.rival: row for row in rows}.values())
    for one, (colour, style) in zip(rivals, _styles(rivals), strict=True):
        points = [(row.at, row.figures[name]) for row in rows if row.rival == one.rival]
        known = [(at, figure) for at, figure in points if figure]
        medians = [figure.median for _, figure in known]
        low = [figure.median - figure.low_quartile for _, figure in known]
        high = [figure.high_quartile - figure.median for _, figure in known]
        look = {"markersize": 3, "linewidth": 1.2, "color": colour, "label": one.title}
        panel.errorbar([at for at, _ in known], medians, yerr=[low, high], fmt=style, **look)
    amounts = [row.at for row in rows if row.at]
    if max(amounts) > 100 * min(amounts) and any(row.figures[name] for row in rows):
        panel.set_xscale("log")
        panel.set_yscale("log")  # omits values of 0
    panel.set_xlabel(rows[0].axis or "", fontsize=8, color=_FAINT)
    panel.tick_params(labelsize=7)
    panel.grid(color="#eeeeee")


def _styles(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return a colour and a format of lines for each row."""
    ours, others = cycle(_OURS), cycle(_OTHERS)
    return [next(ours if row.ours else others) for row in rows]
