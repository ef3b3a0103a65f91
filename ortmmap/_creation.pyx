"""Which way a session is created: in place, from the cache, with prepacked weights shared.

ORT format is used where it is mapped. ONNX format becomes a skeleton whose weights stay in the
file. With a cache, an ONNX model is opened from its optimized copy instead, which the first
process saves, and prepacked weights become pages that processes share.
"""

from cpython.bytes cimport PyBytes_CheckExact

from ortmmap._mapping cimport identity_of
from ortmmap._metadata cimport inputs_of, outputs_of, overridable_initializers_of
from ortmmap._model cimport stamp
from ortmmap._onnx cimport Skeleton, scan_onnx
from ortmmap._prepack cimport Pages, Recording, start
from ortmmap._runtime cimport ProcessLock, api
from ortmmap.c_model_guard cimport ortmmap_count_add, ortmmap_count_get

import os
from functools import partial

from ortmmap.errors import ModelChangedError, OrtError, file_error, from_status
from ortmmap.options import GraphOptimizationLevel
from ortmmap.providers import CPU
from ortmmap._onnx import DEFAULT_THRESHOLD

# Keys of onnxruntime_session_options_config_keys.h.
LOAD_FORMAT = "session.load_model_format"
SAVE_FORMAT = "session.save_model_format"
EXTERNAL_FOLDER = "session.model_external_initializers_file_folder_path"
SAVED_DATA = "session.optimized_model_external_initializers_file_name"
NO_PREPACKING = "session.disable_prepacking"
ENVIRONMENT_ALLOCATORS = "session.use_env_allocators"
MAPPED_ORT = {
    LOAD_FORMAT: "ORT",
    "session.use_ort_model_bytes_directly": "1",
    "session.use_ort_model_bytes_for_initializers": "1",
}
ONNX = {LOAD_FORMAT: "ONNX"}

ORT_FILE, ONNX_FILE, DATA_FILE, PAGES_FILE = "model.ort", "model.onnx", "model.data", "pages"
SMALLEST_SCANNED = 1 << 16    # bytes of an ONNX file; a smaller one has no weights worth mapping
SMALLEST_CACHED = 16 << 20    # bytes of a model that goes with the cache unless told otherwise
LARGEST_ORT = 2**31 - 2**24   # bytes of weights that ORT format, a flatbuffer, is sure to hold
SWITCH = "ORTMMAP_CACHE"
LOG_ERRORS = 3
INVALID_PROTOBUF = 7

# Held while a creation is recorded: one at a time leaves memory and cores to one.
cdef ProcessLock _recorded = ProcessLock()


cdef ort.OrtSession *create_session(
    Model model, object options, dict config, list providers, object cache
) except NULL:
    """Create ONNX Runtime's session; the caller releases it before it drops the Model.

    `config` holds entries that `options` does not; `cache` is what `Session` was given.
    """
    cdef ort.OrtSession *session = NULL
    ortmmap_count_add(&model.guard.users, 1)
    try:
        if model.inherited:
            session = create_inherited(model, options, config, providers)
        else:
            session = create_first(model, options, config, providers, cache)
    except OrtError:
        model.check_whole()   # zeros stood for what the file has lost
        raise
    finally:
        ortmmap_count_add(&model.guard.users, -1)
    if ortmmap_count_get(&model.guard.changed):
        api.ReleaseSession(session)
        raise model.gone()
    return session


cdef ort.OrtSession *create_inherited(
    Model model, object options, dict config, list providers
) except NULL:
    """Create one more session of bytes that are mapped already, the way the first one was."""
    if model.optimized is not None:
        return create_optimized(
            model, model.optimized, options, config, providers, model.store, model.key
        )
    if model.is_ort_format(options):
        return create_mapped(model, options, config, providers, model.store, model.key)
    return create_onnx(model, scan(model), options, config, providers)


cdef ort.OrtSession *create_first(
    Model model, object options, dict config, list providers, object cache
) except NULL:
    cdef Skeleton skeleton = None
    cdef ort.OrtSession *session
    cdef bint is_ort_format = model.is_ort_format(options)
    if not is_ort_format:
        skeleton = scan(model)
    store, key = cache_of(model, skeleton, options, config, providers, cache)
    model.store, model.key = store, key
    if is_ort_format:
        return create_mapped(model, options, config, providers, store, key)
    if store is not None:
        entry = find_optimized(model, skeleton, options, config, providers, store, key)
        if entry is not None and map_optimized(model, entry):
            return create_optimized(model, entry, options, config, providers, store, key)
    session = create_onnx(model, skeleton, options, config, providers)
    if skeleton is None and not model.lock and not PyBytes_CheckExact(<object>model.bytes.obj):
        model.release_bytes()   # ONNX Runtime has parsed them, and keeps no pointer into them
    return session


# --- ONNX format, in place ---

cdef Skeleton scan(Model model):
    """Look for the weights that can stay in an ONNX file; None where there is nothing to gain."""
    if model.path is None or (model.bytes.len < SMALLEST_SCANNED and not is_external(model)):
        return None
    skeleton = scan_onnx(
        <const unsigned char *>model.bytes.buf,
        model.bytes.len,
        model.path,
        os.fsencode(os.path.basename(os.path.realpath(model.path))),
        DEFAULT_THRESHOLD,
    )
    if skeleton.oversized:
        raise from_status(
            INVALID_PROTOBUF,
            f"expected at most 2 GiB, which is what protobuf holds, found {model.bytes.len} bytes",
            model.path,
        )
    note_files(model, skeleton)
    return skeleton


cdef bint is_external(Model model) except -1:
    """Whether a small file may have external data, which TensorProto names by this key."""
    return b"location" in (<const char *>model.bytes.buf)[:model.bytes.len]


cdef int note_files(Model model, Skeleton skeleton) except -1:
    """Note what the model's files are now, and guard them: ONNX Runtime maps them by itself."""
    folder = os.path.dirname(os.path.abspath(model.path))
    files = [os.path.join(folder, os.fsdecode(name)) for name in skeleton.external_locations]
    model.guard_files([model.path, *files])
    for file in files:
        try:
            model.sources.append(stamp(file, identity_of(file)))
        except OSError:
            continue   # ONNX Runtime says what it misses
    return 0


cdef ort.OrtSession *create_onnx(
    Model model, Skeleton skeleton, object options, dict config, list providers
) except NULL:
    """Create a session of an ONNX model, whose weights stay in its file where they can."""
    cdef ort.OrtSession *session
    config = {**ONNX, **config}
    if model.path is None:
        return model.create_of_bytes(
            options, config, providers, model.bytes.buf, model.bytes.len
        )
    if is_usable(model, skeleton, options):
        session = create_of_skeleton(model, skeleton, options, config, providers)
    else:
        session = model.create_of_file(options, config, providers, model.path)
    try:
        check_unchanged(model)
    except BaseException:
        api.ReleaseSession(session)
        raise
    return session


cdef ort.OrtSession *create_of_skeleton(
    Model model, Skeleton skeleton, object options, dict config, list providers
) except NULL:
    cdef bytes lean = skeleton.model
    folder = os.path.dirname(os.path.realpath(model.path))
    config = {EXTERNAL_FOLDER: folder, **config}
    try:
        return model.create_of_bytes(options, config, providers, <char *>lean, len(lean))
    except OrtError:
        # Some kernel may want its data in the model. What the file itself gives is the answer.
        del config[EXTERNAL_FOLDER]
        return model.create_of_file(options, config, providers, model.path)


cdef bint is_usable(Model model, Skeleton skeleton, object options) except -1:
    """Whether the skeleton finds all its data by the one folder that ONNX Runtime is told of."""
    return (
        skeleton is not None
        and skeleton.model is not None
        and EXTERNAL_FOLDER not in options._config
        and is_in_one_folder(model, skeleton)
    )


cdef bint is_in_one_folder(Model model, Skeleton skeleton) except -1:
    """Whether ONNX Runtime, told of one folder, finds in it the model and its external data.

    From memory it follows no link out of the folder; by the path of the model file it does.
    """
    if not skeleton.external_locations:
        return True
    folder = os.path.dirname(os.path.realpath(model.path))
    if os.path.realpath(os.path.dirname(os.path.abspath(model.path))) != folder:
        return False
    files = [os.path.join(folder, os.fsdecode(name)) for name in skeleton.external_locations]
    return all(os.path.realpath(file).startswith(os.path.join(folder, "")) for file in files)


cdef int check_unchanged(Model model) except -1:
    """Raise where the path no longer names the file that was mapped, as it was then."""
    # Not the time of change: a new hard link or mode sets that, and leaves the bytes alone.
    if model.path is None or identity_of(model.path)[:4] == model.mapping.identity[:4]:
        return 0
    raise file_error(
        ModelChangedError, "was changed or replaced while a session was created of it", model.path
    )


# --- the cache ---

cdef tuple cache_of(
    Model model, Skeleton skeleton, object options, dict config, list providers, object cache
):
    """Give the cache's store and this session's key in it; None twice where it goes without."""
    cdef Py_ssize_t size = model.bytes.len
    if model.path is None or not is_cacheable(options):
        return None, None
    if skeleton is not None:
        size += skeleton.external_bytes
    if cache is False or (cache is None and size < SMALLEST_CACHED and SWITCH not in os.environ):
        return None, None   # without importing the cache
    from ortmmap.cache import Key, Source, options_signature, runtime_signature, store_for

    cpu_only = all(name == CPU for name, _ in providers)
    store = store_for(cache, model_bytes=size, cpu_only=cpu_only, path=model.path)
    if store is None:
        return None, None
    sources = [Source(os.path.abspath(model.path), *model.mapping.identity)]
    folder = os.path.dirname(os.path.abspath(model.path))
    if skeleton is not None:
        for location in sorted(skeleton.external_locations):
            sources.append(Source.of(os.path.join(folder, os.fsdecode(location))))
    settings = {**options_signature(options), **runtime_signature(), "more": config}
    if not cpu_only:
        settings["providers"] = providers
    return store, Key(sources, settings)


cdef bint is_cacheable(object options) except -1:
    """Whether a session is what its options and its files say, and nothing is to be saved."""
    return not (
        options.optimized_model_filepath
        or options._config.get(LOAD_FORMAT) == "ONNX"   # the optimized copy is not
        or EXTERNAL_FOLDER in options._config           # whose files the key would not name
        or options._selects_providers()                 # anew on each machine
        or options._custom_ops
        or options._initializers
        or options._external_initializers
        or options._external_files
    )


cdef object find_optimized(
    Model model, Skeleton skeleton, object options, dict config, list providers, object store,
    object key,
):
    """Give the cache's entry of the optimized model, saving it if need be; None for neither."""
    size = model.bytes.len + (0 if skeleton is None else skeleton.external_bytes)
    save = partial(save_optimized, model, skeleton, options, config, providers, size)
    entry = store.build(key, "model", save, expect=size)
    return entry if entry is not None and entry.files else None


def save_optimized(
    Model model, Skeleton skeleton, options, dict config, list providers, size, draft
):
    """Save an ONNX model as ONNX Runtime optimizes it: in ORT format, or ONNX where that is full.

    Nothing is saved, and the entry stays empty, where the copy has other inputs than the model:
    ORT format makes inputs of initializers that an old model lists as inputs too.
    """
    cdef ort.OrtSession *session
    saving = options.copy()
    saving._creating = options._creating   # so that loading can be cancelled here too
    saving.enable_profiling = False
    saving.log_severity_level = LOG_ERRORS   # it warns that the file is for this machine: it is
    saving.add_session_config_entry(NO_PREPACKING, "1")   # the file is the same, the peak lower
    if size < LARGEST_ORT:
        saving.optimized_model_filepath = draft.path(ORT_FILE)
        saving.add_session_config_entry(SAVE_FORMAT, "ORT")
    else:
        saving.optimized_model_filepath = draft.path(ONNX_FILE)
        saving.add_session_config_entry(SAVE_FORMAT, "ONNX")
        saving.add_session_config_entry(SAVED_DATA, DATA_FILE)
    session = create_onnx(model, skeleton, saving, config, providers)
    signature = take_signature(session)
    model.check_whole()   # before anything is kept of zeros
    if signature != saved_signature(saving.optimized_model_filepath, options, config):
        for name in os.listdir(draft.folder):
            os.unlink(draft.path(name))


cdef tuple saved_signature(str path, object options, dict config):
    """Give the signature of a session of a model that was just saved."""
    cdef Model saved = Model(path)
    plain = options.copy()
    plain.enable_profiling = False
    plain.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    plain.add_session_config_entry(NO_PREPACKING, "1")
    if not saved.is_ort_format(plain):
        return take_signature(saved.create_of_file(plain, {**ONNX, **config}, [], path))
    return take_signature(
        saved.create_of_bytes(
            plain, {**MAPPED_ORT, **config}, [], saved.bytes.buf, saved.bytes.len
        )
    )


cdef tuple take_signature(ort.OrtSession *session):
    """Give the names and types of what a session takes and gives, and release it."""
    try:
        return tuple(
            [
                [(arg.name, arg.type, arg.shape) for arg in args]
                for args in (
                    inputs_of(session), outputs_of(session), overridable_initializers_of(session)
                )
            ]
        )
    finally:
        with nogil:
            api.ReleaseSession(session)


cdef bint map_optimized(Model model, object entry) except -1:
    """Hold the optimized model's bytes instead of the model's; False where they are gone."""
    name = ORT_FILE if any(file.name == ORT_FILE for file in entry.files) else ONNX_FILE
    try:
        model.map(entry.path(name))
    except OSError:   # whoever cleared the cache was quicker
        return False
    model.entries.append(entry)
    model.optimized = entry
    model.guard_files([entry.path(file.name) for file in entry.files])
    return True


cdef ort.OrtSession *create_optimized(
    Model model, object entry, object options, dict config, list providers, object store,
    object key,
) except NULL:
    """Create a session of the cache's optimized copy."""
    if model.is_ort_format(options):
        return create_mapped(model, options, config, providers, store, key)
    optimized = options.copy()
    optimized.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    return create_prepacked(
        model, optimized, {**ONNX, **config}, providers, store, key, entry.path(ONNX_FILE)
    )


# --- prepacked weights ---

cdef ort.OrtSession *create_mapped(
    Model model, object options, dict config, list providers, object store, object key
) except NULL:
    """Create a session of ORT-format bytes, which stay where they are."""
    return create_prepacked(
        model, options, {**MAPPED_ORT, **config}, providers, store, key, None
    )


cdef ort.OrtSession *create_prepacked(
    Model model, object options, dict config, list providers, object store, object key, str file
) except NULL:
    """Create a session of the bytes held, or of `file`; with a store, share prepacked weights."""
    cdef ort.OrtSession *session
    if store is None or not is_prepacked(options) or not start():
        return create(model, options, config, providers, file)
    pages = find_pages(store, key)
    if pages is not None:
        return create_recorded(model, options, config, providers, file, pages)
    session = NULL
    with store.lock(key) as turn:
        pages = find_pages(store, key)
        session = create_recorded(model, options, config, providers, file, pages)
        if pages is None and turn:
            try:
                model.check_whole()
                save_pages(model, store, key)
            except BaseException:
                api.ReleaseSession(session)
                raise
    return session


cdef bint is_prepacked(object options) except -1:
    return options.enable_cpu_mem_arena and options._config.get(NO_PREPACKING) != "1"


cdef ort.OrtSession *create(
    Model model, object options, dict config, list providers, str file
) except NULL:
    if file is not None:
        return model.create_of_file(options, config, providers, file)
    return model.create_of_bytes(options, config, providers, model.bytes.buf, model.bytes.len)


cdef ort.OrtSession *create_recorded(
    Model model, object options, dict config, list providers, str file, Pages pages
) except NULL:
    """Create a session whose kernels' memory is recorded, and shared with `pages` where equal."""
    cdef Recording recording = Recording()
    config = {ENVIRONMENT_ALLOCATORS: "1", **config}
    model.recording = recording
    if pages is not None:
        model.entries.append(pages.entry)
        model.guard_files([pages.entry.path(PAGES_FILE)])
    with _recorded.here():
        recording.begin(pages)
        try:
            return create(model, options, config, providers, file)
        finally:
            with nogil:
                recording.end()
            drop_weights(model)


cdef int drop_weights(Model model) except -1:
    """Let the original weights go from this process where their prepacked copies stand for them.

    What is still used of them lies scattered between, so a touch shall not bring 2 MiB back.
    """
    if model.prefault or model.lock or not model.recording.shared_blocks()[0]:
        return 0
    model.mapping.advise("dontneed")
    if 2 * model.recording.shared_blocks()[1] > model.mapping.nbytes:
        advise_if_possible(model.mapping, "nohugepage")
    return 0


cdef int advise_if_possible(object mapping, str advice) except -1:
    try:
        mapping.advise(advice)
    except OSError:
        return 0   # a kernel without huge pages, or another system
    return 0


cdef Pages find_pages(object store, object key):
    """Give the blocks that an earlier process recorded; None where there are none."""
    entry = store.find(key, "pages")
    return None if entry is None else usable_pages(store, entry)


cdef Pages usable_pages(object store, object entry):
    """Open an entry's blocks; where they are gone or no longer whole, remove it and give None."""
    from ortmmap.pages import BadPages

    try:
        return open_pages(entry)
    except (BadPages, OSError):
        store.remove(entry.name)
        return None


cdef Pages open_pages(object entry):
    from mmap import MAP_PRIVATE, PROT_READ, mmap

    from ortmmap.pages import read_table

    fd = entry.open(PAGES_FILE)
    try:
        return Pages(fd, mmap(fd, 0, MAP_PRIVATE, PROT_READ), read_table(fd, entry.key), entry)
    except BaseException:
        os.close(fd)
        raise


cdef int save_pages(Model model, object store, object key) except -1:
    """Write what was recorded, and put the file's pages in its place."""
    from ortmmap.pages import write_pages

    blocks = model.recording.blocks()
    draft = store.write(key, "pages", expect=sum(map(len, blocks)))
    if draft is None:
        return 0
    with draft:
        fd = os.open(draft.path(PAGES_FILE), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            write_pages(fd, draft.key, blocks)
        finally:
            os.close(fd)
    pages = None if draft.entry is None else usable_pages(store, draft.entry)
    if pages is not None:
        model.guard_files([draft.entry.path(PAGES_FILE)])
        model.recording.share(pages)
        model.entries.append(draft.entry)
        drop_weights(model)
    return 0
