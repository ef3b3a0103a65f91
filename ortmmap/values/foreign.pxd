"""onnxruntime's own OrtValue objects, as values of ortmmap over the same memory."""

from ortmmap.values.value cimport Value

cpdef Value as_value(object data, str name)
cdef Value as_writable_value(object data, str name)
