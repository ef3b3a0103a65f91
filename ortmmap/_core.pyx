"""Session: an ONNX Runtime session over mapped bytes.

What ONNX Runtime has of a session, and the bytes that it points into, is an `OpenSession`.
"""

from libc.stdint cimport uint64_t

cimport ortmmap.abi.ort as ort
from ortmmap.runtime.provider_append cimport Texts
from ortmmap.session.async_run cimport in_callback_of, run_for_loop, run_with_callback
from ortmmap.session.binding cimport IOBinding
from ortmmap.session.creation cimport create_session
from ortmmap.session.metadata cimport NodeArg, metadata_of, take_string
from ortmmap.session.model cimport Model
from ortmmap.session.native_options cimport RunOptions, initializers_of
from ortmmap.values.ort_value cimport OrtValue
from ortmmap.runtime.library cimport (
    ProcessLock,
    allocator,
    api,
    check,
    default_run_options,
    forks,
    load,
)
from ortmmap.values.foreign cimport as_value

import warnings
from collections.abc import Sequence

from ortmmap.values.devices import check_cpu
from ortmmap.errors import InvalidArgument, OrtError
from ortmmap.options import SessionOptions
from ortmmap.runtime.providers import CPU, normalize
from ortmmap.model.mapping import check_sources
from ortmmap.runtime.library import get_available_providers

# A key of onnxruntime_session_options_config_keys.h.
DISABLED_OPTIMIZERS = "optimization.disable_specified_optimizers"

cdef ProcessLock _reopening = ProcessLock()   # held where a session is opened again after a fork


cdef class Session:
    # The signature, for inspect.signature, ends as CPython's own do.
    """Session(path_or_bytes, sess_options=None, providers=None, provider_options=None, *,
    cache=None, prefault=False, lock=False, **kwargs)
--

    An ONNX Runtime session whose weights stay in the mapped model file.

    A drop-in for ``onnxruntime.InferenceSession``. It may be used from any number of threads.

    It can be pickled: its path (or buffer) and its options travel, and the receiving process maps
    the same file, which must be what it was. After a fork, the first use in the child opens
    another session, over the mapping that the child has inherited.

    Parameters
    ----------
    path_or_bytes : str, os.PathLike or buffer
        A model file, or an object whose C-contiguous bytes are one (bytes, bytearray, memoryview,
        ``mmap.mmap``, ndarray, shared memory …). Whether it is ORT format is told by the content.
        A file's weights stay in the file, which is mapped for as long as the session lives, and
        a buffer in ORT format is used in place. A buffer in ONNX format is parsed, and copied.
    sess_options : SessionOptions, optional
    providers, provider_options : sequence, optional
        As for ``onnxruntime.InferenceSession``.
    cache : bool, str, os.PathLike or None, default None
        Whether to keep, and use, the optimized model and the prepacked weights in a folder of the
        user's: None for on where the model has 16 MiB or more and no provider but the CPU's is
        asked for (and as ``ORTMMAP_CACHE`` says), True, False, or the folder.
    prefault, lock : bool, default False
        As for `Mapping`, of a model file.
    **kwargs
        ``disabled_optimizers``, a sequence of names, is onnxruntime's, and so is
        ``enable_fallback`` (default 1): a session whose `providers` are malformed is created on
        the CPU, and a provider that cannot be added is left out, with a warning.
        ``read_config_from_model`` is accepted and has no meaning.

    Raises
    ------
    OrtError
        A subclass by ONNX Runtime's error code; `MappingError` or `NoSuchFile` where the file
        cannot be mapped, `ModelChangedError` where it changes meanwhile.
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
        cache=None,
        bint prefault=False,
        bint lock=False,
        **kwargs,
    ):
        if self._open.session != NULL:
            raise RuntimeError("this session is open already")
        load()
        self._options = _session_options(sess_options)
        fallback = int(kwargs.pop("enable_fallback", 1)) == 1
        self._config = _config_of(kwargs)
        self._opening = {"prefault": prefault, "lock": lock}
        self._cache = cache
        wanted = _providers_or_none(self._options, providers, provider_options, fallback)
        self._use(self._create_with(path_or_bytes, wanted, fallback), wanted)

    def __copy__(self):
        """Open one more session over the same mapping."""
        self._open.check_not_closed()
        made = type(self).__new__(type(self))
        made._restore(self._open.model, {**self._settings(), "sources": []})
        vars(made).update(vars(self))
        return made

    def __deepcopy__(self, memo):
        return self.__copy__()

    def __reduce_ex__(self, protocol):
        from ortmmap.session.pickling import reduce_session

        self._open.check_not_closed()
        return reduce_session(self, self._source, self._settings(), protocol)

    def _settings(self):
        """Give what another session like this one is restored with, by `_restore`."""
        return {
            "sources": self._open.model.sources,
            "options": self._options,
            "config": self._config,
            "opening": self._opening,
            "cache": self._cache,
            "providers": self._providers,
        }

    def _restore(self, source, dict settings):
        """Open a session as another one was opened, if its files are what they were."""
        load()
        check_sources(settings["sources"])
        self._options = settings["options"]
        self._config = settings["config"]
        self._opening = settings["opening"]
        self._cache = settings["cache"]
        wanted = normalize(settings["providers"], None, get_available_providers())
        self._use(self._create(source, wanted), wanted)

    def __cinit__(self, *args, **kwargs):
        self._open = OpenSession.__new__(OpenSession)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __repr__(self):
        state = "closed" if self._open.session == NULL else "open"
        return f"<ortmmap.Session of {self._open.model!r}, {state}>"

    @property
    def mapping(self):
        """The mapped file, a `Mapping`; None where no file is mapped."""
        return None if self._open.model is None else self._open.model.mapping

    def changed(self) -> bool:
        """Whether the model file, or a file of its external data, is no longer what it was.

        True where it was written to, truncated, removed, or replaced by another; then a session
        that is opened now is of another model. It costs one stat(2) a file.
        """
        self._open.check_not_closed()
        return self._open.model.changed()

    def memory(self):
        """Return what is mapped, resident, shared and private of the weights, a `Memory`."""
        self._open.check_not_closed()
        return self._open.model.memory()

    def close(self) -> None:
        """Release ONNX Runtime's session, then the model's bytes. Closing twice is no error.

        Raises
        ------
        RuntimeError
            Where it is running, this is the callback of `run_async`, or C code holds a handle.
        """
        self._check_idle("close")
        if self._open.handles:
            raise RuntimeError(
                f"cannot close the session: {self._open.handles} handles of the C API hold it"
            )
        self._open.release()
        self._source = None

    def run(self, output_names, input_feed, run_options=None) -> list:
        """Compute the outputs.

        Parameters
        ----------
        output_names : sequence of str, or None
            Which outputs, in this order; None or empty for all.
        input_feed : dict of str to array_like
            A value for each input, by name; overridable initializers may be given too. An array,
            or a tensor with DLPack or the buffer protocol, is used where it lies if it is
            C-contiguous, aligned and of native byte order. `OrtValue` and `SparseTensor` too; a
            list for a sequence, a dict for a map, None for an optional.
        run_options : RunOptions, optional

        Returns
        -------
        list
            An array for each tensor, over memory of ONNX Runtime's which lives as long as the
            array; object arrays of str for strings; lists for sequences, dicts for maps; None for
            an empty optional; a `SparseTensor`. Types that numpy itself does not have, bfloat16
            and those of 8 bits or less, are ml_dtypes'.

        Raises
        ------
        InvalidArgument
            An unknown name, a missing input, an input of another type or shape than the model's.
        OrtError
            Another subclass by ONNX Runtime's error code.
        """
        cdef RunOptions options = _run_options(run_options)
        cdef Call call = self._new_call(output_names, input_feed)
        call.run(default_run_options if options is None else options.options)
        return call.results()

    def run_with_ort_values(self, output_names, input_dict_ort_values, run_options=None) -> list:
        """Compute the outputs, each as an `OrtValue`.

        Parameters
        ----------
        output_names : sequence of str, or None
            Which outputs, in this order; None or empty for all.
        input_dict_ort_values : dict of str to OrtValue
            onnxruntime's are used where they lie too, if they are tensors.
        run_options : RunOptions, optional

        Returns
        -------
        list of OrtValue
            Where a model hands an input through, its memory is the input's.
        """
        cdef RunOptions options = _run_options(run_options)
        cdef Call call
        cdef size_t index
        values = {name: as_value(value, name) for name, value in input_dict_ort_values.items()}
        call = self._new_call(output_names, values)
        call.run(default_run_options if options is None else options.options)
        return [call.take_value(index) for index in range(call.fetches)]

    def run_with_ortvaluevector(
        self, run_options, feed_names, feeds, fetch_names, fetches, fetch_devices=None
    ) -> None:
        """Compute outputs into a list of `OrtValue`.

        Parameters
        ----------
        run_options : RunOptions or None
        feed_names : sequence of str
        feeds : sequence of OrtValue
        fetch_names : sequence of str
        fetches : OrtValueVector
            The outputs: written to where it holds a value for each of `fetch_names`, else filled.
        fetch_devices : sequence of OrtDevice, optional
            The CPU.
        """
        cdef IOBinding binding = IOBinding(self)
        cdef RunOptions options = _run_options(run_options)
        if not isinstance(fetches, list):
            raise TypeError(f"fetches should be an OrtValueVector, not {type(fetches).__name__}")
        for device in fetch_devices or ():
            check_cpu(device)
        if len(feeds) != len(feed_names):
            raise InvalidArgument(f"{len(feeds)} values do not go with {len(feed_names)} inputs")
        if fetches and len(fetches) != len(fetch_names):
            raise InvalidArgument(
                f"{len(fetches)} values do not go with {len(fetch_names)} outputs"
            )
        for name, value in zip(feed_names, feeds, strict=True):
            binding.bind_ortvalue_input(name, value)
        for index, name in enumerate(fetch_names):
            if fetches:
                binding.bind_ortvalue_output(name, fetches[index])
            else:
                binding.bind_output(name)
        binding.run(default_run_options if options is None else options.options)
        fetches[:] = binding.get_outputs()

    def io_binding(self):
        """Return a new `IOBinding` of this session."""
        return IOBinding(self)

    def run_with_iobinding(self, IOBinding iobinding not None, run_options=None) -> None:
        """Run with the inputs and outputs that are bound.

        Parameters
        ----------
        iobinding : IOBinding
            Of this session; one that no other thread is running with.
        run_options : RunOptions, optional

        Raises
        ------
        ValueError
            Where the binding is another session's, or the session is closed.
        OrtError
            A subclass by ONNX Runtime's error code.
        """
        cdef RunOptions options = _run_options(run_options)
        if iobinding.open is not self._here():
            iobinding.open.check_open()
            raise ValueError("IOBinding must be used with the session that created it.")
        iobinding.run(default_run_options if options is None else options.options)

    def run_async(
        self, output_names, input_feed, callback, user_data, run_options=None
    ) -> None:
        """Start to compute the outputs on ONNX Runtime's threads, and return at once.

        The session needs two threads or more within a node (`intra_op_num_threads`).

        Parameters
        ----------
        output_names, input_feed, run_options
            As for `run`. The inputs must not change until the callback.
        callback : callable
            ``callback(results, user_data, error)``, called on a thread of ONNX Runtime's: `error`
            is empty, or the text of the error, and then `results` is.
        user_data : object

        Raises
        ------
        InvalidArgument
            Where the arguments are wrong, or the session has one thread.
        """
        cdef RunOptions options = _run_options(run_options)
        cdef Call call = self._new_call(output_names, input_feed)
        if not callable(callback):
            raise TypeError(f"callback should be callable, not {callback!r}")
        if options is None:
            options = RunOptions()
        run_with_callback(call, options, callback, user_data)

    def run_awaitable(self, output_names, input_feed, run_options=None):
        """Start to compute the outputs on ONNX Runtime's threads, for the running event loop.

        ``results = await session.run_awaitable(None, {"x": x})``. No thread is made or blocked. A
        task that is cancelled meanwhile has ONNX Runtime end the run after the node that it is at.
        The session needs two threads or more within a node (`intra_op_num_threads`).

        Parameters
        ----------
        output_names, input_feed
            As for `run`. The inputs must not change until the run has ended.
        run_options : RunOptions, optional
            Its settings at this moment; setting `terminate` later has no effect.

        Returns
        -------
        asyncio.Future
            Of what `run` returns, or of the exception that it raises.

        Raises
        ------
        InvalidArgument
            Where the arguments are wrong, or the session has one thread.
        RuntimeError
            Where no event loop is running.
        """
        from asyncio import get_running_loop

        cdef object loop = get_running_loop()
        cdef RunOptions options = _run_options(run_options)
        cdef Call call = self._new_call(output_names, input_feed)
        options = RunOptions() if options is None else options.copy()
        return run_for_loop(call, options, loop)

    def create_ortvalue_from_shape_and_type(
        self, shape, element_type, device_type, device_id=0, vendor_id=-1
    ):
        """Return an `OrtValue` in the CPU's memory whose elements nobody has set yet."""
        return OrtValue.ortvalue_from_shape_and_type(
            shape, element_type, device_type, device_id, vendor_id
        )

    def get_inputs(self) -> list:
        """Return the inputs, each a `NodeArg`."""
        return list(self._open.inputs)

    def get_outputs(self) -> list:
        """Return the outputs, each a `NodeArg`."""
        return list(self._open.outputs)

    def get_overridable_initializers(self) -> list:
        """Return the initializers that a run may be given values for, each a `NodeArg`."""
        return list(self._open.overridable)

    def get_modelmeta(self):
        """Return the model's `ModelMetadata`."""
        return metadata_of(self._here().session)

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

    def set_providers(self, providers=None, provider_options=None) -> None:
        """Create the session again, with other execution providers.

        Where it fails the session stays as it was. Bindings made before stay with the old one.

        Parameters
        ----------
        providers, provider_options : sequence, optional
            As for `Session`.

        Raises
        ------
        RuntimeError
            Where the session is running.
        NotImplementedError
            Where the session was made from a buffer in ONNX format, which it does not keep.
        """
        self._check_idle("set the providers of")
        self._here()
        wanted = _providers_of(self._options, providers, provider_options)
        if wanted == self._providers:
            return
        if self._source is None:
            raise NotImplementedError(
                "the session was made from a buffer in ONNX format, which it does not keep: make "
                "another one with these providers"
            )
        self._use(self._create(self._source, wanted), wanted)

    def enable_fallback(self) -> None:
        """Do nothing: a session whose provider fails raises, it does not try another."""

    def disable_fallback(self) -> None:
        """Do nothing: there is no fallback to disable."""

    def set_ep_dynamic_options(self, options) -> None:
        """Set options of the execution providers that may change while the session is open.

        Parameters
        ----------
        options : dict of str to str
            Keys and values of ``kOrtEpDynamicOptions``.
        """
        cdef Texts texts = Texts(dict(options.items()))
        cdef OpenSession open_ = self._here()
        if texts.count == 0:
            return
        check(api.SetEpDynamicOptions(open_.session, texts.keys, texts.values, texts.count))

    def get_tuning_results(self):
        """Raise: no provider of the C API tells them."""
        raise NotImplementedError("ONNX Runtime's C API cannot tell tuning results")

    def set_tuning_results(self, results, *, error_on_invalid=False):
        """Raise: no provider of the C API takes them."""
        raise NotImplementedError("ONNX Runtime's C API cannot set tuning results")

    def get_provider_graph_assignment_info(self):
        """Raise: the C API of ONNX Runtime 1.23 does not have it."""
        raise NotImplementedError("ONNX Runtime's C API 23 cannot tell which provider has a node")

    def get_input_memory_infos(self):
        """Raise: inputs are in the CPU's memory."""
        raise NotImplementedError("ortmmap's inputs are in the CPU's memory")

    def get_output_memory_infos(self):
        """Raise: outputs are in the CPU's memory."""
        raise NotImplementedError("ortmmap's outputs are in the CPU's memory")

    def get_input_epdevices(self):
        """Raise: inputs are in the CPU's memory."""
        raise NotImplementedError("ortmmap's inputs are in the CPU's memory")

    def release_captured_graph(self, graph_annotation_id=0) -> None:
        """Do nothing: graphs are captured on other devices than the CPU."""

    def end_profiling(self) -> str:
        """Write the profile, and return its file's name; empty where profiling is not enabled."""
        cdef OpenSession open_ = self._here()
        cdef ort.OrtStatus *status
        cdef char *name = NULL
        if not self._options.enable_profiling:
            return ""
        open_.begin()
        with nogil:
            status = api.SessionEndProfiling(open_.session, allocator, &name)
        open_.end(status)
        return take_string(name)

    def get_profiling_start_time_ns(self) -> int:
        """Return when profiling began, in ns, on the clock of ``time.monotonic_ns()``."""
        cdef uint64_t start = 0
        check(api.SessionGetProfilingStartTimeNs(self._here().session, &start))
        return start

    @property
    def _sess(self):
        """The session: onnxruntime's holds one of its C++ part by this name."""
        return self

    def _opened(self):
        """Give the `OpenSession`, for a binding."""
        return self._here()

    cdef OpenSession _here(self):
        """Give the `OpenSession`, which may be used; after a fork, one of this process."""
        if self._open.forks != forks:
            with _reopening.here():
                if self._open.forks != forks and self._open.session != NULL:
                    self._use(self._create(self._open.model, self._providers), self._providers)
        self._open.check_open()
        return self._open

    cdef OpenSession _create(self, object source, list providers):
        """Open the model, or one more session of a `Model`."""
        cdef OpenSession created = OpenSession.__new__(OpenSession)
        created.initializers = initializers_of(self._options)
        if isinstance(source, Model):
            created.model = (<Model>source).again()
        else:
            created.model = Model(source, **self._opening)
        created.session = create_session(
            created.model, self._options, self._config, providers, self._cache
        )
        return created

    cdef OpenSession _create_with(self, object source, list providers, bint fallback):
        """Create the session, with `fallback` without the providers that cannot be added."""
        while True:
            try:
                return self._create(source, providers)
            except OrtError as error:
                failed = error.provider
                if failed is None or not fallback:
                    raise
                warnings.warn(f"{failed} cannot be added and is left out: {error}", stacklevel=1)
            providers[:] = [pair for pair in providers if pair[0] != failed]

    cdef int _use(self, OpenSession open_, list providers) except -1:
        """Run with `open_` from now on."""
        open_.describe()
        self._open = open_
        self._source = open_.model.source()
        self._providers = providers
        return 0

    cdef int _check_idle(self, str purpose) except -1:
        """Raise where ONNX Runtime's session must not be released now."""
        running = self._open.running()
        if running:
            raise RuntimeError(f"cannot {purpose} the session: {running} runs are under way")
        if in_callback_of(self._open):
            raise RuntimeError(f"cannot {purpose} the session in the callback of its run")
        return 0

    cdef Call _new_call(self, object output_names, object input_feed):
        """Make the call for these outputs, and feed it."""
        cdef Call call = Call.__new__(Call)
        cdef OpenSession open_ = self._here()
        cdef dict feed
        call.open = open_
        if not output_names:
            call.args = open_.outputs
        else:
            call.args = find_outputs(open_, output_names)
            call.repeated = len(call.args) > 1 and len(set(call.args)) < len(call.args)
        feed = input_feed if type(input_feed) is dict else _dict_of(input_feed)
        call.reserve(len(feed), len(call.args))
        call.feed_all(feed)
        call.name_fetches()
        return call


cdef object _session_options(object options):
    if options is None:
        return SessionOptions()
    if isinstance(options, SessionOptions):
        return options
    from ortmmap.session.foreign_options import session_options_from

    return session_options_from(options)


cdef RunOptions _run_options(object options):
    if options is None or isinstance(options, RunOptions):
        return options
    from ortmmap.session.foreign_options import run_options_from

    return run_options_from(options)


cdef list _providers_of(object options, object providers, object provider_options):
    """Give the providers that were asked for, here or by `options`."""
    if providers and options._providers:
        warnings.warn(
            "The providers that are given to the session are used, not those of its options",
            stacklevel=1,
        )
    available = get_available_providers()
    if providers is None or isinstance(providers, Sequence) and not providers:
        providers = options._providers or None
        available += options._provider_devices   # plugins, which are told by their devices only
    return normalize(providers, provider_options, available)


cdef list _providers_or_none(
    object options, object providers, object provider_options, bint fallback
):
    """Give the providers that were asked for; with `fallback` none where they are malformed."""
    try:
        return _providers_of(options, providers, provider_options)
    except ValueError as error:
        if not fallback or isinstance(error, TypeError):
            raise
        warnings.warn(f"{error} The session is created on the CPU.", stacklevel=1)
        return []


cdef list find_outputs(OpenSession open_, object names):
    if isinstance(names, str):
        raise TypeError(f"output_names should be a sequence of names, not {names!r}")
    return [find_output(open_, name) for name in names]


cdef NodeArg find_output(OpenSession open_, object name):
    found = open_.fetches.get(name)
    if found is None:
        raise InvalidArgument(
            "[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Invalid output name:"
            f"{name} (the model's outputs are {list(open_.fetches)})"
        )
    return <NodeArg>found


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
    kwargs.pop("read_config_from_model", None)
    if optimizers:
        config[DISABLED_OPTIMIZERS] = ";".join(sorted(optimizers))
    if kwargs:
        warnings.warn(f"Session ignores the arguments {sorted(kwargs)}", stacklevel=1)
    return config
