"""The arena that recorded sessions share."""

cimport ortmmap.abi.ort as ort

cdef ort.OrtAllocator *make_arena() except NULL
cdef int shrink_arena() except -1 nogil
