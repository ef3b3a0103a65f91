# cython: language_level=3, boundscheck=False, wraparound=False
"""A loop over a model in Cython: several threads, no interpreter lock, memory allocated once."""

from cython.parallel cimport prange, threadid
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from ortmmap cimport PreparedRun, Session, SessionHandle
from ortmmap.abi.capi cimport (
    ORTMMAP_FLOAT,
    ORTMMAP_OK,
    ortmmap_capi,
    ortmmap_capi_import,
    ortmmap_error,
    ortmmap_input,
    ortmmap_output,
    ortmmap_prepared,
)

import numpy as np

cdef const ortmmap_capi *capi = ortmmap_capi_import()

cdef enum:
    MOST_THREADS = 64


cdef PreparedRun prepare_row(SessionHandle handle, float[::1] x, float[::1] y):
    """Bind a row of input and a row of output, as a batch of 1."""
    cdef int64_t x_shape[2]
    cdef int64_t y_shape[2]
    cdef ortmmap_input bound_input
    cdef ortmmap_output bound_output
    x_shape[:] = [1, x.shape[0]]
    y_shape[:] = [1, y.shape[0]]
    bound_input = ortmmap_input(NULL, &x[0], x.nbytes, &x_shape[0], 2, ORTMMAP_FLOAT, 0)
    bound_output = ortmmap_output(NULL, &y[0], y.nbytes, &y_shape[0], 2, ORTMMAP_FLOAT, 0, NULL)
    return handle.prepare(&bound_input, 1, &bound_output, 1)


def predict(Session session not None, const float[:, ::1] x, float[:, ::1] y, int threads):
    """Compute each row of `y` from the same row of `x`, on `threads` threads."""
    cdef float[:, ::1] inputs = np.empty((threads, x.shape[1]), "f4")
    cdef float[:, ::1] outputs = np.empty((threads, y.shape[1]), "f4")
    cdef SessionHandle handle = SessionHandle(session)
    cdef ortmmap_prepared *prepared[MOST_THREADS]
    cdef int codes[MOST_THREADS]
    cdef ortmmap_error errors[MOST_THREADS]
    cdef Py_ssize_t row
    cdef int thread
    if not 1 <= threads <= MOST_THREADS or x.shape[0] != y.shape[0]:
        raise ValueError("expected 1 to 64 threads, and as many rows in as out")
    runs = [prepare_row(handle, inputs[index], outputs[index]) for index in range(threads)]
    for thread in range(threads):
        prepared[thread] = (<PreparedRun>runs[thread]).prepared
        codes[thread] = ORTMMAP_OK

    for row in prange(x.shape[0], nogil=True, num_threads=threads):
        thread = threadid()
        memcpy(&inputs[thread, 0], &x[row, 0], x.shape[1] * sizeof(float))
        if capi.prepared_run(prepared[thread], NULL, &errors[thread]) == ORTMMAP_OK:
            memcpy(&y[row, 0], &outputs[thread, 0], y.shape[1] * sizeof(float))
        else:
            codes[thread] = errors[thread].code

    for thread in range(threads):
        if codes[thread] != ORTMMAP_OK:
            raise RuntimeError(errors[thread].message.decode())


def predict_row(Session session not None, float[::1] x, float[::1] y):
    """Compute one row; an error of the run is raised out of the nogil block."""
    cdef PreparedRun run = prepare_row(SessionHandle(session), x, y)
    with nogil:
        run.run()
