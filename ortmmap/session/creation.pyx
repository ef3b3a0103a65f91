"""Which way a session is created: in place, from the cache, with prepacked weights shared.

ORT format is used where it is mapped. ONNX format becomes a skeleton whose weights stay in the
file. With a cache, an ONNX model is opened from the graph that the first process has optimized and
saved: its weights stay in the model's file too, or in a copy where the optimizer makes others.
Prepacked weights become pages that processes share.
"""

from cpython.bytes cimport PyBytes_CheckExact

from ortmmap.model.mapping cimport identity_of, stamp
from ortmmap.session.metadata cimport inputs_of, outputs_of, overridable_initializers_of
from ortmmap.model.skeleton cimport Skeleton, scan_onnx
from ortmmap.cache.prepack cimport Pages, Recording, creating, start
from ortmmap.runtime.library cimport api
from ortmmap.process.guard cimport ortmmap_count_add, ortmmap_count_get

import os
from collections import namedtuple
from functools import partial

from ortmmap.errors import ModelChangedError, OrtError, file_error, from_status
from ortmmap.options import GraphOptimizationLevel
from ortmmap.runtime.providers import CPU
from ortmmap.model.mapping import check_sources
from ortmmap.model.skeleton import DEFAULT_THRESHOLD

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

COPY_FILE, DATA_FILE, PAGES_FILE = "model.onnx", "model.data", "pages"
SMALLEST_CACHED = 16 << 20    # bytes of a model that goes with the cache unless told otherwise
MOST_REWRITTEN = 4 << 20      # bytes of weights that an optimized graph may hold itself
SWITCH = "ORTMMAP_CACHE"
LOG_ERRORS = 3
INVALID_PROTOBUF = 7

Attempt = namedtuple("Attempt", "options config data file", defaults=(None, None))
Attempt.__doc__ = """What a session may be created from: `data`, else `file`, else the bytes held.

`config` holds entries that `options` does not.
"""


class Refused(Exception):  # noqa: N818 - what it is, not that it is an error
    """ONNX Runtime does not take the model, whatever is saved of it; the argument is its error."""


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
    if model.path is None or model.is_ort_format(options):
        return create_of_one(model, options, config, providers, model.store, model.key)
    check_sources(model.sources)   # ONNX Runtime maps them anew, by their names
    return create_onnx(model, scan(model), options, config, providers, model.store, model.key)


cdef ort.OrtSession *create_first(
    Model model, object options, dict config, list providers, object cache
) except NULL:
    cdef Skeleton skeleton = None
    if not model.is_ort_format(options):
        skeleton = scan(model)
    store, key = cache_of(model, skeleton, options, config, providers, cache)
    model.store, model.key = store, key
    if skeleton is not None:
        return create_onnx(model, skeleton, options, config, providers, store, key)
    return create_of_one(model, options, config, providers, store, key)


cdef ort.OrtSession *create_of_one(
    Model model, object options, dict config, list providers, object store, object key
) except NULL:
    """Create a session of bytes in ORT format, which stay where they are, or of a buffer."""
    cdef ort.OrtSession *session
    cdef bint stays = model.is_ort_format(options)
    config = {**(MAPPED_ORT if stays else ONNX), **config}
    session = create_prepacked(model, [Attempt(options, config)], providers, store, key)
    if not stays and not PyBytes_CheckExact(<object>model.bytes.obj):
        model.release_bytes()   # ONNX Runtime has parsed them, and keeps no pointer into them
    return session


cdef ort.OrtSession *create_onnx(
    Model model, Skeleton skeleton, object options, dict config, list providers, object store,
    object key,
) except NULL:
    """Create a session of an ONNX file, from what the cache has of it where there is a cache."""
    cdef ort.OrtSession *session
    cdef tuple identity = model.mapping.identity
    attempts = in_place(model, skeleton, options, config)
    if store is not None:
        entry = find_optimized(model, skeleton, options, config, providers, store, key)
        attempts = optimized(model, skeleton, options, config, entry) + attempts
    session = create_prepacked(model, attempts, providers, store, key)
    try:
        check_unchanged(model, identity)
    except BaseException:
        api.ReleaseSession(session)
        raise
    if skeleton.model is None and model.optimized is None and not model.lock:
        model.release_bytes()   # ONNX Runtime has parsed them, and keeps no pointer into them
    return session


# --- ONNX format, in place ---

cdef Skeleton scan(Model model):
    """Look for the weights that can stay in an ONNX file, and for its files of external data."""
    if model.path is None:
        return None
    skeleton = scan_onnx(
        <const unsigned char *>model.bytes.buf,
        model.bytes.len,
        model.path,
        file_name(model),
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


cdef int note_files(Model model, Skeleton skeleton) except -1:
    """Note what the model's files are now, and guard them: ONNX Runtime maps them by itself."""
    files = external_files(os.path.dirname(os.path.abspath(model.path)), skeleton)
    model.guard_files([model.real_path, *map(os.path.realpath, files)])
    if model.inherited:
        return 0   # noted when they were opened first
    for file in files:
        try:
            model.sources.append(stamp(file, identity_of(file)))
        except OSError:
            continue   # ONNX Runtime says what it misses
    return 0


cdef list external_files(str folder, Skeleton skeleton):
    """List the files of external data of a model in `folder`, in a fixed order."""
    return [os.path.join(folder, os.fsdecode(name)) for name in sorted(skeleton.external_locations)]


cdef list in_place(Model model, Skeleton skeleton, object options, dict config):
    """Give how to create a session whose weights stay in the file, where they can."""
    config = {**ONNX, **config}
    # Some kernel may want its data in the model. What the file itself gives is the answer.
    attempts = [Attempt(options, config, file=model.path)]
    if is_usable(model, skeleton, options):
        config = {EXTERNAL_FOLDER: folder_of(model), **config}
        attempts.insert(0, Attempt(options, config, data=skeleton.model))
    return attempts


cdef bint is_usable(Model model, Skeleton skeleton, object options) except -1:
    """Whether the skeleton finds all its data by the one folder that ONNX Runtime is told of."""
    return (
        skeleton.model is not None
        and EXTERNAL_FOLDER not in options._config
        and is_in_one_folder(model, skeleton)
    )


cdef str folder_of(Model model):
    return os.path.dirname(model.real_path)


cdef bytes file_name(Model model):
    """Give what the file is called in `folder_of`."""
    return os.fsencode(os.path.basename(model.real_path))


cdef bint is_in_one_folder(Model model, Skeleton skeleton) except -1:
    """Whether ONNX Runtime, told of one folder, finds in it the model and its external data.

    From memory it follows no link out of the folder; by the path of the model file it does.
    """
    if not skeleton.external_locations:
        return True
    folder = folder_of(model)
    if os.path.realpath(os.path.dirname(os.path.abspath(model.path))) != folder:
        return False
    files = map(os.path.realpath, external_files(folder, skeleton))
    return all(file.startswith(os.path.join(folder, "")) for file in files)


cdef int check_unchanged(Model model, tuple identity) except -1:
    """Raise where the path no longer names the file that was mapped, as it was then."""
    # Not the time of change: a new hard link or mode sets that, and leaves the bytes alone.
    if identity_of(model.path)[:4] == identity[:4]:
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
    from ortmmap.cache.store import Key, Source, options_signature, runtime_signature, store_for

    cpu_only = all(name == CPU for name, _ in providers)
    store = store_for(cache, model_bytes=size, cpu_only=cpu_only, path=model.path)
    if store is None:
        return None, None
    sources = [Source(os.path.abspath(model.path), *model.mapping.identity)]
    if skeleton is not None:
        folder = os.path.dirname(os.path.abspath(model.path))
        sources.extend(map(Source.of, external_files(folder, skeleton)))
    settings = {**options_signature(options), **runtime_signature(), "more": config}
    if not cpu_only:
        settings["providers"] = providers
    return store, Key(sources, settings)


cdef bint is_cacheable(object options) except -1:
    """Whether a session is what its options and its files say, and nothing is to be saved."""
    return not (
        options.optimized_model_filepath
        or EXTERNAL_FOLDER in options._config           # whose files the key would not name
        or options._selects_providers()                 # anew on each machine
        or not all(map(os.path.isfile, options._custom_ops))   # the key has their identity
        or options._initializers
        or options._external_initializers
        or options._external_files
    )


cdef object find_optimized(
    Model model, Skeleton skeleton, object options, dict config, list providers, object store,
    object key,
):
    """Give the cache's entry of the optimized model, saving it if need be; None for neither."""
    save = partial(save_optimized, model, skeleton, options, config, providers)
    try:
        return store.build(key, "model", save)
    except Refused as refused:
        raise refused.args[0] from None


cdef list optimized(Model model, Skeleton skeleton, object options, dict config, object entry):
    """Give how to create a session of the cache's entry; nothing where that is of no use."""
    if entry is None:
        return []
    try:
        found = saved(model, skeleton, options, config, entry.folder)
        if any(file.name == DATA_FILE for file in entry.files):
            model.map(entry.path(DATA_FILE))
            model.optimized = entry
    except OSError:   # whoever cleared the cache was quicker
        return []
    use_entry(model, entry)
    return found


cdef int use_entry(Model model, object entry) except -1:
    """Keep an entry from being removed, and guard its files, while the model is in use."""
    folder = os.path.realpath(entry.folder)
    model.entries.append(entry)
    return model.guard_files([os.path.join(folder, file.name) for file in entry.files])


cdef list saved(Model model, Skeleton skeleton, object options, dict config, str folder):
    """Give how to create a session of what `save_optimized` has left in a folder, if anything."""
    options = copy_of(options)
    options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    config = {**ONNX, **config}
    copy, graph = os.path.join(folder, COPY_FILE), os.path.join(folder, graph_file(model))
    if os.path.lexists(copy):
        return [Attempt(options, config, file=copy)]
    if not os.path.lexists(graph) or not is_in_one_folder(model, skeleton):
        return []
    with open(graph, "rb") as file:
        data = file.read()
    return [Attempt(options, {EXTERNAL_FOLDER: folder_of(model), **config}, data=data)]


cdef str graph_file(Model model):
    """Give the name of the graph whose weights stay in the model's file.

    It says by what name the graph refers to that file: a copy of the model may have another.
    """
    from _blake2 import blake2b

    return f"graph-{blake2b(file_name(model), digest_size=8).hexdigest()}.onnx"


def save_optimized(Model model, Skeleton skeleton, options, dict config, list providers, draft):
    """Save an ONNX model's graph as ONNX Runtime optimizes it.

    Weights that stay as they are stay in the model's file too. Where the optimizer makes too many
    others, the entry holds them all. It holds nothing where the saved model would not do: ONNX
    Runtime cannot write or read it, or its inputs and outputs are not the model's.
    """
    options = silent(options)
    try:
        signature = save(model, skeleton, options, config, providers, draft)
        attempts = saved(model, skeleton, options, config, draft.folder)
        usable = attempts and signature == signature_of(model, attempts, providers)
    except OrtError:
        check_model(model, skeleton, options, config, providers)
        draft.check_room(model.bytes.len + skeleton.external_bytes)
        usable = False
    model.check_whole()   # before anything is kept of zeros
    if not usable:
        empty(draft.folder)


cdef tuple save(
    Model model, Skeleton skeleton, object options, dict config, list providers, object draft
):
    """Save the graph alone or, where it holds much itself, a whole copy; give its signature."""
    graph = draft.path(graph_file(model))
    saving = copy_of(options)
    saving.add_session_config_entry(SAVE_FORMAT, "ONNX")
    saving.optimized_model_filepath = graph
    try:
        signature = signature_of(model, in_place(model, skeleton, saving, config), providers)
        if rewritten_bytes(graph) <= MOST_REWRITTEN:
            return signature
    except OrtError:
        pass   # weights of more than protobuf holds
    empty(draft.folder)
    draft.check_room(model.bytes.len + skeleton.external_bytes)
    saving.optimized_model_filepath = draft.path(COPY_FILE)
    saving.add_session_config_entry(SAVED_DATA, DATA_FILE)
    return signature_of(model, in_place(model, skeleton, saving, config), providers)


cdef Py_ssize_t rewritten_bytes(str path) except -1:
    """Count the bytes of the weights that a saved graph holds itself."""
    cdef Model graph = Model(path)
    cdef Skeleton found = scan_onnx(
        <const unsigned char *>graph.bytes.buf, graph.bytes.len, path, b"-", DEFAULT_THRESHOLD
    )
    return found.mapped_bytes


cdef int check_model(
    Model model, Skeleton skeleton, object options, dict config, list providers
) except -1:
    """Raise `Refused` where ONNX Runtime does not take the model, and it was not the saving."""
    try:
        signature_of(model, in_place(model, skeleton, options, config), providers)
    except OrtError as error:
        raise Refused(error) from None
    return 0


cdef object copy_of(object options):
    """Copy options of a session that is one step of creating another."""
    copy = options.copy()
    copy._creating = options._creating   # so that loading can be cancelled here too
    return copy


cdef object silent(object options):
    """Copy options for a session that nobody runs."""
    copy = copy_of(options)
    copy.enable_profiling = False
    copy.log_severity_level = LOG_ERRORS   # it warns that a saved file is for this machine: it is
    copy.add_session_config_entry(NO_PREPACKING, "1")   # the graph is the same, the peak lower
    return copy


cdef int empty(str folder) except -1:
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    return 0


cdef tuple signature_of(Model model, list attempts, list providers):
    """Create a session, and give the names and types of what it takes and gives."""
    cdef ort.OrtSession *session = create(model, attempts, providers)
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


# --- prepacked weights ---

cdef ort.OrtSession *create_prepacked(
    Model model, list attempts, list providers, object store, object key
) except NULL:
    """Create a session; with a store, share prepacked weights."""
    cdef ort.OrtSession *session
    if store is None or not is_prepacked(attempts[0].options) or not start():
        return create(model, attempts, providers)
    pages = find_pages(store, key)
    if pages is not None:
        return create_recorded(model, attempts, providers, pages)
    session = NULL
    with store.lock(key) as turn:
        pages = find_pages(store, key)
        session = create_recorded(model, attempts, providers, pages)
        if pages is None and turn and model.recording is not None:
            try:
                model.check_whole()
                save_pages(model, store, key)
            except BaseException:
                api.ReleaseSession(session)
                raise
    return session


cdef bint is_prepacked(object options) except -1:
    return options.enable_cpu_mem_arena and options._config.get(NO_PREPACKING) != "1"


cdef ort.OrtSession *create(Model model, list attempts, list providers) except NULL:
    """Create a session of the first attempt that ONNX Runtime takes; the last has the last word."""
    *first, last = attempts
    for attempt in first:
        try:
            return create_of(model, attempt, providers)
        except OrtError:
            continue
    return create_of(model, last, providers)


cdef ort.OrtSession *create_of(Model model, object attempt, list providers) except NULL:
    cdef bytes data = attempt.data
    options, config = attempt.options, attempt.config
    if data is not None:
        return model.create_of_bytes(options, config, providers, <char *>data, len(data))
    if attempt.file is not None:
        return model.create_of_file(options, config, providers, attempt.file)
    return model.create_of_bytes(options, config, providers, model.bytes.buf, model.bytes.len)


cdef ort.OrtSession *create_recorded(
    Model model, list attempts, list providers, Pages pages
) except NULL:
    """Create a session whose kernels' memory is recorded, and shared with `pages` where equal.

    Nothing is recorded where another allocator has replaced ours meanwhile.
    """
    cdef Recording recording = Recording()
    recorded = [
        attempt._replace(config={ENVIRONMENT_ALLOCATORS: "1", **attempt.config})
        for attempt in attempts
    ]
    with creating.here():
        if not start():
            return create(model, attempts, providers)
        model.recording = recording
        if pages is not None:
            use_entry(model, pages.entry)
        recording.begin(pages)
        try:
            return create(model, recorded, providers)
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
    from ortmmap.cache.pages import BadPages

    try:
        return open_pages(entry)
    except (BadPages, OSError):
        store.remove(entry.name)
        return None


cdef Pages open_pages(object entry):
    from mmap import MAP_PRIVATE, PROT_READ, mmap

    from ortmmap.cache.pages import read_ahead, read_table

    fd = entry.open(PAGES_FILE)
    try:
        read_ahead(fd)   # the disk works while ONNX Runtime prepacks
        return Pages(fd, mmap(fd, 0, MAP_PRIVATE, PROT_READ), read_table(fd, entry.key), entry)
    except BaseException:
        os.close(fd)
        raise


cdef int save_pages(Model model, object store, object key) except -1:
    """Write what was recorded, and put the file's pages in its place."""
    from ortmmap.cache.pages import write_pages

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
        use_entry(model, draft.entry)
        model.recording.share(pages)
        drop_weights(model)
    return 0
