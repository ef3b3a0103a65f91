"""Values between the two libraries: onnxruntime's for programs, ortmmap's for its sessions.

Where the patch leaves small models to onnxruntime, programs see onnxruntime's values only. A tensor
changes hands without a copy, unless its elements are strings.
"""

import sys
from importlib import import_module
from typing import Any

from ortmmap.session.recorded import MODULE

__all__ = [
    "CLASSES",
    "feed_to_ours",
    "inner_to_theirs",
    "is_our",
    "to_theirs",
    "vector_to_theirs",
]

# TensorProto's numbers of the types of whole bytes that numpy lacks: bfloat16, float8.
WHOLE_BYTES = {16, 17, 18, 19, 20, 24}

CLASSES = "onnxruntime.capi.onnxruntime_inference_collection"  # the module that defines them


def is_our(module: str, name: str, value: object) -> bool:
    """Return whether a value is an instance of a class of ours, without importing its module."""
    return module in sys.modules and isinstance(value, getattr(sys.modules[module], name))


def to_theirs(value: Any) -> Any:
    """Return onnxruntime's OrtValue over the memory of ortmmap's.

    What onnxruntime has no function for is returned as it is: sequences, maps, sparse tensors,
    empty optionals, and tensors of strings or of less than 8 bits an element.
    """
    if not value.is_tensor():
        return value
    inner, array = _owning(value), None
    if inner is None:
        array = value.numpy()
        inner = _over_array(array, value.element_type())
    return value if inner is None else import_module(CLASSES).OrtValue(inner, array)


def inner_to_theirs(value: Any) -> Any:
    """Return onnxruntime's inner value (``OrtValue._ortvalue``) over the memory of ortmmap's.

    Raises
    ------
    NotImplementedError
        If the value is not a tensor, or onnxruntime takes no such tensor by DLPack.
    """
    inner = _owning(value) if value.is_tensor() else None
    if inner is None:
        raise NotImplementedError(
            f"onnxruntime has no function that makes a {value.data_type()} for a vector: use a "
            "method that returns OrtValue objects or arrays"
        )
    return inner


def vector_to_theirs(values: Any) -> Any:
    """Return onnxruntime's OrtValueVector of ortmmap's values."""
    vector = import_module(MODULE).OrtValueVector()
    for value in values:
        vector.push_back(inner_to_theirs(value))
    return vector


def _owning(value: Any) -> Any:
    """Return an inner value that keeps the tensor's memory; None if onnxruntime cannot make one."""
    from_dlpack = import_module(MODULE).OrtValue.from_dlpack
    kind = value.numpy().dtype.kind
    try:
        if kind == "O":  # strings, of which onnxruntime makes no OrtValue
            return None
        if kind == "b" and "is_bool_tensor" in from_dlpack.__doc__:  # onnxruntime 1.23
            return from_dlpack(value.numpy().view("u1").__dlpack__(), True)
        return from_dlpack(value.__dlpack__())
    except (BufferError, RuntimeError, TypeError):
        return None


def _over_array(array: Any, element_type: int) -> Any:
    """Return an inner value over an array, which the caller keeps; None if there is no way."""
    natives = import_module(MODULE)
    if array.dtype.kind in "biuf":
        cpu = natives.OrtDevice(natives.OrtDevice.cpu(), natives.OrtDevice.default_memory(), 0)
        return natives.OrtValue.ortvalue_from_numpy(array, cpu)
    if element_type not in WHOLE_BYTES:
        return None
    numbers = array.view(f"u{array.dtype.itemsize}")
    return natives.OrtValue.ortvalue_from_numpy_with_onnx_type(numbers, element_type)


def feed_to_ours(feed: dict[str, Any]) -> dict[str, Any]:
    """Return a feed whose sparse tensors are ortmmap's."""
    sparse = import_module(CLASSES).SparseTensor
    if not any(isinstance(value, sparse) for value in feed.values()):
        return feed
    return {
        name: _sparse_to_ours(value, name) if isinstance(value, sparse) else value
        for name, value in feed.items()
    }


def _sparse_to_ours(tensor: Any, name: str) -> Any:
    """Copy onnxruntime's sparse tensor."""
    ours = import_module("ortmmap.values.sparse").SparseTensor
    formats = import_module(MODULE).OrtSparseFormat
    device = import_module("ortmmap.values.devices").OrtDevice.make("cpu", 0)
    shape, values = tensor.dense_shape(), tensor.values()
    if tensor.format() == formats.ORT_SPARSE_COO:
        indices = tensor.as_coo_view().indices()
        return ours.sparse_coo_from_numpy(shape, values, indices, device)
    if tensor.format() == formats.ORT_SPARSE_CSRC:
        view = tensor.as_csrc_view()
        return ours.sparse_csr_from_numpy(shape, values, view.inner(), view.outer(), device)
    raise NotImplementedError(
        f"{name}: of onnxruntime's sparse tensors only those in COO and CSR format are accepted"
    )
