"""``capi.h``: the function table for embedders."""

from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint32_t

cimport ortmmap.abi.ort as ort

cdef extern from "ortmmap/capi.h" nogil:
    enum:
        ORTMMAP_CAPI_VERSION_MAJOR
        ORTMMAP_CAPI_VERSION_MINOR
    const char *ORTMMAP_CAPI_CAPSULE

    enum ortmmap_code:
        ORTMMAP_OK
        ORTMMAP_FAILED
        ORTMMAP_INVALID_ARGUMENT
        ORTMMAP_NO_SUCH_FILE
        ORTMMAP_FILE_ERROR
        ORTMMAP_OUT_OF_MEMORY
        ORTMMAP_NOT_SUPPORTED
        ORTMMAP_ORT_ERROR
        ORTMMAP_CLOSED
        ORTMMAP_FORKED
        ORTMMAP_MODEL_CHANGED
        ORTMMAP_BUSY
        ORTMMAP_INTERPRETER_ENDED

    enum ortmmap_kind:
        ORTMMAP_KIND_UNKNOWN
        ORTMMAP_KIND_TENSOR
        ORTMMAP_KIND_SEQUENCE
        ORTMMAP_KIND_MAP
        ORTMMAP_KIND_OPAQUE
        ORTMMAP_KIND_SPARSE_TENSOR
        ORTMMAP_KIND_OPTIONAL

    enum ortmmap_element_type:
        ORTMMAP_UNDEFINED
        ORTMMAP_FLOAT
        ORTMMAP_UINT8
        ORTMMAP_INT8
        ORTMMAP_UINT16
        ORTMMAP_INT16
        ORTMMAP_INT32
        ORTMMAP_INT64
        ORTMMAP_STRING
        ORTMMAP_BOOL
        ORTMMAP_FLOAT16
        ORTMMAP_DOUBLE
        ORTMMAP_UINT32
        ORTMMAP_UINT64
        ORTMMAP_COMPLEX64
        ORTMMAP_COMPLEX128
        ORTMMAP_BFLOAT16
        ORTMMAP_FLOAT8E4M3FN
        ORTMMAP_FLOAT8E4M3FNUZ
        ORTMMAP_FLOAT8E5M2
        ORTMMAP_FLOAT8E5M2FNUZ
        ORTMMAP_UINT4
        ORTMMAP_INT4
        ORTMMAP_FLOAT4E2M1
        ORTMMAP_UINT2
        ORTMMAP_INT2
        ORTMMAP_FLOAT8E8M0

    enum ortmmap_cache:
        ORTMMAP_CACHE_DEFAULT
        ORTMMAP_CACHE_ON
        ORTMMAP_CACHE_OFF

    enum ortmmap_optimization:
        ORTMMAP_OPTIMIZE_DEFAULT
        ORTMMAP_OPTIMIZE_NONE
        ORTMMAP_OPTIMIZE_BASIC
        ORTMMAP_OPTIMIZE_EXTENDED
        ORTMMAP_OPTIMIZE_LAYOUT
        ORTMMAP_OPTIMIZE_ALL

    enum ortmmap_log:
        ORTMMAP_LOG_DEFAULT
        ORTMMAP_LOG_VERBOSE
        ORTMMAP_LOG_INFO
        ORTMMAP_LOG_WARNING
        ORTMMAP_LOG_ERROR
        ORTMMAP_LOG_FATAL

    ctypedef struct ortmmap_session:
        pass

    ctypedef struct ortmmap_prepared:
        pass

    ctypedef struct ortmmap_error:
        int32_t code
        int32_t ort_code
        char message[2040]

    ctypedef struct ortmmap_session_options:
        size_t struct_size
        int32_t intra_op_num_threads
        int32_t inter_op_num_threads
        int32_t parallel
        int32_t optimization
        int32_t log_severity
        int32_t cache
        const char *cache_folder
        int32_t prefault
        int32_t lock
        const char *const *config_keys
        const char *const *config_values
        size_t config_count
        const char *const *providers
        size_t provider_count
        void *python_options

    ctypedef struct ortmmap_value_info:
        const char *name
        const char *type
        int32_t kind
        int32_t element_type
        size_t rank
        const int64_t *shape
        const char *const *symbols

    ctypedef struct ortmmap_input:
        const char *name
        const void *data
        size_t size
        const int64_t *shape
        size_t rank
        int32_t element_type
        int32_t reserved

    ctypedef struct ortmmap_output:
        const char *name
        void *data
        size_t size
        const int64_t *shape
        size_t rank
        int32_t element_type
        int32_t process
        void *owner

    ctypedef struct ortmmap_capi:
        uint32_t version_major
        uint32_t version_minor
        size_t size
        int (*session_open)(
            const char *, const ortmmap_session_options *, ortmmap_session **, ortmmap_error *
        ) noexcept nogil
        int (*session_open_memory)(
            const void *, size_t, void (*)(void *) noexcept nogil, void *,
            const ortmmap_session_options *, ortmmap_session **, ortmmap_error *
        ) noexcept nogil
        int (*session_from_python)(void *, ortmmap_session **, ortmmap_error *) noexcept nogil
        int (*session_to_python)(ortmmap_session *, void **, ortmmap_error *) noexcept nogil
        void (*session_retain)(ortmmap_session *) noexcept nogil
        void (*session_release)(ortmmap_session *) noexcept nogil
        size_t (*session_input_count)(const ortmmap_session *) noexcept nogil
        size_t (*session_output_count)(const ortmmap_session *) noexcept nogil
        const ortmmap_value_info *(*session_input)(
            const ortmmap_session *, size_t
        ) noexcept nogil
        const ortmmap_value_info *(*session_output)(
            const ortmmap_session *, size_t
        ) noexcept nogil
        ort.OrtSession *(*session_ort)(const ortmmap_session *) noexcept nogil
        const ort.OrtApi *(*session_ort_api)(const ortmmap_session *) noexcept nogil
        const void *(*session_mapping)(const ortmmap_session *, size_t *) noexcept nogil
        int (*session_check)(const ortmmap_session *, ortmmap_error *) noexcept nogil
        int (*run)(
            ortmmap_session *, const ortmmap_input *, size_t, ortmmap_output *, size_t,
            const ort.OrtRunOptions *, ortmmap_error *
        ) noexcept nogil
        void (*release_outputs)(ortmmap_output *, size_t) noexcept nogil
        int (*prepare)(
            ortmmap_session *, const ortmmap_input *, size_t, const ortmmap_output *, size_t,
            ortmmap_prepared **, ortmmap_error *
        ) noexcept nogil
        int (*prepared_run)(
            ortmmap_prepared *, const ort.OrtRunOptions *, ortmmap_error *
        ) noexcept nogil
        void (*prepared_release)(ortmmap_prepared *) noexcept nogil

    bint ortmmap_capi_usable(const ortmmap_capi *table)

# Declared only after Python.h, which every Cython module includes.
cdef extern from "ortmmap/capi.h":
    const ortmmap_capi *ortmmap_capi_import() except NULL
