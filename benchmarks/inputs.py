"""What a model is fed: input declarations, and arrays made from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

SEED = 20260421
DEFAULT_SIZES = {"batch": 1, "sequence": 128}

_DTYPES = {
    "float": "float32",
    "double": "float64",
    "float16": "float16",
    "bool": "bool",
    "string": "str",
    **{f"{sign}int{bits}": f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


class NodeArg(Protocol):
    """What a session tells about an input; `onnxruntime.NodeArg` is one."""

    name: str
    type: str
    shape: list[int | str | None]


@dataclass(frozen=True)
class Input:
    """One input of a model.

    Parameters
    ----------
    name : str
        Its name in the graph.
    dtype : str
        Its numpy dtype.
    shape : tuple of int, str or None
        Its dimensions; a name or None stands for a size chosen when the model is run.
    low, high : int
        Integers, and those that strings are of, are drawn from ``[low, high)``.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...]
    low: int = 0
    high: int = 2

    @classmethod
    def of(cls, arg: NodeArg) -> Input:
        """Return the declaration that a session's input metadata makes.

        Raises
        ------
        ValueError
            The input is no tensor, or of a dtype that numpy has not.
        """
        element = arg.type.removeprefix("tensor(").removesuffix(")")
        if element not in _DTYPES:
            raise ValueError(f"no values can be made up for input {arg.name!r} of type {arg.type}")
        return cls(arg.name, _DTYPES[element], tuple(arg.shape))

    def values(self, sizes: Mapping[str, int], rng: np.random.Generator) -> np.ndarray:
        """Return random values: normal floats, integers in range, masks of ones.

        Strings are objects, as those of pandas, as long as the largest.
        """
        shape = [size(dimension, sizes) for dimension in self.shape]
        if self.dtype == "str":
            numbers = rng.integers(self.low, self.high, shape).astype(str)
            return np.char.zfill(numbers, len(str(self.high - 1))).astype(object)
        dtype = np.dtype(self.dtype)
        if "mask" in self.name:
            return np.ones(shape, dtype)
        if dtype.kind == "f":
            return rng.standard_normal(shape, np.float32).astype(dtype)
        return rng.integers(self.low, self.high, shape).astype(dtype)


def size(dimension: int | str | None, sizes: Mapping[str, int]) -> int:
    """Return the size of a dimension; a symbolic one that `sizes` does not name is 1.

    ``batch_size`` and ``sequence_length`` are found under ``batch`` and ``sequence``, and
    ``past_sequence_length + sequence_length`` is a sum.
    """
    if isinstance(dimension, int):
        return dimension
    if dimension is None:
        return 1
    if "+" in dimension:
        return sum(size(part.strip(), sizes) for part in dimension.split("+"))
    if dimension.isdecimal():
        return int(dimension)
    if dimension in sizes:
        return sizes[dimension]
    return next((n for name, n in sizes.items() if dimension.startswith(name)), 1)


def feeds(inputs: Iterable[Input], sizes: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return arrays for every input, the same at every call.

    Parameters
    ----------
    inputs : iterable of Input
        The inputs.
    sizes : mapping of str to int, optional
        Sizes of symbolic dimensions, over `DEFAULT_SIZES`.

    Returns
    -------
    dict of str to ndarray
        What ``session.run(None, feeds)`` takes.
    """
    rng = np.random.default_rng(SEED)
    chosen = DEFAULT_SIZES | dict(sizes or {})
    return {one.name: one.values(chosen, rng) for one in inputs}
