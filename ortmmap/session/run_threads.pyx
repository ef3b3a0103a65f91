"""Threads that run sessions for event loops, without the interpreter lock.

A thread takes a job, runs it, and puts it among the finished ones of its event loop, which a
descriptor wakes if it has none yet. The thread needs the interpreter lock for none of this, so it
never waits for Python code, and one wake-up delivers all that has finished meanwhile.

There are as many threads as processors. Each is started when a job finds no idle one, and then
stays until the process ends.
"""

from cpython.ref cimport Py_DECREF
from libc.stdlib cimport calloc, free

from ortmmap.process.guard cimport (
    load_pointer,
    ortmmap_count_add,
    ortmmap_count_get,
    store_pointer,
)
from ortmmap.runtime.library cimport ProcessLock, api, forks

import atexit
import os
import time
from _thread import start_new_thread

cdef extern from "Python.h" nogil:
    enum: WAIT_LOCK
    PyThread_type_lock PyThread_allocate_lock()
    void PyThread_free_lock(PyThread_type_lock lock)
    int PyThread_acquire_lock(PyThread_type_lock lock, int wait)
    void PyThread_release_lock(PyThread_type_lock lock)

cdef extern from "session/loop_signal.h" nogil:
    void ortmmap_signal_send(int descriptor)
    void ortmmap_signal_close(int descriptor)

cdef struct Worker:
    PyThread_type_lock wake   # held; released by the thread that sets `job` of an idle worker
    Job *job                  # the job that it runs; NULL if it is idle
    Worker *next_idle
    Worker *next

cdef struct Pool:
    PyThread_type_lock lock
    int forks                 # of the process whose threads these are
    Handover handover
    # Guarded by `lock`, which nobody holds while waiting for the interpreter's:
    int most                  # threads
    int started               # threads, those included that are being started
    bint ended                # the interpreter is about to end
    Job *first                # jobs that wait for a thread
    Job *last
    Worker *idle
    Worker *workers

# Replaced in the child of a fork; guarded by `_making`, and read by current_pool().
cdef Pool *pool = NULL
cdef ProcessLock _making = ProcessLock()


cdef inline Pool *current_pool() noexcept nogil:
    return <Pool *>load_pointer(<void **>&pool)


cdef int submit(Job *job, Handover handover) except -1:
    """Give a job to an idle thread, to a new one, or into the queue."""
    cdef Worker *worker
    cdef Pool *pool = pool_of_process(handover)
    if may_start_thread(pool):
        start_thread(pool)
    job.next = NULL
    acquire(pool.lock)
    if pool.ended:
        PyThread_release_lock(pool.lock)
        raise RuntimeError("cannot start a run: the interpreter is ending")
    if job.finished != NULL:
        ortmmap_count_add(&job.finished.references, 1)
    worker = pool.idle
    if worker == NULL:
        append(&pool.first, &pool.last, job)
        PyThread_release_lock(pool.lock)
        return 0
    pool.idle = worker.next_idle
    worker.job = job
    PyThread_release_lock(pool.lock)
    PyThread_release_lock(worker.wake)
    return 0


cdef bint withdraw(Job *job) noexcept:
    """Take a job out of the queue; return whether it was there, so that no thread will run it."""
    cdef Job *before = NULL
    cdef Job *each
    cdef Pool *pool = current_pool()
    if pool == NULL or pool.forks != forks:
        return False
    acquire(pool.lock)
    each = pool.first
    while each != NULL and each != job:
        before, each = each, each.next
    if each != NULL:
        if before == NULL:
            pool.first = job.next
        else:
            before.next = job.next
        if pool.last == job:
            pool.last = before
    PyThread_release_lock(pool.lock)
    if each == NULL:
        return False
    ortmmap_count_add(&job.guard.users, -1)
    release(job.finished)
    return True


def serve():
    """Run jobs, on a thread of its own, for as long as the process lives."""
    cdef Worker *worker = <Worker *>calloc(1, sizeof(Worker))
    cdef Pool *pool = current_pool()
    if worker == NULL:
        return
    worker.wake = PyThread_allocate_lock()
    with nogil:
        acquire(worker.wake)
        acquire(pool.lock)
        worker.next = pool.workers
        pool.workers = worker
        PyThread_release_lock(pool.lock)
        work(pool, worker)


cdef void work(Pool *pool, Worker *worker) noexcept nogil:
    cdef Job *job = take_queued(pool, worker)
    cdef Job *done
    while True:
        if job == NULL:
            acquire(worker.wake)   # once for each job that is handed over
            job = worker.job
        done = job
        run(done)
        # Before the job is handed over: its loop's next job then finds this thread.
        job = take_queued(pool, worker)
        finish(pool, done)


cdef Job *take_queued(Pool *pool, Worker *worker) noexcept nogil:
    """Take the first job of the queue; become idle and return NULL if there is none."""
    cdef Job *job
    acquire(pool.lock)
    job = worker.job = pool.first
    if job != NULL:
        pool.first = job.next
    else:
        worker.next_idle = pool.idle
        pool.idle = worker
    PyThread_release_lock(pool.lock)
    return job


cdef void run(Job *job) noexcept nogil:
    job.status = api.Run(
        job.session,
        job.options,
        job.names,
        <const ort.OrtValue *const *>job.values,
        job.feeds,
        job.names + job.feeds,
        job.fetches,
        job.values + job.feeds,
    )
    job.changed = ortmmap_count_get(&job.guard.changed) != 0
    ortmmap_count_add(&job.guard.users, -1)   # from here on the session may be closed


cdef void finish(Pool *pool, Job *job) noexcept nogil:
    """Hand a job over to its loop, and wake the loop if it has nothing to take yet."""
    cdef Finished *finished = job.finished
    cdef bint closed, empty
    if finished == NULL:
        pool.handover(job)
        return
    acquire(finished.lock)
    closed, empty = finished.closed, finished.first == NULL
    if not closed:
        append(&finished.first, &finished.last, job)
    PyThread_release_lock(finished.lock)
    if closed:
        discard(job)
    elif empty:
        ortmmap_signal_send(finished.sender)
    release(finished)


cdef void discard(Job *job) noexcept nogil:
    with gil:
        Py_DECREF(<object>job.run)


cdef Finished *new_finished(int receiver, int sender) except NULL:
    """Make the list of an event loop's finished jobs, which closes the descriptors at its end."""
    cdef Finished *made = <Finished *>calloc(1, sizeof(Finished))
    if made != NULL:
        made.lock = PyThread_allocate_lock()
    if made == NULL or made.lock == NULL:
        free(made)
        raise MemoryError("the results of an event loop")
    made.references = 1
    made.receiver, made.sender, made.forks = receiver, sender, forks
    return made


cdef Job *take_finished(Finished *finished) noexcept:
    """Take the first of the finished jobs; NULL if there is none."""
    cdef Job *job
    acquire(finished.lock)
    job = finished.first
    if job != NULL:
        finished.first = job.next
    PyThread_release_lock(finished.lock)
    return job


cdef void close_finished(Finished *finished) noexcept:
    """Discard the finished jobs and later ones, and give back the reader's reference."""
    cdef Job *job
    cdef Job *following
    acquire(finished.lock)
    finished.closed = True
    job = finished.first
    finished.first = NULL
    PyThread_release_lock(finished.lock)
    while job != NULL:
        following = job.next
        Py_DECREF(<object>job.run)
        job = following
    release(finished)


cdef void release(Finished *finished) noexcept nogil:
    """Give back a reference; the last one closes the descriptors."""
    if finished == NULL or ortmmap_count_add(&finished.references, -1) > 0:
        return
    ortmmap_signal_close(finished.receiver)
    if finished.sender != finished.receiver:
        ortmmap_signal_close(finished.sender)
    PyThread_free_lock(finished.lock)
    free(finished)


cdef inline void append(Job **first, Job **last, Job *job) noexcept nogil:
    job.next = NULL
    if first[0] == NULL:
        first[0] = job
    else:
        last[0].next = job
    last[0] = job


cdef inline void acquire(PyThread_type_lock lock) noexcept nogil:
    PyThread_acquire_lock(lock, WAIT_LOCK)


cdef bint may_start_thread(Pool *pool) noexcept:
    """Whether no thread is idle and another may be started, which is counted then."""
    cdef bint is_needed
    acquire(pool.lock)
    is_needed = pool.idle == NULL and pool.started < pool.most
    pool.started += is_needed
    PyThread_release_lock(pool.lock)
    return is_needed


cdef int start_thread(Pool *pool) except -1:
    """Start a thread; if the system refuses, the threads that there are do its work."""
    cdef int started
    try:
        start_new_thread(serve, ())
    except RuntimeError:
        acquire(pool.lock)
        pool.started -= 1
        started = pool.started
        if started:
            pool.most = started
        PyThread_release_lock(pool.lock)
        if started == 0:
            raise
    return 0


cdef Pool *pool_of_process(Handover handover) except NULL:
    """Return the pool of this process, which is made at the first call."""
    cdef Pool *found = current_pool()
    if found == NULL or found.forks != forks:
        with _making.here():
            found = current_pool()
            if found == NULL or found.forks != forks:
                found = make_pool(handover)
    return found


cdef Pool *make_pool(Handover handover) except NULL:
    """Make the pool of this process; after a fork the parent's, whose threads are not here, stays.
    """
    cdef Pool *made = <Pool *>calloc(1, sizeof(Pool))
    if made != NULL:
        made.lock = PyThread_allocate_lock()
    if made == NULL or made.lock == NULL:
        free(made)
        raise MemoryError("threads for runs")
    made.forks, made.most, made.handover = forks, processors(), handover
    if pool == NULL:
        atexit.register(end_runs)
    store_pointer(<void **>&pool, made)
    return made


cdef int processors() except -1:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def end_runs():
    """Terminate the runs under way in this process, and wait for them: no thread may be in ONNX
    Runtime when the process ends.
    """
    cdef Worker *worker
    cdef Pool *pool = current_pool()
    if pool.forks != forks:
        return
    acquire(pool.lock)
    pool.ended = True
    pool.first = pool.last = NULL   # they belong to nothing any more, and nobody awaits them
    worker = pool.workers
    while worker != NULL:
        if worker.job != NULL:
            api.RunOptionsSetTerminate(<ort.OrtRunOptions *>worker.job.options)
        worker = worker.next
    PyThread_release_lock(pool.lock)
    while is_busy(pool):
        time.sleep(0.001)


cdef bint is_busy(Pool *pool) noexcept:
    cdef Worker *worker
    cdef bint busy = False
    acquire(pool.lock)
    worker = pool.workers
    while worker != NULL:
        busy |= worker.job != NULL
        worker = worker.next
    PyThread_release_lock(pool.lock)
    return busy
