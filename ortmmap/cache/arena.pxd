"""The arena that recorded sessions share."""

cimport ortmmap.abi.ort as ort

cdef int begin_arena() except -1
cdef int await_arena() except -1
cdef ort.OrtAllocator *make_arena() except NULL
cdef int shrink_arena() except -1 nogil
