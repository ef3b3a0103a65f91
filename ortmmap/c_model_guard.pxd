"""What uses a model's files, and whether one of them was found truncated meanwhile."""

from ortmmap.c_atomic_count cimport ortmmap_count

cdef extern from "model_guard.h" nogil:
    ctypedef struct ortmmap_guard:
        ortmmap_count users
        ortmmap_count changed
        const unsigned char *data
        size_t size
        const char *files
