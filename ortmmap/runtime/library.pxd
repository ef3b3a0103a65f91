"""ONNX Runtime's shared library: its function table and the environment of the process."""

cimport ortmmap.abi.ort as ort
from ortmmap.process.guard cimport ortmmap_count

# Set once by load(), under its lock, and constant afterwards. A thread that has called load(), or
# has an object that was made after a call, reads them without a lock.
cdef const ort.OrtApi *api
cdef ort.ortmmap_newer_api newer_api     # a function is NULL if the library lacks it
cdef int library_minor                   # N of ONNX Runtime 1.N
cdef ort.OrtEnv *env
cdef ort.OrtMemoryInfo *cpu_memory
cdef ort.OrtAllocator *allocator
cdef const ort.OrtRunOptions *default_run_options

# The number of forks between load() and this process, and that number when `env` was created. The
# threads of objects that were made at another count do not exist here.
cdef int forks
cdef int env_forks
# Objects of ONNX Runtime made at a lower count of forks may have locks that are held for ever: they
# must be neither used nor released. See process/fork.h.
cdef int intact_since
cdef ortmmap_count telemetry_is_off   # 1: started without, and nobody has enabled it

cdef class ProcessLock:
    # Guarded by the object's critical section.
    cdef object _lock
    cdef int _forks

    cdef object here(self)

# Returns False if the message is to be written to standard error. Called on any thread.
ctypedef bint (*log_sink)(
    ort.OrtLoggingLevel severity,
    const char *category,
    const char *log_id,
    const char *code_location,
    const char *message,
) noexcept nogil

# Sets the function that log messages go to; NULL: standard error.
cdef void log_to(log_sink sink) noexcept nogil
# Sets the lock that every fork acquires, and releases in both processes. There is one.
cdef void lock_at_fork(
    void (*lock)() noexcept nogil, void (*unlock)() noexcept nogil
) noexcept nogil
# Set what a child examines; see process/fork.h.
cdef void examine_forks(
    bint (*is_clean)() noexcept nogil, void (*abandon)() noexcept nogil
) noexcept nogil
# Forks wait between the two. The interpreter lock must not be acquired in between.
cdef void hold_forks() noexcept nogil
cdef void let_forks() noexcept nogil
# Around calls of ONNX Runtime without the interpreter lock that no guard counts: a fork in between
# is not clean.
cdef void enter_runtime() noexcept nogil
cdef void leave_runtime() noexcept nogil

cdef int load() except -1
cdef bytes native_path(object path)
cdef int raise_status(ort.OrtStatus *status, object path=*) except -1

cdef inline int check(ort.OrtStatus *status) except -1 nogil:
    """Raise the error of `status` and release it; NULL is success.

    Every status that ONNX Runtime returns to Python code passes through here.
    """
    if status == NULL:
        return 0
    with gil:
        return raise_status(status)
