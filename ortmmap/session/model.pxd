"""Model: the file or the buffer that a session is created from."""

cimport ortmmap.abi.ort as ort
from ortmmap.model.mapping cimport Mapping
from ortmmap.cache.prepack cimport Recording
from ortmmap.process.guard cimport ortmmap_guard

cdef class Model:
    cdef readonly str path           # None for a buffer
    cdef readonly str real_path      # where it led when the file was opened
    cdef readonly Mapping mapping    # None unless a file is mapped
    # An exported buffer of `mapping`, or of the object given: it can neither be unmapped nor
    # resized. `buf` is NULL once it is released.
    cdef Py_buffer bytes
    # What ONNX Runtime's threads may point to: it lives as long as the Model.
    cdef Recording recording
    # Entries of the cache that are in use, which are not removed to make room.
    cdef readonly list entries
    # Where the cache keeps what belongs to the model; None where it goes without.
    cdef object store
    cdef object key
    # The files that were opened first, a (path, size, mtime_ns) each; none for a buffer.
    cdef readonly list sources
    cdef object optimized         # the cache's entry whose weights the bytes are; else None
    cdef bint inherited           # the bytes are those of another Model, for one more session
    # Who uses the bytes, and whether they were found gone. Taken with the object, never NULL.
    cdef ortmmap_guard *guard
    cdef list _guarded            # what `guard.files` points to, and what it pointed to before
    cdef bint prefault
    cdef bint lock

    cdef object source(self)
    cdef Model again(self)
    cdef int hold(self, object exporter) except -1
    cdef int guard_files(self, list paths) except -1
    cdef int check_whole(self) except -1
    cdef object gone(self)
    cdef bint is_ort_format(self, object options) except -1
    cdef int map(self, str path) except -1
    cdef int release_bytes(self) except -1
    cdef ort.OrtSession *create_of_bytes(
        self, object options, dict config, list providers, const void *data, size_t size
    ) except NULL
    cdef ort.OrtSession *create_of_file(
        self, object options, dict config, list providers, str path
    ) except NULL
    cdef ort.OrtSession *_create(
        self,
        object options,
        dict config,
        list providers,
        const void *data,
        size_t size,
        bytes path,
    ) except NULL
