"""ONNX Runtime's shared library: found, opened, its function table and environment.

Importing opens nothing: load() opens the library at first use. The library and the one environment
stay until the process ends.
"""

import os
import sys
from _thread import allocate_lock

cimport cython

from ortmmap.abi.library cimport ortmmap_library_open, ortmmap_library_symbol
from ortmmap.abi.mapping cimport ortmmap_path_char
from ortmmap.process.cpu_features cimport ORTMMAP_CPU_FEATURES_SIZE, ortmmap_cpu_features
from ortmmap.process.fork cimport (
    ortmmap_fork_enter,
    ortmmap_fork_examine,
    ortmmap_fork_hold,
    ortmmap_fork_leave,
    ortmmap_fork_let,
    ortmmap_fork_lock,
    ortmmap_fork_watch,
)
from ortmmap.process.guard cimport ortmmap_count_get, ortmmap_count_set

from ortmmap.errors import LibraryError, from_status
from ortmmap.runtime import opened

cdef extern from "runtime/log_line.h" nogil:
    void ortmmap_log_set_sink(log_sink sink)
    void ortmmap_log(
        void *param,
        ort.OrtLoggingLevel severity,
        const char *category,
        const char *log_id,
        const char *code_location,
        const char *message,
    )

ctypedef const ort.OrtApiBase *(*GetApiBase)() noexcept nogil

LIBRARY_VARIABLE = "ORTMMAP_ONNXRUNTIME"
LEAST_VERSION = f"1.{ort.ORTMMAP_ORT_API_VERSION}"
# exit() waits for the thread of onnxruntime 1.32's telemetry. In the child of a fork, which does
# not have that thread, it waits for ever. A value that the user has set is respected.
TELEMETRY_VARIABLE = "ORT_DISABLE_TELEMETRY"
INSTALL = f'install one with: pip install "onnxruntime>={LEAST_VERSION}"'

# The file name in a wheel. The libraries of execution providers, in the same folder, do not match.
if sys.platform == "win32":
    LIBRARY_PATTERN = "onnxruntime.dll"
elif sys.platform == "darwin":
    LIBRARY_PATTERN = "libonnxruntime.*dylib"
else:
    LIBRARY_PATTERN = "libonnxruntime.so*"

cdef ortmmap_count _loaded                  # 1: all that load() sets is set
cdef ProcessLock _loading = ProcessLock()   # guards what follows
cdef bint _watching = False                 # forks are counted; by its critical section
cdef const ort.OrtApiBase *_base = NULL
cdef str _library_path = None
cdef tuple _global_threads = None           # (intra-op, inter-op), for the environment to come


cdef class ProcessLock:
    """A lock that is free in the child of a fork, even if another thread of the parent held it."""

    def __cinit__(self):
        self._lock, self._forks = allocate_lock(), forks

    cdef object here(self):
        """Return the lock of the current process, for ``with``."""
        with cython.critical_section(self):
            if self._forks != forks:
                self._lock, self._forks = allocate_lock(), forks
            return self._lock


# fork.h and log_line.h keep their state in the module that includes them: others call these.

cdef void log_to(log_sink sink) noexcept nogil:
    ortmmap_log_set_sink(sink)


cdef void lock_at_fork(
    void (*lock)() noexcept nogil, void (*unlock)() noexcept nogil
) noexcept nogil:
    ortmmap_fork_lock(lock, unlock)


cdef void examine_forks(
    bint (*is_clean)() noexcept nogil, void (*abandon)() noexcept nogil
) noexcept nogil:
    ortmmap_fork_examine(is_clean, abandon)


cdef void enter_runtime() noexcept nogil:
    ortmmap_fork_enter()


cdef void leave_runtime() noexcept nogil:
    ortmmap_fork_leave()


cdef void hold_forks() noexcept nogil:
    ortmmap_fork_hold()


cdef void let_forks() noexcept nogil:
    ortmmap_fork_let()


cdef int load() except -1:
    """Open the library unless it is open."""
    if ortmmap_count_get(&_loaded):
        return 0
    _watch_forks()
    with _loading.here():
        if api == NULL:
            _open(find_library())
        ortmmap_count_set(&_loaded, 1)
    opened()
    return 0


cdef int _watch_forks() except -1:
    global _watching
    with cython.critical_section(_loading):
        if _watching:
            return 0
        _watching = True
        error = ortmmap_fork_watch(&forks, &intact_since)
    if error:
        raise LibraryError(f"forks cannot be watched: {os.strerror(error)}")
    return 0


cdef int raise_status(ort.OrtStatus *status, object path=None) except -1:
    """Release `status` and raise its error, which concerns the file `path` if one is given."""
    cdef int code = api.GetErrorCode(status)
    raise from_status(code, _take_message(api, status), path)


cdef str _take_message(const ort.OrtApi *table, ort.OrtStatus *status):
    """Return the message of `status`, and release it."""
    message = table.GetErrorMessage(status).decode("utf-8", "replace")
    table.ReleaseStatus(status)
    return message


cdef bytes native_path(object path):
    """Encode a path for system calls: UTF-16 on Windows, bytes elsewhere."""
    path = os.fspath(path)
    if (b"\0" if isinstance(path, bytes) else "\0") in path:
        raise ValueError(f"embedded null character in path {path!r}")
    if sys.platform == "win32":
        # A bytes object ends with one NUL byte of its own, UTF-16 with two.
        return os.fsdecode(path).encode("utf-16-le") + b"\0"
    return os.fsencode(path)


def find_library() -> str:
    """Return the path of the shared library: ``ORTMMAP_ONNXRUNTIME``, or the installed wheel's.

    The package ``onnxruntime`` is located, not imported.

    Raises
    ------
    LibraryError
        If there is none. The message names the place that was searched and the package to install.
    """
    named = os.environ.get(LIBRARY_VARIABLE)
    if named:
        return os.path.abspath(named)
    from importlib.util import find_spec

    spec = find_spec("onnxruntime")
    if spec is None or not spec.submodule_search_locations:
        raise LibraryError(f"the package onnxruntime is not installed; {INSTALL}")
    return _library_in(os.path.join(spec.submodule_search_locations[0], "capi"))


def _library_in(folder):
    from fnmatch import fnmatch

    try:
        names = os.listdir(folder)
    except OSError:
        names = []
    found = max((name for name in names if fnmatch(name, LIBRARY_PATTERN)), default=None)
    if found is None:
        raise LibraryError(
            f"no {LIBRARY_PATTERN} in {folder}: onnxruntime's wheels have it since 1.19; {INSTALL}"
        )
    return os.path.join(folder, found)


cdef int _open(str path) except -1:
    cdef bytes encoded = native_path(path)
    cdef const ortmmap_path_char *name = <const ortmmap_path_char *><const char *>encoded
    cdef char reason[1024]
    cdef void *library
    cdef GetApiBase get_api_base
    global _base, _library_path
    with nogil:
        hold_forks()
        library = ortmmap_library_open(name, reason, sizeof(reason))
        let_forks()
    if library == NULL:
        raise LibraryError(
            f"cannot open ONNX Runtime's library {path}: {reason.decode('utf-8', 'replace')}; "
            f"{INSTALL}, or name another file in {LIBRARY_VARIABLE}"
        )
    get_api_base = <GetApiBase>ortmmap_library_symbol(library, b"OrtGetApiBase")
    if get_api_base == NULL:
        raise LibraryError(
            f"{path} is not ONNX Runtime's library: it has no OrtGetApiBase; {INSTALL}, "
            f"or name another file in {LIBRARY_VARIABLE}"
        )
    _base = get_api_base()
    if _base == NULL or _base.GetVersionString() == NULL:
        raise LibraryError(f"{path} is not ONNX Runtime's library: it has no version; {INSTALL}")
    _library_path = path
    return _initialize(path)


cdef int _initialize(str path) except -1:
    """Get the function table and create the environment; `api` is set last."""
    global api, library_minor, env, env_forks, cpu_memory, allocator, default_run_options
    cdef bytes version = _base.GetVersionString()
    cdef const ort.OrtApi *table = _base.GetApi(ort.ORTMMAP_ORT_API_VERSION)
    if table == NULL:
        raise LibraryError(
            f"{path} is ONNX Runtime {version.decode()}, which does not have "
            f"version {ort.ORTMMAP_ORT_API_VERSION} of the C API; {INSTALL}"
        )
    _check_initial(table, table.GetAllocatorWithDefaultOptions(&allocator))
    _check_initial(
        table,
        table.CreateCpuMemoryInfo(ort.OrtDeviceAllocator, ort.OrtMemTypeDefault, &cpu_memory),
    )
    _check_initial(table, table.CreateRunOptions(<ort.OrtRunOptions **>&default_run_options))
    _check_initial(table, _create_quiet_env(table))
    env_forks = forks
    library_minor = int(version.split(b".")[1])
    # ONNX Runtime 1.N has version N of the C API.
    ort.ortmmap_newer_api_load(_base, library_minor, &newer_api)
    api = table
    return 0


cdef ort.OrtStatus *_create_quiet_env(const ort.OrtApi *table) except? NULL:
    """Create the environment, without telemetry unless its environment variable is set."""
    ortmmap_count_set(&telemetry_is_off, os.environ.get(TELEMETRY_VARIABLE, "1") == "1")
    if TELEMETRY_VARIABLE in os.environ:
        return _create_env(table)
    os.environ[TELEMETRY_VARIABLE] = "1"
    try:
        return _create_env(table)
    finally:
        del os.environ[TELEMETRY_VARIABLE]


cdef ort.OrtStatus *_create_env(const ort.OrtApi *table) except? NULL:
    """Create the environment, with global thread pools if their sizes were set."""
    cdef ort.OrtThreadingOptions *threads = NULL
    if _global_threads is None:
        return table.CreateEnvWithCustomLogger(
            ortmmap_log, NULL, ort.ORT_LOGGING_LEVEL_WARNING, b"ortmmap", &env
        )
    from ortmmap.runtime.quota import granted_threads

    _check_initial(table, table.CreateThreadingOptions(&threads))
    try:
        intra_op, inter_op = [size or granted_threads() for size in _global_threads]
        _check_initial(table, table.SetGlobalIntraOpNumThreads(threads, intra_op))
        _check_initial(table, table.SetGlobalInterOpNumThreads(threads, inter_op))
        return table.CreateEnvWithCustomLoggerAndGlobalThreadPools(
            ortmmap_log, NULL, ort.ORT_LOGGING_LEVEL_WARNING, b"ortmmap", threads, &env
        )
    finally:
        table.ReleaseThreadingOptions(threads)


cdef int _check_initial(const ort.OrtApi *table, ort.OrtStatus *status) except -1:
    """Raise LibraryError for a status from before `api` is set, and release it."""
    if status == NULL:
        return 0
    raise LibraryError(f"ONNX Runtime did not start: {_take_message(table, status)}")


def set_global_thread_pool_sizes(int intra_op_num_threads=0, int inter_op_num_threads=0) -> None:
    """Create global thread pools, shared by sessions whose `use_per_session_threads` is False.

    To be called before the first session, and before any other call that opens the library.

    Parameters
    ----------
    intra_op_num_threads, inter_op_num_threads : int, default 0
        Numbers of threads; 0: as many as the system grants to the process, else ONNX Runtime
        chooses.

    Raises
    ------
    ValueError
        If a number is negative.
    RuntimeError
        If the library is open.
    """
    global _global_threads
    if intra_op_num_threads < 0 or inter_op_num_threads < 0:
        raise ValueError("the number of threads should be 0 or more")
    with _loading.here():
        if api != NULL:
            raise RuntimeError("set_global_thread_pool_sizes comes before the first session")
        _global_threads = (intra_op_num_threads, inter_op_num_threads)


def get_library_path() -> str:
    """Return the path of the ONNX Runtime library in use, opening it if it is not open."""
    load()
    return _library_path


def get_version_string() -> str:
    """Return the version of the ONNX Runtime library in use, such as ``1.23.2``."""
    load()
    return _base.GetVersionString().decode()


def get_build_info() -> str:
    """Return the build information of the ONNX Runtime library in use."""
    load()
    return api.GetBuildInfoString().decode("utf-8", "replace")


def get_cpu_features() -> list[str]:
    """Return the CPU's instruction sets that kernels of the library are chosen by.

    They have their names of Linux's ``/proc/cpuinfo``. The library is not opened.
    """
    cdef char names[ORTMMAP_CPU_FEATURES_SIZE]
    ortmmap_cpu_features(names)
    return (<bytes>names).decode().split()


def get_available_providers() -> list[str]:
    """Return the execution providers of the library in use, in order of preference."""
    cdef char **names = NULL
    cdef int count = 0
    load()
    check(api.GetAvailableProviders(&names, &count))
    try:
        return [names[index].decode() for index in range(count)]
    finally:
        check(api.ReleaseAvailableProviders(names, count))
