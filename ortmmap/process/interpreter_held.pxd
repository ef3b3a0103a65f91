"""Whether the calling thread holds the interpreter lock, and whether there is one."""

cdef extern from "process/interpreter_held.h" nogil:
    bint ortmmap_interpreter_lock_held()
    bint ORTMMAP_FREE_THREADED
