"""The C API's table, and its handles for Cython."""

from libc.stddef cimport size_t

from ortmmap.abi.capi cimport (
    ortmmap_error,
    ortmmap_input,
    ortmmap_output,
    ortmmap_prepared,
    ortmmap_session,
)

cdef class SessionHandle:
    # Set once, and released with the object; a user of it that outlives the object retains it.
    cdef ortmmap_session *session

    # Run without the interpreter lock; raises the exception for an error.
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
    # a time. The caller of prepare() keeps the inputs' and outputs' memory until then.
    cdef ortmmap_prepared *prepared

    # Run without the interpreter lock: run() raises, try_run() returns the error's code.
    cdef int run(self) except -1 nogil
    cdef int try_run(self, ortmmap_error *error) noexcept nogil
