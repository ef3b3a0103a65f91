"""Free memory of malloc, given back to the system."""

cdef extern from "process/malloc_trim.h" nogil:
    void ortmmap_malloc_trim()
