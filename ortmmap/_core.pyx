"""Session: an ONNX Runtime session over mapped bytes.

A `Reopenable` opens the model, and a `Call`, an `IOBinding` or an `AsyncRun` runs it.
"""

cimport cython
from cpython.pycapsule cimport PyCapsule_New
from libc.stdint cimport uint64_t

from ortmmap.session.arguments cimport check_known, config_of, configured_by_model, options_of
from ortmmap.session.arguments cimport cache_of, path_of, providers_of, providers_or_none, texts_of
from ortmmap.session.call cimport new_call, run_options_of
from ortmmap.session.native_options cimport RunOptions, value_of
from ortmmap.session.open_session cimport USABLE, Binding
from ortmmap.session.reopenable cimport Reopenable
from ortmmap.runtime.library cimport api, load

from ortmmap.runtime.providers import CPU


cdef class Session:
    # The signature, for inspect.signature, ends as CPython's own do.
    """Session(path_or_bytes, sess_options=None, providers=None, provider_options=None, *,
    cache=None, prefault=False, lock=False, **kwargs)
--

    An ONNX Runtime session whose weights stay in the mapped model file.

    A drop-in replacement for ``onnxruntime.InferenceSession``, with the same methods. Any number
    of threads may use a session at the same time.

    A session can be pickled and copied. Its path (or buffer) and its options travel to another
    process, which maps the same file; if the file has changed, unpickling raises
    `ModelChangedError`. A forked child uses a session of one thread as it is, and reopens a session
    of several threads over the inherited mapping.

    Parameters
    ----------
    path_or_bytes : str, os.PathLike or buffer
        A model file, or an object that exports the C-contiguous bytes of one (bytes, bytearray,
        memoryview, ``mmap.mmap``, ndarray …), in ONNX or in ORT format. The weights of a file stay
        in the file, which is mapped for as long as the session lives. A buffer in ORT format is
        used in place; a buffer in ONNX format is parsed, and its weights are copied.
    sess_options : SessionOptions, optional
        Default options if None. ``onnxruntime.SessionOptions`` is accepted too, but some of its
        settings cannot be read back: added initializers, free dimension overrides, libraries of
        custom operators and unknown configuration entries have no effect, without a warning, and
        added providers none with one, unless `patch_onnxruntime` was in effect when they were set.
    providers : sequence of str or of (str, dict), optional
        Execution providers with their options, first choice first. The CPU's is always added.
    provider_options : sequence of dict, optional
        Options for each of `providers`, if these are names only.
    cache : bool, str, os.PathLike or None, default None
        Whether to keep and use the optimized model and the prepacked weights on disk. True: for
        models that gain from it, which small ones do not (docs/cache.md has the sizes). False:
        never. A folder: for every model, in that folder. None follows the variable
        ``ORTMMAP_CACHE``; if that is not set, the cache is used for models of 16 MiB or more that
        run on the CPU only.
    prefault : bool, default False
        Read the whole model file before the first run, so that no run waits for the disk.
    lock : bool, default False
        Keep the pages of the model file in physical memory (mlock(2), ``VirtualLock``).
    **kwargs
        Further arguments of onnxruntime: ``disabled_optimizers``, a sequence of names, and
        ``enable_fallback`` (default 1), which creates the session on the CPU if `providers` is
        malformed, and leaves out a provider that cannot be added, with a warning each.
        ``read_config_from_model`` is accepted and ignored: as in onnxruntime, the variable
        ``ORT_LOAD_CONFIG_FROM_MODEL`` decides whether a model's own options replace these.

    Raises
    ------
    NoSuchFile
        If there is no such file.
    MappingError
        If the file cannot be mapped, prefaulted or locked.
    ModelChangedError
        If the file changes while the session is created.
    OrtError
        If ONNX Runtime refuses the model or an option: a subclass by its error code.
    TypeError
        If `path_or_bytes` is neither a path nor a buffer, or `cache` neither a switch nor a folder.
    ValueError
        If `cache` is an empty path.

    Examples
    --------
    >>> session = ortmmap.Session("model.onnx")
    >>> (logits,) = session.run(["logits"], {"input_ids": ids})
    """

    def __cinit__(self, *args, **kwargs):
        self._state = Reopenable.__new__(Reopenable)

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
        cdef Reopenable state = self._state
        if not state.current().is_closed():
            raise RuntimeError("this session is open already")
        load()
        options = configured_by_model(options_of(sess_options), path_or_bytes)
        state.initial_options = sess_options
        state.initial_path = path_of(path_or_bytes)
        state.fallback = int(kwargs.pop("enable_fallback", 1)) == 1
        config = config_of(kwargs)
        state.configure(options, config, cache_of(cache), {"prefault": prefault, "lock": lock})
        if state.fallback:
            wanted = providers_or_none(options, providers, provider_options)
            state.use(state.open_with_fallback(path_or_bytes, wanted), wanted)
        else:
            wanted = providers_of(options, providers, provider_options)
            state.use(state.open_with(path_or_bytes, wanted), wanted)

    def _restore(self, source, dict settings):
        """Open the session with the settings of another one, if its files have not changed."""
        load()
        self._state.restore(source, settings)

    def _settings(self):
        """Return the settings that `_restore` opens a session like this one with."""
        self._state.current().check_not_closed()
        return self._state.settings()

    def _arguments(self):
        """Return what the session was made of, for the attributes of `InferenceSession`."""
        return self._state.arguments()

    def __copy__(self):
        """Open another session over the same mapping."""
        cdef OpenSession open_ = self._state.current()
        open_.check_not_closed()
        made = type(self).__new__(type(self))
        made._restore(open_, {**self._settings(), "sources": []})
        vars(made).update(vars(self))
        return made

    def __deepcopy__(self, memo):
        return self.__copy__()

    def __reduce_ex__(self, protocol):
        from ortmmap.session.pickling import reduce_session

        return reduce_session(self, self._state.current_source(), self._settings(), protocol)

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def __repr__(self):
        cdef OpenSession open_ = self._state.current()
        if open_.is_closed():
            return f"<ortmmap.Session of {open_.named}, closed>"
        return f"<ortmmap.Session of {open_.named}, open>"

    @property
    def mapping(self):
        """The mapped file, a `Mapping`; None if no file is mapped."""
        cdef OpenSession open_ = self._state.current()
        return None if open_.is_closed() else open_.held_model().mapping

    def changed(self) -> bool:
        """Return whether the model file, or a file of its external data, has changed.

        True if it was written to, truncated, removed or replaced since it was opened: a session
        that is opened now would have another model. It costs one stat(2) for each file.
        """
        return self._state.current().held_model().changed()

    def memory(self):
        """Return the `Memory` of the weights: bytes mapped, resident, shared and private."""
        return self._state.current().memory()

    @property
    def cached(self):
        """The session's state in the cache, a `Cached`; its `wait` waits until it is written."""
        return self._state.current().cached_state()

    def close(self) -> None:
        """Release ONNX Runtime's session, then the model's bytes. Closing twice is no error.

        Raises
        ------
        RuntimeError
            If a run is under way, if this is the callback of `run_async`, or if C code holds a
            handle of the session.
        """
        self._state.close()

    def run(self, output_names, input_feed, run_options=None) -> list:
        """Compute the outputs.

        Parameters
        ----------
        output_names : sequence of str, or None
            The outputs to compute, in this order; all of them if None or empty.
        input_feed : dict of str to array_like
            A value for each input, by name; values for overridable initializers may be added.
            A tensor is an array, an object with DLPack or the buffer protocol, or an `OrtValue`.
            It is used where it lies if it is C-contiguous, aligned and of native byte order, and
            copied if not. Give a list for a sequence, a dict for a map, a `SparseTensor` for a
            sparse tensor, and None for an empty optional.
        run_options : RunOptions, optional

        Returns
        -------
        list
            A result for each output. A tensor is an array over memory of ONNX Runtime's, which
            lives as long as the array; strings are an object array of str; bfloat16 and types of 8
            bits or less that numpy lacks are those of ml_dtypes. A sequence is a list, a map a
            dict, a sparse tensor a `SparseTensor`, and an empty optional None.

        Raises
        ------
        InvalidArgument
            If a name is unknown, an input is missing, or an input has another type or shape than
            the model declares.
        ModelChangedError
            If this run or an earlier one has read a part of the model's file that was truncated
            away.
        OrtError
            If the run fails: a subclass by ONNX Runtime's error code.
        ValueError
            If the session is closed.
        """
        cdef RunOptions options = run_options_of(run_options)
        cdef Call call = self._call(output_names, input_feed)
        call.run_with(options)
        return call.results()

    def run_with_ort_values(self, output_names, input_dict_ort_values, run_options=None) -> list:
        """Compute the outputs, each as an `OrtValue`.

        Parameters
        ----------
        output_names : sequence of str, or None
            The outputs to compute, in this order; all of them if None or empty.
        input_dict_ort_values : dict of str to OrtValue
            Tensors of onnxruntime's class ``OrtValue`` are accepted too, and used where they lie.
        run_options : RunOptions, optional

        Returns
        -------
        list of OrtValue
            An output that the model copies from an input unchanged may share the input's memory.
        """
        from ortmmap.values.ort_value import OrtValue

        cdef RunOptions options = run_options_of(run_options)
        cdef Call call
        cdef size_t index
        values = {name: value_of(value, name) for name, value in input_dict_ort_values.items()}
        call = new_call(self._here(), output_names, values, False)
        call.run_with(options)
        return [call.take_value(index, OrtValue) for index in range(call.fetches)]

    def run_with_ortvaluevector(
        self, run_options, feed_names, feeds, fetch_names, fetches, fetch_devices=None
    ) -> None:
        """Compute outputs into an `OrtValueVector`.

        Parameters
        ----------
        run_options : RunOptions or None
        feed_names : sequence of str
        feeds : sequence of OrtValue
            One for each of `feed_names`.
        fetch_names : sequence of str
        fetches : OrtValueVector
            The outputs. If it holds a value for each of `fetch_names`, the outputs are written to
            these; if it is empty, it is filled.
        fetch_devices : sequence of OrtDevice, optional
            Only the CPU is possible.
        """
        from ortmmap.session.binding import run_with_vector

        options = run_options_of(run_options)
        run_with_vector(self, options, feed_names, feeds, fetch_names, fetches, fetch_devices)

    def io_binding(self):
        """Return a new `IOBinding` of this session."""
        from ortmmap.session.binding import IOBinding

        return IOBinding(self)

    def run_with_iobinding(self, Binding iobinding not None, run_options=None) -> None:
        """Run with the inputs and outputs that are bound.

        Parameters
        ----------
        iobinding : IOBinding
            A binding of this session that no other thread is running with.
        run_options : RunOptions, optional

        Raises
        ------
        ValueError
            If the binding is another session's, or the session is closed.
        OrtError
            If the run fails: a subclass by ONNX Runtime's error code.
        """
        cdef RunOptions options = run_options_of(run_options)
        if iobinding.open is not self._here():
            iobinding.raise_unusable()
        iobinding.run_with(options)

    def run_async(self, output_names, input_feed, callback, user_data, run_options=None) -> None:
        """Start to compute the outputs on ONNX Runtime's threads, and return at once.

        The session needs two or more threads within a node (`intra_op_num_threads`).

        Parameters
        ----------
        output_names, input_feed
            As for `run`. The inputs must not change until the callback.
        callback : callable
            ``callback(results, user_data, error)``, called on a thread of ONNX Runtime's. `error`
            is empty; if the run has failed, it is the error's text, and `results` is empty.
        user_data : object
            Passed to `callback`.
        run_options : RunOptions, optional

        Raises
        ------
        InvalidArgument
            If an argument is wrong, or the session has one thread only.
        """
        from ortmmap.session.async_run import run_with_callback

        cdef RunOptions options = run_options_of(run_options)
        cdef Call call = self._call(output_names, input_feed)
        if not callable(callback):
            raise TypeError(f"callback should be callable, not {callback!r}")
        run_with_callback(call, options or RunOptions(), callback, user_data)

    def run_awaitable(self, output_names, input_feed, run_options=None):
        """Return a coroutine that computes the outputs on another thread.

        Use it as ``results = await session.run_awaitable(None, {"x": x})``, or give it to
        ``asyncio.create_task``, ``wait_for``, ``gather``, ``asyncio.run`` or a task group. The run
        starts when the coroutine does. As many runs as the process may use processors go on at
        once, whatever their sessions; later ones wait in order.

        When the task is cancelled, which a timeout does too, a run that waits does not start, and
        one under way is terminated: it ends after the current node, and its result is discarded.

        Parameters
        ----------
        output_names, input_feed
            As for `run`. The inputs must not change until the run has ended. Of a cancelled run
            that may be a node later than the task's end.
        run_options : RunOptions, optional
            The settings when the run starts; setting `terminate` later has no effect.

        Returns
        -------
        coroutine
            Its result is that of `run`, or its exception one that `run` raises, bad arguments
            included.

        Raises
        ------
        RuntimeError
            If the coroutine runs outside of an asyncio event loop.
        """
        from ortmmap.session.awaitable_run import awaited

        return awaited(self, output_names, input_feed, run_options)

    def create_ortvalue_from_shape_and_type(
        self, shape, element_type, device_type, device_id=0, vendor_id=-1
    ):
        """Return an uninitialized `OrtValue` in the CPU's memory.

        It is what `OrtValue.ortvalue_from_shape_and_type` returns.
        """
        from ortmmap.values.ort_value import OrtValue

        return OrtValue.ortvalue_from_shape_and_type(
            shape, element_type, device_type, device_id, vendor_id
        )

    def get_inputs(self) -> list:
        """Return the model's inputs, a list of `NodeArg`."""
        return list(self._state.current().inputs)

    def get_outputs(self) -> list:
        """Return the model's outputs, a list of `NodeArg`."""
        return list(self._state.current().outputs)

    def get_overridable_initializers(self) -> list:
        """Return the initializers that a run may replace, a list of `NodeArg`."""
        return list(self._state.current().overridable)

    def get_modelmeta(self):
        """Return the model's `ModelMetadata`."""
        return self._here().metadata()

    def get_session_options(self):
        """Return a copy of the `SessionOptions` that the session was created with."""
        return self._state.options.copy()

    def get_providers(self) -> list:
        """Return the names of the execution providers in use, first choice first."""
        names = [name for name, _ in self._state.current_providers()]
        return names if CPU in names else [*names, CPU]

    def get_provider_options(self) -> dict:
        """Return the options of the execution providers in use, a dict for each name."""
        options = dict(self._state.current_providers())
        return {name: options.get(name, {}) for name in self.get_providers()}

    def set_providers(self, providers=None, provider_options=None) -> None:
        """Create ONNX Runtime's session again, with other execution providers.

        If that fails, the session stays as it was. Bindings made before stay with the old one.

        Parameters
        ----------
        providers, provider_options : sequence, optional
            As for `Session`.

        Raises
        ------
        RuntimeError
            If a run is under way, or ONNX Runtime knows no provider of a name.
        NotImplementedError
            If the session was made from a buffer in ONNX format, which it does not keep.
        """
        self._state.current().check_idle("set the providers of")
        self._here()
        wanted = providers_of(self._state.options, providers, provider_options)
        check_known(self._state.options, providers)
        self._state.set_providers(wanted)

    def enable_fallback(self) -> None:
        """Only record it: a session whose provider fails raises the error, and tries no other."""
        self._state.fallback = True

    def disable_fallback(self) -> None:
        """Only record it: there is no fallback to disable."""
        self._state.fallback = False

    def set_ep_dynamic_options(self, options) -> None:
        """Set options of execution providers that may change while the session is open.

        Parameters
        ----------
        options : dict of str to str
            Keys and values of ``kOrtEpDynamicOptions``.
        """
        from ortmmap.runtime.provider_append import set_dynamic_options

        cdef OpenSession open_ = self._here()
        settings = texts_of(options)
        open_.begin()
        try:
            set_dynamic_options(PyCapsule_New(open_.session, "OrtSession", NULL), settings)
        finally:
            open_.leave()

    def release_captured_graph(self, graph_annotation_id=0) -> None:
        """Do nothing: the CPU's provider captures no graphs."""

    def end_profiling(self) -> str:
        """Write the profile, and return its file name; empty if profiling is not enabled."""
        cdef OpenSession open_ = self._here()
        return open_.end_profiling() if self._state.options.enable_profiling else ""

    def get_profiling_start_time_ns(self) -> int:
        """Return the start of profiling, in ns on the clock of ``time.monotonic_ns()``."""
        cdef OpenSession open_ = self._here()
        cdef uint64_t start = 0
        open_.begin()
        open_.end(api.SessionGetProfilingStartTimeNs(open_.session, &start))
        return start

    def _opened(self):
        """Return the `OpenSession`, for a binding."""
        return self._here()

    cdef OpenSession _here(self):
        """Return the `OpenSession`, which may be used; after a fork, one of this process."""
        cdef OpenSession open_
        with cython.critical_section(self._state):
            open_ = self._state.open
        return open_ if open_.use() == USABLE else self._state.here()

    cdef Call _call(self, object output_names, object input_feed):
        return new_call(self._here(), output_names, input_feed, True)
