"""``library.h``: a shared library whose symbols stay local."""

from ortmmap.abi.mapping cimport ortmmap_path_char

cdef extern from "ortmmap/library.h" nogil:
    void *ortmmap_library_open(const ortmmap_path_char *path, char *error, size_t error_size)
    void *ortmmap_library_symbol(void *library, const char *name)
