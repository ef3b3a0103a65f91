"""Handle: the struct behind an `ortmmap_session`, and whether its session may be used."""

from cpython.object cimport PyObject
from libc.stddef cimport size_t
from libc.stdint cimport uint64_t

cimport ortmmap.abi.ort as ort
from ortmmap._core cimport Session
from ortmmap.abi.capi cimport ORTMMAP_OK, ortmmap_error, ortmmap_session, ortmmap_value_info
from ortmmap.abi.mapping cimport ortmmap_path_char
from ortmmap.embed.errors cimport fail_status
from ortmmap.process.guard cimport ortmmap_count
from ortmmap.session.open_session cimport USABLE, OpenSession, Use

cdef struct SourceFile:
    # A file of the model, as it was when it was opened.
    const ortmmap_path_char *path
    const char *name          # the path in UTF-8
    uint64_t size

cdef struct Handle:
    # All but `count` is constant; the handle owns a reference to each object.
    ortmmap_count count
    PyObject *open            # an OpenSession, which counts the handle too
    PyObject *python          # its Session
    PyObject *description     # owns the memory of everything below but the mapping
    ort.OrtSession *session
    const ortmmap_value_info *inputs
    const ortmmap_value_info *outputs
    const ortmmap_value_info *initializers    # overridable ones
    size_t input_count, output_count, initializer_count
    const SourceFile *files   # of the model; none if it was opened from memory
    size_t file_count
    const char *model         # its name in error texts
    const void *mapping
    size_t mapping_size

cdef ortmmap_session *new_handle(Session session) except NULL
cdef int check(const ortmmap_session *session, ortmmap_error *error) noexcept nogil
cdef int fail_use(const Handle *handle, Use use, ortmmap_error *error) noexcept nogil


cdef inline int enter(const Handle *handle, ortmmap_error *error) noexcept nogil:
    """Begin a use of ONNX Runtime's session, which leave() ends."""
    cdef Use use = (<OpenSession>handle.open).enter()
    return ORTMMAP_OK if use == USABLE else fail_use(handle, use, error)


cdef inline int leave(const Handle *handle, ortmmap_error *error) noexcept nogil:
    """End a use of ONNX Runtime's session."""
    cdef Use use = (<OpenSession>handle.open).leave()
    return ORTMMAP_OK if use == USABLE else fail_use(handle, use, error)


cdef inline int end_run(
    const Handle *handle, ort.OrtStatus *status, ortmmap_error *error
) noexcept nogil:
    """End a run, and write its error: that of leave(), which is the cause, if both failed."""
    cdef int code = ORTMMAP_OK if status == NULL else fail_status(error, status)
    cdef int left = leave(handle, error)
    return code if left == ORTMMAP_OK else left


cdef size_t input_count(const ortmmap_session *session) noexcept nogil
cdef size_t output_count(const ortmmap_session *session) noexcept nogil
cdef const ortmmap_value_info *input_at(
    const ortmmap_session *session, size_t index
) noexcept nogil
cdef const ortmmap_value_info *output_at(
    const ortmmap_session *session, size_t index
) noexcept nogil
cdef ort.OrtSession *ort_session(const ortmmap_session *session) noexcept nogil
cdef const ort.OrtApi *ort_api(const ortmmap_session *session) noexcept nogil
cdef const void *mapping(const ortmmap_session *session, size_t *size) noexcept nogil
