"""Model: the file or the buffer that a session is created from."""

from ortmmap cimport c_ort_abi as ort
from ortmmap._mapping cimport Mapping
from ortmmap._prepack cimport Recording

cdef class Model:
    cdef readonly str path           # None for a buffer
    cdef readonly Mapping mapping    # None unless a file is mapped
    # An exported buffer of `mapping`, or of the object given: it can neither be unmapped nor
    # resized. `buf` is NULL once it is released.
    cdef Py_buffer bytes
    # What ONNX Runtime's threads may point to: it lives as long as the Model.
    cdef Recording recording
    # Entries of the cache that are in use, which are not removed to make room.
    cdef readonly list entries
    cdef bint prefault
    cdef bint lock

    cdef object source(self)
    cdef bint is_ort_format(self, object options) except -1
    cdef int map(self, str path) except -1
    cdef int release_bytes(self) except -1
    cdef ort.OrtSession *create_of_bytes(
        self, object options, dict config, list providers, const void *data, size_t size
    ) except NULL
    cdef ort.OrtSession *create_of_file(
        self, object options, dict config, list providers, str path
    ) except NULL
    cdef ort.OrtSession *_create(
        self,
        object options,
        dict config,
        list providers,
        const void *data,
        size_t size,
        bytes path,
    ) except NULL
