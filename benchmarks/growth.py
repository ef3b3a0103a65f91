"""How a figure grows with what it is measured at: a straight line through its medians."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Growth:
    """A line fitted by least squares.

    Attributes
    ----------
    model, rival, title, figure, unit : str
        What was measured.
    axis : str
        What it grows with; the slope is ``unit`` per one of it.
    slope, intercept : float
        The line.
    fit : float
        The coefficient of determination: 1 where the line says all, 0 where it says nothing.
    """

    model: str
    rival: str
    title: str
    figure: str
    unit: str
    axis: str
    slope: float
    intercept: float
    fit: float


def line(at: Sequence[float], figures: Sequence[float]) -> tuple[float, float, float] | None:
    """Return slope, intercept and fit of the line through points; None of fewer than three."""
    if len(set(at)) < 3:
        return None
    x, y = np.asarray(at, float), np.asarray(figures, float)
    from_mean = x - x.mean()
    slope = float(from_mean @ (y - y.mean()) / (from_mean @ from_mean))
    intercept = float(y.mean() - slope * x.mean())
    scatter = float(((y - y.mean()) ** 2).sum())
    left = float(((y - (slope * x + intercept)) ** 2).sum())
    return slope, intercept, 1 - left / scatter if scatter > 0 else 1.0
