"""A thread that is not the interpreter's."""

cdef extern from "process/native_thread.h" nogil:
    ctypedef struct ortmmap_thread:
        pass

    bint ortmmap_thread_start(ortmmap_thread *thread, void *(*run)(void *) noexcept nogil)
    void ortmmap_thread_join(ortmmap_thread thread)
