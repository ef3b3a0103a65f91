"""SparseTensor: the values of a tensor that are not zero, and their indices."""

cimport ortmmap.abi.ort as ort
from ortmmap.values.value cimport Value

cdef class SparseTensor(Value):
    cdef object __weakref__
    cdef ort.OrtSparseFormat _format(self) except *
    cdef int _check_made(self) except -1
    cdef int _expect(self, ort.OrtSparseFormat wanted) except -1
