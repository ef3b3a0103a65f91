"""``capi.onnxruntime_pybind11_state``, where onnxruntime has the classes of its C++ part.

Code that looks up an exception or a class such as ``OrtValueVector`` there finds ortmmap's.
"""

from types import ModuleType
from typing import Any

import ortmmap
from ortmmap import errors
from ortmmap.compat.absent import explained

__all__ = ["onnxruntime_pybind11_state"]


class _State(ModuleType):
    """The names of `errors`, then those of the package."""

    def __getattr__(self, name: str) -> Any:  # an object would be of no use in an except clause
        if name.startswith("__"):
            raise AttributeError(name)
        for module in (errors, ortmmap):
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(explained(self.__name__, name))


onnxruntime_pybind11_state = _State("ortmmap.capi.onnxruntime_pybind11_state", __doc__)
