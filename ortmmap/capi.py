"""onnxruntime's place for its exceptions, ``capi.onnxruntime_pybind11_state``: `errors` here."""

from ortmmap import errors

__all__ = ["onnxruntime_pybind11_state"]

onnxruntime_pybind11_state = errors
