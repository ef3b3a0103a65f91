"""Threads that run sessions for event loops, without the interpreter lock."""

cimport ortmmap.abi.ort as ort
from ortmmap.process.guard cimport ortmmap_count, ortmmap_guard

cdef extern from "Python.h" nogil:
    ctypedef void *PyThread_type_lock

# The finished jobs of one event loop, which a `LoopReader` takes on the loop's thread. The reader
# holds a reference, and so does each job until its thread has sent the signal.
cdef struct Finished:
    ortmmap_count references
    int receiver, sender         # descriptors of the signal
    int forks                    # of the process whose loop it is
    PyThread_type_lock lock
    # Guarded by `lock`:
    Job *first
    Job *last
    bint closed                  # the loop is closed; nothing takes what is finished

# One run. It lies in the object `run`, of which it owns a reference while a thread or `finished`
# has it.
cdef struct Job:
    Job *next
    void *run
    Finished *finished           # NULL: the loop watches no descriptors
    # The arguments of Run, and the guard of the model, of which the job is a user.
    ort.OrtSession *session
    const ort.OrtRunOptions *options
    const char *const *names     # of the feeds, then of the fetches
    ort.OrtValue **values        # of the feeds, then of the fetches
    size_t feeds, fetches
    ortmmap_guard *guard
    # Set by the run.
    ort.OrtStatus *status
    bint changed                 # a file of the model was truncated

# Hands a finished job, whose loop watches no descriptors, to the loop's thread.
ctypedef void (*Handover)(Job *job) noexcept nogil

cdef int submit(Job *job, Handover handover) except -1
cdef bint withdraw(Job *job) noexcept
cdef Finished *new_finished(int receiver, int sender) except NULL
cdef Job *take_finished(Finished *finished) noexcept
cdef void close_finished(Finished *finished) noexcept
