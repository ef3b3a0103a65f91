"""Reopenable: an open session, with the settings to open it again."""

from ortmmap.session.open_session cimport OpenSession

cdef class Reopenable:
    # Replaced by use(). Guarded by the object's critical section.
    cdef OpenSession open            # never None
    cdef object source               # a path or a buffer; None if it is no longer held
    cdef list providers              # a (name, options) each; the list itself does not change
    # The settings. Set once, by configure(), before other threads have the object.
    cdef object options              # a SessionOptions
    cdef dict config
    cdef object cache
    cdef dict mapped                 # prefault and lock
    # Arguments that nothing is done with but to report them; see inference_session.
    cdef object initial_options      # a SessionOptions, onnxruntime's or ours, or None
    cdef str initial_path            # as given; None for a buffer, and if restored
    cdef bint fallback

    cdef int configure(self, object options, dict config, object cache, dict mapped) except -1
    cdef OpenSession current(self)
    cdef object current_source(self)
    cdef list current_providers(self)
    cdef OpenSession here(self)
    cdef OpenSession open_with(self, object source, list providers)
    cdef OpenSession open_with_fallback(self, object source, list providers)
    cdef int use(self, OpenSession open_, list providers) except -1
    cdef int set_providers(self, list providers) except -1
    cdef dict arguments(self)
    cdef dict settings(self)
    cdef int restore(self, object source, dict settings) except -1
    cdef int close(self) except -1
