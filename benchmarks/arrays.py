"""Named arrays: kept in ``.npz`` files, sent as bytes, and compared."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

Arrays = Mapping[str, np.ndarray]


def save(file: Path | BinaryIO, named: Arrays) -> None:
    """Write arrays; strings get a fixed width, since objects would have to be pickled."""
    plain = {name: one.astype(str) if one.dtype == object else one for name, one in named.items()}
    np.savez(file, **plain)


def load(file: Path | BinaryIO) -> dict[str, np.ndarray]:
    """Read the arrays that `save` wrote; strings are objects, as in pandas."""
    with np.load(file) as saved:
        plain = dict(saved)
    return {name: a.astype(object) if a.dtype.kind == "U" else a for name, a in plain.items()}


def to_bytes(named: Arrays) -> bytes:
    """Return the bytes that `save` would write."""
    file = io.BytesIO()
    save(file, named)
    return file.getvalue()


@dataclass(frozen=True)
class Difference:
    """The largest absolute difference between elements, and whether all bits are equal."""

    largest: float
    bit_equal: bool

    def __str__(self) -> str:
        return "bit-equal" if self.bit_equal else f"{self.largest:.1e}"


def difference(runs: Iterable[Arrays], expected: Arrays) -> Difference:
    """Compare the outputs of any number of runs with the expected ones."""
    largest, bit_equal = 0.0, True
    for run in runs:
        if _described(run) != _described(expected):
            raise ValueError("the outputs of two rivals have other names, shapes or dtypes")
        for name, one in run.items():
            other = expected[name]
            if one.dtype.kind in "biuf":
                bit_equal = bit_equal and one.tobytes() == other.tobytes()
                with np.errstate(invalid="ignore"):
                    apart = np.abs(one.astype(np.float64) - other.astype(np.float64))
                largest = max(largest, float(apart.max(initial=0)))
            elif not (one == other).all():  # strings, whose bytes are addresses
                largest, bit_equal = float("inf"), False
    return Difference(largest, bit_equal)


def _described(outputs: Arrays) -> dict[str, tuple]:
    return {name: (one.shape, one.dtype) for name, one in outputs.items()}
