"""Tensors of strings, which are copied both ways."""

cimport numpy as cnp

cimport ortmmap.abi.ort as ort
from ortmmap.values.value cimport Value

cdef struct Strings:
    ort.OrtValue *tensor
    size_t written       # bytes, ever: a string keeps the room that it once had
    size_t longest       # in bytes, ever

cdef class StringTensor(Value):
    cdef Strings strings

    cdef int fill(self, cnp.ndarray array) except -1

cdef StringTensor new_string_tensor(cnp.ndarray array)
cdef ort.OrtValue *string_tensor(cnp.ndarray array) except NULL
cdef cnp.ndarray string_array(ort.OrtValue *tensor, int rank, cnp.npy_intp *shape)
