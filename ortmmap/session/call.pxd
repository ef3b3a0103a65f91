"""Call: the arguments and results of one run."""

from cpython.object cimport PyObject

cimport ortmmap.abi.ort as ort
from ortmmap.session.metadata cimport NodeArg
from ortmmap.session.native_options cimport RunOptions
from ortmmap.session.open_session cimport OpenSession
from ortmmap.values.value cimport Value

cdef enum:
    INLINE = 64   # pointers in the object itself: enough for 16 inputs and 8 outputs

cdef class Call:
    # Set before the run. `open` keeps the names alive.
    cdef OpenSession open
    cdef list args                    # the fetches', a NodeArg each
    cdef bint repeated                # an output is fetched more than once
    cdef size_t feeds, fetches
    cdef const char **names           # of the feeds, then of the fetches
    cdef ort.OrtValue **values        # of the feeds, then of the fetches
    # Owners of the feeds' memory: an array, or a Value that also owns the feed itself.
    cdef PyObject **owners
    cdef void *_own_slots[INLINE]
    cdef void **_allocated

    cdef int run_with(self, RunOptions options) except -1
    cdef int run(self, const ort.OrtRunOptions *options) except -1
    cdef int reserve(self, size_t feeds, size_t fetches) except -1
    cdef int feed_all(self, dict feed) except -1
    cdef NodeArg find_input(self, object name, dict feed)
    cdef int feed(self, size_t index, NodeArg arg, object data) except -1
    cdef int feed_value(self, size_t index, NodeArg arg, Value value) except -1
    cdef int name_fetches(self, bint as_python) noexcept
    cdef list results(self)
    cdef object take(self, size_t index, NodeArg arg)
    cdef Value take_value(self, size_t index, object cls)
    cdef object own_memory(self, object result)
    cdef bint is_fed(self, void *data) except -1

cdef RunOptions run_options_of(object options)
cdef Call new_call(OpenSession open_, object output_names, object input_feed, bint as_python)
