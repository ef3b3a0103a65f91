"""Tensors of strings, which are copied both ways."""

cimport numpy as cnp

from cpython.object cimport PyObject

cimport ortmmap.abi.ort as ort
from ortmmap.values.value cimport Value

cdef struct Strings:
    # A tensor, and what was ever written into it: a string does not give its memory back.
    ort.OrtValue *tensor
    size_t written       # bytes of all texts
    size_t longest       # bytes of one text

cdef class StringTensor(Value):
    # Of the thread that has the only reference, until it is given back.
    cdef Strings strings
    cdef PyObject *home      # borrowed: the input that keeps the tensor after the run; or NULL

    cdef int fill(self, cnp.ndarray array) except -1

cdef StringTensor new_string_tensor(cnp.ndarray array)
cdef ort.OrtValue *string_tensor(cnp.ndarray array) except NULL
cdef cnp.ndarray string_array(ort.OrtValue *tensor, int rank, cnp.npy_intp *shape)
