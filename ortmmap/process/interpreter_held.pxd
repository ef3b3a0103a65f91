"""Whether the calling thread holds the interpreter lock."""

cdef extern from "process/interpreter_held.h" nogil:
    bint ortmmap_interpreter_lock_held()
