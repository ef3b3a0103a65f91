"""The guard of a model's files, and the counter that several threads change at once."""

cdef extern from "process/atomic_count.h" nogil:
    ctypedef long ortmmap_count   # read and written by the functions below only
    long ortmmap_count_add(ortmmap_count *count, long more)
    long ortmmap_count_set(ortmmap_count *count, long value)
    long ortmmap_count_get(const ortmmap_count *count)
    bint ortmmap_count_replace(ortmmap_count *count, long expected, long value)
    void *load_pointer "ORTMMAP_LOAD" (void **place)
    void store_pointer "ORTMMAP_STORE" (void **place, void *value)

cdef extern from "process/guard.h" nogil:
    ctypedef struct ortmmap_guard:
        ortmmap_count users
        ortmmap_count changed
        const char *files
    void ortmmap_guard_set_data(ortmmap_guard *guard, const unsigned char *data, size_t size)
    void ortmmap_guard_set_files(ortmmap_guard *guard, const char *files)
