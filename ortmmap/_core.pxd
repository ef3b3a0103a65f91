"""Session: an ONNX Runtime session over mapped bytes."""

from ortmmap cimport c_ort_abi as ort
from ortmmap._call cimport Call
from ortmmap._model cimport Model

cdef class Session:
    cdef object __weakref__
    # Created by __init__ and released by close() or with the object; constant in between, and
    # used without the interpreter lock while `_running` is not 0.
    cdef ort.OrtSession *_session
    cdef Model _model
    # Calls of ONNX Runtime under way. Guarded by the interpreter lock.
    cdef Py_ssize_t _running

    cdef object _options
    cdef list _providers
    cdef list _inputs
    cdef list _outputs
    cdef list _overridable
    cdef dict _feeds              # inputs and overridable initializers by name
    cdef dict _fetches            # outputs by name
    cdef Py_ssize_t _required     # how many inputs must be fed

    cdef int _describe(self) except -1
    cdef int _check_open(self) except -1
    cdef int _release(self) except -1
    cdef list _find_outputs(self, object names)
    cdef int _feed(self, Call call, dict feed) except -1
    cdef int _raise_missing(self, dict feed) except -1
    cdef int _run(self, Call call, const ort.OrtRunOptions *options) except -1
