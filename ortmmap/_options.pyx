"""ONNX Runtime's own options: a session's, made from a SessionOptions, and a run's."""

from libc.stdlib cimport free, malloc

from ortmmap._runtime cimport api, check, load, native_path

from ortmmap.errors import OrtError
from ortmmap.providers import CPU, short_name

cdef class RunOptions:
    """What a run is made with: the names of ``onnxruntime.RunOptions``.

    One object may serve several runs, in several threads at once.
    """

    def __cinit__(self):
        load()
        check(api.CreateRunOptions(&self.options))
        self._config = {}

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
    def terminate(self, bint terminate):
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


cdef ort.OrtSessionOptions *make_session_options(
    object options, dict more_config, list providers
) except NULL:
    """Make ONNX Runtime's options from a SessionOptions; the caller releases them.

    `more_config` holds entries for keys that `options` does not set itself.
    """
    cdef ort.OrtSessionOptions *native = NULL
    check(api.CreateSessionOptions(&native))
    try:
        set_execution(native, options)
        set_logging(native, options)
        set_files(native, options)
        set_dimensions(native, options._free_dimensions)
        set_config(native, {**more_config, **options._config})
        set_custom_ops(native, options._custom_ops)
        append_providers(native, providers)
    except BaseException:
        api.ReleaseSessionOptions(native)
        raise
    return native


cdef int set_execution(ort.OrtSessionOptions *native, object options) except -1:
    cdef int level = options.graph_optimization_level
    cdef int mode = options.execution_mode
    check(api.SetSessionGraphOptimizationLevel(native, <ort.GraphOptimizationLevel>level))
    check(api.SetSessionExecutionMode(native, <ort.ExecutionMode>mode))
    check(api.SetIntraOpNumThreads(native, options.intra_op_num_threads))
    check(api.SetInterOpNumThreads(native, options.inter_op_num_threads))
    check(api.SetDeterministicCompute(native, options.use_deterministic_compute))
    if not options.use_per_session_threads:
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


cdef int set_custom_ops(ort.OrtSessionOptions *native, list libraries) except -1:
    cdef bytes path
    cdef const ort.ORTCHAR_T *name
    for library in libraries:
        path = native_path(library)
        name = <const ort.ORTCHAR_T *><const char *>path
        with nogil:
            check(api.RegisterCustomOpsLibrary_V2(native, name))
    return 0


cdef int append_providers(ort.OrtSessionOptions *native, list providers) except -1:
    """Append all but the CPU's, which every session has, last."""
    for name, settings in providers:
        if name != CPU:
            append_provider(native, short_name(name).encode(), settings)
    return 0


cdef int append_provider(ort.OrtSessionOptions *native, bytes name, dict settings) except -1:
    cdef list texts = [text.encode() for item in settings.items() for text in item]
    cdef size_t count = len(settings)
    cdef size_t index
    cdef const char *provider = name
    cdef const char **keys = <const char **>malloc((2 * count + 1) * sizeof(char *))
    cdef const char **values = keys + count
    if keys == NULL:
        raise MemoryError()
    try:
        for index in range(count):
            keys[index], values[index] = <bytes>texts[2 * index], <bytes>texts[2 * index + 1]
        with nogil:
            check(api.SessionOptionsAppendExecutionProvider(native, provider, keys, values, count))
    finally:
        free(keys)
    return 0
