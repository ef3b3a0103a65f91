"""OpenSession: ONNX Runtime's session, and the objects that it points into.

A `Session` has one; its bindings and the runs under way hold it too.
"""

cimport cython
from cpython.ref cimport Py_INCREF

from ortmmap.session.metadata cimport (
    ModelMetadata,
    NodeArg,
    inputs_of,
    metadata_of,
    outputs_of,
    overridable_initializers_of,
    take_string,
)
from ortmmap.runtime.library cimport (
    allocator,
    api,
    check,
    default_run_options,
    enter_runtime,
    forks,
    intact_since,
    leave_runtime,
    telemetry_is_off,
)
from ortmmap.model.mapping cimport give_guard, share_guard
from ortmmap.process.malloc_trim cimport ortmmap_malloc_trim
from ortmmap.process.guard cimport (
    ortmmap_count_add,
    ortmmap_count_get,
    ortmmap_count_replace,
    ortmmap_count_set,
)

import os
from _thread import get_ident, start_new_thread
from collections import namedtuple

from ortmmap.options import ExecutionMode
from ortmmap.runtime.providers import CPU

# Size of a model in bytes, with its external data, from which on freed memory is given back to the
# system when a session was created and when it was released. It takes a fraction of a millisecond
# if there is none, as much as opening a model of a few nodes.
LARGE = 1 << 20

FORK_VARIABLE = "ORTMMAP_FORK"
REOPEN = "reopen"   # the value of the variable with which no session is inherited
# Settings of which any value but the default may give a session threads, files or code of others.
FOREIGN = (
    "use_per_session_threads",
    "enable_profiling",
    "_custom_ops",
    "_provider_devices",
    "_selection_policy",
    "_selection_delegate",
)

cdef extern from "session/pool_thread.h" nogil:
    void ortmmap_pool_thread_of(const void *session)
    bint ortmmap_is_pool_thread_of(const void *session)

cdef extern from "process/yield_processor.h" nogil:
    void yield_processor "ortmmap_yield_processor" ()

Memory = namedtuple(
    "Memory", "mapped resident shared private shared_blocks private_blocks recognized_blocks"
)
Memory.__doc__ = """Memory of a session's weights, in bytes and in blocks.

Attributes
----------
mapped : int
    Size of the mapped files, in bytes.
resident : int
    Bytes of them that are in physical memory, where all processes share them.
shared : int
    Bytes of prepacked weights in pages of the cache's file, which processes share.
private : int
    Bytes of prepacked weights in memory of this process alone. Like `shared`, it is 0 for a
    session without a cache, whose prepacked weights are not recorded.
shared_blocks, private_blocks : int
    Number of blocks of `shared` and of `private`.
recognized_blocks : int
    How many of `shared_blocks` were recognized while the session was created, without reading
    weights or pages (stand-ins); the others were compared.
"""


@cython.final
@cython.no_gc_clear   # the collector must not take `model` away while `session` points into it
cdef class OpenSession:
    """ONNX Runtime's session, released before the objects that it points into."""

    def __cinit__(self):
        self.forks = forks

    def __dealloc__(self):
        self.release()
        if self.guard != NULL:
            give_guard(self.guard)

    cdef ModelSource held_model(self):
        """Return the model; raise ValueError if the session is closed."""
        cdef ModelSource model
        with cython.critical_section(self):
            model = self.model
        if model is None:
            self.raise_unusable(CLOSED)
        return model

    cdef object held_recording(self):
        """Return the recording; None if there is none, or no more."""
        with cython.critical_section(self):
            return self.recording

    def memory(self):
        """Return the `Memory` of the weights."""
        mappings, recording = self.held_model().mappings(), self.held_recording()
        mapped = sum([mapping.nbytes for mapping in mappings])
        resident = sum([mapping.resident() for mapping in mappings])
        shared = private = (0, 0)
        recognized = 0
        if recording is not None:
            shared, private = recording.shared_blocks(), recording.private_blocks()
            recognized = recording.recognized_blocks()
        return Memory(
            mapped, resident, shared[1], private[1], shared[0], private[0], recognized
        )

    cdef ModelMetadata metadata(self):
        """Return the model's metadata, with its entries in the order of ONNX Runtime's."""
        cdef ModelMetadata found
        cdef list entries
        self.begin()
        try:
            found, entries = metadata_of(self.session), self.entries
        finally:
            self.leave()
        if found.custom_metadata_map and entries:
            from ortmmap.session.optimizing import saved_order

            found.custom_metadata_map = saved_order(found.custom_metadata_map, entries)
        return found

    cdef object cached_state(self):
        """Return the session's `Cached`."""
        from ortmmap.session.cached import OFF, Cached

        return Cached(OFF) if self.cached is None else self.cached

    cdef bint is_of_this_process(self) noexcept nogil:
        """Return whether this process has opened the session, or inherited it intact."""
        return self.forks == forks or (self.inheritable and self.forks >= intact_since)

    cdef bint is_closed(self) noexcept nogil:
        """Return whether the session is closed; wait while another thread decides it."""
        cdef long state = ortmmap_count_get(&self.state)
        while state == SHUTTING:
            yield_processor()
            state = ortmmap_count_get(&self.state)
        return state == SHUT

    cdef Use use(self) noexcept nogil:
        """Return whether the session may be used."""
        if self.is_closed():
            return CLOSED
        if not self.is_of_this_process():
            return FORKED
        return CHANGED if ortmmap_count_get(&self.guard.changed) else USABLE

    cdef Use enter(self) noexcept nogil:
        """Begin a use of the session, if it may be used; leave() ends it."""
        cdef Use use
        if self.guard == NULL:
            return CLOSED
        ortmmap_count_add(&self.guard.users, 1)
        use = self.use()
        if use != USABLE:
            ortmmap_count_add(&self.guard.users, -1)
        return use

    cdef Use leave(self) noexcept nogil:
        """End a use that enter() began; after CHANGED its results are not to be used."""
        ortmmap_count_add(&self.guard.users, -1)
        return CHANGED if ortmmap_count_get(&self.guard.changed) else USABLE

    cdef int begin(self) except -1:
        """Begin a use of the session, or raise an exception; end() ends it."""
        cdef Use use = self.enter()
        return 0 if use == USABLE else self.raise_unusable(use)

    cdef int end(self, ort.OrtStatus *status) except -1:
        """End a use that begin() began; raise if a file was truncated or `status` is an error."""
        cdef Use use = self.leave()
        if use == USABLE:
            return check(status)
        if status != NULL:
            api.ReleaseStatus(status)
        return self.raise_unusable(use)

    cdef int begin_callback(self) except -1:
        """Record that this thread, one of the session's own, calls back; end_callback() ends it.

        leave_pool_thread() is to be called when the thread has dropped its references.
        """
        ortmmap_pool_thread_of(self.session)
        with cython.critical_section(self):
            if self._calling_back is None:
                self._calling_back = set()
        self._calling_back.add(get_ident())
        return 0

    cdef int end_callback(self) except -1:
        self._calling_back.discard(get_ident())
        return 0

    cdef int check_idle(self, str purpose) except -1:
        """Raise RuntimeError if ONNX Runtime's session must not be released now."""
        running = self.running()
        if running:
            raise RuntimeError(f"cannot {purpose} the session: {running} runs are under way")
        if self._is_calling_back():
            raise RuntimeError(f"cannot {purpose} the session in the callback of its run")
        return 0

    cdef int close(self) except -1:
        """Release ONNX Runtime's session, unless it is in use or closed."""
        while not self._shut():
            if self.is_closed():
                return 0
            self.check_idle("close")
            handles = ortmmap_count_get(&self.handles)
            if handles:
                raise RuntimeError(
                    f"cannot close the session: {handles} handles of the C API hold it"
                )
        return self.release()

    cdef bint _shut(self) except -1:
        """Let nobody use the session any more; return False if it is in use, or closed already."""
        cdef bint is_unused
        if self._is_calling_back() or not ortmmap_count_replace(&self.state, OPEN, SHUTTING):
            return False
        is_unused = self.running() == 0 and ortmmap_count_get(&self.handles) == 0
        ortmmap_count_set(&self.state, SHUT if is_unused else OPEN)
        return is_unused

    cdef int check_open(self) except -1:
        """Raise an exception if the session may not be used."""
        cdef Use use = self.use()
        return 0 if use == USABLE else self.raise_unusable(use)

    cdef bint _is_calling_back(self) except -1:
        """Whether this thread is one of the session's own, in a callback."""
        cdef set threads
        with cython.critical_section(self):
            threads = self._calling_back
        return threads is not None and get_ident() in threads

    cdef int check_not_closed(self) except -1:
        return self.raise_unusable(CLOSED) if self.is_closed() else 0

    cdef int raise_unusable(self, Use use) except -1:
        if use == CLOSED:
            raise ValueError(f"the session{f' of {self.named}' if self.named else ''} is closed")
        if use == FORKED:
            raise RuntimeError(
                "this was made before a fork, and belongs to the parent process: make another one "
                "of the session, which opens itself again"
            )
        raise self.held_model().gone()

    cdef long running(self) noexcept:
        """Return the number of calls of ONNX Runtime under way in this process."""
        if self.guard == NULL or not self.is_of_this_process():
            return 0
        return ortmmap_count_get(&self.guard.users)

    cdef int release(self) except -1:
        """Release ONNX Runtime's session, and then the objects that it points into.

        A session that did not survive a fork is left alone: its threads do not exist in the child,
        or another thread may have held its locks. The recording that its blocks point to stays
        with it.
        """
        cdef ort.OrtSession *session
        cdef tuple held
        with cython.critical_section(self):
            session = self.session
            held = (
                self.model, self.recording, self.initializers, self.store, self.key, self.entries
            )
            self.session = NULL
            self.model = None
            self.recording = self.initializers = self.store = self.key = self.entries = None
        if session == NULL:
            return 0
        ortmmap_count_set(&self.state, SHUT)
        if self.is_of_this_process():
            if ortmmap_is_pool_thread_of(session):
                return self._pass_on(session, held)
            with nogil:
                enter_runtime()
                api.ReleaseSession(session)
                leave_runtime()
            self._release_memory(held[1])
        elif held[1] is not None:
            Py_INCREF(held[1])
        return 0

    cdef int _pass_on(self, ort.OrtSession *session, tuple held) except -1:
        """Have another thread release the session, which waits for this one to end."""
        cdef OpenSession heir = OpenSession.__new__(OpenSession)
        heir.session, heir.guard, heir.guarded = session, share_guard(self.guard), self.guarded
        heir.model, heir.recording, heir.initializers = held[:3]
        heir.store, heir.key, heir.entries = held[3:]
        heir.forks, heir.inheritable, heir.is_large = self.forks, self.inheritable, self.is_large
        passed = [heir]
        heir = None   # the only reference is the list's, which the other thread clears
        try:
            start_new_thread(passed.clear, ())
        except RuntimeError:   # no more threads, or the interpreter is exiting: it is kept
            Py_INCREF(passed)
        return 0

    cdef int shrink_arena(self) except -1:
        """Free what the session's runs have allocated, if it has recorded prepacked weights.

        Such sessions share an arena.
        """
        recording = self.held_recording()
        if recording is not None:
            recording.release_memory()
        return 0

    cdef int _release_memory(self, object recording) except -1:
        """Give memory that the released session has used back to the system."""
        if recording is not None:
            recording.release_memory()
        return self.give_back_freed()

    cdef int give_back_freed(self) except -1:
        """Give memory that creating or releasing the session has freed back to the system."""
        if self.is_large:
            with nogil:
                ortmmap_malloc_trim()
        return 0

    cdef str end_profiling(self):
        """Write the profile, and return its file name."""
        cdef ort.OrtStatus *status
        cdef char *name = NULL
        self.begin()
        with nogil:
            status = api.SessionEndProfiling(self.session, allocator, &name)
        self.end(status)
        return take_string(name)

    cdef bint returns_maps(self) except -1:
        """Whether an output is a sequence of maps."""
        return any([(<NodeArg>arg).type.startswith("seq(map(") for arg in self.outputs])

    cdef int use_zip_maps(self, list zip_maps) except -1:
        """Build the dicts of ZipMaps from their inputs, and hide the inputs added as outputs."""
        from ortmmap.values.row_dicts import RowDicts

        cdef NodeArg arg
        cdef dict fetches = self.fetches
        added = {zip_map.tensor for zip_map in zip_maps if zip_map.added}
        self.outputs = [arg for arg in self.outputs if arg.name not in added]
        self.fetches = {arg.name: arg for arg in self.outputs}
        for zip_map in zip_maps:
            arg, rows = self.fetches.get(zip_map.output), fetches.get(zip_map.tensor)
            if is_zipped(arg, rows, zip_map.labels):
                arg.rows, arg.row_dicts = rows, RowDicts(zip_map.labels)
        return 0

    cdef int _describe(self) except -1:
        """Look up the names and types."""
        self.inputs = inputs_of(self.session)
        self.outputs = outputs_of(self.session)
        self.overridable = overridable_initializers_of(self.session)
        self.feeds = {arg.name: arg for arg in self.overridable + self.inputs}
        self.fetches = {arg.name: arg for arg in self.outputs}
        self.required = sum((<NodeArg>arg).required for arg in self.inputs)
        return 0


cdef void leave_pool_thread() noexcept nogil:
    """Record that this thread of a session's pool no longer calls back."""
    ortmmap_pool_thread_of(NULL)


cdef bint is_zipped(NodeArg arg, NodeArg rows, list labels) except -1:
    """Whether an output can be the maps of these labels and of the rows of another output."""
    if arg is None or rows is None or rows.type != "tensor(float)":
        return False
    key = "string" if isinstance(labels[0], str) else "int64"
    return arg.type == f"seq(map({key},tensor(float)))"


@cython.no_gc_clear   # IOBinding needs `open` to release what it made
cdef class Binding:
    """The part of `IOBinding` that a session calls; the class itself is imported when first used.
    """

    cdef int run_with(self, RunOptions options) except -1:
        """Run with options; None stands for the default ones."""
        cdef RunOptions lent
        if options is None:
            return self.run(default_run_options)
        if not ortmmap_count_get(&options.shrinks) or self.open.held_recording() is None:
            return self.run(options.options)
        lent = options.lend_without_shrinkage()
        try:
            self.run(lent.options)
        finally:
            options.take_back(lent)
            self.open.shrink_arena()
        return 0

    cdef int run(self, const ort.OrtRunOptions *options) except -1:
        raise NotImplementedError

    cdef int raise_unusable(self) except -1:
        """Raise the exception for a binding that is not of the session that is to run with it."""
        if self.open is None:
            raise ValueError("the binding was not made")
        self.open.check_open()
        raise ValueError("IOBinding must be used with the session that created it.")


cdef OpenSession open_session(
    ort.OrtSession *session,
    ModelSource model,
    object recording,
    object initializers,
    object store,
    object key,
    list entries,
    bint inheritable,
    Py_ssize_t nbytes,
):
    """Take over a session of ONNX Runtime, together with the objects that it points into."""
    cdef OpenSession made = OpenSession.__new__(OpenSession)
    made.session = session
    made.model, made.guard, made.guarded = model, share_guard(model.guard), model.guarded
    made.named = repr(model)
    made.recording, made.initializers = recording, initializers
    made.store, made.key, made.entries = store, key, entries
    made.inheritable, made.is_large = inheritable, nbytes >= LARGE
    made._describe()
    ortmmap_count_set(&made.state, OPEN)
    return made


cdef bint is_inheritable(
    object options, dict config, list providers, int threads
) except -1:
    """Whether a session with these settings has nothing that a fork takes away.

    That is threads, of which a session with one thread within a node and none between nodes has
    none; and the state of other people's code: execution providers, custom operators. `threads` is
    the size of pools that `options` leave open; 0 if it is not known.
    """
    if not ortmmap_count_get(&telemetry_is_off) or (options.intra_op_num_threads or threads) != 1:
        return False
    settings = {**options._defaults, **options._values}
    entries = {**config, **settings["_config"]}
    return (
        is_sequential(settings, threads)
        and all([settings[name] == options._defaults[name] for name in FOREIGN])
        and all([name == CPU for name, _ in providers])
        and (not entries or are_known(entries))
        and os.environ.get(FORK_VARIABLE) != REOPEN
    )


cdef bint are_known(dict entries) except -1:
    from ortmmap.abi.config_keys import SESSION_CONFIG_KEYS

    return all([key in SESSION_CONFIG_KEYS for key in entries])


cdef bint is_sequential(dict settings, int threads) except -1:
    return (
        settings["execution_mode"] == ExecutionMode.ORT_SEQUENTIAL
        or (settings["inter_op_num_threads"] or threads) == 1
    )
