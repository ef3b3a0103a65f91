"""Prepared: inputs and outputs bound once, for many runs."""

from libc.stddef cimport size_t

cimport ortmmap.abi.ort as ort
from ortmmap.abi.capi cimport (
    ortmmap_error,
    ortmmap_input,
    ortmmap_output,
    ortmmap_prepared,
    ortmmap_session,
)

cdef int prepare(
    ortmmap_session *session,
    const ortmmap_input *inputs,
    size_t input_count,
    const ortmmap_output *outputs,
    size_t output_count,
    ortmmap_prepared **prepared,
    ortmmap_error *error,
) noexcept nogil
cdef int run_prepared(
    ortmmap_prepared *prepared, const ort.OrtRunOptions *options, ortmmap_error *error
) noexcept nogil
cdef void release_prepared(ortmmap_prepared *prepared) noexcept nogil
