"""Sequences, maps and optionals to values and back."""

from ortmmap.values.value cimport Value

cdef object to_python(Value value)
cdef Value from_python(object data, str type_, str name)
cdef bint lies_in_value(Value value, const void *data) except -1
