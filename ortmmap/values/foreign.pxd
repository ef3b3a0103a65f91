"""onnxruntime's own OrtValue objects."""

from ortmmap.values.value cimport Value

cdef Value as_value(object data, str name)
cdef Value as_writable_value(object data, str name)
