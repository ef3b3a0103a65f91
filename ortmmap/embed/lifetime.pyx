"""Lifetime: sessions opened, passed from and to Python, counted and released.

The C API's functions that need the interpreter take its lock here, on any thread, until the
interpreter ends. No other module may include interpreter_lock.h: it counts the threads that wait.
"""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from ortmmap._core cimport Session
from ortmmap.abi.capi cimport (
    ORTMMAP_CACHE_DEFAULT,
    ORTMMAP_CACHE_OFF,
    ORTMMAP_CACHE_ON,
    ORTMMAP_INTERPRETER_ENDED,
    ORTMMAP_INVALID_ARGUMENT,
    ORTMMAP_LOG_DEFAULT,
    ORTMMAP_LOG_FATAL,
    ORTMMAP_OPTIMIZE_ALL,
    ORTMMAP_OPTIMIZE_DEFAULT,
)
from ortmmap.embed.errors cimport fail, fail_exception, succeed
from ortmmap.embed.handle cimport Handle, new_handle
from ortmmap.process.guard cimport ortmmap_count_add
from ortmmap.process.interpreter_lock cimport (
    ortmmap_interpreter_end,
    ortmmap_interpreter_lock,
    ortmmap_interpreter_lock_give,
    ortmmap_interpreter_lock_take,
    ortmmap_interpreter_watch_forks,
)
from ortmmap.session.open_session cimport OpenSession

import atexit
import os
import time

from ortmmap.options import ExecutionMode, GraphOptimizationLevel, SessionOptions

cdef extern from "Python.h":
    void PyErr_SetInterrupt()

# By enum ortmmap_optimization, from ORTMMAP_OPTIMIZE_NONE on.
cdef tuple _levels = tuple(sorted(GraphOptimizationLevel))


# --- by any thread ---

cdef int open_path(
    const char *path,
    const ortmmap_session_options *options,
    ortmmap_session **session,
    ortmmap_error *error,
) noexcept nogil:
    cdef ortmmap_interpreter_lock lock
    cdef int code
    if session == NULL or path == NULL:
        return fail(error, ORTMMAP_INVALID_ARGUMENT, b"path or session is NULL")
    session[0] = NULL
    if not ortmmap_interpreter_lock_take(&lock):
        return fail_ended(error)
    with gil:
        code = open_path_locked(path, options, session, error)
    ortmmap_interpreter_lock_give(&lock)
    return code


cdef int open_memory(
    const void *data,
    size_t size,
    ReleaseMemory release,
    void *context,
    const ortmmap_session_options *options,
    ortmmap_session **session,
    ortmmap_error *error,
) noexcept nogil:
    cdef ortmmap_interpreter_lock lock
    cdef int code
    if session != NULL:
        session[0] = NULL
    if not ortmmap_interpreter_lock_take(&lock):
        if release != NULL:
            release(context)
        return fail_ended(error)
    with gil:
        code = open_memory_locked(data, size, release, context, options, session, error)
    ortmmap_interpreter_lock_give(&lock)
    return code


cdef int from_python(
    void *object_, ortmmap_session **session, ortmmap_error *error
) noexcept nogil:
    cdef ortmmap_interpreter_lock lock
    cdef int code
    if session == NULL or object_ == NULL:
        return fail(error, ORTMMAP_INVALID_ARGUMENT, b"object or session is NULL")
    session[0] = NULL
    if not ortmmap_interpreter_lock_take(&lock):
        return fail_ended(error)
    with gil:
        code = from_python_locked(<object>object_, session, error)
    ortmmap_interpreter_lock_give(&lock)
    return code


cdef int to_python(
    ortmmap_session *session, void **object_, ortmmap_error *error
) noexcept nogil:
    cdef ortmmap_interpreter_lock lock
    if object_ == NULL or session == NULL:
        return fail(error, ORTMMAP_INVALID_ARGUMENT, b"session or object is NULL")
    object_[0] = NULL
    if not ortmmap_interpreter_lock_take(&lock):
        return fail_ended(error)
    with gil:
        python = <object>(<Handle *>session).python
        Py_INCREF(python)
        object_[0] = <void *>python
    ortmmap_interpreter_lock_give(&lock)
    return succeed(error)


cdef void retain(ortmmap_session *session) noexcept nogil:
    if session != NULL:
        ortmmap_count_add(&(<Handle *>session).count, 1)


cdef void release(ortmmap_session *session) noexcept nogil:
    cdef ortmmap_interpreter_lock lock
    if session == NULL or ortmmap_count_add(&(<Handle *>session).count, -1):
        return
    if not ortmmap_interpreter_lock_take(&lock):
        return   # the memory goes with the process
    with gil:
        drop(<Handle *>session)
    ortmmap_interpreter_lock_give(&lock)


cdef int fail_ended(ortmmap_error *error) noexcept nogil:
    return fail(error, ORTMMAP_INTERPRETER_ENDED, b"the Python interpreter has ended")


def _end():
    """Refuse the interpreter lock to threads of C code from now on."""
    while ortmmap_interpreter_end() > 0:   # below 0: the thread that forked gave its lock back
        time.sleep(0.001)


atexit.register(_end)
if ortmmap_interpreter_watch_forks():
    raise MemoryError("a handler of forks")


# --- with the interpreter lock ---

@cython.final
@cython.no_gc
cdef class LentMemory:
    """The bytes of a model, owned by C code."""

    def __dealloc__(self):
        if self.release != NULL:
            self.release(self.context)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, <void *>self.data, self.size, 1, flags)

    def __releasebuffer__(self, Py_buffer *view):
        pass


cdef int drop(Handle *handle) except -1:
    """Free a handle, and drop its references."""
    ortmmap_count_add(&(<OpenSession>handle.open).handles, -1)
    Py_DECREF(<object>handle.python)
    Py_DECREF(<object>handle.open)
    Py_DECREF(<object>handle.description)
    free(handle)
    return 0


cdef int open_path_locked(
    const char *path,
    const ortmmap_session_options *options,
    ortmmap_session **session,
    ortmmap_error *error,
) noexcept:
    try:
        session[0] = open_session(os.fsdecode(<bytes>path), options)
        return succeed(error)
    except BaseException as exception:
        return report(exception, error)


cdef int open_memory_locked(
    const void *data,
    size_t size,
    ReleaseMemory release,
    void *context,
    const ortmmap_session_options *options,
    ortmmap_session **session,
    ortmmap_error *error,
) noexcept:
    cdef LentMemory memory = LentMemory.__new__(LentMemory)
    memory.data, memory.size = data, size
    memory.release, memory.context = release, context   # from here on it is always called
    try:
        if data == NULL or session == NULL:
            raise ValueError("data or session is NULL")
        session[0] = open_session(memory, options)
        return succeed(error)
    except BaseException as exception:
        return report(exception, error)


cdef int from_python_locked(
    object python, ortmmap_session **session, ortmmap_error *error
) noexcept:
    try:
        if not isinstance(python, Session):
            raise TypeError(f"expected an ortmmap.Session, found {type(python).__name__}")
        session[0] = new_handle(<Session>python)
        return succeed(error)
    except BaseException as exception:
        return report(exception, error)


cdef int report(object exception, ortmmap_error *error) noexcept:
    """Write an exception as an error; Python raises Ctrl-C again at its next chance."""
    if isinstance(exception, KeyboardInterrupt):
        PyErr_SetInterrupt()
    return fail_exception(error, exception)


cdef ortmmap_session *open_session(
    object source, const ortmmap_session_options *given
) except NULL:
    """Open a session, and make a handle of it; NULL stands for the default options."""
    cdef ortmmap_session_options options
    memset(&options, 0, sizeof(options))
    if given != NULL:
        if given.struct_size < sizeof(size_t) or given.struct_size > sizeof(options):
            raise ValueError(
                f"struct_size of the options: expected {sizeof(options)} bytes or less, "
                f"found {given.struct_size}"
            )
        memcpy(&options, given, given.struct_size)
    return new_handle(Session(
        source,
        session_options(&options),
        providers_of(&options),
        cache=cache_of(&options),
        prefault=options.prefault != 0,
        lock=options.lock != 0,
    ))


# --- options ---

cdef object session_options(const ortmmap_session_options *given):
    """Make the SessionOptions for a C program's options."""
    options = SessionOptions()
    if given.python_options != NULL:
        options = copied(<object>given.python_options)
    set_numbers(options, given)
    for index in range(given.config_count):
        options.add_session_config_entry(
            text_at(given.config_keys, index, "config_keys"),
            text_at(given.config_values, index, "config_values"),
        )
    return options


cdef object copied(object options):
    """Return a copy of SessionOptions, ortmmap's or onnxruntime's."""
    if isinstance(options, SessionOptions):
        return options.copy()
    from ortmmap.session.foreign_options import session_options_from

    return session_options_from(options).copy()


cdef int set_numbers(object options, const ortmmap_session_options *given) except -1:
    """Set the options that are not 0, which leaves them as they are."""
    check_range(given.optimization, ORTMMAP_OPTIMIZE_DEFAULT, ORTMMAP_OPTIMIZE_ALL, "optimization")
    check_range(given.log_severity, ORTMMAP_LOG_DEFAULT, ORTMMAP_LOG_FATAL, "log_severity")
    if given.intra_op_num_threads:
        options.intra_op_num_threads = given.intra_op_num_threads
    if given.inter_op_num_threads:
        options.inter_op_num_threads = given.inter_op_num_threads
    if given.parallel:
        options.execution_mode = ExecutionMode.ORT_PARALLEL
    if given.optimization:
        options.graph_optimization_level = _levels[given.optimization - 1]
    if given.log_severity:
        options.log_severity_level = given.log_severity - 1
    return 0


cdef int check_range(int value, int least, int most, str name) except -1:
    if not least <= value <= most:
        raise ValueError(f"{name}: expected {least} to {most}, found {value}")
    return 0


cdef str text_at(const char *const *texts, size_t index, str name):
    if texts == NULL or texts[index] == NULL:
        raise ValueError(f"{name}: expected a text at {index}, found NULL")
    return texts[index].decode()


cdef object providers_of(const ortmmap_session_options *given):
    return [text_at(given.providers, index, "providers") for index in range(given.provider_count)]


cdef object cache_of(const ortmmap_session_options *given):
    """Return Session's `cache`: None, a bool, or a folder."""
    check_range(given.cache, ORTMMAP_CACHE_DEFAULT, ORTMMAP_CACHE_OFF, "cache")
    if given.cache_folder != NULL and given.cache != ORTMMAP_CACHE_ON:
        raise ValueError("cache_folder goes with ORTMMAP_CACHE_ON")
    if given.cache == ORTMMAP_CACHE_DEFAULT:
        return None
    if given.cache_folder != NULL:
        return os.fsdecode(<bytes>given.cache_folder)
    return given.cache == ORTMMAP_CACHE_ON
