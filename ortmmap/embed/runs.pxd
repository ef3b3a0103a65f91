"""Runs of a session from plain pointers; outputs in ONNX Runtime's memory."""

from libc.stddef cimport size_t

cimport ortmmap.abi.ort as ort
from ortmmap.abi.capi cimport ortmmap_error, ortmmap_input, ortmmap_output, ortmmap_session

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
