"""Errors of the C API: written for C callers, raised for Cython's.

An error is a code and a text in the caller's memory, which may be NULL. Only fail_exception() and
raise_error() need the interpreter.
"""

from libc.stdio cimport snprintf
from libc.string cimport memcpy, strlen

from ortmmap.abi.capi cimport (
    ORTMMAP_BUSY,
    ORTMMAP_CLOSED,
    ORTMMAP_FAILED,
    ORTMMAP_FILE_ERROR,
    ORTMMAP_FORKED,
    ORTMMAP_INVALID_ARGUMENT,
    ORTMMAP_MODEL_CHANGED,
    ORTMMAP_NO_SUCH_FILE,
    ORTMMAP_NOT_SUPPORTED,
    ORTMMAP_OK,
    ORTMMAP_ORT_ERROR,
    ORTMMAP_OUT_OF_MEMORY,
)
from ortmmap.runtime.library cimport api

from ortmmap import errors


# --- written ---

cdef int succeed(ortmmap_error *error) noexcept nogil:
    """Write that there is no error."""
    if error != NULL:
        error.code, error.ort_code, error.message[0] = ORTMMAP_OK, 0, 0
    return ORTMMAP_OK


cdef int fail(ortmmap_error *error, int code, const char *text) noexcept nogil:
    """Write an error, and return its code."""
    if error != NULL:
        error.code, error.ort_code = code, 0
        set_text(error, text)
    return code


cdef void set_text(ortmmap_error *error, const char *text) noexcept nogil:
    """Copy a text, cut between characters if it is too long."""
    cdef size_t size = strlen(text)
    if size >= sizeof(error.message):
        size = sizeof(error.message) - 1
        while size > 0 and (<unsigned char>text[size] & 0xC0) == 0x80:
            size -= 1
    memcpy(error.message, text, size)
    error.message[size] = 0


cdef int fail_argument(
    ortmmap_error *error,
    int code,
    const char *kind,
    size_t index,
    const char *name,
    const char *text,
    long long expected,
    long long found,
) noexcept nogil:
    """Write the error of an input or output; `text` is a format of `expected` and `found`."""
    cdef char reason[256]
    cdef char whole[2048]
    if name == NULL:
        name = b"no name given"
    snprintf(reason, sizeof(reason), text, expected, found)
    snprintf(
        whole,
        sizeof(whole),
        b"%s %zu (%.512s): %s",
        kind,
        index,
        name,
        reason,
    )
    return fail(error, code, whole)


cdef int fail_file(
    ortmmap_error *error,
    int code,
    const char *name,
    const char *text,
    unsigned long long expected,
    unsigned long long found,
) noexcept nogil:
    """Write the error of a file; `text` is a format of `expected` and `found`."""
    cdef char reason[256]
    cdef char whole[2048]
    snprintf(reason, sizeof(reason), text, expected, found)
    snprintf(whole, sizeof(whole), b"%s: %s", name, reason)
    return fail(error, code, whole)


cdef int fail_status(ortmmap_error *error, ort.OrtStatus *status) noexcept nogil:
    """Write the error of a status, and release that."""
    cdef int ort_code = api.GetErrorCode(status)
    cdef int code = code_of(ort_code)
    fail(error, code, api.GetErrorMessage(status))
    if error != NULL:
        error.ort_code = ort_code
    api.ReleaseStatus(status)
    return code


cdef int code_of(int ort_code) noexcept nogil:
    if ort_code == ort.ORT_INVALID_ARGUMENT:
        return ORTMMAP_INVALID_ARGUMENT
    if ort_code == ort.ORT_NO_SUCHFILE:
        return ORTMMAP_NO_SUCH_FILE
    if ort_code == ort.ORT_NOT_IMPLEMENTED:
        return ORTMMAP_NOT_SUPPORTED
    return ORTMMAP_ORT_ERROR


# The first entry with a class of an exception counts.
cdef tuple _codes = (
    (errors.ModelChangedError, ORTMMAP_MODEL_CHANGED),
    (errors.NoSuchFile, ORTMMAP_NO_SUCH_FILE),
    (errors.MappingError, ORTMMAP_FILE_ERROR),
    (errors.InvalidArgument, ORTMMAP_INVALID_ARGUMENT),
    (NotImplementedError, ORTMMAP_NOT_SUPPORTED),
    (errors.LibraryError, ORTMMAP_FAILED),
    (errors.OrtError, ORTMMAP_ORT_ERROR),
    (MemoryError, ORTMMAP_OUT_OF_MEMORY),
    ((TypeError, ValueError), ORTMMAP_INVALID_ARGUMENT),
)


cdef int fail_exception(ortmmap_error *error, object exception) except -1:
    """Write an exception as an error."""
    cdef int code = ORTMMAP_FAILED
    cdef bytes text = (str(exception) or type(exception).__name__).encode("utf-8", "replace")
    for kinds, number in _codes:
        if isinstance(exception, kinds):
            code = number
            break
    fail(error, code, text)
    if error != NULL and isinstance(exception, errors.OrtError):
        error.ort_code = exception.code or 0
    return code


# --- raised ---

cdef dict _exceptions = {
    ORTMMAP_INVALID_ARGUMENT: errors.InvalidArgument,
    ORTMMAP_NO_SUCH_FILE: errors.NoSuchFile,
    ORTMMAP_FILE_ERROR: errors.MappingError,
    ORTMMAP_OUT_OF_MEMORY: MemoryError,
    ORTMMAP_NOT_SUPPORTED: errors.NotImplemented,
    ORTMMAP_CLOSED: ValueError,
    ORTMMAP_FORKED: RuntimeError,
    ORTMMAP_MODEL_CHANGED: errors.ModelChangedError,
    ORTMMAP_BUSY: RuntimeError,
}


cdef int raise_error(const ortmmap_error *error) except -1 nogil:
    """Raise the exception for an error; return 0 if there is none."""
    if error.code == ORTMMAP_OK:
        return 0
    with gil:
        text = (<char *>error.message).decode("utf-8", "replace")
        if error.ort_code:
            raise errors.from_status(error.ort_code, text)
        raise _exceptions.get(error.code, errors.OrtError)(text)
