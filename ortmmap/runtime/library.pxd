"""ONNX Runtime's shared library: its table of functions and the process's one environment."""

cimport ortmmap.abi.ort as ort

# Set once by load(), under its lock, and constant from then on: read freely, without the
# interpreter lock too, by whoever has called load().
cdef const ort.OrtApi *api
cdef const ort.OrtApi24 *api_24      # NULL: the library is older
cdef ort.OrtEnv *env
cdef ort.OrtMemoryInfo *cpu_memory
cdef ort.OrtAllocator *allocator
cdef const ort.OrtRunOptions *default_run_options

# How often this process came from a fork since load(), and how often before `env` was made. What
# was made at another count belongs to a parent: its threads are not here, and its locks may be
# held for ever.
cdef int forks
cdef int env_forks

cdef class ProcessLock:
    """A lock that no fork leaves held by a thread that is not there any more."""
    cdef object _lock
    cdef int _forks

    cdef object here(self)

# Every fork from now on takes the lock, and gives it in both processes. There is one.
cdef void lock_at_fork(
    void (*lock)() noexcept nogil, void (*unlock)() noexcept nogil
) noexcept nogil
# Between the two no fork happens. The interpreter lock must not be needed in between.
cdef void hold_forks() noexcept nogil
cdef void let_forks() noexcept nogil

cdef int load() except -1
cdef bytes native_path(object path)
cdef int raise_status(ort.OrtStatus *status, object path=*) except -1

cdef inline int check(ort.OrtStatus *status) except -1 nogil:
    """Raise what `status` says, and release it; every call that returns one goes through here."""
    if status == NULL:
        return 0
    with gil:
        return raise_status(status)
