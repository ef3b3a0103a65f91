"""The cache's optimized graphs: how they are saved, and how sessions are created of them.

The first process saves the graph as ONNX Runtime has optimized it. Weights that stay as they are
stay in the model's file. If the optimizer makes too many others, the entry holds them all.
"""

from ortmmap.model.skeleton cimport Skeleton, scan_onnx
from ortmmap.model.source cimport ModelSource
from ortmmap.session.creation cimport Attempt, Creation

import os
from functools import partial

from ortmmap.errors import OrtError
from ortmmap.model.skeleton import DEFAULT_THRESHOLD
from ortmmap.options import GraphOptimizationLevel
from ortmmap.session.creation import EXTERNAL_FOLDER, ONNX

# Keys of onnxruntime_session_options_config_keys.h.
SAVE_FORMAT = "session.save_model_format"
SAVED_DATA = "session.optimized_model_external_initializers_file_name"
NO_PREPACKING = "session.disable_prepacking"

COPY_FILE, DATA_FILE = "model.onnx", "model.data"
MOST_REWRITTEN = 4 << 20      # bytes of weights that a saved graph may hold itself
LOG_ERRORS = 3
# Field numbers of onnx.proto.
METADATA_FIELD = 14           # of ModelProto: StringStringEntryProto
METADATA_NAME_FIELD = 1       # of StringStringEntryProto


class Refused(Exception):  # noqa: N818 - a result, not an error
    """ONNX Runtime refuses the model itself; the argument is its error."""


def optimized(Creation creation not None, store, key) -> list:
    """Return the attempts for a session of the saved graph, saving it first if need be.

    Parameters
    ----------
    creation : Creation
        Of an ONNX file. It holds the entry from here on.
    store : Store
    key : Key

    Returns
    -------
    list of Attempt
        Empty if the cache has no usable graph of the model.

    Raises
    ------
    OrtError
        If ONNX Runtime refuses the model.
    """
    cdef ModelSource model = creation.model
    try:
        entry = store.build(key, "model", partial(save_optimized, creation))
    except Refused as refused:
        raise refused.args[0] from None
    if entry is None:
        return []
    try:
        found = saved(creation, creation.options, entry.folder)
        if any(file.name == DATA_FILE for file in entry.files):
            model.map(entry.path(DATA_FILE))
    except OSError:   # the cache was cleared in between
        return []
    creation.use_entry(entry)
    return found


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
        If there is too little room.
    """
    options = quiet(creation.options)
    try:
        signature = save(creation, options, draft)
        attempts = saved(creation, options, draft.folder)
        usable = attempts and signature == creation.signature(attempts)
    except OrtError:
        check_model(creation, options)
        draft.check_room(creation.nbytes())
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


cdef list saved(Creation creation, object options, str folder):
    """Return the attempts for a session of the files that `save_optimized` left in a folder."""
    options = step_of(options)
    options.graph_optimization_level = GraphOptimizationLevel.ORT_DISABLE_ALL
    config = {**ONNX, **creation.config}
    copy = os.path.join(folder, COPY_FILE)
    graph = os.path.join(folder, graph_file(creation.model))
    if os.path.lexists(copy):
        return [Attempt(options, config, file=copy)]
    if not os.path.lexists(graph) or not creation.is_in_one_folder():
        return []
    with open(graph, "rb") as file:
        data = file.read()
    return [Attempt(options, {EXTERNAL_FOLDER: creation.model.folder(), **config}, data=data)]


cdef str graph_file(ModelSource model):
    """Return the name of the saved graph.

    It has a digest of the name that the graph refers to the model's file by: a copy of the model
    may have another name.
    """
    from _blake2 import blake2b

    return f"graph-{blake2b(model.file_name(), digest_size=8).hexdigest()}.onnx"


cdef tuple save(Creation creation, object options, object draft):
    """Save the graph alone or, if it holds too much itself, a whole copy; return its signature."""
    graph = draft.path(graph_file(creation.model))
    saving = step_of(options)
    saving.add_session_config_entry(SAVE_FORMAT, "ONNX")
    saving.optimized_model_filepath = graph
    try:
        signature = creation.signature(creation.in_place(saving))
        if rewritten_bytes(graph) <= MOST_REWRITTEN:
            return signature
    except OrtError:
        pass   # its weights exceed the limit of protobuf
    empty(draft.folder)
    draft.check_room(creation.nbytes())
    saving.optimized_model_filepath = draft.path(COPY_FILE)
    saving.add_session_config_entry(SAVED_DATA, DATA_FILE)
    return creation.signature(creation.in_place(saving))


cdef Py_ssize_t rewritten_bytes(str path) except -1:
    """Count the bytes of the weights that a saved graph holds itself."""
    cdef ModelSource graph = ModelSource(path)
    cdef Skeleton found = scan_onnx(
        <const unsigned char *>graph.bytes.buf, graph.bytes.len, path, b"-", DEFAULT_THRESHOLD, b""
    )
    return found.mapped_bytes


cdef int check_model(Creation creation, object options) except -1:
    """Raise `Refused` if ONNX Runtime refuses the model, not only to save it."""
    try:
        creation.signature(creation.in_place(options))
    except OrtError as error:
        raise Refused(error) from None
    return 0


cdef object step_of(object options):
    """Copy options for a session that is a step of creating another."""
    copy = options.copy()
    copy._creating = options._creating   # set_load_cancellation_flag() reaches this step too
    return copy


cdef object quiet(object options):
    """Copy options for a session that is never run."""
    copy = step_of(options)
    copy.enable_profiling = False
    copy.log_severity_level = LOG_ERRORS   # no warning that the saved file is for this machine
    copy.add_session_config_entry(NO_PREPACKING, "1")   # the graph is the same, the peak lower
    return copy


cdef int empty(str folder) except -1:
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    return 0
