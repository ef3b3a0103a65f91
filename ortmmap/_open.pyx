"""OpenSession: ONNX Runtime's session and the model's bytes that it may point into.

A `Session` has one, which its bindings and the runs that are under way hold too.
"""

cimport cython

from ortmmap._metadata cimport NodeArg, inputs_of, outputs_of, overridable_initializers_of
from ortmmap._runtime cimport api


@cython.final
@cython.no_gc_clear   # the collector must not take `model` away while `session` points into it
cdef class OpenSession:
    """ONNX Runtime's session, released before the bytes that it may point into."""

    def __dealloc__(self):
        self.release()

    cdef int describe(self) except -1:
        """Look up the names and types."""
        self.inputs = inputs_of(self.session)
        self.outputs = outputs_of(self.session)
        self.overridable = overridable_initializers_of(self.session)
        self.feeds = {arg.name: arg for arg in self.overridable + self.inputs}
        self.fetches = {arg.name: arg for arg in self.outputs}
        self.required = sum((<NodeArg>arg).required for arg in self.inputs)
        return 0

    cdef int check_open(self) except -1:
        if self.session == NULL:
            raise ValueError("the session is closed")
        return 0

    cdef int release(self) except -1:
        """Release ONNX Runtime's session, and only then what it may point into."""
        cdef ort.OrtSession *session = self.session
        self.session = NULL
        if session != NULL:
            with nogil:
                api.ReleaseSession(session)
        self.model = None
        self.initializers = None
        return 0
