"""What uses a model's files, and whether one of them was found truncated meanwhile."""

cdef extern from "model_guard.h" nogil:
    ctypedef long ortmmap_count   # atomic: only the functions below touch it

    long ortmmap_count_get(const ortmmap_count *count)
    void ortmmap_count_add(ortmmap_count *count, long value)

    ctypedef struct ortmmap_guard:
        ortmmap_count users
        ortmmap_count changed
        const unsigned char *data
        size_t size
        const char *files
