"""Value: owns one value of ONNX Runtime."""

cimport ortmmap.abi.ort as ort

cdef class Value:
    # Set once, when the object is made, and released with it, the value first.
    cdef ort.OrtValue *value
    cdef object memory       # keeps the value's memory; None if that is ONNX Runtime's own
    cdef bint shared         # `value` belongs to another Value, `memory`, which releases it
    cdef int forks           # of the process that made it

cdef Value own(ort.OrtValue *value)
cdef Value own_as(object cls, ort.OrtValue *value, object memory)
cdef Value share(object cls, Value value)
cdef Value share_with(Value made, Value value)
cdef Value check_made(Value value, str name)
cdef Value check_holds(Value value, str name)
cdef bint has_value(Value value) except -1
cdef ort.ONNXType kind_of(Value value) except *
cdef list elements_of(Value value)
cdef Value element_of(Value value, int index)

# The types of values, as onnxruntime spells them.
cdef str value_type_name(Value value)
cdef str type_name(const ort.OrtTypeInfo *info, int kind)
cdef int tensor_element_type(const ort.OrtTensorTypeAndShapeInfo *info) except -1
