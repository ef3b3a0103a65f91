"""``mapping.h``: a file as read-only memory."""

from libc.stdint cimport int64_t, uint64_t

cdef extern from "ortmmap/mapping.h" nogil:
    ctypedef char ortmmap_path_char

    ctypedef struct ortmmap_file_identity:
        uint64_t device
        uint64_t inode
        uint64_t size
        int64_t mtime_ns
        int64_t ctime_ns

    ctypedef struct ortmmap_mapping:
        const unsigned char *data
        size_t size
        ortmmap_file_identity identity

    ctypedef enum ortmmap_mapping_status:
        ORTMMAP_MAPPING_OK
        ORTMMAP_MAPPING_OPEN_FAILED
        ORTMMAP_MAPPING_IS_DIRECTORY
        ORTMMAP_MAPPING_NOT_REGULAR
        ORTMMAP_MAPPING_EMPTY
        ORTMMAP_MAPPING_TOO_LARGE
        ORTMMAP_MAPPING_CHANGED
        ORTMMAP_MAPPING_MAP_FAILED
        ORTMMAP_MAPPING_PREFAULT_FAILED
        ORTMMAP_MAPPING_LOCK_FAILED
        ORTMMAP_MAPPING_ADVISE_FAILED
        ORTMMAP_MAPPING_UNSUPPORTED

    ctypedef struct ortmmap_mapping_error:
        ortmmap_mapping_status status
        int os_error
        uint64_t size_expected
        uint64_t size_found

    ctypedef enum ortmmap_advice:
        ORTMMAP_ADVICE_NORMAL
        ORTMMAP_ADVICE_RANDOM
        ORTMMAP_ADVICE_SEQUENTIAL
        ORTMMAP_ADVICE_WILLNEED
        ORTMMAP_ADVICE_DONTNEED
        ORTMMAP_ADVICE_NOHUGEPAGE

    ortmmap_mapping_status ortmmap_mapping_open(
        const ortmmap_path_char *path, ortmmap_mapping *mapping, ortmmap_mapping_error *error
    )
    void ortmmap_mapping_close(ortmmap_mapping *mapping)
    ortmmap_mapping_status ortmmap_mapping_prefault(
        const ortmmap_mapping *mapping, ortmmap_mapping_error *error
    )
    ortmmap_mapping_status ortmmap_mapping_lock(
        const ortmmap_mapping *mapping, ortmmap_mapping_error *error
    )
    ortmmap_mapping_status ortmmap_mapping_advise(
        const ortmmap_mapping *mapping,
        ortmmap_advice advice,
        size_t offset,
        size_t length,
        ortmmap_mapping_error *error,
    )
    ortmmap_mapping_status ortmmap_file_identity_get(
        const ortmmap_path_char *path,
        ortmmap_file_identity *identity,
        ortmmap_mapping_error *error,
    )
    int64_t ortmmap_mapping_resident(const ortmmap_mapping *mapping)
