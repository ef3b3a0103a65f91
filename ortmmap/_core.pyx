"""Session: an ONNX Runtime session over mapped bytes.

A `Session` holds its `Model` from before its ``OrtSession`` is created until after that is
released, since ONNX Runtime may keep pointers into the model's bytes.
"""

cimport cython
from libc.stdint cimport uint64_t

from ortmmap._metadata cimport (
    NodeArg,
    inputs_of,
    metadata_of,
    outputs_of,
    overridable_initializers_of,
    take_string,
)
from ortmmap._model cimport Model
from ortmmap._options cimport RunOptions
from ortmmap._runtime cimport allocator, api, check, default_run_options, load

import warnings

from ortmmap.errors import InvalidArgument
from ortmmap.options import SessionOptions
from ortmmap.providers import CPU, normalize
from ortmmap._runtime import get_available_providers

# A key of onnxruntime_session_options_config_keys.h.
DISABLED_OPTIMIZERS = "optimization.disable_specified_optimizers"


@cython.no_gc_clear   # the collector must not take `_model` away while `_session` points into it
cdef class Session:
    """An ONNX Runtime session whose weights stay in the mapped model file.

    A drop-in for ``onnxruntime.InferenceSession``. It may be used from any number of threads.

    Parameters
    ----------
    path_or_bytes : str, os.PathLike or buffer
        A model file, or an object whose C-contiguous bytes are one (bytes, bytearray, memoryview,
        ``mmap.mmap``, ndarray, shared memory …). Whether it is ORT format is told by the content.
        A file in ORT format is mapped, a buffer used in place, for as long as the session lives;
        ONNX format is read by ONNX Runtime's own loader.
    sess_options : SessionOptions, optional
    providers, provider_options : sequence, optional
        As for ``onnxruntime.InferenceSession``.
    prefault, lock : bool, default False
        As for `Mapping`. They go with ORT-format files only.
    **kwargs
        ``disabled_optimizers``, a sequence of names, is onnxruntime's. ``enable_fallback`` is
        accepted and has no meaning: a session that cannot be created raises.

    Raises
    ------
    OrtError
        A subclass by ONNX Runtime's error code; `MappingError` or `NoSuchFile` where the file
        cannot be mapped.
    TypeError
        Where `path_or_bytes` is neither a path nor a buffer.
    """

    def __init__(
        self,
        path_or_bytes,
        sess_options=None,
        providers=None,
        provider_options=None,
        *,
        bint prefault=False,
        bint lock=False,
        **kwargs,
    ):
        if self._session != NULL:
            raise RuntimeError("this session is open already")
        load()
        self._options = SessionOptions() if sess_options is None else sess_options
        self._providers = normalize(providers, provider_options, get_available_providers())
        config = _config_of(kwargs)
        try:
            self._model = Model(path_or_bytes, prefault=prefault, lock=lock)
            self._session = self._model.create_session(self._options, config, self._providers)
            self._describe()
        except BaseException:
            self._release()
            raise

    def __dealloc__(self):
        self._release()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __repr__(self):
        state = "closed" if self._session == NULL else "open"
        return f"<ortmmap.Session of {self._model!r}, {state}>"

    @property
    def mapping(self):
        """The mapped file, a `Mapping`; None where no file is mapped."""
        return None if self._model is None else self._model.mapping

    def close(self) -> None:
        """Release ONNX Runtime's session, then the model's bytes. Closing twice is no error.

        Raises
        ------
        RuntimeError
            Where another thread is running it.
        """
        if self._running:
            raise RuntimeError(f"cannot close the session: {self._running} runs are under way")
        self._release()

    def run(self, output_names, input_feed, run_options=None) -> list:
        """Compute the outputs.

        Parameters
        ----------
        output_names : sequence of str, or None
            Which outputs, in this order; None or empty for all.
        input_feed : dict of str to array_like
            A value for each input, by name; overridable initializers may be given too. An array
            is used where it lies if it is C-contiguous, aligned and of native byte order.
        run_options : RunOptions, optional

        Returns
        -------
        list
            An array for each tensor, over memory of ONNX Runtime's which lives as long as the
            array; object arrays of str for strings; lists for sequences, dicts for maps.

        Raises
        ------
        InvalidArgument
            An unknown name, a missing input, an input of another type or shape than the model's.
        OrtError
            Another subclass by ONNX Runtime's error code.
        """
        cdef Call call = Call.__new__(Call)
        cdef RunOptions options = run_options
        cdef list fetches = self._outputs if not output_names else self._find_outputs(output_names)
        cdef dict feed = input_feed if type(input_feed) is dict else _dict_of(input_feed)
        cdef size_t index
        self._check_open()
        call.reserve(len(feed), len(fetches))
        self._feed(call, feed)
        for index in range(call.fetches):
            call.names[call.feeds + index] = (<NodeArg>fetches[index]).encoded_name
        self._run(call, default_run_options if options is None else options.options)
        return call.results(fetches)

    def get_inputs(self) -> list:
        """Return the inputs, each a `NodeArg`."""
        return list(self._inputs)

    def get_outputs(self) -> list:
        """Return the outputs, each a `NodeArg`."""
        return list(self._outputs)

    def get_overridable_initializers(self) -> list:
        """Return the initializers that a run may be given values for, each a `NodeArg`."""
        return list(self._overridable)

    def get_modelmeta(self):
        """Return the model's `ModelMetadata`."""
        self._check_open()
        return metadata_of(self._session)

    def get_session_options(self):
        """Return the options that the session was created with."""
        return self._options

    def get_providers(self) -> list:
        """Return the names of the execution providers in use, first choice first."""
        names = [name for name, _ in self._providers]
        return names if CPU in names else [*names, CPU]

    def get_provider_options(self) -> dict:
        """Return the options of the execution providers in use."""
        options = dict(self._providers)
        return {name: options.get(name, {}) for name in self.get_providers()}

    def end_profiling(self) -> str:
        """Write the profile, and return its file's name; empty where profiling is not enabled."""
        cdef char *name = NULL
        self._check_open()
        if not self._options.enable_profiling:
            return ""
        with nogil:
            check(api.SessionEndProfiling(self._session, allocator, &name))
        return take_string(name)

    def get_profiling_start_time_ns(self) -> int:
        """Return when profiling began, in ns, on the clock of ``time.monotonic_ns()``."""
        cdef uint64_t start = 0
        self._check_open()
        check(api.SessionGetProfilingStartTimeNs(self._session, &start))
        return start

    cdef int _describe(self) except -1:
        """Look up the names and types that every run needs."""
        self._inputs = inputs_of(self._session)
        self._outputs = outputs_of(self._session)
        self._overridable = overridable_initializers_of(self._session)
        self._feeds = {arg.name: arg for arg in self._overridable + self._inputs}
        self._fetches = {arg.name: arg for arg in self._outputs}
        self._required = sum((<NodeArg>arg).required for arg in self._inputs)
        return 0

    cdef int _check_open(self) except -1:
        if self._session == NULL:
            raise ValueError("the session is closed")
        return 0

    cdef int _release(self) except -1:
        """Release ONNX Runtime's session, and only then the bytes that it may point into."""
        cdef ort.OrtSession *session = self._session
        self._session = NULL
        if session != NULL:
            with nogil:
                api.ReleaseSession(session)
        self._model = None
        return 0

    cdef list _find_outputs(self, object names):
        if isinstance(names, str):
            raise TypeError(f"output_names should be a sequence of names, not {names!r}")
        try:
            return [self._fetches[name] for name in names]
        except KeyError as error:
            raise InvalidArgument(
                "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Invalid output name:"
                f"{error.args[0]} (the model's outputs are {list(self._fetches)})"
            ) from None

    cdef int _feed(self, Call call, dict feed) except -1:
        cdef size_t index = 0
        cdef Py_ssize_t required = 0
        cdef NodeArg arg
        for name, data in feed.items():
            found = self._feeds.get(name)
            if found is None:
                self._raise_missing(feed)
                raise InvalidArgument(
                    "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Invalid input name: "
                    f"{name} (the model's inputs are {list(self._feeds)})"
                )
            arg = <NodeArg>found
            call.feed(index, arg, data)
            required += arg.required
            index += 1
        if required < self._required:
            self._raise_missing(feed)
        return 0

    cdef int _raise_missing(self, dict feed) except -1:
        missing = [
            arg.name for arg in self._inputs if (<NodeArg>arg).required and arg.name not in feed
        ]
        if missing:
            raise InvalidArgument(
                f"Required inputs ({missing}) are missing from input feed ({list(feed)})."
            )
        return 0

    cdef int _run(self, Call call, const ort.OrtRunOptions *options) except -1:
        cdef ort.OrtStatus *status
        self._running += 1
        with nogil:
            status = api.Run(
                self._session,
                options,
                call.names,
                <const ort.OrtValue *const *>call.values,
                call.feeds,
                call.names + call.feeds,
                call.fetches,
                call.values + call.feeds,
            )
        self._running -= 1
        return check(status)


cdef dict _dict_of(object input_feed):
    if not hasattr(input_feed, "keys"):
        raise TypeError(
            f"input_feed should map names to values; it is a {type(input_feed).__name__}"
        )
    return dict(input_feed)


cdef dict _config_of(dict kwargs):
    """Give the configuration entries for the keyword arguments that onnxruntime takes."""
    cdef dict config = {}
    optimizers = kwargs.pop("disabled_optimizers", None)
    kwargs.pop("enable_fallback", None)
    if optimizers:
        config[DISABLED_OPTIMIZERS] = ";".join(sorted(optimizers))
    if kwargs:
        warnings.warn(f"Session ignores the arguments {sorted(kwargs)}", stacklevel=3)
    return config
