"""The C API: handles of sessions, for C code and for Cython."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t

from ortmmap._capi_run cimport SourceFile
from ortmmap._model cimport Model
from ortmmap.c_capi cimport (
    ortmmap_error,
    ortmmap_input,
    ortmmap_output,
    ortmmap_prepared,
    ortmmap_session,
    ortmmap_value_info,
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

cdef class Description:
    # What a session's inputs, outputs, overridable initializers and files are: constant.
    cdef ortmmap_value_info *infos
    cdef int64_t *sizes
    cdef const char **symbols
    cdef SourceFile *files
    cdef size_t file_count
    cdef const char *model        # its name for texts
    cdef list kept                # the bytes objects that names, types and paths point into

    cdef int describe(self, ortmmap_value_info *info, object arg, size_t *used) except -1
    cdef int describe_files(self, Model model) except -1
    cdef const char *keep(self, bytes value) except NULL
    cdef const char *text(self, str value) except NULL

ctypedef void (*ReleaseMemory)(void *context) noexcept nogil

cdef class LentMemory:
    # Bytes of C code. Set once; `release` is called when the object goes.
    cdef const void *data
    cdef Py_ssize_t size
    cdef ReleaseMemory release
    cdef void *context
