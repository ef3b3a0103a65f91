"""ONNX Runtime's own options: a session's, made from a SessionOptions, and a run's."""

cimport ortmmap.abi.ort as ort

cdef class NativeOptions:
    # Set once, by make_session_options; released by release() or with the object.
    cdef ort.OrtSessionOptions *options
    cdef object _made_from

    cdef int release(self) except -1

cdef class LoraAdapter:
    cdef object __weakref__
    cdef ort.OrtLoraAdapter *adapter   # set once, released with the object

cdef class RunOptions:
    cdef object __weakref__
    # Set once, released with the object; ONNX Runtime reads it during runs.
    cdef ort.OrtRunOptions *options
    # What the C API cannot be asked for. Guarded by the interpreter lock.
    cdef bint _terminate
    cdef dict _config
    cdef list _adapters

    cdef RunOptions copy(self)

cdef NativeOptions make_session_options(object options, dict more_config, list providers)
cdef tuple initializers_of(object options)
