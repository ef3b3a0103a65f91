"""How the outputs of two sessions differ."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

Outputs = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Difference:
    """The largest absolute difference of any element, and whether all bits are equal."""

    largest: float
    bit_equal: bool

    def __str__(self) -> str:
        return "bit-equal" if self.bit_equal else f"{self.largest:.1e}"


def difference(outputs: Iterable[Outputs], expected: Outputs) -> Difference:
    """Compare any number of runs with the one expected.

    Raises
    ------
    ValueError
        A run has other outputs, or other shapes or dtypes.
    """
    pairs = [(one, expected[name]) for run in outputs for name, one in _matched(run, expected)]
    return Difference(
        largest=max((_largest(one, other) for one, other in pairs), default=0.0),
        bit_equal=all(_bit_equal(one, other) for one, other in pairs),
    )


def _matched(run: Outputs, expected: Outputs) -> Iterable[tuple[str, np.ndarray]]:
    if {name: (one.shape, one.dtype) for name, one in run.items()} != {
        name: (one.shape, one.dtype) for name, one in expected.items()
    }:
        raise ValueError("two rivals gave outputs of different names, shapes or dtypes")
    return run.items()


def _bit_equal(one: np.ndarray, other: np.ndarray) -> bool:
    if one.dtype == object:  # strings: their bytes here are addresses
        return bool((one == other).all())
    return one.tobytes() == other.tobytes()


def _largest(one: np.ndarray, other: np.ndarray) -> float:
    if one.dtype.kind not in "biuf":
        return 0.0 if (one == other).all() else float("inf")
    if one.size == 0:
        return 0.0
    with np.errstate(invalid="ignore"):
        return float(np.max(np.abs(one.astype(np.float64) - other.astype(np.float64))))
