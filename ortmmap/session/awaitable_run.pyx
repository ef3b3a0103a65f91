"""Runs that an asyncio event loop awaits.

A thread of `run_threads` runs the session. The results become Python objects on the loop's thread,
which a `LoopReader` does when the loop finds its descriptor readable.
"""

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF

cimport ortmmap.abi.ort as ort
from ortmmap.runtime.library cimport api, check, forks
from ortmmap.session.call cimport new_call, run_options_of
from ortmmap.session.run_threads cimport close_finished, new_finished, submit, take_finished
from ortmmap.session.run_threads cimport withdraw

import os
from asyncio import get_running_loop

cdef extern from "session/loop_signal.h" nogil:
    void ortmmap_signal_send(int descriptor)
    void ortmmap_signal_take(int descriptor)

# The address of each open loop's `Finished` by the loop's own. A LoopReader removes its entry,
# since another loop may come to have the address.
cdef dict _finished_of = {}


async def awaited(session, output_names, input_feed, run_options):
    """Run a session on a thread, and return the results."""
    cdef AwaitableRun run = AwaitableRun.__new__(AwaitableRun)
    cdef RunOptions options = run_options_of(run_options)
    run.call = new_call(session._opened(), output_names, input_feed, True)
    run.options = RunOptions() if options is None else options.copy()
    run.loop = get_running_loop()
    run.start()
    try:
        return await run.future
    except BaseException:   # CancelledError, or GeneratorExit if the coroutine is closed
        run.cancel()
        raise


@cython.final
cdef class AwaitableRun:
    """A run, which a thread and then its loop hold a reference to until it is resolved."""

    def __dealloc__(self):
        if self.job.status != NULL and self.forks == forks:
            api.ReleaseStatus(self.job.status)

    cdef int start(self) except -1:
        cdef Call call = self.call
        cdef Job *job = &self.job
        self.forks = forks
        self.future = self.loop.create_future()
        job.run = <void *>self
        job.finished = finished_of(self.loop)
        job.options = self.options.options
        job.names, job.values = call.names, call.values
        job.feeds, job.fetches = call.feeds, call.fetches
        call.open.begin()   # the conversion of an input may have closed it
        job.session, job.guard = call.open.session, call.open.guard
        self.model = call.open.model
        Py_INCREF(self)
        try:
            submit(job, hand_over)
        except BaseException:
            Py_DECREF(self)
            call.open.leave()
            raise
        return 0

    cdef int cancel(self) except -1:
        """Make sure that the run does not start, or that it ends after the current node."""
        with cython.critical_section(self):   # the collector cancels on any thread
            if self.call is None:
                return 0   # resolved
        if withdraw(&self.job):
            Py_DECREF(self)
        else:
            self.options.terminate = True
        return 0

    cdef int resolve(self) except -1:
        """Resolve the future with the results, unless it was cancelled."""
        if not self.future.done():
            try:
                results = self.results()
            except Exception as error:
                self.future.set_exception(error)
            else:
                self.future.set_result(results)
        with cython.critical_section(self):
            _dropped, self.call = self.call, None
        return 0

    cdef list results(self):
        """Return the results, or raise the error."""
        cdef ort.OrtStatus *status = self.job.status
        if self.job.changed:
            raise self.model.gone()
        self.job.status = NULL
        check(status)
        return self.call.results()

    def deliver(self):
        """Resolve the future, as a callback of its loop."""
        self.resolve()


@cython.final
@cython.no_gc
cdef class LoopReader:
    """The callback of a loop's descriptor, which the loop alone refers to."""

    def __call__(self):
        """Resolve what has finished."""
        cdef AwaitableRun run
        cdef Job *job
        ortmmap_signal_take(self.finished.receiver)
        while True:
            job = take_finished(self.finished)
            if job == NULL:
                return
            run = <AwaitableRun>job.run
            Py_DECREF(run)   # the reference of start()
            try:
                run.resolve()
            except BaseException:   # KeyboardInterrupt: the loop calls again for the others
                ortmmap_signal_send(self.finished.sender)
                raise

    def __dealloc__(self):
        if self.finished == NULL or self.finished.forks != forks:
            return   # after a fork the parent's threads may have held its lock
        if _finished_of.get(self.key) == <size_t>self.finished:
            del _finished_of[self.key]
        close_finished(self.finished)


cdef Finished *finished_of(object loop) except? NULL:
    """Return the list that a loop takes its finished runs from; NULL if it watches no descriptors.
    """
    cdef object key = <size_t><PyObject *>loop
    cdef object address = _finished_of.get(key)
    cdef Finished *found
    if address is not None:
        found = <Finished *><size_t>address
        if found.forks == forks:
            return found
    return watch(loop, key)


cdef Finished *watch(object loop, object key) except? NULL:
    """Have a loop watch a descriptor, by which threads wake it."""
    cdef LoopReader reader = LoopReader.__new__(LoopReader)
    if os.name == "nt":
        return NULL
    receiver, sender = signal_descriptors()
    reader.finished = new_finished(receiver, sender)
    reader.key = key
    try:
        loop.add_reader(receiver, reader)
    except NotImplementedError:
        return NULL
    _finished_of[key] = <size_t>reader.finished
    return reader.finished


cdef tuple signal_descriptors():
    """Return the descriptors that a signal is received and sent by, which may be the same."""
    if hasattr(os, "eventfd"):
        descriptor = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        return descriptor, descriptor
    receiver, sender = os.pipe()
    os.set_blocking(receiver, False)
    os.set_blocking(sender, False)
    return receiver, sender


cdef void hand_over(Job *job) noexcept nogil:
    """Have the loop's thread resolve a job, for a loop that watches no descriptors."""
    with gil:
        call_soon(<AwaitableRun>job.run)


cdef int call_soon(AwaitableRun run) except -1:
    Py_DECREF(run)   # the reference of start()
    try:
        run.loop.call_soon_threadsafe(run.deliver)
    except RuntimeError:
        pass   # the loop is closed: nothing awaits the results
    return 0
