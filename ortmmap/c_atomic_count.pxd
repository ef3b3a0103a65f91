"""A number that several threads change at once."""

cdef extern from "atomic_count.h" nogil:
    ctypedef long ortmmap_count   # only the functions below touch it
    long ortmmap_count_add(ortmmap_count *count, long more)
    long ortmmap_count_set(ortmmap_count *count, long value)
    long ortmmap_count_get(const ortmmap_count *count)
