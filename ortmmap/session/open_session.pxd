"""OpenSession: ONNX Runtime's session and the model's bytes that it may point into."""

cimport ortmmap.abi.ort as ort
from ortmmap.session.model cimport Model
from ortmmap.process.guard cimport ortmmap_guard

# Whether a session may be used, and if not, why.
cdef enum Use:
    USABLE = 0
    CLOSED
    FORKED       # it was opened before a fork, and this process is the child
    CHANGED      # a file of the model was found truncated

cdef class OpenSession:
    # Set once; released by release() or with the object; constant in between, and used without the
    # interpreter lock while `running` is not 0.
    cdef ort.OrtSession *session
    cdef Model model
    cdef tuple initializers       # values that ONNX Runtime points to
    # The names and types that every run needs; set once, by describe().
    cdef list inputs
    cdef list outputs
    cdef list overridable
    cdef dict feeds              # inputs and overridable initializers by name
    cdef dict fetches            # outputs by name
    cdef Py_ssize_t required     # how many inputs must be fed
    cdef int forks               # of the process that opened it, which alone may use it
    # The model's; its `users` counts calls of ONNX Runtime under way. NULL until open.
    cdef ortmmap_guard *guard
    # Handles of the C API, which close() refuses to pull this from under. Guarded by the
    # interpreter lock.
    cdef Py_ssize_t handles

    cdef int describe(self) except -1
    cdef Use use(self) noexcept nogil
    cdef Use enter(self) noexcept nogil
    cdef Use leave(self) noexcept nogil
    cdef int begin(self) except -1
    cdef int end(self, ort.OrtStatus *status) except -1
    cdef int check_open(self) except -1
    cdef int check_not_closed(self) except -1
    cdef int raise_unusable(self, Use use) except -1
    cdef long running(self) noexcept
    cdef int release(self) except -1
