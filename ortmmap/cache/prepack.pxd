"""Recorded creations of sessions, and the pages that their blocks are shared with."""

cimport ortmmap.abi.ort as ort
cimport ortmmap.cache.shared_pages as csp

from ortmmap.model.mapping cimport Mapping
from ortmmap.runtime.library cimport ProcessLock

cdef ProcessLock creating

cdef class Pages:
    # Set once, when the object is made; a creation's thread updates `growing`.
    cdef csp.ortmmap_store store
    cdef csp.ortmmap_growing_file growing
    cdef readonly object entry
    cdef size_t _size
    cdef csp.ortmmap_fingerprint *_fingerprints   # NULL if they are not known
    cdef size_t *_order                           # NULL with them
    cdef readonly list stand_ins   # names of the weights that these fingerprints are of
    cdef readonly Py_ssize_t dependent   # blocks of a session that depend on their stand-ins

    cdef bint is_growing(self) noexcept
    cdef bint is_cut_off(self) noexcept
    cdef bint is_waited_for(self) noexcept
    cdef bint is_equal(self, size_t one, size_t other) noexcept
    cdef int recognize(self, bint whether) noexcept

cdef class Recording:
    # The session's threads point to it, so it must outlive them.
    cdef csp.ortmmap_recorder recorder

    cdef int set_threads(self, ort.OrtSessionOptions *options) except -1
    cdef int begin(self, Pages pages, bint learning=*) except -1
    cdef list learned(self)
    cdef bint is_complete(self) noexcept
    cdef int end(self) noexcept nogil
    cdef int share(self, Pages pages) except -1
    cdef int keep(self) except -1
    cdef tuple _totals(self, set states)
    cdef list _table(self)

cdef class StandIns:
    # Changed by put() and remove() only, in the thread of one creation.
    cdef list _weights
    cdef csp.ortmmap_stand_in *_stand_ins   # of the weights, in their order
    cdef unsigned char *_range
    cdef size_t _size    # of the range
    cdef dict _files     # descriptors by mapping

    cdef list put(self)
    cdef bint remove(self) except -1
    cdef bint _open(self, Mapping mapping) except -1

cdef int begin_start() except -1
cdef int await_start() except -1
cdef bint start() except -1
cdef object why_not_started()
cdef object address_space_limit()
cdef int give_way() except -1
cdef int settle(bint replaced) except -1
