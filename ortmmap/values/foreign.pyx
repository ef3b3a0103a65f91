"""onnxruntime's own OrtValue objects, as values of ours over the same memory.

onnxruntime is never imported here: its class is known by its methods.
"""

cimport ortmmap.abi.ort as ort
from ortmmap.values.tensors cimport tensor_at, tensor_from_array
from ortmmap.values.value cimport check_made, own

METHODS = ("data_ptr", "device_name", "element_type", "is_tensor", "shape", "tensor_size_in_bytes")


cdef Value as_value(object data, str name):
    """Give a value of ours itself, or onnxruntime's `data` as one to read, for `name`."""
    if isinstance(data, Value):
        return check_made(data, name)
    _check(data, name)
    if data.element_type() == ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING:
        return own(tensor_from_array(data.numpy(), ort.ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING))
    return _over(data)


cdef Value as_writable_value(object data, str name):
    """Do the same where the value is to be written to."""
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
        raise NotImplementedError(f"{name}: of onnxruntime's values tensors only are taken")
    if data.device_name().lower() != "cpu":
        raise NotImplementedError(
            f"{name}: onnxruntime's OrtValue lies on {data.device_name()}, not in the CPU's memory"
        )
    return 0


cdef Value _over(object data):
    """Make a tensor over the memory of onnxruntime's, which it keeps."""
    cdef Value made = tensor_at(data.data_ptr(), data.element_type(), data.shape())
    made.memory = data
    return made
