"""OrtValue: a value as users hold it."""

from ortmmap.values.value cimport Value

cdef class OrtValue(Value):
    cdef object __weakref__
    cdef readonly object _numpy_obj      # the array that it was made of, or None

    cdef int _expect_tensor(self) except -1
