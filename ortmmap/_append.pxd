"""Execution providers, added to ONNX Runtime's session options."""

cimport ortmmap.c_ort_abi as ort

cdef int append_providers(
    ort.OrtSessionOptions *native, object options, list providers
) except -1
