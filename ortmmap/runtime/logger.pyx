"""A Python function in place of the library's log on standard error.

The environment always logs to `ortmmap_log` (log_line.h), since ONNX Runtime takes a logging
function only when an environment is created. Without a callback that function writes the lines
that ONNX Runtime's own sink would write.
"""

cimport cython
from cpython.exc cimport PyErr_Fetch, PyErr_Restore
from cpython.ref cimport PyObject

cimport ortmmap.abi.ort as ort
from ortmmap.process.guard cimport (
    ortmmap_count,
    ortmmap_count_add,
    ortmmap_count_get,
    ortmmap_count_set,
)
from ortmmap.runtime.library cimport api, check, env, load, log_to

import atexit
import os
import sys
import time
from _thread import get_ident
from operator import index
from types import SimpleNamespace

cdef extern from "Python.h" nogil:
    void *PyGILState_GetThisThreadState()

cdef set _inside = set()   # threads that are in the callback
# Guarded by the critical section of `_inside`.
cdef object _callback = None
cdef bint _at_exit = False

# Python ends a thread that waits for the interpreter lock while it finalizes, and no thread may end
# within ONNX Runtime's frames. So threads are counted before they wait, and refused at the end.
# Likewise before a fork, which holds the lock while it waits for creations.
cdef ortmmap_count _users
cdef ortmmap_count _ended
cdef ortmmap_count _forks   # under way

LONGEST_WAIT = 10   # in seconds, for threads in the callback when the interpreter ends or forks


def set_default_logger_callback(callback, severity=2) -> None:
    """Pass the library's log messages to a function instead of standard error.

    Messages of existing sessions are passed too. The function is called on the thread that logs,
    with the interpreter lock held. Messages that ONNX Runtime's own threads log, messages logged
    during the function or while the process forks, and messages for which it raises go to standard
    error. An exception is reported by ``sys.unraisablehook``.

    Parameters
    ----------
    callback : callable or None
        ``callback(severity, category, logid, code_location, message)``, of which the first is an
        int and the others are str. None: standard error again.
    severity : int, default 2
        The log level to set, as `set_default_logger_severity` does, if there is a callback.

    Raises
    ------
    RuntimeError
        If `severity` is not 0 to 4, or `callback` is neither None nor callable.
    TypeError
        If `severity` is no integer.
    """
    level = index(severity)
    if not 0 <= level <= 4:
        raise RuntimeError(
            f"Invalid logging severity {severity}. 0:Verbose, 1:Info, 2:Warning, 3:Error, 4:Fatal"
        )
    if callback is None:
        log_to(NULL)
        _set_callback(None)
        return
    if not callable(callback):
        raise RuntimeError(f"callback must be a callable, not {type(callback).__name__}")
    load()
    check(api.UpdateEnvWithCustomLogLevel(env, <ort.OrtLoggingLevel><int>level))
    _set_callback(callback)
    log_to(&_sink)


cdef int _set_callback(object callback) except -1:
    global _callback, _at_exit
    cdef bint is_first
    with cython.critical_section(_inside):
        is_first = callback is not None and not _at_exit
        _at_exit |= is_first
        callback, _callback = _callback, callback   # the old one is dropped outside
    if is_first:
        atexit.register(_end)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=_before_fork,
                after_in_parent=_after_fork_in_parent,
                after_in_child=_forget_users,
            )
    return 0


cdef object _get_callback():
    with cython.critical_section(_inside):
        return _callback


cdef bint _sink(
    ort.OrtLoggingLevel severity,
    const char *category,
    const char *log_id,
    const char *code_location,
    const char *message,
) noexcept nogil:
    """Pass a message to the callback; return False if it goes to standard error.

    A thread that Python does not know must not wait for the interpreter lock: the thread that holds
    it may be waiting for this one.
    """
    cdef bint passed = False
    if PyGILState_GetThisThreadState() == NULL:
        return False
    ortmmap_count_add(&_users, 1)
    if not (ortmmap_count_get(&_ended) or ortmmap_count_get(&_forks)):
        with gil:
            passed = _pass(severity, category, log_id, code_location, message)
    ortmmap_count_add(&_users, -1)
    return passed


def _end():
    """Refuse threads from now on, and wait for those that are in the callback."""
    ortmmap_count_set(&_ended, 1)
    _await_users(0)


def _before_fork():
    """Refuse threads during the fork, and wait for the others that are in the callback."""
    ortmmap_count_add(&_forks, 1)
    _await_users(_users_here())


def _after_fork_in_parent():
    ortmmap_count_add(&_forks, -1)


def _forget_users():
    """Start again in the child of a fork, where the counted threads do not exist."""
    ortmmap_count_set(&_users, _users_here())
    ortmmap_count_set(&_forks, 0)


cdef int _users_here() except -1:
    """Count this thread, if it is in the callback."""
    return len(_inside.intersection([get_ident()]))


cdef int _await_users(int most) except -1:
    last = time.monotonic() + LONGEST_WAIT
    while ortmmap_count_get(&_users) > most and time.monotonic() < last:
        time.sleep(0.001)
    return 0


cdef bint _pass(
    int severity,
    const char *category,
    const char *log_id,
    const char *code_location,
    const char *message,
) noexcept:
    cdef PyObject *kind = NULL
    cdef PyObject *value = NULL
    cdef PyObject *traceback = NULL
    cdef bint passed
    PyErr_Fetch(&kind, &value, &traceback)  # of the code whose call logs
    try:
        passed = _call(
            severity, _text(category), _text(log_id), _text(code_location), _text(message)
        )
    except BaseException:  # memory is exhausted
        passed = False
    PyErr_Restore(kind, value, traceback)
    return passed


cdef bint _call(int severity, str category, str log_id, str code_location, str message) except *:
    callback, thread = _get_callback(), get_ident()
    if callback is None or thread in _inside:
        return False
    _inside.add(thread)
    try:
        callback(severity, category, log_id, code_location, message)
    except BaseException as error:
        _report(error, callback)
        return False
    finally:
        _inside.discard(thread)
    return True


cdef int _report(object error, object callback) except -1:
    sys.unraisablehook(
        SimpleNamespace(
            exc_type=type(error),
            exc_value=error,
            exc_traceback=error.__traceback__,
            err_msg="Exception ignored in the logger's callback",
            object=callback,
        )
    )
    return 0


cdef str _text(const char *text):
    return "" if text == NULL else text.decode("utf-8", "replace")
