"""Recorded creations: sessions of the cache's graph, whose prepacked weights are its pages.

What kernels allocate is recorded while a session is created. A block that the cache's file of pages
has is replaced by these pages. It is compared, unless it was packed from stand-ins (`StandIns`) and
is recognized by its fingerprint: then neither weights nor pages are read. If a block is not
recognized then, the session is created again, and all blocks are compared.
"""

cimport ortmmap.abi.ort as ort
from ortmmap.cache.prepack cimport (
    Pages,
    Recording,
    StandIns,
    address_space_limit,
    creating,
    start,
    why_not_started,
)
from ortmmap.model.source cimport ModelSource
from ortmmap.model.weights cimport Weight
from ortmmap.session.creation cimport Attempt, Creation
from ortmmap.session.native_options cimport NativeOptions
from ortmmap.runtime.library cimport api, enter_runtime, leave_runtime

import os

from ortmmap.cache.folder import warn
from ortmmap.cache.pages import BadPages, read_table
from ortmmap.errors import OrtError
from ortmmap.runtime.library import get_version_string
from ortmmap.runtime.providers import CPU
from ortmmap.session.native_options import PARALLEL_PREPACKING
from ortmmap.session.optimizing import attempts_of

# Keys of onnxruntime_session_options_config_keys.h.
NO_PREPACKING = "session.disable_prepacking"
ENVIRONMENT_ALLOCATORS = "session.use_env_allocators"

# Stand-ins are packed in turn by sessions of more threads than these, each of which has a fold.
MOST_FOLDS = 8
IN_TURN = {PARALLEL_PREPACKING: "0"}

PAGES_FILE = "pages"


cdef class RecordedCreation(Creation):
    """A `Creation` whose kernels' memory is recorded, and shared with the cache's pages if equal.

    Parameters
    ----------
    model, skeleton, options, config, providers
        As for `Creation`.
    store : Store
    key : Key
    """

    def __init__(self, model, skeleton, options, config, providers, store, key):
        self.store, self.key = store, key
        self.prepacked = is_prepacked(options)

    cdef int _prepare(self, NativeOptions native) except -1:
        """Have the session's threads record, and rest until there is something to prepack."""
        if self.recording is None or not native.has_own_threads:
            return 0
        return (<Recording>self.recording).set_threads(native.options)

    cdef bint _check_sharing(self) except -1:
        """Find out whether prepacked weights can be shared in this process."""
        if not self.prepacked or start():
            return self.prepacked
        self.prepacked, self.pages = False, None
        self.unshared = why_not_started()
        if address_space_limit() is not None:
            warn("address space", f"prepacked weights are not shared: {self.unshared}")
        return False

    # Reading the cache

    cdef bint _find(self) except -1:
        """Look for the entries, and return whether none is missing."""
        self._find_graph()
        if self._lacks_pages():
            entry = self.store.find(self.key, "pages", thorough=False)
            self.pages = None if entry is None else self._open(entry)
            self._note_folder(entry)
        return not (self._lacks_graph() or self._lacks_pages())

    cdef int _find_graph(self) except -1:
        if self._lacks_graph():
            entry = self.store.find(self.key, "model", thorough=False)
            self.graph = None if entry is None else self._attempts_of(entry)
            self._note_folder(entry)
        return 0

    cdef list _attempts_of(self, object entry):
        """Return the attempts for a session of an entry's graph; if it is damaged, drop it."""
        try:
            return attempts_of(self, entry)
        except OrtError as error:
            self.store.drop(entry, error)
        if not self.model.holds_model():
            self.model.map(self.model.path)   # its bytes were to be those of the entry's weights
        return None

    cdef int _note_folder(self, object entry) except -1:
        if entry is not None:
            self.folder = entry.cache
        return 0

    cdef bint _lacks_graph(self) noexcept:
        return self.skeleton is not None and self.graph is None

    cdef bint _lacks_pages(self) noexcept:
        return self.prepacked and self.pages is None

    cdef Pages _open(self, object entry):
        """Open an entry's blocks; None if they are damaged, and dropped, or cannot be opened."""
        try:
            return open_pages(entry)
        except BadPages as error:
            self.store.drop(entry, error)
        except FileNotFoundError:
            pass   # the cache was cleared in between
        except OSError as error:   # of this process's limits or rights: it is no fault of the entry
            warn("read", f"the cache cannot be read: {error}")
        return None

    # Creating the session

    cdef ort.OrtSession *_create_recorded(self, list attempts) except NULL:
        """Create a session of stand-ins if possible, else of the weights themselves.

        Nothing is recorded where prepacked weights cannot be shared.
        """
        cdef ort.OrtSession *session
        attempts = (self.graph or []) + attempts
        if not self.prepacked:
            return self.try_each(attempts)
        recorded = recorded_attempts(attempts, {})
        with creating.here():
            if self.pages is not None:
                self._use_pages()
            session = self._create_of_stand_ins(attempts[:1])
            if session == NULL:
                session = self.record(recorded, None, False)
            if session == NULL:
                self.recording = None
                return self.try_each(attempts)
            self._drop_weights()
            return session

    cdef ort.OrtSession *_create_of_stand_ins(self, list attempts) except? NULL:
        """Create a session whose blocks are recognized; return NULL if that is impossible."""
        cdef ort.OrtSession *session
        weights = self.stood_for(self.pages.stand_ins) if self._may_stand_in() else []
        if not weights:
            return NULL
        self._read_single_pages(weights)
        for packing in self._packings():
            session = self._recognized(recorded_attempts(attempts, packing), weights)
            if session != NULL:
                return session
        advise(weights, "normal")
        return NULL

    cdef list _packings(self):
        """Return the configurations to create a session of stand-ins with, first choice first.

        ONNX Runtime's threads digest each packed buffer while the fold still has it. If a version
        did so later, buffers that lie alike would have one digest, and be taken for one: then the
        session lacks blocks, and stand-ins are packed in turn.
        """
        cdef int threads = self.options.intra_op_num_threads or self.threads
        return [{}, IN_TURN] if 2 <= threads <= MOST_FOLDS else [IN_TURN]

    cdef ort.OrtSession *_recognized(self, list attempts, list weights) except? NULL:
        """Create a session of stand-ins; return NULL if a block is not recognized."""
        cdef ort.OrtSession *session
        try:
            session = self.record(attempts, StandIns(weights), False)
        except OrtError:
            return NULL   # it fails in the same way, or is created, without them
        if session == NULL:
            return NULL
        self.mistaken = not self._is_recognized()
        if self.mistaken:
            self.release(session)
            return NULL
        return session

    cdef bint _is_recognized(self) except -1:
        """Whether no block of the session holds the pattern."""
        cdef Recording recording = self.recording
        return (
            recording.is_complete()
            and recording.private_blocks()[0] == 0
            and recording.recognized_blocks() == self.pages.dependent
        )

    cdef list _files_to_read(self):
        cdef Attempt graph
        files = Creation._files_to_read(self)
        if files and self.graph:
            graph = self.graph[0]
            mappings = dict.fromkeys([weight.mapping for weight in graph.weights or ()])
            files = [(mapping.path, mapping.nbytes) for mapping in mappings]
        if self.pages is not None and not self.pages.is_growing():
            pages = os.path.join(self.pages.entry.folder, PAGES_FILE)
            files.insert(0, (pages, self.pages._size))
        return files

    cdef int _read_single_pages(self, list stood_for) except -1:
        """Have an access read one page from the disk, unless it is to a large weight of others.

        What lies between the weights would otherwise bring megabytes of them into memory. If they
        are few, that is quicker than reading the rest page by page.
        """
        from ortmmap.cache.recognition import LEAST_BYTES

        cdef Weight weight
        cdef Attempt graph = self.graph[0]
        nbytes = sum([mapping.nbytes for mapping in {weight.mapping for weight in stood_for}])
        if 4 * sum([weight.nbytes for weight in stood_for]) < nbytes:
            return 0
        self.reads_model = False
        advise(stood_for, "random")
        others = set(graph.weights) - set(stood_for)
        for weight in others:
            if weight.nbytes >= LEAST_BYTES:
                weight.mapping.advise("normal", weight.offset, weight.nbytes)
        return 0

    cdef bint _may_stand_in(self) except -1:
        """Whether blocks can be recognized, and weights need not be in memory."""
        from ortmmap.cache.recognition import is_proven

        cdef ModelSource model = self.model
        return (
            self.pages is not None
            and self.pages.stand_ins is not None
            and bool(self.graph)
            and not (model.prefault or model.lock)
            and not self._may_blocks_change()
            and is_proven(get_version_string())
        )

    cdef bint _may_blocks_change(self) except -1:
        """Whether other code than ONNX Runtime's own kernels may write to recorded memory.

        Such blocks are compared and exchanged before anybody runs the session.
        """
        return bool(self.options._custom_ops) or any(name != CPU for name, _ in self.providers)

    cdef list stood_for(self, list names):
        """Return the graph's weights of these names, in this order; empty if one is missing."""
        cdef Weight weight
        cdef Attempt graph = self.graph[0]
        found = {weight.name: weight for weight in graph.weights or []}
        if not all([name in found for name in names]):
            return []
        return [found[name] for name in names]

    cdef ort.OrtSession *record(
        self, list attempts, StandIns stand_ins, bint learning
    ) except? NULL:
        """Create a session, recorded; return NULL if stand-ins cannot be put in or out of place."""
        cdef Recording recording = Recording()
        cdef ort.OrtSession *session = NULL
        cdef bint is_recorded = False, is_whole = True
        self.recording = recording
        if self.pages is not None:
            self.pages.recognize(stand_ins is not None and not learning)
        try:
            if stand_ins is not None:
                placed = stand_ins.put()
                if placed is None:
                    return NULL
                attempts = [with_weights(attempt, placed) for attempt in attempts]
            if not self._check_sharing():
                return NULL
            recording.begin(self.pages, learning)
            is_recorded = True
            session = self.try_each(attempts)
        finally:
            if is_recorded:
                with nogil:
                    recording.end()
            if stand_ins is not None:
                is_whole = stand_ins.remove()
        if not is_whole:
            self.release(session)
            return NULL
        return session

    cdef int release(self, ort.OrtSession *session) except -1:
        """Release a session that is not handed out."""
        with nogil:
            enter_runtime()
            api.ReleaseSession(session)
            leave_runtime()
        self.recording = None
        return 0

    cdef int _use_pages(self) except -1:
        """Hold the entry of the pages while the session is open, and guard its file."""
        entry = self.pages.entry
        if self.pages.is_growing():
            self.entries.append(entry)
            return self.model.guard_files(entry.paths(PAGES_FILE))
        return self.use_entry(entry)

    cdef int _drop_weights(self) except -1:
        """Drop the original weights from this process if their prepacked copies are shared.

        The parts that are still used lie scattered, so a touch shall not bring back 2 MiB.
        """
        cdef ModelSource model = self.model
        mappings = model.mappings()
        shared_blocks, shared_bytes = self.recording.shared_blocks()
        if model.prefault or model.lock or not shared_blocks:
            return 0
        for mapping in mappings:
            mapping.advise("dontneed")
        if 2 * shared_bytes > sum([mapping.nbytes for mapping in mappings]):
            try:
                for mapping in mappings:
                    mapping.advise("nohugepage")
            except OSError:
                return 0   # a kernel without huge pages, or another system
        return 0


cdef int advise(list weights, str advice) except -1:
    """Advise the system on the whole files that weights lie in."""
    for mapping in {weight.mapping for weight in weights}:
        mapping.advise(advice)
    return 0


cdef Attempt with_weights(Attempt attempt, list weights):
    """Return an attempt with these in the place of its weights of the same names."""
    cdef Weight weight
    given = {weight.name: weight for weight in weights}
    weights = [given.get(weight.name, weight) for weight in attempt.weights]
    return Attempt(attempt.options, attempt.config, attempt.data, attempt.file, weights)


cdef list recorded_attempts(list attempts, dict more):
    """Return attempts whose sessions use the allocator that records, with more configuration."""
    cdef Attempt each
    config = {ENVIRONMENT_ALLOCATORS: "1", **more}
    return [
        Attempt(each.options, {**config, **each.config}, each.data, each.file, each.weights)
        for each in attempts
    ]


cpdef bint is_prepacked(object options) except -1:
    """Whether a session with these options shares prepacked weights."""
    return options.enable_cpu_mem_arena and options._config.get(NO_PREPACKING) != "1"


cdef Pages open_pages(object entry):
    fd = entry.open(PAGES_FILE)
    try:
        table = read_table(fd, entry.key)
        return Pages(
            fd, table, os.fstat(fd).st_size, entry, None, read_recognition(entry, len(table))
        )
    except BaseException:
        os.close(fd)
        raise


cpdef object read_recognition(object entry, int blocks):
    """Read an entry's `Recognition`; return None if it has none that is valid."""
    from ortmmap.cache.recognition import MOST_BYTES, RECOGNITION_FILE, parse

    sizes = [file.size for file in entry.files if file.name == RECOGNITION_FILE]
    if not sizes or sizes[0] > MOST_BYTES:
        return None
    fd = entry.open(RECOGNITION_FILE)
    try:
        return parse(os.read(fd, sizes[0]), entry.key, blocks)
    finally:
        os.close(fd)
