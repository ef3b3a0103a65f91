"""Memory for a new thread, obtained from the system at once."""

cdef extern from "process/malloc_grow.h" nogil:
    void *ortmmap_malloc_grow()
