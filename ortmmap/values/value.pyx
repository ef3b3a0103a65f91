"""Value: owns one value of ONNX Runtime."""

cimport cython

from ortmmap.runtime.library cimport allocator, api, check, forks, intact_since
from ortmmap.values.element_types cimport element_type_name

from ortmmap.errors import InvalidArgument


# No reference cycle runs through a Value: its memory belongs to an array or a buffer.
@cython.no_gc
@cython.freelist(64)
cdef class Value:
    """Owns one value of ONNX Runtime, and keeps the memory that it lies in."""

    def __cinit__(self):
        self.forks = forks

    def __dealloc__(self):
        # After a fork that was not clean, the allocator's lock may be held: leak the memory.
        if self.value != NULL and not self.shared and self.forks >= intact_since:
            api.ReleaseValue(self.value)


cdef Value own(ort.OrtValue *value):
    """Take over `value`, to be released with the object."""
    cdef Value owner = Value.__new__(Value)
    owner.value = value
    return owner


cdef Value own_as(object cls, ort.OrtValue *value, object memory):
    """Make a `cls`, a class of values, that owns `value`; `memory` keeps what it may lie in."""
    cdef Value owner = cls.__new__(cls)
    owner.value = value
    owner.memory = memory
    return owner


cdef Value share(object cls, Value value):
    """Make a `cls`, a class of values, with the value that `value` still owns."""
    return share_with(cls.__new__(cls), value)


cdef Value share_with(Value made, Value value):
    """Have `made`, which is empty, share the value that `value` still owns."""
    made.value, made.memory, made.shared = value.value, value, True
    return made


cdef Value check_made(Value value, str name):
    """Return `value`; raise TypeError if it holds none, as after ``OrtValue.__new__`` alone."""
    if value.value == NULL:
        raise TypeError(f"{name}: the {type(value).__name__} holds no value")
    return value


cdef Value check_holds(Value value, str name):
    """Return `value`; raise InvalidArgument if it is an empty optional.

    ONNX Runtime would look for a type in it, and end the process.
    """
    if not has_value(value):
        raise InvalidArgument(f"{name}: the value is an empty optional")
    return value


cdef bint has_value(Value value) except -1:
    """Whether there is a value: an optional may be empty."""
    cdef int answer = 0
    if value.value == NULL:
        return False
    check(api.HasValue(value.value, &answer))
    return answer


cdef ort.ONNXType kind_of(Value value) except *:
    """Return whether a value is a tensor, a sequence …"""
    cdef ort.ONNXType kind = ort.ONNX_TYPE_UNKNOWN
    check(api.GetValueType(value.value, &kind))
    return kind


cdef list elements_of(Value value):
    """Return the elements of a sequence, or the keys and the values of a map."""
    cdef size_t count = 0
    cdef size_t index
    check(api.GetValueCount(value.value, &count))
    return [element_of(value, <int>index) for index in range(count)]


cdef Value element_of(Value value, int index):
    """Return an element of a sequence, or of a map the keys, 0, or the values, 1."""
    cdef ort.OrtValue *element = NULL
    check(api.GetValue(value.value, index, allocator, &element))
    return own(element)


# --- types ---

cdef str value_type_name(Value value):
    """Name the type of a value; ``unknown`` if there is none, as in an empty optional."""
    cdef ort.OrtTypeInfo *info = NULL
    if not has_value(value):
        return "unknown"   # ONNX Runtime would look for the type in the value
    check(api.GetTypeInfo(value.value, &info))
    return "unknown" if info == NULL else _take_type_name(info)


cdef str _take_type_name(ort.OrtTypeInfo *info):
    """Name a type, and release `info`."""
    cdef ort.ONNXType kind = ort.ONNX_TYPE_UNKNOWN
    try:
        check(api.GetOnnxTypeFromTypeInfo(info, &kind))
        return type_name(info, kind)
    finally:
        api.ReleaseTypeInfo(info)


cdef str type_name(const ort.OrtTypeInfo *info, int kind):
    """Name a type of kind `kind`: ``tensor(float)``, ``seq(map(int64,tensor(float)))`` …"""
    cdef const ort.OrtTensorTypeAndShapeInfo *tensor = NULL
    cdef const ort.OrtSequenceTypeInfo *sequence = NULL
    cdef const ort.OrtOptionalTypeInfo *optional = NULL
    cdef const ort.OrtMapTypeInfo *map_info = NULL
    cdef ort.ONNXTensorElementDataType key_type
    cdef ort.OrtTypeInfo *inner = NULL
    if kind == ort.ONNX_TYPE_TENSOR or kind == ort.ONNX_TYPE_SPARSETENSOR:
        check(api.CastTypeInfoToTensorInfo(info, &tensor))
        prefix = "tensor" if kind == ort.ONNX_TYPE_TENSOR else "sparse_tensor"
        return f"{prefix}({element_type_name(tensor_element_type(tensor))})"
    if kind == ort.ONNX_TYPE_SEQUENCE:
        check(api.CastTypeInfoToSequenceTypeInfo(info, &sequence))
        check(api.GetSequenceElementType(sequence, &inner))
        return f"seq({_take_type_name(inner)})"
    if kind == ort.ONNX_TYPE_OPTIONAL:
        check(api.CastTypeInfoToOptionalTypeInfo(info, &optional))
        check(api.GetOptionalContainedTypeInfo(optional, &inner))
        return f"optional({_take_type_name(inner)})"
    if kind == ort.ONNX_TYPE_MAP:
        check(api.CastTypeInfoToMapTypeInfo(info, &map_info))
        check(api.GetMapKeyType(map_info, &key_type))
        check(api.GetMapValueType(map_info, &inner))
        return f"map({element_type_name(key_type)},{_take_type_name(inner)})"
    return "opaque" if kind == ort.ONNX_TYPE_OPAQUE else "unknown"


cdef int tensor_element_type(const ort.OrtTensorTypeAndShapeInfo *info) except -1:
    cdef ort.ONNXTensorElementDataType element_type
    check(api.GetTensorElementType(info, &element_type))
    return element_type
