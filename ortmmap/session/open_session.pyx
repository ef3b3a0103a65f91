"""OpenSession: ONNX Runtime's session and the model's bytes that it may point into.

A `Session` has one, which its bindings and the runs that are under way hold too.
"""

cimport cython
from cpython.ref cimport Py_INCREF

from ortmmap.session.metadata cimport NodeArg, inputs_of, outputs_of, overridable_initializers_of
from ortmmap.runtime.library cimport api, check, forks
from ortmmap.process.guard cimport ortmmap_count_add, ortmmap_count_get


@cython.final
@cython.no_gc_clear   # the collector must not take `model` away while `session` points into it
cdef class OpenSession:
    """ONNX Runtime's session, released before the bytes that it may point into."""

    def __cinit__(self):
        self.forks = forks

    def __dealloc__(self):
        self.release()

    cdef int describe(self) except -1:
        """Look up the names and types, once the session is there."""
        self.guard = self.model.guard
        self.inputs = inputs_of(self.session)
        self.outputs = outputs_of(self.session)
        self.overridable = overridable_initializers_of(self.session)
        self.feeds = {arg.name: arg for arg in self.overridable + self.inputs}
        self.fetches = {arg.name: arg for arg in self.outputs}
        self.required = sum((<NodeArg>arg).required for arg in self.inputs)
        return 0

    cdef Use use(self) noexcept nogil:
        """Tell whether the session may be used."""
        if self.session == NULL:
            return CLOSED
        if self.forks != forks:
            return FORKED
        return CHANGED if ortmmap_count_get(&self.guard.changed) else USABLE

    cdef Use enter(self) noexcept nogil:
        """Begin to use the session, which release() waits for nobody to do; leave() ends it.

        Without the interpreter lock, only where something keeps the session from being closed.
        """
        cdef Use use = self.use()
        if use == USABLE:
            ortmmap_count_add(&self.guard.users, 1)
        return use

    cdef Use leave(self) noexcept nogil:
        """End what enter() began; CHANGED: throw away what was computed."""
        ortmmap_count_add(&self.guard.users, -1)
        return CHANGED if ortmmap_count_get(&self.guard.changed) else USABLE

    cdef int begin(self) except -1:
        """Begin to use the session; end() ends it."""
        cdef Use use = self.enter()
        return 0 if use == USABLE else self.raise_unusable(use)

    cdef int end(self, ort.OrtStatus *status) except -1:
        """End what begin() began, and raise what `status` says, or that a file was truncated."""
        cdef Use use = self.leave()
        if use == USABLE:
            return check(status)
        if status != NULL:
            api.ReleaseStatus(status)
        return self.raise_unusable(use)

    cdef int check_open(self) except -1:
        cdef Use use = self.use()
        return 0 if use == USABLE else self.raise_unusable(use)

    cdef int check_not_closed(self) except -1:
        return 0 if self.session != NULL else self.raise_unusable(CLOSED)

    cdef int raise_unusable(self, Use use) except -1:
        if use == CLOSED:
            raise ValueError("the session is closed")
        if use == FORKED:
            raise RuntimeError(
                "this was made before a fork, and belongs to the parent process: make another one "
                "of the session, which opens itself again"
            )
        raise self.model.gone()

    cdef long running(self) noexcept:
        """Tell how many calls of ONNX Runtime are under way in this process."""
        if self.guard == NULL or self.forks != forks:
            return 0
        return ortmmap_count_get(&self.guard.users)

    cdef int release(self) except -1:
        """Release ONNX Runtime's session, and only then what it may point into.

        After a fork it is left as it is: its threads are not here to be joined, and some other
        thread may have held its locks. What points to its blocks stays with it.
        """
        cdef ort.OrtSession *session = self.session
        self.session, self.guard = NULL, NULL
        if session != NULL and self.forks == forks:
            with nogil:
                api.ReleaseSession(session)
        elif session != NULL and self.model.recording is not None:
            Py_INCREF(self.model.recording)
        self.model = None
        self.initializers = None
        return 0
