"""Call: the arguments and results of one run."""

from cpython.object cimport PyObject

from ortmmap cimport c_ort_abi as ort
from ortmmap._metadata cimport NodeArg

cdef enum:
    INLINE = 64   # pointers that a Call holds without allocating: 16 inputs and 8 outputs

cdef class Call:
    cdef size_t feeds, fetches
    cdef const char **names           # of the feeds, then of the fetches
    cdef ort.OrtValue **values        # of the feeds, then of the fetches
    cdef PyObject **arrays            # what the feeds' memory belongs to
    cdef void *_inline[INLINE]
    cdef void **_allocated

    cdef int reserve(self, size_t feeds, size_t fetches) except -1
    cdef int feed(self, size_t index, NodeArg arg, object data) except -1
    cdef list results(self, list fetches)
    cdef object take(self, size_t index, NodeArg arg)
    cdef bint is_fed(self, void *data) noexcept
