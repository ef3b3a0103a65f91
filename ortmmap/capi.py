"""The modules of ``onnxruntime.capi`` that programs read names from.

Code that looks up an exception or a class such as ``OrtValueVector`` in
``capi.onnxruntime_pybind11_state``, where onnxruntime has the classes of its C++ part, finds
ortmmap's. ``capi._pybind_state`` has the same names, and ``capi.onnxruntime_inference_collection``
those of onnxruntime's Python classes.
"""

from types import ModuleType
from typing import Any

import ortmmap
from ortmmap import errors
from ortmmap.compat.absent import explained
from ortmmap.compat.collection import FUNCTIONS

__all__ = ["_pybind_state", "onnxruntime_inference_collection", "onnxruntime_pybind11_state"]


class _State(ModuleType):
    """The names of `errors`, then those of the package."""

    @staticmethod
    def get_default_session_options() -> Any:
        """Return new options with default settings."""
        return ortmmap.SessionOptions()

    def __getattr__(self, name: str) -> Any:  # an object would be of no use in an except clause
        if name.startswith("__"):
            raise AttributeError(name)
        for module in (errors, ortmmap):
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(explained(self.__name__, name))


class _Collection(ModuleType):
    """The functions of `ortmmap.compat.collection`, then the names of the package."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in FUNCTIONS:
            return FUNCTIONS[name]
        if name == "C":
            return onnxruntime_pybind11_state
        if hasattr(ortmmap, name):
            return getattr(ortmmap, name)
        raise AttributeError(explained(self.__name__, name))


onnxruntime_pybind11_state = _State("ortmmap.capi.onnxruntime_pybind11_state", __doc__)
onnxruntime_inference_collection = _Collection(
    "ortmmap.capi.onnxruntime_inference_collection", __doc__
)
_pybind_state = onnxruntime_pybind11_state
