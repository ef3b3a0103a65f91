"""OpenSession: ONNX Runtime's session and the model's bytes that it may point into."""

from ortmmap cimport c_ort_abi as ort
from ortmmap._model cimport Model

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
    # Calls of ONNX Runtime under way. Guarded by the interpreter lock.
    cdef Py_ssize_t running

    cdef int describe(self) except -1
    cdef int check_open(self) except -1
    cdef int release(self) except -1
