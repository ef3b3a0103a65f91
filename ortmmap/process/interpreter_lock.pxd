"""The interpreter lock, acquired from any thread until the interpreter finalizes."""

cdef extern from "process/interpreter_lock.h" nogil:
    ctypedef struct ortmmap_interpreter_lock:
        pass
    bint ortmmap_interpreter_lock_take(ortmmap_interpreter_lock *lock)
    void ortmmap_interpreter_lock_give(ortmmap_interpreter_lock *lock)
    long ortmmap_interpreter_end()
    int ortmmap_interpreter_watch_forks()
