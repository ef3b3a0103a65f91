"""Columns of a batch as a model's inputs, and its outputs as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ortmmap.errors import InvalidArgument
from ortmmap.model.inspect import Value

if TYPE_CHECKING:
    from ortmmap.session.metadata import NodeArg

__all__ = ["Batch", "Names", "described", "empty_output", "feed", "pairs", "rows_of", "to_column"]

Batch = dict[str, np.ndarray]
Names = Mapping[str, str] | Sequence[str] | None

# numpy's type for each element type that columns are converted to; others are passed as they are.
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = {
    "float": "float32",
    "double": "float64",
    "string": "object",
    **{name: name for name in ("bool", "float16", *_INTEGERS)},
}


def pairs(names: Names, known: Sequence[str], side: str) -> list[tuple[str, str]]:
    """Return the pairs of a mapping between columns and a model's inputs or outputs.

    Parameters
    ----------
    names : mapping of str to str, sequence of str, or None
        A sequence: each name is that of a column too. None: all of `known`.
    known : sequence of str
        The model's names.
    side : {"input", "output"}
        The model's names are a mapping's values for inputs, its keys for outputs.

    Raises
    ------
    InvalidArgument
        If the model has no such name.
    """
    if isinstance(names, str):
        raise TypeError(f"{side}s is a mapping or a sequence of names, not the text {names!r}")
    if names is None:
        names = known
    found = list(names.items()) if isinstance(names, Mapping) else [(name, name) for name in names]
    for first, second in found:
        name, column = (second, first) if side == "input" else (first, second)
        if name not in known:
            raise _invalid(column, side, name, f"the model has {_listed(known)} only")
    return found


def described(arg: NodeArg) -> Value:
    """Return an input or output as a value that can be pickled."""
    return Value(arg.name, arg.type, arg.shape)


def feed(batch: Mapping[str, Any], inputs: list[tuple[str, str]], args: list[Value]) -> Batch:
    """Return the arrays that a batch feeds to a model's inputs.

    Parameters
    ----------
    batch : mapping of str to array_like
        Columns of n rows each. Several columns of one input become its last axis.
    inputs : list of (str, str)
        Column and input, in order.
    args : list of Value
        The model's inputs.

    Raises
    ------
    InvalidArgument
        If a column is missing, or does not fit its input. The text names both.
    """
    by_name = {arg.name: arg for arg in args}
    columns: dict[str, list[tuple[str, np.ndarray]]] = {}
    for column, name in inputs:
        if column not in batch:
            raise _invalid(column, "input", name, f"the batch has {_listed(list(batch))} only")
        array = _converted(batch[column], column, by_name[name])
        columns.setdefault(name, []).append((column, array))
    return {name: _joined(parts, by_name[name]) for name, parts in columns.items()}


def rows_of(batch: Mapping[str, Any]) -> int:
    """Return the number of rows of a batch."""
    return len(next(iter(batch.values()))) if batch else 0


def to_column(value: Any, rows: int, output: str, column: str) -> np.ndarray:
    """Return an output as a column of `rows` rows.

    Raises
    ------
    InvalidArgument
        If it has another number of rows.
    """
    if isinstance(value, list):  # a sequence, such as the probabilities of a ZipMap
        found = np.empty(len(value), object)
        found[:] = value
        value = found
    found_rows = len(value) if np.ndim(value) else None
    if found_rows != rows:
        shape = getattr(value, "shape", "no array")
        reason = f"{shape} has not one row for each of the batch's {rows}; use `postprocess`"
        raise _invalid(column, "output", output, reason)
    return value


def empty_output(arg: Value) -> np.ndarray:
    """Return an output of no rows; its unknown dimensions are 0."""
    dtype = DTYPES.get(_element(arg.type) or "", "object")
    inner = [size if isinstance(size, int) else 0 for size in (arg.shape or [0])[1:]]
    return np.empty((0, *inner), dtype)


def _converted(value: Any, column: str, arg: Value) -> np.ndarray:
    """Return a column with the input's element type; nothing is lost but a float's precision."""
    array = _stacked(np.asarray(value), column, arg)
    wanted = DTYPES.get(_element(arg.type) or "")
    if wanted is None or array.dtype == wanted:
        return array
    if wanted == "object":
        if array.dtype.kind in "UT":
            return array.astype(object)
    elif _is_lossless(array, np.dtype(wanted)):
        return array.astype(wanted)
    reason = f"{array.dtype} cannot become {arg.type} without loss; convert it in `preprocess`"
    raise _invalid(column, "input", arg.name, reason)


def _is_lossless(array: np.ndarray, wanted: np.dtype) -> bool:
    if np.can_cast(array.dtype, wanted, "safe"):
        return True
    if array.dtype.kind == wanted.kind == "f":
        return True
    if array.dtype.kind not in "iu" or wanted.kind not in "iu":
        return False
    limits = np.iinfo(wanted)
    return not array.size or (limits.min <= array.min() and array.max() <= limits.max)


def _stacked(array: np.ndarray, column: str, arg: Value) -> np.ndarray:
    """Return a column of arrays as one array; engines pass lists of numbers as such columns."""
    if array.dtype != object or not array.size:
        return array
    for row, value in enumerate(array):
        if value is None:
            raise _invalid(column, "input", arg.name, f"row {row} is null")
    if isinstance(array.flat[0], str):
        return array
    try:
        return _dense(array)
    except TypeError as error:
        raise _invalid(column, "input", arg.name, f"{error}; convert it in `preprocess`") from None
    except ValueError:
        shapes = sorted({np.shape(value) for value in array})[:3]
        reason = f"rows of different shapes ({_listed(shapes)} …); pad them in `preprocess`"
        raise _invalid(column, "input", arg.name, reason) from None


def _dense(value: Any) -> np.ndarray:
    """Return nested arrays or lists of numbers as one array."""
    array = np.asarray(value)
    if array.dtype != object:
        return array
    if not array.ndim:
        raise TypeError(f"a {type(value).__name__} is no number")
    return np.stack([_dense(item) for item in array])


def _joined(parts: list[tuple[str, np.ndarray]], arg: Value) -> np.ndarray:
    """Return the columns of one input as one array, whose shape the model declares."""
    column = ", ".join(name for name, _ in parts)
    arrays = [array for _, array in parts]
    if len(arrays) == 1:
        (array,) = arrays
    else:
        try:
            array = np.stack(arrays, axis=-1)
        except ValueError:
            shapes = _listed([array.shape for array in arrays])
            raise _invalid(column, "input", arg.name, f"their shapes differ: {shapes}") from None
    declared = arg.shape
    if not arg.type.startswith("tensor") or declared is None:
        return array
    if array.ndim + 1 == len(declared) and (array.ndim == 1 or declared[-1] == 1):
        array = array[..., np.newaxis]
    fits = array.ndim == len(declared) and all(
        size == wanted or not isinstance(wanted, int)
        for size, wanted in zip(array.shape, declared, strict=True)
    )
    if declared and not fits:
        raise _invalid(column, "input", arg.name, f"shape {array.shape} is not {tuple(declared)}")
    return array


def _element(type_name: str) -> str | None:
    """Return the element type of ``tensor(float)``; None if it is no tensor."""
    kind, _, rest = type_name.partition("(")
    return rest.rstrip(")") if kind == "tensor" else None


def _listed(names: Sequence[object]) -> str:
    return ", ".join(map(str, names)) or "none"


def _invalid(column: str, side: str, name: str, reason: str) -> InvalidArgument:
    return InvalidArgument(f"column {column!r}, {side} {name!r}: {reason}")
