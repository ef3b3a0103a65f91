"""Arguments: the inputs and outputs of a run, as values of ONNX Runtime."""

from libc.stddef cimport size_t

cimport ortmmap.abi.ort as ort
from ortmmap.abi.capi cimport (
    ortmmap_error,
    ortmmap_input,
    ortmmap_output,
    ortmmap_session,
    ortmmap_value_info,
)
from ortmmap.embed.handle cimport Handle

cdef enum:
    INLINE = 72    # pointers that Arguments hold without allocating: 24 inputs and outputs

ctypedef const ortmmap_value_info *InfoPointer

cdef struct Arguments:
    # Inputs, then outputs. Values are owned; NULL for an output that ONNX Runtime allocates.
    const char **names
    ort.OrtValue **values
    InfoPointer *infos
    size_t inputs, outputs
    void **allocated          # NULL if `room` is enough
    void *room[INLINE]

cdef int check_lists(
    const ortmmap_session *session,
    const ortmmap_input *inputs,
    size_t input_count,
    const ortmmap_output *outputs,
    size_t output_count,
    ortmmap_error *error,
) noexcept nogil
cdef int bind_arguments(
    Arguments *arguments,
    const Handle *handle,
    const ortmmap_input *inputs,
    size_t input_count,
    const ortmmap_output *outputs,
    size_t output_count,
    bint allocate,
    ortmmap_error *error,
) noexcept nogil
cdef void release_arguments(Arguments *arguments) noexcept nogil
