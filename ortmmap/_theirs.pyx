"""onnxruntime's own OrtValue objects, as values of ours over the same memory.

onnxruntime is never imported here: its class is known by its methods.
"""

cimport numpy as cnp
from libc.stdint cimport int64_t

cimport ortmmap.c_ort_abi as ort
from ortmmap._runtime cimport api, check, cpu_memory
from ortmmap._tensors cimport tensor_from_array
from ortmmap._types cimport element_type_from
from ortmmap._values cimport own

import numpy as np

cnp.import_array()

METHODS = ("data_ptr", "device_name", "element_type", "is_tensor", "shape", "tensor_size_in_bytes")


cdef Value as_value(object data, str name):
    """Give a value of ours itself, or onnxruntime's `data` as one to read, for `name`."""
    if isinstance(data, Value):
        return data
    _check(data, name)
    if data.element_type() == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
        return own(tensor_from_array(data.numpy(), ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING))
    return _over(data)


cdef Value as_writable_value(object data, str name):
    """Do the same where the value is to be written to."""
    if isinstance(data, Value):
        return data
    _check(data, name)
    if data.element_type() == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
        raise NotImplementedError(
            f"{name}: strings cannot be written into onnxruntime's OrtValue; bind ortmmap's"
        )
    return _over(data)


cdef int _check(object data, str name) except -1:
    if not all(hasattr(data, method) for method in METHODS):
        raise TypeError(f"{name} should be an OrtValue, not {type(data).__name__}")
    if not data.is_tensor():
        raise NotImplementedError(f"{name}: of onnxruntime's values tensors only are taken")
    if data.device_name().lower() != "cpu":
        raise NotImplementedError(
            f"{name}: onnxruntime's OrtValue lies on {data.device_name()}, not in the CPU's memory"
        )
    return 0


cdef Value _over(object data):
    """Make a tensor over the memory of onnxruntime's, which it keeps."""
    cdef Value made = Value.__new__(Value)
    cdef cnp.ndarray sizes = np.array(data.shape(), np.int64)
    cdef size_t address = data.data_ptr()
    cdef int element_type = element_type_from(data.element_type())
    check(api.CreateTensorWithDataAsOrtValue(
        cpu_memory,
        <void *>address,
        <size_t>data.tensor_size_in_bytes(),
        <const int64_t *>cnp.PyArray_DATA(sizes),
        cnp.PyArray_SIZE(sizes),
        <ort.ONNXTensorElementDataType>element_type,
        &made.value,
    ))
    made.memory = data
    return made
