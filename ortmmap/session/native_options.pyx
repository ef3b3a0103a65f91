"""ONNX Runtime's own options: a session's, made from a SessionOptions, and a run's."""

cimport numpy as cnp
from libc.stdlib cimport free, malloc

from ortmmap.runtime.provider_append cimport append_providers
from ortmmap.runtime.library cimport api, check, env_forks, forks, load, native_path
from ortmmap.values.value cimport Value

import numpy as np

from ortmmap.errors import OrtError

cnp.import_array()


cdef class RunOptions:
    """What a run is made with: the names of ``onnxruntime.RunOptions``.

    One object may serve several runs, in several threads at once.
    """

    def __cinit__(self):
        load()
        check(api.CreateRunOptions(&self.options))
        self._config = {}
        self._adapters = []

    def __init__(self):
        pass   # for the TypeError where there are arguments, which __cinit__ ignores

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
        """Level of verbose texts. Default 0."""
        cdef int level = 0
        check(api.RunOptionsGetRunLogVerbosityLevel(self.options, &level))
        return level

    @log_verbosity_level.setter
    def log_verbosity_level(self, int level):
        check(api.RunOptionsSetRunLogVerbosityLevel(self.options, level))

    @property
    def logid(self) -> str:
        """The name of the run in log texts. Default empty."""
        cdef const char *tag = NULL
        check(api.RunOptionsGetRunTag(self.options, &tag))
        return "" if tag == NULL else tag.decode("utf-8", "replace")

    @logid.setter
    def logid(self, str tag not None):
        cdef bytes encoded = tag.encode()
        check(api.RunOptionsSetRunTag(self.options, encoded))

    @property
    def terminate(self) -> bool:
        """Set to True, from any thread, to end the runs that use these options, with a `Fail`."""
        return self._terminate

    @terminate.setter
    def terminate(self, terminate):
        if isinstance(terminate, (str, bytes)) or terminate not in (True, False):
            raise TypeError(f"RunOptions.terminate: expected True or False, not {terminate!r}")
        if terminate:
            check(api.RunOptionsSetTerminate(self.options))
        else:
            check(api.RunOptionsUnsetTerminate(self.options))
        self._terminate = terminate

    @property
    def only_execute_path_to_fetches(self) -> bool:
        """Always False: the C API cannot set it."""
        return False

    @only_execute_path_to_fetches.setter
    def only_execute_path_to_fetches(self, bint value):
        if value:
            raise NotImplementedError(
                "ONNX Runtime's C API cannot set RunOptions.only_execute_path_to_fetches"
            )

    def add_run_config_entry(self, str key not None, str value not None) -> None:
        """Set an entry of ``onnxruntime_run_options_config_keys.h``."""
        cdef bytes encoded_key = key.encode()
        cdef bytes encoded_value = value.encode()
        check(api.AddRunConfigEntry(self.options, encoded_key, encoded_value))
        self._config[key] = value

    def get_run_config_entry(self, str key not None) -> str:
        """Return the value of an entry that was set; `OrtError` where it was not."""
        if key not in self._config:
            raise OrtError(f"RunOptions does not have configuration with key: {key}")
        return self._config[key]

    def add_active_adapter(self, LoraAdapter adapter not None) -> None:
        """Have runs use an adapter's parameters for the inputs of their names."""
        check(api.RunOptionsAddActiveLoraAdapter(self.options, adapter.adapter))
        self._adapters.append(adapter)

    cdef RunOptions copy(self):
        """Make options with the same settings, which can be told to terminate on their own."""
        cdef RunOptions made = RunOptions()
        made.log_severity_level = self.log_severity_level
        made.log_verbosity_level = self.log_verbosity_level
        made.logid = self.logid
        made.terminate = self.terminate
        for key, value in self._config.items():
            made.add_run_config_entry(key, value)
        for adapter in self._adapters:
            made.add_active_adapter(adapter)
        return made


cdef class LoraAdapter:
    """Parameters that adapt a model: ``onnxruntime.LoraAdapter``, for `RunOptions`."""

    def __dealloc__(self):
        if self.adapter != NULL:
            api.ReleaseLoraAdapter(self.adapter)

    @staticmethod
    def Load(adapter_path):
        """Map an adapter's file."""
        cdef LoraAdapter loaded = LoraAdapter.__new__(LoraAdapter)
        cdef bytes path = native_path(adapter_path)
        cdef const ort.ORTCHAR_T *name = <const ort.ORTCHAR_T *><const char *>path
        load()
        with nogil:
            check(api.CreateLoraAdapter(name, NULL, &loaded.adapter))
        return loaded


cdef class NativeOptions:
    """ONNX Runtime's options, while a session is created with them."""

    def __dealloc__(self):
        if self.options != NULL:
            api.ReleaseSessionOptions(self.options)

    def set_load_cancellation_flag(self, bint cancel):
        """Have the creation that is under way end, or go on."""
        check(api.SessionOptionsSetLoadCancellationFlag(self.options, cancel))

    cdef int release(self) except -1:
        self._made_from._creating.discard(self)
        api.ReleaseSessionOptions(self.options)
        self.options = NULL
        return 0


cdef NativeOptions make_session_options(object options, dict more_config, list providers):
    """Make ONNX Runtime's options from a SessionOptions; the caller calls their release().

    `more_config` holds entries for keys that `options` does not set itself.
    """
    cdef NativeOptions made = NativeOptions.__new__(NativeOptions)
    cdef ort.OrtSessionOptions *native
    check(api.CreateSessionOptions(&made.options))
    made._made_from = options
    native = made.options
    set_execution(native, options)
    set_logging(native, options)
    set_files(native, options)
    set_dimensions(native, options._free_dimensions)
    set_config(native, {**more_config, **options._config})
    set_custom_ops(native, options._custom_ops)
    set_initializers(native, options._initializers)
    set_external_initializers(native, options._external_initializers)
    set_external_files(native, options._external_files)
    append_providers(native, options, providers)
    options._creating.add(made)   # from now on it hears of set_load_cancellation_flag
    made.set_load_cancellation_flag(options._load_cancelled)
    return made


cdef tuple initializers_of(object options):
    """Give the values that a session of `options` points to."""
    return (*options._initializers.values(), *options._external_initializers.values())


cdef int set_execution(ort.OrtSessionOptions *native, object options) except -1:
    cdef int level = options.graph_optimization_level
    cdef int mode = options.execution_mode
    check(api.SetSessionGraphOptimizationLevel(native, <ort.GraphOptimizationLevel>level))
    check(api.SetSessionExecutionMode(native, <ort.ExecutionMode>mode))
    check(api.SetIntraOpNumThreads(native, options.intra_op_num_threads))
    check(api.SetInterOpNumThreads(native, options.inter_op_num_threads))
    check(api.SetDeterministicCompute(native, options.use_deterministic_compute))
    # The threads of the environment are those of the process that made it.
    if not options.use_per_session_threads and env_forks == forks:
        check(api.DisablePerSessionThreads(native))
    if not options.enable_cpu_mem_arena:
        check(api.DisableCpuMemArena(native))
    if not options.enable_mem_pattern:
        check(api.DisableMemPattern(native))
    return 0


cdef int set_logging(ort.OrtSessionOptions *native, object options) except -1:
    cdef bytes logid = options.logid.encode()
    check(api.SetSessionLogId(native, logid))
    check(api.SetSessionLogVerbosityLevel(native, options.log_verbosity_level))
    check(api.SetSessionLogSeverityLevel(native, options.log_severity_level))
    return 0


cdef int set_files(ort.OrtSessionOptions *native, object options) except -1:
    cdef bytes path
    if options.optimized_model_filepath:
        path = native_path(options.optimized_model_filepath)
        check(api.SetOptimizedModelFilePath(native, <const ort.ORTCHAR_T *><const char *>path))
    if options.enable_profiling:
        path = native_path(options.profile_file_prefix)
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
    cdef list contents = [bytes_of(content) for content in files.values()]
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


cdef cnp.ndarray bytes_of(object content):
    """Give a buffer's bytes, where they lie, as an array that holds the buffer."""
    return np.frombuffer(content, np.uint8)


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
