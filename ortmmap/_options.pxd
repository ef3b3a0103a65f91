"""ONNX Runtime's own options: a session's, made from a SessionOptions, and a run's."""

from ortmmap cimport c_ort_abi as ort

cdef class RunOptions:
    cdef object __weakref__
    # Set once, released with the object; ONNX Runtime reads it during runs.
    cdef ort.OrtRunOptions *options
    # What the C API cannot be asked for. Guarded by the interpreter lock.
    cdef bint _terminate
    cdef dict _config

cdef ort.OrtSessionOptions *make_session_options(
    object options, dict more_config, list providers
) except NULL
