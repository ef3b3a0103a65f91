"""Finds and opens ONNX Runtime's shared library; holds its function table and the environment.

Nothing is opened at import: load() does it at first use. The library stays open, and the one
environment alive, until the process ends.
"""

import os
import sys
from _thread import allocate_lock

from ortmmap.abi.library cimport ortmmap_library_open, ortmmap_library_symbol
from ortmmap.abi.mapping cimport ortmmap_path_char

from ortmmap.errors import LibraryError, from_status

cdef extern from "process/fork.h" nogil:
    int ortmmap_fork_watch(int *forks)
    void ortmmap_fork_lock(void (*lock)() noexcept nogil, void (*unlock)() noexcept nogil)
    void ortmmap_fork_hold()
    void ortmmap_fork_let()

ctypedef const ort.OrtApiBase *(*GetApiBase)() noexcept nogil

LIBRARY_VARIABLE = "ORTMMAP_ONNXRUNTIME"
LEAST_VERSION = "1.23"
# onnxruntime 1.32's telemetry has a thread, which exit() waits for: in the child of a fork, where
# no thread but the forking one is, for ever. "0" lets it be.
NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"
INSTALL = f'install one with: pip install "onnxruntime>={LEAST_VERSION}"'

# What the shared library is called in a wheel; `providers` libraries lie beside it.
if sys.platform == "win32":
    LIBRARY_PATTERN = "onnxruntime.dll"
elif sys.platform == "darwin":
    LIBRARY_PATTERN = "libonnxruntime.*dylib"
else:
    LIBRARY_PATTERN = "libonnxruntime.so*"

cdef ProcessLock _loading = ProcessLock()   # held while the library is opened
cdef bint _watching = False
cdef const ort.OrtApiBase *_base = NULL
cdef str _library_path = None
cdef tuple _global_threads = None        # (intra-op, inter-op) for the environment to have


cdef class ProcessLock:
    """A lock that no fork leaves held by a thread that is not there any more."""

    def __cinit__(self):
        self._lock, self._forks = allocate_lock(), forks

    cdef object here(self):
        """Give the lock of this process, for ``with``."""
        if self._forks != forks:
            self._lock, self._forks = allocate_lock(), forks
        return self._lock


cdef void lock_at_fork(
    void (*lock)() noexcept nogil, void (*unlock)() noexcept nogil
) noexcept nogil:
    ortmmap_fork_lock(lock, unlock)


cdef void hold_forks() noexcept nogil:
    ortmmap_fork_hold()


cdef void let_forks() noexcept nogil:
    ortmmap_fork_let()


cdef int load() except -1:
    """Open the library, once in a process."""
    if api != NULL:
        return 0
    _watch_forks()
    with _loading.here():
        if api == NULL:
            _open(find_library())
    return 0


cdef int _watch_forks() except -1:
    """Count forks from now on."""
    global _watching
    if _watching:
        return 0
    _watching = True
    error = ortmmap_fork_watch(&forks)
    if error:
        raise LibraryError(f"forks cannot be watched: {os.strerror(error)}")
    return 0


cdef int raise_status(ort.OrtStatus *status, object path=None) except -1:
    """Release `status` and raise what it says."""
    cdef int code = api.GetErrorCode(status)
    message = api.GetErrorMessage(status).decode("utf-8", "replace")
    api.ReleaseStatus(status)
    raise from_status(code, message, path)


cdef bytes native_path(object path):
    """Encode a path as the system's calls take it: UTF-16 on Windows, bytes elsewhere."""
    path = os.fspath(path)
    if (b"\0" if isinstance(path, bytes) else "\0") in path:
        raise ValueError(f"embedded null character in path {path!r}")
    if sys.platform == "win32":
        return os.fsdecode(path).encode("utf-16-le") + b"\0"  # a bytes object ends with one more
    return os.fsencode(path)


def find_library() -> str:
    """Find the shared library: ``ORTMMAP_ONNXRUNTIME``, else that of the installed wheel.

    The ``onnxruntime`` package is located, not imported.

    Raises
    ------
    LibraryError
        Where there is none; the text says where was looked and what to install.
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
        raise LibraryError(f"{path} is not ONNX Runtime's library: it tells no version; {INSTALL}")
    _library_path = path
    return _initialize(path)


cdef int _initialize(str path) except -1:
    """Fetch the function table and make the environment; `api` is set last."""
    global api, api_24, env, env_forks, cpu_memory, allocator, default_run_options
    cdef const ort.OrtApi *table = _base.GetApi(ort.ORTMMAP_ORT_API_VERSION)
    if table == NULL:
        raise LibraryError(
            f"{path} is ONNX Runtime {_base.GetVersionString().decode()}, which does not have "
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
    # An older library prints a complaint where it is asked for a newer table.
    if int(_base.GetVersionString().split(b".")[1]) >= ort.ORTMMAP_ORT_API_VERSION_24:
        api_24 = <const ort.OrtApi24 *>_base.GetApi(ort.ORTMMAP_ORT_API_VERSION_24)
    api = table
    return 0


cdef ort.OrtStatus *_create_quiet_env(const ort.OrtApi *table) except? NULL:
    """Make the environment without telemetry, unless the process's variables speak of that."""
    if NO_TELEMETRY in os.environ:
        return _create_env(table)
    os.environ[NO_TELEMETRY] = "1"
    try:
        return _create_env(table)
    finally:
        del os.environ[NO_TELEMETRY]


cdef ort.OrtStatus *_create_env(const ort.OrtApi *table) except? NULL:
    """Make the environment, with threads that sessions may share if they were asked for."""
    cdef ort.OrtThreadingOptions *threads = NULL
    cdef ort.OrtStatus *status
    if _global_threads is None:
        return table.CreateEnv(ort.ORT_LOGGING_LEVEL_WARNING, b"ortmmap", &env)
    _check_initial(table, table.CreateThreadingOptions(&threads))
    try:
        _check_initial(table, table.SetGlobalIntraOpNumThreads(threads, _global_threads[0]))
        _check_initial(table, table.SetGlobalInterOpNumThreads(threads, _global_threads[1]))
        status = table.CreateEnvWithGlobalThreadPools(
            ort.ORT_LOGGING_LEVEL_WARNING, b"ortmmap", threads, &env
        )
    finally:
        table.ReleaseThreadingOptions(threads)
    return status


cdef int _check_initial(const ort.OrtApi *table, ort.OrtStatus *status) except -1:
    if status == NULL:
        return 0
    message = table.GetErrorMessage(status).decode("utf-8", "replace")
    table.ReleaseStatus(status)
    raise LibraryError(f"ONNX Runtime did not start: {message}")


def set_global_thread_pool_sizes(int intra_op_num_threads=0, int inter_op_num_threads=0) -> None:
    """Give the process threads for sessions whose `use_per_session_threads` is False to share.

    Parameters
    ----------
    intra_op_num_threads, inter_op_num_threads : int, default 0
        0: ONNX Runtime chooses.

    Raises
    ------
    ValueError
        Where a number is negative.
    RuntimeError
        Where ONNX Runtime has started: before the first session, and before anything else that
        needs the library.
    """
    global _global_threads
    if intra_op_num_threads < 0 or inter_op_num_threads < 0:
        raise ValueError("the number of threads should be 0 or more")
    with _loading.here():
        if api != NULL:
            raise RuntimeError("set_global_thread_pool_sizes comes before the first session")
        _global_threads = (intra_op_num_threads, inter_op_num_threads)


def get_library_path() -> str:
    """Return the file of the ONNX Runtime library in use, opening it if need be."""
    load()
    return _library_path


def get_version_string() -> str:
    """Return the version of the ONNX Runtime library in use, such as ``1.23.2``."""
    load()
    return _base.GetVersionString().decode()


def get_build_info() -> str:
    """Return how the ONNX Runtime library in use was built."""
    load()
    return api.GetBuildInfoString().decode("utf-8", "replace")


def get_available_providers() -> list[str]:
    """Return the execution providers of the library in use, first choice first."""
    cdef char **names = NULL
    cdef int count = 0
    load()
    check(api.GetAvailableProviders(&names, &count))
    try:
        return [names[index].decode() for index in range(count)]
    finally:
        check(api.ReleaseAvailableProviders(names, count))
