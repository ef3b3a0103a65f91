"""Errors of the C API: written for C callers, raised for Cython's."""

from libc.stddef cimport size_t

cimport ortmmap.abi.ort as ort
from ortmmap.abi.capi cimport ortmmap_error

cdef int succeed(ortmmap_error *error) noexcept nogil
cdef int fail(ortmmap_error *error, int code, const char *text) noexcept nogil
cdef int fail_argument(
    ortmmap_error *error,
    int code,
    const char *kind,
    size_t index,
    const char *name,
    const char *text,
    long long expected,
    long long found,
) noexcept nogil
cdef int fail_file(
    ortmmap_error *error,
    int code,
    const char *name,
    const char *text,
    unsigned long long expected,
    unsigned long long found,
) noexcept nogil
cdef int fail_status(ortmmap_error *error, ort.OrtStatus *status) noexcept nogil
cdef int fail_exception(ortmmap_error *error, object exception) except -1
cdef int raise_error(const ortmmap_error *error) except -1 nogil
