"""Value: owns one value of ONNX Runtime."""

cimport ortmmap.abi.ort as ort

cdef class Value:
    # All set once, when the object is made, and released with it, the value first.
    cdef ort.OrtValue *value
    cdef object memory       # what the value's memory belongs to; None: ONNX Runtime
    cdef bint shared         # `value` is that of another Value, `memory`, which releases it
    cdef int forks           # of the process that made it, which alone may release it

cdef Value own(ort.OrtValue *value)
cdef Value share(object cls, Value value)
cdef ort.ONNXType kind_of(Value value) except *
cdef bint has_value(Value value) except -1
cdef Value check_made(Value value, str name)
cdef list elements_of(Value value)
