"""A report as a picture: one panel for each model and figure, one bar for each rival."""

from __future__ import annotations

import textwrap
from itertools import cycle
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.report import ABSENT, Report, Row, amount

_PANEL_WIDTH, _LABEL_WIDTH = 2.3, 2.6  # inches
_BAR_HEIGHT, _PANEL_MARGIN, _NOTES_HEIGHT = 0.42, 0.75, 0.9
_OURS = ("#e4572e", "#f2a07f", "#f9d0bf", "#b5391a")
_OTHERS = ("#5b6770", "#8c99a3", "#b9c2c9")
_INK, _FAINT = "#222222", "#777777"


def plot(report: Report, path: Path) -> None:
    """Write the picture; the suffix of `path` says in which format."""
    models = list(report.by_model())
    heights = [_PANEL_MARGIN + _BAR_HEIGHT * len(rows) for _, rows in models]
    width = _LABEL_WIDTH + _PANEL_WIDTH * len(report.units)
    figure = Figure((width, sum(heights) + _NOTES_HEIGHT), layout="constrained")
    panels = figure.subplots(len(models), len(report.units), squeeze=False, height_ratios=heights)
    for line, (model, rows) in zip(panels, models, strict=True):
        for panel, (name, unit) in zip(line, report.units.items(), strict=True):
            _bars(panel, rows, name)
            panel.set_title(f"{name}, {unit}", fontsize=10, color=_INK)
        _label_rivals(line[0], model, rows)
    figure.suptitle(report.title, fontsize=13, fontweight="bold", color=_INK)
    figure.supxlabel(_wrapped(report.notes(), width), fontsize=8, color=_FAINT)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, facecolor="white")


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


def _colours(rows: list[Row]) -> list[str]:
    """Return a colour for each bar: ours stand out, the others are shades of grey."""
    ours, others = cycle(_OURS), cycle(_OTHERS)
    return [next(ours if row.rival.startswith("ortmmap") else others) for row in rows]


def _wrapped(notes: list[str], inches: float) -> str:
    return "\n".join(textwrap.fill(note, int(inches * 15)) for note in notes)
