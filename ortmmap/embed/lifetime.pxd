"""Lifetime: sessions opened, passed from and to Python, counted and released."""

from libc.stddef cimport size_t

from ortmmap.abi.capi cimport ortmmap_error, ortmmap_session, ortmmap_session_options

ctypedef void (*ReleaseMemory)(void *context) noexcept nogil

cdef class LentMemory:
    # The bytes of a model, owned by C code. Set once; `release` is called when the object goes.
    cdef const void *data
    cdef Py_ssize_t size
    cdef ReleaseMemory release
    cdef void *context

cdef int open_path(
    const char *path,
    const ortmmap_session_options *options,
    ortmmap_session **session,
    ortmmap_error *error,
) noexcept nogil
cdef int open_memory(
    const void *data,
    size_t size,
    ReleaseMemory release,
    void *context,
    const ortmmap_session_options *options,
    ortmmap_session **session,
    ortmmap_error *error,
) noexcept nogil
cdef int from_python(
    void *object_, ortmmap_session **session, ortmmap_error *error
) noexcept nogil
cdef int to_python(
    ortmmap_session *session, void **object_, ortmmap_error *error
) noexcept nogil
cdef void retain(ortmmap_session *session) noexcept nogil
cdef void release(ortmmap_session *session) noexcept nogil
