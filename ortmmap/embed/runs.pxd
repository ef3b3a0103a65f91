"""The C API's part that needs no interpreter: what a handle knows, and its runs."""

from cpython.object cimport PyObject
from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

cimport ortmmap.abi.ort as ort
from ortmmap.process.guard cimport ortmmap_count
from ortmmap.abi.capi cimport (
    ortmmap_error,
    ortmmap_input,
    ortmmap_output,
    ortmmap_prepared,
    ortmmap_session,
    ortmmap_value_info,
)
from ortmmap.abi.mapping cimport ortmmap_path_char

cdef struct SourceFile:
    # A file of the model, as it was when it was opened.
    const ortmmap_path_char *path
    const char *name          # the same, in UTF-8
    uint64_t size

cdef struct Handle:
    # What an ortmmap_session is. All but `count` is constant; the objects are owned.
    ortmmap_count count
    PyObject *open            # an OpenSession, which has counted this handle
    PyObject *python          # its Session
    PyObject *description     # whose memory everything below is, but for the mapping
    ort.OrtSession *session
    const ortmmap_value_info *inputs
    const ortmmap_value_info *outputs
    const ortmmap_value_info *initializers    # overridable ones
    size_t input_count, output_count, initializer_count
    const SourceFile *files   # of the model; none where it was opened from memory
    size_t file_count
    const char *model         # its name for texts
    const void *mapping
    size_t mapping_size

cdef int check(const ortmmap_session *session, ortmmap_error *error) noexcept nogil
cdef int run(
    ortmmap_session *session,
    const ortmmap_input *inputs,
    size_t input_count,
    ortmmap_output *outputs,
    size_t output_count,
    const ort.OrtRunOptions *options,
    ortmmap_error *error,
) noexcept nogil
cdef void release_outputs(ortmmap_output *outputs, size_t count) noexcept nogil
cdef int prepare(
    ortmmap_session *session,
    const ortmmap_input *inputs,
    size_t input_count,
    const ortmmap_output *outputs,
    size_t output_count,
    ortmmap_prepared **prepared,
    ortmmap_error *error,
) noexcept nogil
cdef int prepared_run(
    ortmmap_prepared *prepared, const ort.OrtRunOptions *options, ortmmap_error *error
) noexcept nogil
cdef ortmmap_session *unprepare(ortmmap_prepared *prepared) noexcept nogil
