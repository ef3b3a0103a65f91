"""ONNX Runtime's own options: a session's, made from a SessionOptions, and a run's."""

cimport cython
cimport numpy as cnp
from cpython.pycapsule cimport PyCapsule_New
from libc.stdlib cimport free, malloc

from ortmmap.process.guard cimport ortmmap_count_get, ortmmap_count_set
from ortmmap.session.adapter cimport LoraAdapter, Parameters
from ortmmap.runtime.library cimport api, check, env_forks, forks, library_minor, load, native_path
from ortmmap.values.value cimport check_made

import os

import numpy as np

from ortmmap.errors import OrtError, warn_without_effect
from ortmmap.options import ExecutionMode
from ortmmap.runtime.providers import CPU

# Key of onnxruntime_run_options_config_keys.h, and the value that stands for the CPU's arena.
SHRINKAGE = "memory.enable_memory_arena_shrinkage"
CPU_ARENA = "cpu:0"

# Keys of onnxruntime_session_options_config_keys.h.
AFFINITIES = "session.intra_op_thread_affinities"
PARALLEL_PREPACKING = "session.prepack.enable_parallel"
LEAST_PARALLEL_PREPACKING = 31   # ONNX Runtime 1.31 is the first that has it

# Set to 1, ONNX Runtime takes a session's options from the model (`session/model_config.py`).
MODEL_CONFIG_VARIABLE = "ORT_LOAD_CONFIG_FROM_MODEL"

cnp.import_array()


cdef class RunOptions:
    """Options of a run: the names and defaults of ``onnxruntime.RunOptions``.

    One object may serve any number of runs, in several threads at the same time.

    Examples
    --------
    >>> options = ortmmap.RunOptions()
    >>> threading.Timer(5.0, setattr, (options, "terminate", True)).start()
    >>> session.run(None, feed, options)  # raises Fail after five seconds
    """

    def __cinit__(self):
        load()
        check(api.CreateRunOptions(&self.options))
        self._config = {}
        self._adapters, self._stand_ins = [], []

    def __init__(self):
        pass   # refuses arguments, which __cinit__ ignores

    def __dealloc__(self):
        if self.options != NULL:
            api.ReleaseRunOptions(self.options)

    @property
    def log_severity_level(self) -> int:
        """0 verbose, 1 info, 2 warning, 3 error, 4 fatal; -1 (default): the session's."""
        cdef int level = 0
        check(api.RunOptionsGetRunLogSeverityLevel(self.options, &level))
        return level

    @log_severity_level.setter
    def log_severity_level(self, int level):
        check(api.RunOptionsSetRunLogSeverityLevel(self.options, level))

    @property
    def log_verbosity_level(self) -> int:
        """Detail of verbose log messages. Default 0."""
        cdef int level = 0
        check(api.RunOptionsGetRunLogVerbosityLevel(self.options, &level))
        return level

    @log_verbosity_level.setter
    def log_verbosity_level(self, int level):
        check(api.RunOptionsSetRunLogVerbosityLevel(self.options, level))

    @property
    def logid(self) -> str:
        """The run's name in log messages. Default empty."""
        cdef const char *tag = NULL
        check(api.RunOptionsGetRunTag(self.options, &tag))
        return "" if tag == NULL else tag.decode("utf-8", "replace")

    @logid.setter
    def logid(self, str tag not None):
        cdef bytes encoded = tag.encode()
        check(api.RunOptionsSetRunTag(self.options, encoded))

    @property
    def terminate(self) -> bool:
        """Set to True, from any thread, to end runs with these options; they raise `Fail`."""
        return ortmmap_count_get(&self._terminate) != 0

    @terminate.setter
    def terminate(self, terminate):
        if isinstance(terminate, (str, bytes)) or terminate not in (True, False):
            raise TypeError(f"RunOptions.terminate: expected True or False, not {terminate!r}")
        self._set_terminate(terminate)

    cdef int _set_terminate(self, bint terminate) except -1:
        with cython.critical_section(self):
            check((api.RunOptionsSetTerminate if terminate else api.RunOptionsUnsetTerminate)(
                self.options
            ))
            ortmmap_count_set(&self._terminate, terminate)
            for stand_in in self._stand_ins:
                (<RunOptions>stand_in)._set_terminate(terminate)
        return 0

    @property
    def only_execute_path_to_fetches(self) -> bool:
        """Whether to run only the nodes that the outputs depend on. Setting it has no effect."""
        return ortmmap_count_get(&self._only_to_fetches) != 0

    @only_execute_path_to_fetches.setter
    def only_execute_path_to_fetches(self, bint value):
        if value:
            warn_without_effect("RunOptions.only_execute_path_to_fetches", value)
        self._assign_only_to_fetches(value)

    def _assign_only_to_fetches(self, bint value):
        """Set `only_execute_path_to_fetches` without a warning."""
        ortmmap_count_set(&self._only_to_fetches, value)

    def add_run_config_entry(self, str key not None, str value not None) -> None:
        """Set an entry of ``onnxruntime_run_options_config_keys.h``."""
        cdef bytes encoded_key = key.encode()
        cdef bytes encoded_value = value.encode()
        with cython.critical_section(self):
            check(api.AddRunConfigEntry(self.options, encoded_key, encoded_value))
            self._config[key] = value
            ortmmap_count_set(&self.shrinks, self._config.get(SHRINKAGE) == CPU_ARENA)

    def get_run_config_entry(self, str key not None) -> str:
        """Return the value of a configuration entry.

        Raises
        ------
        OrtError
            If the entry was not set.
        """
        if key not in self._config:
            raise OrtError(f"RunOptions does not have configuration with key: {key}")
        return self._config[key]

    def add_active_adapter(self, adapter) -> None:
        """Feed an adapter's parameters to the model inputs of the same names.

        Parameters
        ----------
        adapter : LoraAdapter
            Under `patch_onnxruntime`, onnxruntime's class is accepted too.

        Raises
        ------
        ValueError
            If nothing was loaded into the adapter.
        RuntimeError
            If it was loaded before a fork, in the parent process.
        """
        if not isinstance(adapter, LoraAdapter):
            from ortmmap.session.foreign_adapter import adapter_from

            adapter = adapter_from(adapter)
        parameters = (<LoraAdapter>adapter).loaded()
        if parameters is None:
            raise ValueError("the LoraAdapter is empty: call its Load(path) first")
        self._add(parameters)

    cdef int _add(self, Parameters parameters) except -1:
        with cython.critical_section(self):
            check(api.RunOptionsAddActiveLoraAdapter(self.options, parameters.usable()))
            self._adapters.append(parameters)
        return 0

    cdef int check_adapters(self) except -1:
        """Raise RuntimeError if an adapter was loaded in another process."""
        for parameters in self._adapters:
            (<Parameters>parameters).usable()
        return 0

    cdef RunOptions copy(self):
        return self._copy(True)   # with a `terminate` of its own

    cdef RunOptions lend_without_shrinkage(self):
        """Make options for one run that `terminate` reaches too; take_back() ends it.

        ONNX Runtime refuses to shrink the arena of a session that has recorded its prepacked
        weights, since it does not know it; `Recording.release_memory` shrinks that.
        """
        with cython.critical_section(self):
            made = self._copy(False)
            self._stand_ins.append(made)
        return made

    cdef int take_back(self, RunOptions copy) except -1:
        self._stand_ins.remove(copy)
        return 0

    cdef RunOptions _copy(self, bint shrinks):
        cdef RunOptions made = RunOptions()
        made.log_severity_level = self.log_severity_level
        made.log_verbosity_level = self.log_verbosity_level
        made.logid = self.logid
        made.terminate = self.terminate
        made._assign_only_to_fetches(self.only_execute_path_to_fetches)
        for key, value in self._config.items():
            if shrinks or key != SHRINKAGE:
                made.add_run_config_entry(key, value)
        for parameters in self._adapters:
            made._add(parameters)
        return made


cdef class NativeOptions:
    """ONNX Runtime's options of a session that is being created."""

    def __dealloc__(self):
        if self.options != NULL:
            api.ReleaseSessionOptions(self.options)

    def set_load_cancellation_flag(self, bint cancel):
        """Cancel the creation that is under way, or let it go on; nothing if it has ended."""
        with cython.critical_section(self):
            if self.options != NULL:
                check(api.SessionOptionsSetLoadCancellationFlag(self.options, cancel))

    cdef int release(self) except -1:
        self._made_from._cancellation.creating.discard(self)
        with cython.critical_section(self):
            api.ReleaseSessionOptions(self.options)
            self.options = NULL
        return 0


@cython.final
cdef class Initializers:
    """Tensors that replace a model's initializers; ONNX Runtime points to them."""

    def __cinit__(self, options):
        cdef dict values = options._values
        self.added = values_of(values.get("_initializers"))
        self.external = values_of(values.get("_external_initializers"))


cdef dict values_of(dict initializers):
    if not initializers:
        return {}
    return {name: value_of(value, name) for name, value in initializers.items()}


cdef Value value_of(object ort_value, str name):
    """Return an OrtValue of ours itself; onnxruntime's as a value over the same memory."""
    if isinstance(ort_value, Value):
        return check_made(ort_value, name)
    from ortmmap.values.foreign import as_value

    return as_value(ort_value, name)


cdef int default_threads(object options) except -1:
    """Return the size of those thread pools that `options` leave open; 0: ONNX Runtime chooses.

    It is what the system grants, if the session has pools of its own.
    """
    if options.intra_op_num_threads != 0 and (
        options.inter_op_num_threads != 0 or options.execution_mode != ExecutionMode.ORT_PARALLEL
    ):
        return 0
    if not has_own_threads(options.use_per_session_threads) or options._config.get(AFFINITIES):
        return 0
    if os.environ.get(MODEL_CONFIG_VARIABLE) == "1":
        return 0
    from ortmmap.runtime.quota import granted_threads

    return granted_threads()


cdef bint has_own_threads(bint wanted) noexcept:
    """Whether a session has thread pools of its own.

    The threads of the environment exist only in the process that made it.
    """
    return wanted or env_forks != forks


cdef NativeOptions make_session_options(
    object options, dict config, list providers, Initializers initializers, int threads
):
    """Make ONNX Runtime's options from a SessionOptions; the caller calls their release().

    `config` holds entries for keys that `options` does not set itself; `initializers` and `threads`
    (see default_threads()) are those of `options`.
    """
    cdef NativeOptions made = NativeOptions.__new__(NativeOptions)
    cdef ort.OrtSessionOptions *native
    cdef dict settings = {**options._defaults, **options._values}
    check(api.CreateSessionOptions(&made.options))
    made._made_from = options
    native = made.options
    config = {**config, **without_attributes(settings["_config"])}
    made.has_own_threads = has_own_threads(settings["use_per_session_threads"])
    if prepacks_in_parallel(settings, config, threads):
        config[PARALLEL_PREPACKING] = "1"
    set_execution(native, settings, threads)
    set_logging(native, settings)
    set_files(native, settings)
    set_dimensions(native, settings["_free_dimensions"])
    set_config(native, config)
    set_custom_ops(native, settings["_custom_ops"])
    set_initializers(native, initializers.added)
    set_external_initializers(native, initializers.external)
    set_external_files(native, settings["_external_files"])
    if appends_providers(settings, providers):
        from ortmmap.runtime.provider_append import append_to

        append_to(PyCapsule_New(native, "OrtSessionOptions", NULL), options, providers)
    cancellation = options._cancellation
    cancellation.creating.add(made)   # from here on set_load_cancellation_flag() reaches it
    made.set_load_cancellation_flag(cancellation.is_set)
    return made


cdef bint appends_providers(dict settings, list providers) except -1:
    """Whether the session has other providers than the CPU's, or ONNX Runtime selects them."""
    return (
        settings["_selection_policy"] is not None
        or settings["_selection_delegate"] is not None
        or bool(settings["_provider_devices"])
        or any(name != CPU for name, _ in providers)
    )


cdef bint prepacks_in_parallel(dict settings, dict config, int threads) except -1:
    """Whether the session's threads prepack weights: if there are two or more, unless it is said.

    A pool whose size is open may have one thread; ONNX Runtime then prepacks in turn. The threads
    of the environment could not be recorded.
    """
    said = config.get(PARALLEL_PREPACKING)
    if said is not None:
        return said == "1"
    return (
        library_minor >= LEAST_PARALLEL_PREPACKING
        and (settings["intra_op_num_threads"] or threads) != 1
        and has_own_threads(settings["use_per_session_threads"])
    )


cdef int set_execution(ort.OrtSessionOptions *native, dict settings, int threads) except -1:
    cdef int level = settings["graph_optimization_level"]
    cdef int mode = settings["execution_mode"]
    check(api.SetSessionGraphOptimizationLevel(native, <ort.GraphOptimizationLevel>level))
    check(api.SetSessionExecutionMode(native, <ort.ExecutionMode>mode))
    check(api.SetIntraOpNumThreads(native, settings["intra_op_num_threads"] or threads))
    check(api.SetInterOpNumThreads(native, settings["inter_op_num_threads"] or threads))
    check(api.SetDeterministicCompute(native, settings["use_deterministic_compute"]))
    if not has_own_threads(settings["use_per_session_threads"]):
        check(api.DisablePerSessionThreads(native))
    if not settings["enable_cpu_mem_arena"]:
        check(api.DisableCpuMemArena(native))
    if not settings["enable_mem_pattern"]:
        check(api.DisableMemPattern(native))
    return 0


cdef int set_logging(ort.OrtSessionOptions *native, dict settings) except -1:
    cdef bytes logid = settings["logid"].encode()
    check(api.SetSessionLogId(native, logid))
    check(api.SetSessionLogVerbosityLevel(native, settings["log_verbosity_level"]))
    check(api.SetSessionLogSeverityLevel(native, settings["log_severity_level"]))
    return 0


cdef int set_files(ort.OrtSessionOptions *native, dict settings) except -1:
    cdef bytes path
    if settings["optimized_model_filepath"]:
        path = native_path(settings["optimized_model_filepath"])
        check(api.SetOptimizedModelFilePath(native, <const ort.ORTCHAR_T *><const char *>path))
    if settings["enable_profiling"]:
        path = native_path(settings["profile_file_prefix"])
        check(api.EnableProfiling(native, <const ort.ORTCHAR_T *><const char *>path))
    return 0


cdef int set_dimensions(ort.OrtSessionOptions *native, list dimensions) except -1:
    cdef bytes encoded
    for kind, name, size in dimensions:
        encoded = name.encode()
        if kind == "name":
            check(api.AddFreeDimensionOverrideByName(native, encoded, size))
        else:
            check(api.AddFreeDimensionOverride(native, encoded, size))
    return 0


cdef int set_config(ort.OrtSessionOptions *native, dict config) except -1:
    cdef bytes key, value
    for name, setting in config.items():
        key, value = name.encode(), setting.encode()
        check(api.AddSessionConfigEntry(native, key, value))
    return 0


cdef dict without_attributes(dict config):
    """Return the entries that do not stand for an attribute of SessionOptions.

    The C API of ONNX Runtime 1.32 sets the attribute by such an entry; onnxruntime's module does
    not.
    """
    if not config:
        return config
    from ortmmap.abi.config_keys import ATTRIBUTE_KEYS

    return {key: value for key, value in config.items() if key not in ATTRIBUTE_KEYS}


cdef int set_initializers(ort.OrtSessionOptions *native, dict initializers) except -1:
    cdef bytes encoded
    cdef Value value
    for name, value in initializers.items():
        encoded = name.encode()
        check(api.AddInitializer(native, encoded, value.value))
    return 0


cdef int set_external_initializers(ort.OrtSessionOptions *native, dict initializers) except -1:
    cdef list names = [name.encode() for name in initializers]
    cdef list owners = list(initializers.values())
    cdef size_t count = len(names)
    cdef size_t index
    cdef void **room
    if count == 0:
        return 0
    room = allocate(2 * count)
    try:
        for index in range(count):
            room[index] = <void *><const char *><bytes>names[index]
            room[count + index] = (<Value>owners[index]).value
        with nogil:
            check(api.AddExternalInitializers(
                native, <const char *const *>room, <const ort.OrtValue *const *>(room + count),
                count,
            ))
    finally:
        free(room)
    return 0


cdef int set_external_files(ort.OrtSessionOptions *native, dict files) except -1:
    cdef list names = [native_path(name) for name in files]
    cdef list contents = [np.frombuffer(content, np.uint8) for content in files.values()]
    cdef size_t count = len(names)
    cdef size_t index
    cdef void **room
    if count == 0:
        return 0
    room = allocate(3 * count)
    try:
        for index in range(count):
            room[index] = <void *><const char *><bytes>names[index]
            room[count + index] = cnp.PyArray_DATA(<cnp.ndarray>contents[index])
            (<size_t *>room)[2 * count + index] = cnp.PyArray_NBYTES(<cnp.ndarray>contents[index])
        with nogil:
            check(api.AddExternalInitializersFromFilesInMemory(
                native, <const ort.ORTCHAR_T *const *>room, <char *const *>(room + count),
                <const size_t *>(room + 2 * count), count,
            ))
    finally:
        free(room)
    return 0


cdef void **allocate(size_t count) except NULL:
    cdef void **room = <void **>malloc(count * sizeof(void *))
    if room == NULL:
        raise MemoryError()
    return room


cdef int set_custom_ops(ort.OrtSessionOptions *native, list libraries) except -1:
    cdef bytes path
    cdef const ort.ORTCHAR_T *name
    for library in libraries:
        path = native_path(library)
        name = <const ort.ORTCHAR_T *><const char *>path
        with nogil:
            check(api.RegisterCustomOpsLibrary_V2(native, name))
    return 0
