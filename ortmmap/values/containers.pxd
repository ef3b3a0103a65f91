"""Sequences, maps and optionals to values and back."""

from ortmmap.values.value cimport Value

cpdef object to_python(Value value)
cpdef Value from_python(object data, str type_, str name)
