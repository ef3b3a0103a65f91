"""ONNX Runtime's own options: a session's, made from a SessionOptions, and a run's."""

cimport ortmmap.abi.ort as ort
from ortmmap.process.guard cimport ortmmap_count
from ortmmap.session.adapter cimport Parameters
from ortmmap.values.value cimport Value

cdef class NativeOptions:
    # Set once, by make_session_options; released by release() or with the object. The thread that
    # made it uses it without a lock; release() and others, which cancel, by the object's critical
    # section.
    cdef ort.OrtSessionOptions *options
    cdef object _made_from        # a SessionOptions
    cdef bint has_own_threads

    cdef int release(self) except -1

cdef class RunOptions:
    cdef object __weakref__
    # Set once, released with the object; ONNX Runtime reads it during runs.
    cdef ort.OrtRunOptions *options
    # Settings that the C API cannot read back. The lists and the dict have locks of their own; what
    # changes together is guarded by the object's critical section.
    cdef ortmmap_count _terminate
    cdef ortmmap_count _only_to_fetches
    cdef dict _config
    cdef list _adapters           # the Parameters that ONNX Runtime's options point to
    cdef ortmmap_count shrinks    # 1: the CPU's arena, after each run
    cdef list _stand_ins          # copies that runs are under way with

    cdef RunOptions copy(self)
    cdef RunOptions lend_without_shrinkage(self)
    cdef int take_back(self, RunOptions copy) except -1
    cdef RunOptions _copy(self, bint shrinks)
    cdef int _set_terminate(self, bint terminate) except -1
    cdef int _add(self, Parameters parameters) except -1
    cdef int check_adapters(self) except -1

cdef class Initializers:
    # By name; constant. The session keeps the object, since ONNX Runtime points to the values.
    cdef dict added
    cdef dict external            # of initializers that the model keeps in external files

cdef int default_threads(object options) except -1
cdef NativeOptions make_session_options(
    object options, dict config, list providers, Initializers initializers, int threads
)
cdef Value value_of(object ort_value, str name)
