"""Learning: which stored blocks kernels pack from stand-ins of a graph's weights.

A session of the cache's graph is created twice, by one thread, so that kernels allocate the same
blocks in the same order: of the weights themselves, which shows the stored block of each, and of
stand-ins, which shows its fingerprint. Neither session is ever run.
"""

cimport ortmmap.abi.ort as ort
from ortmmap.cache.prepack cimport Recording, StandIns
from ortmmap.model.weights cimport Weight
from ortmmap.process.guard cimport ortmmap_count_add
from ortmmap.session.creation cimport Attempt
from ortmmap.session.recorded_creation cimport RecordedCreation, recorded_attempts

from ortmmap.errors import OrtError
from ortmmap.runtime.library import get_version_string
from ortmmap.session.optimizing import quiet


def learn(RecordedCreation creation not None, filing) -> None:
    """Write how the blocks of a model's entry are recognized, if they can be.

    Parameters
    ----------
    creation : RecordedCreation
        Of the model's files. It is used for this only.
    filing : Filing
        What its `check` raises ends the work.
    """
    from ortmmap.cache.draft import add_file
    from ortmmap.cache.recognition import RECOGNITION_FILE, is_proven, pack

    if not (creation.prepacked and is_proven(get_version_string())):
        return
    creation.options, creation.threads = quiet(creation.options), 1
    creation.options.set_load_cancellation_flag(False)   # it may have been interrupted before
    filing.on_cancel(lambda: creation.options.set_load_cancellation_flag(True))
    if creation._may_blocks_change() or not creation._find() or not creation.graph:
        return
    entry = creation.pages.entry
    if entry.system or (creation.pages.stand_ins is not None and not creation.mistaken):
        return
    found = recognition_of(creation, filing)
    filing.check()
    if found is not None:
        add_file(creation.store, entry, RECOGNITION_FILE, pack(found, entry.key))


cdef object recognition_of(RecordedCreation creation, object filing):
    """Return a `Recognition`; without weights if there can be none, so that nobody tries again.

    Return None if the process can have no more mappings, if the model is too small, or if a
    session of the weights themselves fails.
    """
    from ortmmap.cache.recognition import LEAST_TOTAL, Recognition

    cdef list weights
    cdef object found = None
    cdef size_t blocks = creation.pages.store.count
    if creation.pages._size < LEAST_TOTAL:
        return None
    weights = packed(creation)
    ortmmap_count_add(&creation.model.guard.users, 1)
    try:
        if weights:
            filing.check()
            compared = blocks_of(creation, None)
            filing.check()
            stood_in = blocks_of_stand_ins(creation, weights, filing)
            if compared is None or stood_in is None:
                return None
            found = match(creation, compared, stood_in)
    except OrtError:
        return None   # one like it was created before, so the reason passes
    finally:
        ortmmap_count_add(&creation.model.guard.users, -1)
    if found is None:
        return Recognition([(0, 0)] * blocks, list(range(blocks)), [], 0)
    fingerprints, order, dependent = found
    return Recognition(fingerprints, order, [weight.name for weight in weights], dependent)


cdef list packed(RecordedCreation creation):
    """Return the weights of the graph that can have stand-ins; none if they are of no use."""
    from ortmmap.cache.recognition import LEAST_BYTES, LEAST_TOTAL, MOST_TOTAL
    from ortmmap.model.packed_weights import packed_weights

    cdef Attempt graph = creation.graph[0]
    cdef Weight weight
    names = set(packed_weights(graph.data))
    found = [
        weight
        for weight in graph.weights or []
        if weight.name in names and weight.nbytes >= LEAST_BYTES
    ]
    total = sum([weight.nbytes for weight in found])
    return found if LEAST_TOTAL <= total <= MOST_TOTAL else []


cdef list blocks_of(RecordedCreation creation, StandIns stand_ins):
    """Create a session, and return what was learned of its blocks; None if that is not all."""
    cdef ort.OrtSession *session
    cdef Recording recording
    cdef list learned
    session = creation.record(recorded_attempts(creation.graph, {}), stand_ins, True)
    if session == NULL:
        return None
    recording = <Recording>creation.recording
    learned = recording.learned() if recording.is_complete() else None
    creation.release(session)
    return learned


cdef list blocks_of_stand_ins(RecordedCreation creation, list weights, object filing):
    """Return the blocks of a session of stand-ins; none if only they make its creation fail."""
    try:
        return blocks_of(creation, StandIns(weights))
    except OrtError:
        filing.check()   # a cancelled creation fails too
        blocks_of(creation, None)   # raises if the reason is another one, such as little memory
        return []


cdef object match(RecordedCreation creation, list compared, list stood_in):
    """Return the fingerprint of each stored block, and the order in which they are allocated.

    The third of the tuple is how many blocks depend on the stand-ins. Return None if one cannot be
    told from another.
    """
    cdef dict found = {}
    cdef dict owners = {}
    cdef Py_ssize_t dependent = 0
    if len(compared) != len(stood_in):
        return None
    for (size, stored, real), (other_size, _, fingerprint) in zip(compared, stood_in, strict=True):
        if size != other_size or stored is None:
            return None
        if fingerprint == real:
            continue   # it was packed from other weights, and is compared
        dependent += 1
        if found.setdefault(stored, fingerprint) != fingerprint:
            return None
        owner = owners.setdefault(fingerprint, stored)
        if not creation.pages.is_equal(owner, stored):
            return None
    indices = range(creation.pages.store.count)
    order = dict.fromkeys([stored for _, stored, _ in compared])   # each once
    order.update(dict.fromkeys(indices))
    return [found.get(index, (0, 0)) for index in indices], list(order), dependent
