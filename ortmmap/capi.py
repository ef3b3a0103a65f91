"""onnxruntime's place for the classes of its C++ part, ``capi.onnxruntime_pybind11_state``.

Code that reads an exception, or a class such as ``OrtValueVector``, there finds ours.
"""

from types import ModuleType

import ortmmap
from ortmmap import errors

__all__ = ["onnxruntime_pybind11_state"]


class _State(ModuleType):
    """Names of `errors`, and of the package."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(errors if hasattr(errors, name) else ortmmap, name)


onnxruntime_pybind11_state = _State("ortmmap.capi.onnxruntime_pybind11_state", __doc__)
