"""Runs on ONNX Runtime's own threads: for a callback, and for asyncio.

ONNX Runtime runs the model on a thread of the session's pool, and calls back on that thread. No
thread is made for a run. That thread must never release the session, which waits for its threads
to end: where the run holds the last reference, another thread drops it.
"""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF

from ortmmap.runtime.library cimport api, forks

import atexit
import time
from _thread import get_ident, start_new_thread

cdef extern from "Python.h":
    Py_ssize_t Py_REFCNT(PyObject *)

# Runs that ONNX Runtime has not called back for yet. Guarded by the interpreter lock.
cdef set _under_way = set()

# The session that a thread of ONNX Runtime's calls back for, by thread. Guarded by the interpreter
# lock.
cdef dict _calling_back = {}

cdef bint _waits_at_exit = False


cdef class AsyncRun:
    """A run that ONNX Runtime calls back for."""

    cdef int start(self) except -1:
        cdef Call call = self.call
        cdef ort.OrtStatus *status
        wait_at_exit()
        self.call.open.begin()   # converting an input may have closed it
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
        return self.call.open.end(status)

    cdef int finish(self, ort.OrtStatus *status) except -1:
        """Pass on the results, or the error; `status` is released."""
        try:
            self.call.open.end(status)   # before anyone hears of it, and may want to close
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


@cython.final
cdef class LoopRun(AsyncRun):
    """A run that resolves a future of an event loop."""

    cdef object loop
    cdef object future

    cdef int done(self, list results, object error) except -1:
        try:
            self.loop.call_soon_threadsafe(resolve, self.future, results, error)
        except RuntimeError:
            pass   # the loop is closed: nobody waits any more
        return 0

    def stop_if_cancelled(self, future):
        """Have the run end where the future is cancelled before it has."""
        if future.cancelled():
            self.options.terminate = True


cdef int run_with_callback(
    Call call, RunOptions options, object callback, object user_data
) except -1:
    cdef CallbackRun run = CallbackRun.__new__(CallbackRun)
    run.call, run.options = call, options
    run.callback, run.user_data = callback, user_data
    return run.start()


cdef object run_for_loop(Call call, RunOptions options, object loop):
    """Start a run, whose `options` are its own, and give the future of its results."""
    cdef LoopRun run = LoopRun.__new__(LoopRun)
    run.call, run.options = call, options
    run.loop, run.future = loop, loop.create_future()
    future = run.future
    run.start()
    future.add_done_callback(run.stop_if_cancelled)
    return future


cdef bint in_callback_of(OpenSession open_) except -1:
    """Whether this thread is one of the session's own, in the callback of a run."""
    return _calling_back.get(get_ident()) is open_


cdef void called_back(
    void *data, ort.OrtValue **outputs, size_t count, ort.OrtStatus *status
) noexcept nogil:
    """Finish a run. The outputs are those of its Call."""
    with gil:
        finish_and_drop(data, status)


cdef int finish_and_drop(void *data, ort.OrtStatus *status) except -1:
    cdef AsyncRun run = <AsyncRun>data
    cdef OpenSession open_ = run.call.open
    cdef object thread = get_ident()
    Py_DECREF(run)   # what start() took
    _calling_back[thread] = open_
    try:
        run.finish(status)
    finally:
        _under_way.discard(run)
        run = None
        del _calling_back[thread]
        if Py_REFCNT(<PyObject *>open_) == 1:
            start_new_thread(drop, (open_,))
    return 0


def drop(open_):
    """Drop what is given, on a thread that the session need not wait for."""


def resolve(future, results, error):
    """Resolve a future, unless it was cancelled, on its loop's thread."""
    if future.done():
        return
    if error is None:
        future.set_result(results)
    else:
        future.set_exception(error)


cdef str message_of(object error):
    return getattr(error, "message", None) or str(error)


cdef int wait_at_exit() except -1:
    """Have the process wait for runs at its end: the interpreter is not there to call back to."""
    global _waits_at_exit
    if not _waits_at_exit:
        _waits_at_exit = True
        atexit.register(end_runs)
    return 0


def end_runs():
    """Tell the runs under way in this process to end, and wait until they have."""
    cdef AsyncRun run
    cdef set mine = {run for run in list(_under_way) if (<AsyncRun>run).call.open.forks == forks}
    for run in mine:
        run.options.terminate = True
    while not mine.isdisjoint(_under_way):
        time.sleep(0.001)
