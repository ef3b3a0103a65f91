"""Repeated measurements of one quantity, summed up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spread:
    """The median of some measurements and how far they scatter."""

    count: int
    least: float
    low_quartile: float
    median: float
    high_quartile: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Sum up at least one value."""
        known = np.fromiter(values, float)
        least, low, median, high = np.quantile(known, (0, 0.25, 0.5, 0.75)).tolist()
        return cls(known.size, least, low, median, high)
