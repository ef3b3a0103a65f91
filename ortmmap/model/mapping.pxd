"""Mapping: a file as read-only memory, alive for as long as anything points into it."""

from ortmmap.abi.mapping cimport ortmmap_mapping
from ortmmap.process.guard cimport ortmmap_guard

cdef class Mapping:
    cdef object __weakref__
    cdef readonly str path
    cdef dict _settings           # the arguments of the constructor, without the path
    # Guarded by the object's critical section. `_mapping` is changed by opening and closing only,
    # and constant while `_exports` is not 0.
    cdef ortmmap_mapping _mapping
    cdef Py_ssize_t _exports      # buffers exported and not yet released, and calls under way

    cdef int _check_open(self) except -1
    cdef int _begin(self) except -1
    cdef int _end(self) except -1

cdef tuple identity_of(str path)
cdef tuple stamp(str path, tuple identity)
cdef ortmmap_guard *take_guard() except NULL
cdef int give_guard(ortmmap_guard *guard) noexcept
cdef ortmmap_guard *share_guard(ortmmap_guard *guard) noexcept
cdef bint guards_have_users() noexcept nogil
cdef void abandon_guards() noexcept nogil
