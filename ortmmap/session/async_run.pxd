"""Runs on ONNX Runtime's own threads: for a callback, and for asyncio."""

cimport ortmmap.abi.ort as ort
from ortmmap.session.call cimport Call
from ortmmap.session.open_session cimport OpenSession
from ortmmap.session.native_options cimport RunOptions

cdef class AsyncRun:
    # All set once, before the run starts. The run holds itself until ONNX Runtime has called back,
    # and so everything that ONNX Runtime reads and writes meanwhile.
    cdef Call call
    cdef RunOptions options

    cdef int start(self) except -1
    cdef int finish(self, ort.OrtStatus *status) except -1
    cdef int done(self, list results, object error) except -1

cdef int run_with_callback(
    Call call, RunOptions options, object callback, object user_data
) except -1
cdef object run_for_loop(Call call, RunOptions options, object loop)
cdef bint in_callback_of(OpenSession open_) except -1
