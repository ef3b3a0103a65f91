"""DLPack: tensors handed to and taken from other libraries, without a copy."""

cimport numpy as cnp
from libc.stdint cimport int64_t

cpdef cnp.ndarray array_from_dlpack(object source)
cdef object dlpack_capsule(
    object owner, void *data, int element_type, int rank, const int64_t *shape,
    bint versioned, int flags,
)
