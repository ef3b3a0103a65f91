"""onnxruntime's own OrtValue objects, as values of ortmmap over the same memory.

onnxruntime is not imported: its class is recognized by its methods.
"""

cimport ortmmap.abi.ort as ort
from ortmmap.values.tensors cimport new_tensor, tensor_at
from ortmmap.values.value cimport check_made

METHODS = ("data_ptr", "device_name", "element_type", "is_tensor", "shape", "tensor_size_in_bytes")


cpdef Value as_value(object data, str name):
    """Return a value to read: `data` itself, or a tensor over onnxruntime's.

    `name` is the input's, for errors.
    """
    if isinstance(data, Value):
        return check_made(data, name)
    _check(data, name)
    if data.element_type() == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
        return new_tensor(Value, data.numpy(), ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING)
    return _over(data)


cdef Value as_writable_value(object data, str name):
    """Return a value to write to, as as_value(); onnxruntime's strings are refused."""
    if isinstance(data, Value):
        return check_made(data, name)
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
        raise NotImplementedError(f"{name}: of onnxruntime's values only tensors are accepted")
    if data.device_name().lower() != "cpu":
        raise NotImplementedError(
            f"{name}: onnxruntime's OrtValue lies on {data.device_name()}, not in the CPU's memory"
        )
    return 0


cdef Value _over(object data):
    """Make a tensor over the memory of onnxruntime's, which it keeps."""
    return tensor_at(data.data_ptr(), data.element_type(), data.shape(), data)
