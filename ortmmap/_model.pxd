"""Model: the file or the buffer that a session is created from."""

from ortmmap cimport c_ort_abi as ort
from ortmmap._mapping cimport Mapping

cdef class Model:
    cdef readonly str path           # None for a buffer
    cdef readonly Mapping mapping    # None unless a file is mapped
    # An exported buffer of `mapping`, or of the object given: it can neither be unmapped nor
    # resized. `buf` is NULL once it is released.
    cdef Py_buffer _bytes

    cdef ort.OrtSession *create_session(
        self, object options, dict config, list providers
    ) except NULL
    cdef int _open(self, object source, bint prefault, bint lock) except -1
    cdef bint _is_ort_format(self, object options) except -1
    cdef ort.OrtSession *_create(
        self, object options, dict config, list providers
    ) except NULL
    cdef int _release(self) except -1
