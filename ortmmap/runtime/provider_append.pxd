"""Execution providers, appended to ONNX Runtime's session options."""

cimport ortmmap.abi.ort as ort

cdef class Texts:
    # Constant once the object is made.
    cdef list _encoded
    cdef size_t count
    cdef const char **keys
    cdef const char **values

cdef int append_providers(
    ort.OrtSessionOptions *native, object options, list providers
) except -1
