from ortmmap.abi.ort cimport OrtApi, OrtSessionOptions, OrtStatus

cdef extern from "runtime/provider_options.h" nogil:
    ctypedef OrtStatus *(*ortmmap_append_fn)(
        const OrtApi *, OrtSessionOptions *, const char *const *, const char *const *, size_t
    ) noexcept nogil
    OrtStatus *ortmmap_append_CANN(
        const OrtApi *, OrtSessionOptions *, const char *const *, const char *const *, size_t
    ) noexcept
    OrtStatus *ortmmap_append_CUDA(
        const OrtApi *, OrtSessionOptions *, const char *const *, const char *const *, size_t
    ) noexcept
    OrtStatus *ortmmap_append_Dnnl(
        const OrtApi *, OrtSessionOptions *, const char *const *, const char *const *, size_t
    ) noexcept
    OrtStatus *ortmmap_append_ROCM(
        const OrtApi *, OrtSessionOptions *, const char *const *, const char *const *, size_t
    ) noexcept
    OrtStatus *ortmmap_append_TensorRT(
        const OrtApi *, OrtSessionOptions *, const char *const *, const char *const *, size_t
    ) noexcept
