"""Mapping: a file as read-only memory, alive for as long as anything points into it."""

from ortmmap.abi.mapping cimport ortmmap_mapping
from ortmmap.process.guard cimport ortmmap_guard

cdef class Mapping:
    cdef object __weakref__
    cdef readonly str path
    cdef dict _settings           # the arguments of the constructor, without the path
    # Changed by opening and closing only; constant while `_exports` is not 0.
    cdef ortmmap_mapping _mapping
    # Buffers exported and not yet released. Guarded by the interpreter lock.
    cdef Py_ssize_t _exports

    cdef int _check_open(self) except -1

cdef tuple identity_of(str path)
cdef tuple stamp(str path, tuple identity)
cdef ortmmap_guard *take_guard() except NULL
cdef int give_guard(ortmmap_guard *guard) noexcept
cdef bint guards_have_users() noexcept nogil
cdef void abandon_guards() noexcept nogil
