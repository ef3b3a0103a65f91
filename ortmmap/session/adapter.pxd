"""LoraAdapter: the parameters of a fine-tuned model."""

cimport ortmmap.abi.ort as ort

cdef class Parameters:
    # Set once, released with the object unless a fork was not clean.
    cdef ort.OrtLoraAdapter *adapter
    cdef int forks

    cdef ort.OrtLoraAdapter *usable(self) except NULL

cdef class LoraAdapter:
    cdef object __weakref__
    # None until something is loaded. Replaced by Load(); guarded by the object's critical section.
    cdef Parameters parameters
    cdef object _loaded_path     # the file of the parameters

    cdef Parameters loaded(self)
