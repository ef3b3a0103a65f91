"""ModelSource: the bytes that a session is created from, and the guard of their files."""

from ortmmap.abi.mapping cimport ortmmap_mapping
from ortmmap.model.mapping cimport Mapping
from ortmmap.process.guard cimport ortmmap_guard

cdef class ModelSource:
    # All but `guard` is written by the thread that opens the session, before any other has the
    # object; afterwards by the thread that files it alone, by guard_files().
    cdef readonly str path           # absolute; None for a buffer
    cdef readonly str real_path      # the path without links, when the file was opened
    cdef readonly Mapping mapping    # None unless a file is mapped
    cdef readonly tuple identity     # of the file, as in `Mapping.identity`; None for a buffer
    # An exported buffer of `mapping`, or of the object given: it can neither be unmapped nor
    # resized. `buf` is NULL once it is released.
    cdef Py_buffer bytes
    # A (path, size, mtime_ns) for each file of the model, as first opened; none for a buffer.
    cdef readonly list files
    # Mappings of other files that hold weights, by path; made by mapping_of().
    cdef dict external
    cdef dict _identities            # of the other files by path, when they were noted
    cdef list weights                # of Weight, which the session points to, or None
    # Counts the users of the bytes, and says whether a file was found truncated. Never NULL. An
    # OpenSession is another owner of it, and of the texts.
    cdef ortmmap_guard *guard
    cdef list guarded                # texts that `guard.files` points to or has pointed to
    cdef bint prefault
    cdef bint lock

    cdef ModelSource again(self)
    cdef ModelSource of_files(self)
    cdef object reopenable(self)
    cdef str folder(self)
    cdef bytes file_name(self)
    cdef const ortmmap_mapping *mapped_file(self) noexcept
    cdef bint holds_model(self) noexcept
    cdef bint has_identifier(self, const char *identifier) noexcept
    cdef int map(self, str path) except -1
    cdef Mapping mapping_of(self, str path)
    cdef list mappings(self)
    cdef int _map_model(self) except -1
    cdef int hold(self, object exporter) except -1
    cdef int release(self) except -1
    cdef int note_files(self, list paths) except -1
    cdef int guard_files(self, list paths) except -1
    cdef bint is_replaced(self) except -1
    cdef int check_whole(self) except -1
    cdef object gone(self)
