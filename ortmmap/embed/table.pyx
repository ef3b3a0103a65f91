"""The C API: the table of functions, and what in it needs the interpreter.

A handle, `ortmmap_session`, is a counted struct that owns references to Python objects. The
functions of the table are C: each that needs the interpreter takes its lock.
"""

cimport cython
from cpython.buffer cimport PyBuffer_FillInfo
from cpython.object cimport PyObject
from cpython.pycapsule cimport PyCapsule_New
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

cimport ortmmap.abi.ort as ort
from ortmmap.embed.errors cimport fail, fail_exception, raise_error, succeed
from ortmmap.embed.runs cimport (
    Handle,
    SourceFile,
    check,
    prepare as prepare_run,
    prepared_run,
    release_outputs,
    run as run_session,
    unprepare,
)
from ortmmap._core cimport Session
from ortmmap.session.metadata cimport NodeArg
from ortmmap.session.model cimport Model
from ortmmap.session.open_session cimport OpenSession
from ortmmap.runtime.library cimport api, native_path
from ortmmap.process.guard cimport ortmmap_count_add
from ortmmap.abi.capi cimport (
    ORTMMAP_CACHE_DEFAULT,
    ORTMMAP_CACHE_ON,
    ORTMMAP_CAPI_CAPSULE,
    ORTMMAP_CAPI_VERSION_MAJOR,
    ORTMMAP_CAPI_VERSION_MINOR,
    ORTMMAP_INTERPRETER_ENDED,
    ORTMMAP_INVALID_ARGUMENT,
    ORTMMAP_LOG_DEFAULT,
    ORTMMAP_LOG_FATAL,
    ORTMMAP_OPTIMIZE_ALL,
    ORTMMAP_OPTIMIZE_DEFAULT,
    ortmmap_capi,
    ortmmap_session_options,
    ortmmap_value_info,
)
from ortmmap.process.interpreter_lock cimport (
    ortmmap_interpreter_end,
    ortmmap_interpreter_lock,
    ortmmap_interpreter_lock_give,
    ortmmap_interpreter_lock_take,
    ortmmap_interpreter_watch_forks,
)
from ortmmap.abi.mapping cimport ortmmap_path_char

import atexit
import os
import time

from ortmmap.options import ExecutionMode, GraphOptimizationLevel, SessionOptions

cdef extern from "Python.h":
    void PyErr_SetInterrupt()

# By enum ortmmap_optimization, from ORTMMAP_OPTIMIZE_NONE on.
cdef tuple _levels = tuple(sorted(GraphOptimizationLevel))


# --- what a session has ---

@cython.final
@cython.no_gc
cdef class Description:
    """The inputs, outputs, overridable initializers and files of a session, as C structs."""

    # Constant once made.
    cdef ortmmap_value_info *infos
    cdef int64_t *sizes
    cdef const char **symbols
    cdef SourceFile *files
    cdef size_t file_count
    cdef const char *model        # its name for texts
    cdef list kept                # the bytes objects that names, types and paths point into

    def __init__(self, list args, Model model):
        cdef size_t rank = sum(len((<NodeArg>arg)._shape) for arg in args)
        cdef size_t used = 0
        cdef size_t index
        self.kept = []
        self.infos = <ortmmap_value_info *>calloc(len(args) + 1, sizeof(ortmmap_value_info))
        self.sizes = <int64_t *>calloc(rank + 1, sizeof(int64_t))
        self.symbols = <const char **>calloc(rank + 1, sizeof(char *))
        if self.infos == NULL or self.sizes == NULL or self.symbols == NULL:
            raise MemoryError()
        for index, arg in enumerate(args):
            self.describe(&self.infos[index], arg, &used)
        self.describe_files(model)

    def __dealloc__(self):
        free(self.infos)
        free(self.sizes)
        free(self.symbols)
        free(self.files)

    cdef int describe(self, ortmmap_value_info *info, object arg, size_t *used) except -1:
        cdef NodeArg described = <NodeArg?>arg
        info.name, info.type = self.text(described.name), self.text(described.type)
        info.kind, info.element_type = described.kind, described.element_type
        info.rank = len(described._shape)
        info.shape, info.symbols = self.sizes + used[0], self.symbols + used[0]
        for size in described._shape:
            self.sizes[used[0]] = size if isinstance(size, int) else -1
            if isinstance(size, str):
                self.symbols[used[0]] = self.text(size)
            used[0] += 1
        return 0

    cdef int describe_files(self, Model model) except -1:
        cdef SourceFile *file
        self.model = self.text(model.path or "a buffer")
        self.files = <SourceFile *>calloc(len(model.sources) + 1, sizeof(SourceFile))
        if self.files == NULL:
            raise MemoryError()
        for path, size, _ in model.sources:
            file = &self.files[self.file_count]
            file.path = <const ortmmap_path_char *>self.keep(native_path(path))
            file.name, file.size = self.text(path), size
            self.file_count += 1
        return 0

    cdef const char *text(self, str value) except NULL:
        return self.keep(value.encode("utf-8", "replace"))

    cdef const char *keep(self, bytes value) except NULL:
        self.kept.append(value)
        return value


@cython.final
@cython.no_gc
cdef class LentMemory:
    """The bytes of a model, which are C code's."""

    def __dealloc__(self):
        if self.release != NULL:
            self.release(self.context)

    def __getbuffer__(self, Py_buffer *view, int flags):
        PyBuffer_FillInfo(view, self, <void *>self.data, self.size, 1, flags)

    def __releasebuffer__(self, Py_buffer *view):
        pass


# --- handles ---

cdef ortmmap_session *new_handle(Session session) except NULL:
    """Make a handle, which the caller releases."""
    cdef OpenSession open_ = session._here()
    cdef Description description
    cdef Handle *handle
    description = Description(open_.inputs + open_.outputs + open_.overridable, open_.model)
    handle = <Handle *>calloc(1, sizeof(Handle))
    if handle == NULL:
        raise MemoryError()
    handle.count = 1
    handle.session = open_.session
    handle.input_count, handle.inputs = len(open_.inputs), description.infos
    handle.output_count = len(open_.outputs)
    handle.outputs = handle.inputs + handle.input_count
    handle.initializer_count = len(open_.overridable)
    handle.initializers = handle.outputs + handle.output_count
    handle.files, handle.file_count = description.files, description.file_count
    handle.model = description.model
    if open_.model.mapping is not None:
        handle.mapping = open_.model.mapping._mapping.data
        handle.mapping_size = open_.model.mapping._mapping.size
    handle.open = <PyObject *>open_
    handle.python = <PyObject *>session
    handle.description = <PyObject *>description
    Py_INCREF(open_)
    Py_INCREF(session)
    Py_INCREF(description)
    open_.handles += 1
    return <ortmmap_session *>handle


cdef int drop(Handle *handle) except -1:
    """Let go of everything that a handle holds."""
    (<OpenSession>handle.open).handles -= 1
    Py_DECREF(<object>handle.python)
    Py_DECREF(<object>handle.open)
    Py_DECREF(<object>handle.description)
    free(handle)
    return 0


cdef void session_retain(ortmmap_session *session) noexcept nogil:
    if session != NULL:
        ortmmap_count_add(&(<Handle *>session).count, 1)


cdef void session_release(ortmmap_session *session) noexcept nogil:
    cdef ortmmap_interpreter_lock lock
    if session == NULL or ortmmap_count_add(&(<Handle *>session).count, -1):
        return
    if not ortmmap_interpreter_lock_take(&lock):
        return   # the memory goes with the process
    with gil:
        drop(<Handle *>session)
    ortmmap_interpreter_lock_give(&lock)


cdef void prepared_release(ortmmap_prepared *prepared) noexcept nogil:
    if prepared != NULL:
        session_release(unprepare(prepared))


# --- opening ---

cdef int session_open(
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
        code = open_path(path, options, session, error)
    ortmmap_interpreter_lock_give(&lock)
    return code


cdef int session_open_memory(
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
        code = open_memory(data, size, release, context, options, session, error)
    ortmmap_interpreter_lock_give(&lock)
    return code


cdef int session_from_python(
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
        code = wrap(<object>object_, session, error)
    ortmmap_interpreter_lock_give(&lock)
    return code


cdef int session_to_python(
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


cdef int fail_ended(ortmmap_error *error) noexcept nogil:
    return fail(error, ORTMMAP_INTERPRETER_ENDED, b"the Python interpreter has ended")


cdef int open_path(
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


cdef int open_memory(
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
    memory.release, memory.context = release, context   # from here on it is called in any case
    try:
        if data == NULL or session == NULL:
            raise ValueError("data or session is NULL")
        session[0] = open_session(memory, options)
        return succeed(error)
    except BaseException as exception:
        return report(exception, error)


cdef int wrap(object python, ortmmap_session **session, ortmmap_error *error) noexcept:
    try:
        if not isinstance(python, Session):
            raise TypeError(f"expected an ortmmap.Session, found {type(python).__name__}")
        session[0] = new_handle(<Session>python)
        return succeed(error)
    except BaseException as exception:
        return report(exception, error)


cdef int report(object exception, ortmmap_error *error) noexcept:
    """Write what an exception says; Ctrl-C is raised again where Python next looks for it."""
    if isinstance(exception, KeyboardInterrupt):
        PyErr_SetInterrupt()
    return fail_exception(error, exception)


cdef ortmmap_session *open_session(
    object source, const ortmmap_session_options *given
) except NULL:
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


cdef object session_options(const ortmmap_session_options *given):
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
    """Give a copy of SessionOptions, ortmmap's or onnxruntime's."""
    if isinstance(options, SessionOptions):
        return options.copy()
    from ortmmap.session.foreign_options import session_options_from

    return session_options_from(options).copy()


cdef int set_numbers(object options, const ortmmap_session_options *given) except -1:
    """Set the options that are not 0, which stands for what they are already."""
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
    check_range(given.cache, 0, 2, "cache")
    if given.cache_folder != NULL and given.cache != ORTMMAP_CACHE_ON:
        raise ValueError("cache_folder goes with ORTMMAP_CACHE_ON")
    if given.cache == ORTMMAP_CACHE_DEFAULT:
        return None
    if given.cache_folder != NULL:
        return os.fsdecode(<bytes>given.cache_folder)
    return given.cache == ORTMMAP_CACHE_ON


# --- what a handle has: borrowed, constant ---

cdef size_t session_input_count(const ortmmap_session *session) noexcept nogil:
    return 0 if session == NULL else (<const Handle *>session).input_count


cdef size_t session_output_count(const ortmmap_session *session) noexcept nogil:
    return 0 if session == NULL else (<const Handle *>session).output_count


cdef const ortmmap_value_info *session_input(
    const ortmmap_session *session, size_t index
) noexcept nogil:
    if index >= session_input_count(session):
        return NULL
    return (<const Handle *>session).inputs + index


cdef const ortmmap_value_info *session_output(
    const ortmmap_session *session, size_t index
) noexcept nogil:
    if index >= session_output_count(session):
        return NULL
    return (<const Handle *>session).outputs + index


cdef ort.OrtSession *session_ort(const ortmmap_session *session) noexcept nogil:
    return NULL if session == NULL else (<const Handle *>session).session


cdef const ort.OrtApi *session_ort_api(const ortmmap_session *session) noexcept nogil:
    if session == NULL:
        return NULL
    return api


cdef const void *session_mapping(const ortmmap_session *session, size_t *size) noexcept nogil:
    if size != NULL:
        size[0] = 0 if session == NULL else (<const Handle *>session).mapping_size
    if session == NULL:
        return NULL
    return (<const Handle *>session).mapping


# --- for Cython ---

@cython.final
@cython.no_gc
cdef class SessionHandle:
    """A handle of a session, for Cython: released with the object.

    Parameters
    ----------
    session : Session
        It cannot be closed while the object lives.
    """

    def __cinit__(self, Session session not None):
        self.session = new_handle(session)

    def __dealloc__(self):
        session_release(self.session)

    cdef int run(
        self,
        const ortmmap_input *inputs,
        size_t input_count,
        ortmmap_output *outputs,
        size_t output_count,
    ) except -1 nogil:
        cdef ortmmap_error error
        run_session(self.session, inputs, input_count, outputs, output_count, NULL, &error)
        return raise_error(&error)

    cdef PreparedRun prepare(
        self,
        const ortmmap_input *inputs,
        size_t input_count,
        const ortmmap_output *outputs,
        size_t output_count,
    ):
        cdef PreparedRun made = PreparedRun.__new__(PreparedRun)
        cdef ortmmap_error error
        prepare_run(
            self.session, inputs, input_count, outputs, output_count, &made.prepared, &error
        )
        raise_error(&error)
        return made


@cython.final
@cython.no_gc
cdef class PreparedRun:
    """Inputs and outputs bound once, for Cython; made by `SessionHandle.prepare`."""

    def __dealloc__(self):
        prepared_release(self.prepared)

    cdef int run(self) except -1 nogil:
        cdef ortmmap_error error
        prepared_run(self.prepared, NULL, &error)
        return raise_error(&error)

    cdef int try_run(self, ortmmap_error *error) noexcept nogil:
        return prepared_run(self.prepared, NULL, error)


# --- the table ---

cdef ortmmap_capi _functions

_functions.version_major = ORTMMAP_CAPI_VERSION_MAJOR
_functions.version_minor = ORTMMAP_CAPI_VERSION_MINOR
_functions.size = sizeof(_functions)
_functions.session_open = session_open
_functions.session_open_memory = session_open_memory
_functions.session_from_python = session_from_python
_functions.session_to_python = session_to_python
_functions.session_retain = session_retain
_functions.session_release = session_release
_functions.session_input_count = session_input_count
_functions.session_output_count = session_output_count
_functions.session_input = session_input
_functions.session_output = session_output
_functions.session_ort = session_ort
_functions.session_ort_api = session_ort_api
_functions.session_mapping = session_mapping
_functions.session_check = check
_functions.run = run_session
_functions.release_outputs = release_outputs
_functions.prepare = prepare_run
_functions.prepared_run = prepared_run
_functions.prepared_release = prepared_release

_C_API = PyCapsule_New(&_functions, ORTMMAP_CAPI_CAPSULE, NULL)


def get_capi() -> int:
    """Return the address of the C API's table of functions, a ``const ortmmap_capi *``.

    For cffi, ctypes, and libraries that are not Python's. ``ortmmap/capi.h`` declares the table,
    which lives as long as the process.
    """
    return <size_t>&_functions


def _end():
    """Have no thread of C code's wait for the interpreter lock from now on."""
    while ortmmap_interpreter_end() > 0:   # below: the thread that forked gave its lock back
        time.sleep(0.001)


atexit.register(_end)
if ortmmap_interpreter_watch_forks():
    raise MemoryError("a handler of forks")
