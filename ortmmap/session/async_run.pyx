"""Runs on ONNX Runtime's own threads, for a callback.

ONNX Runtime runs the model on a thread of the session's pool, and calls back on that thread. That
thread must never release the session, since the release waits for the pool's threads to end: if
it drops the last reference to the session, another thread releases it.
"""

cimport cython
from cpython.ref cimport Py_DECREF, Py_INCREF

from ortmmap.process.guard cimport ortmmap_count, ortmmap_count_set
from ortmmap.runtime.library cimport api, forks
from ortmmap.session.open_session cimport OpenSession, leave_pool_thread

import atexit
import time

from ortmmap.errors import InvalidArgument

TOO_FEW = "at least one thread for RunAsync"   # of ONNX Runtime's pool, beside the caller's
REMEDY = "use run_awaitable, or set intra_op_num_threads = 2"

# Runs that ONNX Runtime has not called back for yet; a set has a lock of its own.
cdef set _under_way = set()

cdef ortmmap_count _waits_at_exit   # 1: end_runs() is registered


cdef class AsyncRun:
    """A run that ONNX Runtime finishes by a callback."""

    cdef int start(self) except -1:
        cdef Call call = self.call
        cdef ort.OrtStatus *status
        wait_at_exit()
        self.call.open.begin()   # the conversion of an input may have closed it
        _under_way.add(self)
        Py_INCREF(self)
        with nogil:
            status = api.RunAsync(
                self.call.open.session,
                self.options.options,
                call.names,
                <const ort.OrtValue *const *>call.values,
                call.feeds,
                call.names + call.feeds,
                call.fetches,
                call.values + call.feeds,
                called_back,
                <void *>self,
            )
        if status == NULL:
            return 0
        _under_way.discard(self)
        Py_DECREF(self)
        try:
            return self.call.open.end(status)
        except InvalidArgument as error:
            if TOO_FEW in str(error):
                error.args = (f"{error}; {REMEDY}",)
            raise

    cdef int finish(self, ort.OrtStatus *status) except -1:
        """Pass on the results or the error, and release `status`."""
        try:
            self.call.open.end(status)   # first: the receiver may close the session
            results = self.call.results()
        except Exception as error:
            return self.done([], error)
        return self.done(results, None)

    cdef int done(self, list results, object error) except -1:
        raise NotImplementedError


@cython.final
cdef class CallbackRun(AsyncRun):
    """A run that calls a function with its results, on ONNX Runtime's thread."""

    cdef object callback
    cdef object user_data

    cdef int done(self, list results, object error) except -1:
        self.callback(results, self.user_data, "" if error is None else message_of(error))
        return 0


def run_with_callback(
    Call call not None, RunOptions options not None, object callback, object user_data
) -> None:
    """Start a run whose results a function is called with."""
    cdef CallbackRun run = CallbackRun.__new__(CallbackRun)
    run.call, run.options = call, options
    run.callback, run.user_data = callback, user_data
    run.start()


cdef void called_back(
    void *data, ort.OrtValue **outputs, size_t count, ort.OrtStatus *status
) noexcept nogil:
    """Finish a run, whose Call has the outputs."""
    with gil:
        finish_and_drop(data, status)
    leave_pool_thread()


cdef int finish_and_drop(void *data, ort.OrtStatus *status) except -1:
    cdef AsyncRun run = <AsyncRun>data
    cdef OpenSession open_ = run.call.open
    Py_DECREF(run)   # the reference that start() took
    open_.begin_callback()
    try:
        run.finish(status)
    finally:
        _under_way.discard(run)
        open_.end_callback()
    return 0


cdef str message_of(object error):
    return getattr(error, "message", None) or str(error)


cdef int wait_at_exit() except -1:
    """Make the process wait for runs before the interpreter ends, which they call back to."""
    if not ortmmap_count_set(&_waits_at_exit, 1):
        atexit.register(end_runs)
    return 0


def end_runs():
    """Terminate the runs under way in this process, and wait for their callbacks."""
    cdef AsyncRun run
    cdef set mine = {run for run in list(_under_way) if (<AsyncRun>run).call.open.forks == forks}
    for run in mine:
        run.options.terminate = True
    while not mine.isdisjoint(_under_way):
        time.sleep(0.001)
