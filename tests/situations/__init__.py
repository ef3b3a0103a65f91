"""What programs do with onnxruntime, each a function of the module that stands for it.

A situation takes that module, works in a folder of its own, and returns what a program would see.
`child` runs them; `test_situations` compares what onnxruntime gives with what ortmmap gives.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from types import ModuleType

import numpy as np

__all__ = ["Situation", "attempt", "natives", "situation", "situations", "warned"]


@dataclass(frozen=True)
class Situation:
    """A function of a module, and what onnxruntime must have for it to mean anything."""

    run: Callable[[ModuleType], object]
    needs: str
    since: tuple[int, int]
    package: str

    def is_possible(self, module: ModuleType) -> bool:
        if tuple(map(int, module.__version__.split(".")[:2])) < self.since:
            return False
        if self.package and importlib.util.find_spec(self.package) is None:
            return False
        try:
            reduce(getattr, filter(None, self.needs.split(".")), module)
        except AttributeError:
            return False
        return True


_situations: dict[str, Situation] = {}


def situations() -> dict[str, Situation]:
    """Return the situations of all modules of this package, by name."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return _situations


def situation(
    needs: str = "", since: tuple[int, int] = (0, 0), package: str = ""
) -> Callable[[Callable], Callable]:
    """Register a situation.

    It means something to versions of onnxruntime that have the dotted name `needs`, and no defect
    that `since` is known to be without. `package` is another package that it imports.
    """

    def register(run: Callable[[ModuleType], object]) -> Callable:
        _situations[run.__name__] = Situation(run, needs, since, package)
        return run

    return register


def natives(ort: ModuleType) -> ModuleType:
    """Return the module that programs import exceptions and vectors from."""
    return ort.capi.onnxruntime_pybind11_state


def attempt(call: Callable, *args: object, **kwargs: object) -> dict[str, object]:
    """Make a call, and return what came of it: a result, or the classes of an exception."""
    try:
        return {"returns": plain(call(*args, **kwargs))}
    except Exception as error:
        classes = [cls.__name__ for cls in type(error).__mro__]
        return {"raises": classes, "text": str(error)[:300]}


def warned(call: Callable, *args: object, **kwargs: object) -> dict[str, object]:
    """Make a call, and return what came of it and the categories of what it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome = attempt(call, *args, **kwargs)
    return {**outcome, "warns": [warning.category.__name__ for warning in caught]}


def plain(result: object) -> object:
    """Return what JSON can hold of a result: contents, not identity."""
    match result:
        case np.ndarray():
            return [str(result.dtype), list(result.shape), plain(result.tolist())]
        case np.generic():
            return [str(result.dtype), plain(result.item())]
        case dict():
            return {str(key): plain(value) for key, value in result.items()}
        case list() | tuple():
            return [plain(item) for item in result]
        case bool() | int() | float() | str() | None:
            return result
    return plain(result.numpy()) if hasattr(result, "numpy") else described(result)


def described(result: object) -> object:
    return int(result.value) if hasattr(result, "value") else "an object"
