"""Value: owns one value of ONNX Runtime."""

cimport cython

from ortmmap.runtime.library cimport allocator, api, check, forks


# No cycle runs through a Value: what its memory belongs to is an array or a buffer.
@cython.no_gc
@cython.freelist(64)
cdef class Value:
    """Owns one value of ONNX Runtime, and what its memory belongs to."""

    def __cinit__(self):
        self.forks = forks

    def __dealloc__(self):
        # After a fork another thread may have held its allocator's lock: the memory stays.
        if self.value != NULL and not self.shared and self.forks == forks:
            api.ReleaseValue(self.value)


cdef Value own(ort.OrtValue *value):
    """Take over `value`, to be released with the object."""
    cdef Value owner = Value.__new__(Value)
    owner.value = value
    return owner


cdef Value share(object cls, Value value):
    """Make an object of class `cls` for what `value` owns and goes on owning."""
    cdef Value made = cls.__new__(cls)
    made.value, made.memory, made.shared = value.value, value, True
    return made


cdef ort.ONNXType kind_of(Value value) except *:
    """Give what a value is: a tensor, a sequence …"""
    cdef ort.ONNXType kind = ort.ONNX_TYPE_UNKNOWN
    check(api.GetValueType(value.value, &kind))
    return kind


cdef bint has_value(Value value) except -1:
    """Whether there is one: an optional may be empty."""
    cdef int answer = 0
    if value.value == NULL:
        return False
    check(api.HasValue(value.value, &answer))
    return answer


cdef Value check_made(Value value, str name):
    """Give `value`, for `name`; raise where nobody made one, as by ``OrtValue.__new__`` alone."""
    if value.value == NULL:
        raise TypeError(f"{name}: the {type(value).__name__} holds no value")
    return value


cdef list elements_of(Value value):
    """Give the elements of a sequence, or the keys and the values of a map."""
    cdef size_t count = 0
    cdef int index
    cdef ort.OrtValue *element
    cdef list elements = []
    check(api.GetValueCount(value.value, &count))
    for index in range(<int>count):
        element = NULL
        check(api.GetValue(value.value, index, allocator, &element))
        elements.append(own(element))
    return elements
