"""Forks, counted and delayed. One module includes the header, which has the process's state."""

cdef extern from "process/fork.h" nogil:
    int ortmmap_fork_watch(int *forks)
    void ortmmap_fork_lock(void (*lock)() noexcept nogil, void (*unlock)() noexcept nogil)
    void ortmmap_fork_hold()
    void ortmmap_fork_let()
