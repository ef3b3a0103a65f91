"""The cache's optimized graphs: how they are saved, and how sessions are created of them.

The first session's process saves the graph as ONNX Runtime has optimized it. Weights that stay as
they are stay in the model's files. If the optimizer makes too many others, the entry holds them
all. A session of the graph gets them as values, wherever their files lie.
"""

from ortmmap.model.mapping cimport Mapping
from ortmmap.model.skeleton cimport Skeleton, relocated, scan_onnx
from ortmmap.model.source cimport ModelSource
from ortmmap.model.weights cimport weights_of
from ortmmap.session.creation cimport Attempt, Creation, external_files

import os

from ortmmap.errors import OrtError
from ortmmap.model.skeleton import DEFAULT_THRESHOLD
from ortmmap.options import GraphOptimizationLevel
from ortmmap.session.creation import EXTERNAL_FOLDER, ONNX

# Keys of onnxruntime_session_options_config_keys.h.
SAVE_FORMAT = "session.save_model_format"
SAVED_DATA = "session.optimized_model_external_initializers_file_name"
NO_PREPACKING = "session.disable_prepacking"
AFFINITIES = "session.intra_op_thread_affinities"   # one for each thread

GRAPH_FILE = "graph.onnx"     # a graph alone
COPY_FILE, DATA_FILE = "model.onnx", "model.data"   # a graph, and its weights
MOST_REWRITTEN = 4 << 20      # bytes of weights that a saved graph may hold itself
MOST_WEIGHTS = 1 << 20
LOG_ERRORS = 3
# Field numbers of onnx.proto.
METADATA_FIELD = 14           # of ModelProto: StringStringEntryProto
METADATA_NAME_FIELD = 1       # of StringStringEntryProto


class Refused(Exception):  # noqa: N818 - a result, not an error
    """ONNX Runtime refuses the model itself; the argument is its error."""


def attempts_of(Creation creation not None, entry) -> list:
    """Return the attempts for a session of an entry's graph; empty if it is not usable.

    Parameters
    ----------
    creation : Creation
        Of an ONNX file. It holds the entry from here on, and maps the weights that lie in it.
    entry : Entry
    """
    cdef ModelSource model = creation.model
    try:
        if has_weights(entry):
            model.map(entry.path(DATA_FILE))
        found = saved(creation, creation.options, entry.folder, [file.name for file in entry.files])
    except OSError:   # the cache was cleared in between
        return []
    creation.use_entry(entry)
    return found


def unsaved(list blocks not None, entry) -> list:
    """Leave out the recorded blocks that an entry's own data has.

    Some versions of ONNX Runtime keep the weights that the optimizer has rewritten in recorded
    memory. A session of the saved graph maps them from the entry's data instead.

    Parameters
    ----------
    blocks : list of memoryview
    entry : Entry or None
        Of the saved graph.
    """
    if entry is None or not has_weights(entry):
        return blocks
    from xxhash import xxh3_64_intdigest

    sizes = set(map(len, blocks))
    saved = digests(entry.path(COPY_FILE), entry.path(DATA_FILE), sizes)
    return [block for block in blocks if xxh3_64_intdigest(block) not in saved]


cdef dict digests(str graph, str file, set sizes=None):
    """Digest the weights of a graph that lie in a file, by default its own; return their sizes.

    If `sizes` is given, only weights of these sizes are read.
    """
    from mmap import ACCESS_READ, mmap

    from xxhash import xxh3_64_intdigest

    from ortmmap.model.inspect import inspect

    place = "mapped" if file == graph else "external"
    found = {}
    weights = inspect(graph, largest=MOST_WEIGHTS).largest
    with open(file, "rb") as opened, mmap(opened.fileno(), 0, access=ACCESS_READ) as data:
        with memoryview(data) as view:
            for weight in weights:
                start, size = weight.offset, weight.nbytes
                if weight.place == place and start is not None and (not sizes or size in sizes):
                    found[xxh3_64_intdigest(view[start : start + size])] = size
    return found


cdef bint has_weights(object entry) except -1:
    """Whether an entry holds the weights of its graph."""
    return any(file.name == DATA_FILE for file in entry.files)


def save_optimized(Creation creation not None, draft) -> None:
    """Save an ONNX model's graph as ONNX Runtime optimizes it.

    The entry stays empty if a saved model would be of no use: ONNX Runtime cannot write or read
    it, or its inputs and outputs are not the model's.

    Parameters
    ----------
    creation : Creation
    draft : Draft
        The entry to write.

    Raises
    ------
    Refused
        If ONNX Runtime refuses the model itself.
    ModelChangedError
        If a file of the model was truncated meanwhile.
    OSError
        If there is too little room, or the system does not permit so much to be written.
    """
    options = quiet(creation.options)
    options.add_session_config_entry(NO_PREPACKING, "1")   # the graph is the same, the peak lower
    try:
        usable = save(creation, options, draft)
    except OrtError:
        check_model(creation, options)
        draft.check_writing(creation.nbytes())
        usable = False
    creation.model.check_whole()   # zeros stand for lost bytes: nothing made of them is kept
    if not usable:
        empty(draft.folder)


def saved_order(dict metadata not None, list entries not None) -> dict:
    """Sort a model's own metadata into the order that ONNX Runtime has them in without a cache.

    It keeps them in a hash map. The map of the session that the graph was saved from had the order
    of the saved file; the map of a session of that file has another one.

    Parameters
    ----------
    metadata : dict of str to str
    entries : list of Entry
        Of the cache, that the session was opened from.
    """
    for entry in entries:
        graphs = [file.name for file in entry.files if file.name.endswith(".onnx")]
        if entry.kind == "model" and graphs:
            try:
                names = metadata_names(entry.path(graphs[0]))
            except (OSError, OrtError):   # the cache was cleared in between
                return metadata
            return {name: metadata[name] for name in (*names, *metadata) if name in metadata}
    return metadata


cdef list metadata_names(str path):
    """Read the names of a model's own metadata from its file, in their order."""
    from mmap import ACCESS_READ, mmap

    from ortmmap.model.wire import fields

    with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        entries = [each for each in fields(data) if each.number == METADATA_FIELD]
        found = []
        for entry in entries:
            for each in fields(data, entry.start, entry.stop):
                if each.number == METADATA_NAME_FIELD:
                    found.append(data[each.start : each.stop].decode("utf-8", "replace"))
        return found


cdef list saved(Creation creation, object options, str folder, list names):
    """Return the attempts for a session of the files that `save_optimized` left in a folder."""
    cdef bint is_copy = DATA_FILE in names
    cdef str path
    cdef Mapping graph
    cdef Skeleton skeleton
    cdef list weights
    if not names:
        return []
    path = os.path.join(folder, COPY_FILE if COPY_FILE in names else GRAPH_FILE)
    graph = Mapping(path)
    # ONNX Runtime checks that the file that references name exists, and reads inner graphs' data.
    named = DATA_FILE if is_copy else os.path.basename(path)
    skeleton = relocated(graph._mapping.data, graph.nbytes, path, os.fsencode(named))
    files = {None: os.path.join(folder, DATA_FILE)} if is_copy else files_of(creation, skeleton)
    weights = weights_of(
        skeleton,
        graph,
        {name: creation.model.mapping_of(file) for name, file in files.items()},
        not is_copy,
    )
    if weights is None:
        return []
    options = options._snapshot()
    options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    config = {EXTERNAL_FOLDER: folder, **ONNX, **creation.config}
    content = bytes(graph) if skeleton.model is None else skeleton.model
    return [Attempt(options, config, content, weights=weights)]


cdef dict files_of(Creation creation, Skeleton graph):
    """Return the paths of the files that a saved graph refers to, by the locations that it names.

    That of None is the model's own file, whose name was another one if the model is a copy.
    """
    cdef dict found = {}
    cdef tuple locations = creation.skeleton.external_locations
    if locations:
        found = dict(
            zip(sorted(locations), external_files(creation.model, creation.skeleton), strict=True)
        )
    paths = {name: found.get(name, creation.model.path) for name in graph.external_locations}
    return {name if name in found else None: path for name, path in paths.items()}


cdef bint save(Creation creation, object options, object draft) except -1:
    """Save the graph alone or, if it holds too much itself, with its weights.

    Return whether a session can be created of it that has the inputs and outputs of the model.
    """
    saving = options._snapshot()
    saving.add_session_config_entry(SAVE_FORMAT, "ONNX")
    if has_convolutions(creation):
        usable = save_copy(creation, saving, draft)
        if copied_bytes(creation, draft) > MOST_REWRITTEN:
            return usable
        empty(draft.folder)
    saving.optimized_model_filepath = graph = draft.path(GRAPH_FILE)
    try:
        signature = creation.signature(creation.in_place(saving))
        if rewritten_bytes(graph) <= MOST_REWRITTEN:
            attempts = saved(creation, options, draft.folder, [GRAPH_FILE])
            if attempts:
                return signature == creation.signature(attempts)
    except OrtError:
        pass   # its weights exceed the limit of protobuf, or are read while a graph is loaded
    empty(draft.folder)
    return save_copy(creation, saving, draft)


cdef bint save_copy(Creation creation, object options, object draft) except -1:
    """Save the graph, and all its weights in a file of their own; return as `save`."""
    draft.check_room(creation.nbytes())
    saving = options._snapshot()
    saving.optimized_model_filepath = draft.path(COPY_FILE)
    saving.add_session_config_entry(SAVED_DATA, DATA_FILE)
    signature = creation.signature(creation.in_place(saving))
    attempts = saved(creation, options, draft.folder, os.listdir(draft.folder))
    return bool(attempts) and signature == creation.signature(attempts)


cdef bint has_convolutions(Creation creation) except -1:
    """Whether the optimizer is likely to rewrite too many weights for a saved graph.

    It folds batch normalizations into weights of convolutions, and changes the layout of these.
    They are the large weights of four dimensions. `copied_bytes` tells later whether it was so.
    """
    from ortmmap.model.inspect import inspect

    if creation.options.graph_optimization_level != GraphOptimizationLevel.ORT_ENABLE_ALL:
        return False
    if creation.skeleton.external_locations:
        return False
    weights = inspect(creation.model.path, largest=MOST_WEIGHTS).largest
    return sum([weight.nbytes for weight in weights if len(weight.dims) == 4]) > MOST_REWRITTEN


cdef Py_ssize_t copied_bytes(Creation creation, object draft) except -1:
    """Count the bytes of the weights in a saved copy that the model does not have."""
    copy, data = draft.path(COPY_FILE), draft.path(DATA_FILE)
    if not os.path.lexists(data):
        return 0
    before = digests(creation.model.path, creation.model.path)
    return sum([size for digest, size in digests(copy, data).items() if digest not in before])


cdef Py_ssize_t rewritten_bytes(str path) except -1:
    """Count the bytes of the weights that a saved graph holds itself."""
    cdef ModelSource graph = ModelSource(path)
    cdef Skeleton found = scan_onnx(
        <const unsigned char *>graph.bytes.buf,
        graph.bytes.len,
        path,
        b"-",
        DEFAULT_THRESHOLD,
        b"",
        graph.mapped_file(),
    )
    return found.mapped_bytes


cdef int check_model(Creation creation, object options) except -1:
    """Raise `Refused` if ONNX Runtime refuses the model, not only to save it."""
    try:
        creation.signature(creation.in_place(options))
    except OrtError as error:
        raise Refused(error) from None
    return 0


cpdef object quiet(object options):
    """Copy options for a session that is never run, and is created by one thread."""
    copy = options._snapshot()
    copy.enable_profiling = False
    copy.log_severity_level = LOG_ERRORS   # no warning that the saved file is for this machine
    if not copy._config.get(AFFINITIES):
        copy.intra_op_num_threads = copy.inter_op_num_threads = 1   # it yields to other work
    return copy


cdef int empty(str folder) except -1:
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    return 0
