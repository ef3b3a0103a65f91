"""``dlpack_abi.h``: the structures of DLPack."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "ortmmap/dlpack_abi.h" nogil:
    enum:
        ORTMMAP_DLPACK_MAJOR
        ORTMMAP_DLPACK_MINOR
        ORTMMAP_DL_CPU
        ORTMMAP_DL_CUDA_HOST
        ORTMMAP_DL_INT
        ORTMMAP_DL_UINT
        ORTMMAP_DL_FLOAT
        ORTMMAP_DL_BFLOAT
        ORTMMAP_DL_COMPLEX
        ORTMMAP_DL_BOOL
        ORTMMAP_DL_FLOAT8_E4M3FN
        ORTMMAP_DL_FLOAT8_E4M3FNUZ
        ORTMMAP_DL_FLOAT8_E5M2
        ORTMMAP_DL_FLOAT8_E5M2FNUZ
        ORTMMAP_DL_FLOAT8_E8M0FNU
        ORTMMAP_DL_READ_ONLY
        ORTMMAP_DL_COPIED

    ctypedef struct ortmmap_dl_device:
        int32_t type
        int32_t id

    ctypedef struct ortmmap_dl_type:
        uint8_t code
        uint8_t bits
        uint16_t lanes

    ctypedef struct ortmmap_dl_tensor:
        void *data
        ortmmap_dl_device device
        int32_t rank
        ortmmap_dl_type type
        int64_t *shape
        int64_t *strides
        uint64_t byte_offset

    ctypedef struct ortmmap_dl_managed:
        ortmmap_dl_tensor tensor
        void *context
        void (*deleter)(ortmmap_dl_managed *) noexcept nogil

    ctypedef struct ortmmap_dl_versioned:
        uint32_t major
        uint32_t minor
        void *context
        void (*deleter)(ortmmap_dl_versioned *) noexcept nogil
        uint64_t flags
        ortmmap_dl_tensor tensor
