"""onnxruntime's own OrtValue objects."""

from ortmmap._values cimport Value

cdef Value as_value(object data, str name)
cdef Value as_writable_value(object data, str name)
