"""The system's page cache: files are read into it."""

from libc.stdint cimport uint64_t

cdef extern from "process/page_cache.h" nogil:
    bint ortmmap_page_cache_lacks(int fd, uint64_t size)
    void ortmmap_page_cache_read(int fd, uint64_t size)
    void ortmmap_page_cache_close(int fd)
