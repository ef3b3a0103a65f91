"""Runs on ONNX Runtime's own threads, for a callback."""

cimport ortmmap.abi.ort as ort
from ortmmap.session.call cimport Call
from ortmmap.session.native_options cimport RunOptions

cdef class AsyncRun:
    # Set once, before the run starts. The run holds a reference to itself until ONNX Runtime has
    # called back, and with it everything that ONNX Runtime reads and writes.
    cdef Call call
    cdef RunOptions options

    cdef int start(self) except -1
    cdef int finish(self, ort.OrtStatus *status) except -1
    cdef int done(self, list results, object error) except -1
