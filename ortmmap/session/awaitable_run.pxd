"""Runs that an asyncio event loop awaits."""

from ortmmap.model.source cimport ModelSource
from ortmmap.session.call cimport Call
from ortmmap.session.native_options cimport RunOptions
from ortmmap.session.run_threads cimport Finished, Job

cdef class AwaitableRun:
    # Set once, before the run starts. `call` is dropped by resolve(), within the object's critical
    # section.
    cdef Job job
    cdef Call call
    cdef RunOptions options      # of this run alone: cancelling sets its terminate flag
    cdef ModelSource model
    cdef int forks               # of the process that it was started in
    cdef object loop
    cdef object future           # of the loop; resolved with the results or the error

    cdef int start(self) except -1
    cdef int cancel(self) except -1
    cdef int resolve(self) except -1
    cdef list results(self)

cdef class LoopReader:
    cdef Finished *finished
    cdef object key              # of `finished` in the table of loops
