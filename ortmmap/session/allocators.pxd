"""OrtMemoryInfo, and allocators that the environment makes for sessions to share."""

cimport ortmmap.abi.ort as ort

cdef class OrtMemoryInfo:
    cdef ort.OrtMemoryInfo *memory   # set once, and released with the object

    cdef ort.OrtMemoryInfo *made(self) except NULL
