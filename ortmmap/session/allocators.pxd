"""OrtMemoryInfo, and allocators of the environment, which sessions share."""

cimport ortmmap.abi.ort as ort

cdef class OrtMemoryInfo:
    cdef ort.OrtMemoryInfo *memory   # set once, and released with the object

    cdef ort.OrtMemoryInfo *made(self) except NULL

cdef OrtMemoryInfo copied_memory_info(const ort.OrtMemoryInfo *memory)
