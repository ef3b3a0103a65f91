"""ONNX Runtime's shared library: its table of functions and the process's one environment."""

from ortmmap cimport c_ort_abi as ort

# Set once by load(), under its lock, and constant from then on: read freely, without the
# interpreter lock too, by whoever has called load().
cdef const ort.OrtApi *api
cdef const ort.OrtApi24 *api_24      # NULL: the library is older
cdef ort.OrtEnv *env
cdef ort.OrtMemoryInfo *cpu_memory
cdef ort.OrtAllocator *allocator
cdef const ort.OrtRunOptions *default_run_options

cdef int load() except -1
cdef bytes native_path(object path)
cdef int raise_status(ort.OrtStatus *status, object path=*) except -1

cdef inline int check(ort.OrtStatus *status) except -1 nogil:
    """Raise what `status` says, and release it; every call that returns one goes through here."""
    if status == NULL:
        return 0
    with gil:
        return raise_status(status)
