"""LoraAdapter: the parameters of a fine-tuned model."""

cimport ortmmap.abi.ort as ort

cdef class Parameters:
    # Set once, released with the object unless a fork was not clean.
    cdef ort.OrtLoraAdapter *adapter
    cdef int forks

    cdef ort.OrtLoraAdapter *usable(self) except NULL

cdef class LoraAdapter:
    cdef object __weakref__
    # None until something is loaded. Replaced by Load(); guarded by the interpreter lock.
    cdef Parameters parameters
    cdef readonly object _path   # the file of the parameters, for onnxruntime's class
