"""Forks: counted, delayed, examined. One module includes the header, which has the process's state.
"""

cdef extern from "process/fork.h" nogil:
    int ortmmap_fork_watch(int *forks, int *intact_since)
    void ortmmap_fork_lock(void (*lock)() noexcept nogil, void (*unlock)() noexcept nogil)
    void ortmmap_fork_examine(bint (*is_clean)() noexcept nogil, void (*abandon)() noexcept nogil)
    void ortmmap_fork_hold()
    void ortmmap_fork_let()
    void ortmmap_fork_enter()
    void ortmmap_fork_leave()
