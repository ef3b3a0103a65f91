"""The C API: handles of sessions, for C code and for Cython."""

from libc.stddef cimport size_t

from ortmmap.abi.capi cimport (
    ortmmap_error,
    ortmmap_input,
    ortmmap_output,
    ortmmap_prepared,
    ortmmap_session,
)

cdef class SessionHandle:
    # Set once, released with the object. Whoever needs it for longer retains it.
    cdef ortmmap_session *session

    # Without the interpreter lock. Raises what the error says.
    cdef int run(
        self,
        const ortmmap_input *inputs,
        size_t input_count,
        ortmmap_output *outputs,
        size_t output_count,
    ) except -1 nogil
    cdef PreparedRun prepare(
        self,
        const ortmmap_input *inputs,
        size_t input_count,
        const ortmmap_output *outputs,
        size_t output_count,
    )

cdef class PreparedRun:
    # Set once, by SessionHandle.prepare(), and released with the object. One thread may run it at
    # a time, over memory that the maker keeps for as long as the object lives.
    cdef ortmmap_prepared *prepared

    # Without the interpreter lock: one raises, the other gives the code.
    cdef int run(self) except -1 nogil
    cdef int try_run(self, ortmmap_error *error) noexcept nogil

ctypedef void (*ReleaseMemory)(void *context) noexcept nogil

cdef class LentMemory:
    # Bytes of C code. Set once; `release` is called when the object goes.
    cdef const void *data
    cdef Py_ssize_t size
    cdef ReleaseMemory release
    cdef void *context
