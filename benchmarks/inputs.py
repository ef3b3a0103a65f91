"""The inputs of a model: their declarations, and random arrays made from them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

SEED = 20260421
DEFAULT_SIZES = {"batch": 1, "sequence": 128}

Shape = tuple[int | str | None, ...]

_DTYPES = {"float": "float32", "double": "float64", "float16": "float16", "bool": "bool"}
_DTYPES |= {name: name for bits in (8, 16, 32, 64) for name in (f"int{bits}", f"uint{bits}")}
_DTYPES |= {"string": "str"}


@dataclass(frozen=True)
class Input:
    """One input of a model."""

    name: str
    dtype: str  # numpy's name, or "str"
    shape: Shape  # a name or None stands for a size chosen at run time
    high: int = 2  # above all integers, and numbers that strings consist of; the least is 0

    @classmethod
    def of(cls, arg: Any) -> Self:
        """Return the declaration of an input of a model; raise ValueError if it is no tensor."""
        element = arg.type.removeprefix("tensor(").removesuffix(")")
        if element not in _DTYPES:
            raise ValueError(f"no values can be made up for input {arg.name!r} of type {arg.type}")
        return cls(arg.name, _DTYPES[element], tuple(arg.shape or ()))

    def values(self, sizes: Mapping[str, int], rng: np.random.Generator) -> np.ndarray:
        """Return random values: normal floats, integers or their digits, masks of ones."""
        shape = [size(dimension, sizes) for dimension in self.shape]
        if self.dtype == "str":  # objects, as in pandas
            numbers = rng.integers(self.high, size=shape).astype(str)
            return np.char.zfill(numbers, len(str(self.high - 1))).astype(object)
        if "mask" in self.name:
            return np.ones(shape, self.dtype)
        if self.dtype.startswith("float"):
            return rng.standard_normal(shape, np.float32).astype(self.dtype)
        return rng.integers(self.high, size=shape).astype(self.dtype)


def size(dimension: int | str | None, sizes: Mapping[str, int]) -> int:
    """Return the size of a dimension, 1 for a symbolic one that `sizes` does not name.

    ``batch_size`` is found under ``batch``, and ``past_length + sequence_length`` is a sum.
    """
    if dimension is None or isinstance(dimension, int):
        return 1 if dimension is None else dimension
    if "+" in dimension:
        return sum(size(part.strip(), sizes) for part in dimension.split("+"))
    if dimension.isdecimal():
        return int(dimension)
    if dimension in sizes:
        return sizes[dimension]
    return next((n for name, n in sizes.items() if dimension.startswith(name)), 1)


def feeds(inputs: Iterable[Input], sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Return arrays for ``session.run(None, feeds)``, the same at every call."""
    rng = np.random.default_rng(SEED)
    chosen = DEFAULT_SIZES | {name: int(value) for name, value in sizes.items()}
    return {one.name: one.values(chosen, rng) for one in inputs}
