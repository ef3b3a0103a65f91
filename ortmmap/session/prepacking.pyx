"""The cache's prepacked weights: how they are recorded, saved and shared between processes."""

cimport ortmmap.abi.ort as ort
from ortmmap.cache.prepack cimport Pages, Recording, creating, start
from ortmmap.model.source cimport ModelSource
from ortmmap.session.creation cimport Attempt, Creation
from ortmmap.session.native_options cimport NativeOptions
from ortmmap.runtime.library cimport api

import os

# Keys of onnxruntime_session_options_config_keys.h.
NO_PREPACKING = "session.disable_prepacking"
PARALLEL_PREPACKING = "session.prepack.enable_parallel"
ENVIRONMENT_ALLOCATORS = "session.use_env_allocators"

PAGES_FILE = "pages"


cdef class PrepackedCreation(Creation):
    """A `Creation` whose session shares prepacked weights with those of other processes.

    Parameters
    ----------
    model, skeleton, options, config, providers
        As for `Creation`.
    store : Store
    key : Key
    """

    cdef object store
    cdef object key

    def __init__(self, model, skeleton, options, config, providers, store, key):
        self.store, self.key = store, key

    cdef ort.OrtSession *create(self, list attempts) except NULL:
        cdef ort.OrtSession *session
        if not is_prepacked((<Attempt>attempts[0]).options) or not start():
            return self.try_each(attempts)
        pages = self._find()
        if pages is not None:
            return self._create_recorded(attempts, pages)
        session = NULL
        with self.store.lock(self.key) as turn:
            pages = self._find()
            session = self._create_recorded(attempts, pages)
            if pages is None and turn and self.recording is not None:
                try:
                    self.model.check_whole()
                    self._save()
                except BaseException:
                    api.ReleaseSession(session)
                    raise
        return session

    cdef int _prepare(self, NativeOptions native) except -1:
        """Let threads that prepack in parallel record too."""
        if self.recording is None or self.options._config.get(PARALLEL_PREPACKING) != "1":
            return 0
        return (<Recording>self.recording).set_threads(native.options)

    cdef ort.OrtSession *_create_recorded(self, list attempts, Pages pages) except NULL:
        """Create a session whose kernels' memory is recorded, and shared with `pages` if equal.

        Nothing is recorded if another allocator has replaced ours meanwhile.
        """
        cdef Recording recording = Recording()
        recorded = [allocating(attempt) for attempt in attempts]
        with creating.here():
            if not start():
                return self.try_each(attempts)
            self.recording = recording
            if pages is not None:
                self.use_entry(pages.entry)
            recording.begin(pages)
            try:
                return self.try_each(recorded)
            finally:
                with nogil:
                    recording.end()
                self._drop_weights()

    cdef int _drop_weights(self) except -1:
        """Drop the original weights from this process if their prepacked copies are shared.

        The parts that are still used lie scattered, so a touch shall not bring back 2 MiB.
        """
        cdef ModelSource model = self.model
        shared_blocks, shared_bytes = self.recording.shared_blocks()
        if model.prefault or model.lock or not shared_blocks:
            return 0
        model.mapping.advise("dontneed")
        if 2 * shared_bytes > model.mapping.nbytes:
            try:
                model.mapping.advise("nohugepage")
            except OSError:
                return 0   # a kernel without huge pages, or another system
        return 0

    cdef Pages _find(self):
        """Return the blocks that an earlier process recorded, or None."""
        entry = self.store.find(self.key, "pages")
        return None if entry is None else self._open(entry)

    cdef Pages _open(self, object entry):
        """Open an entry's blocks; if they are damaged or gone, remove it and return None."""
        from ortmmap.cache.pages import BadPages

        try:
            return open_pages(entry)
        except (BadPages, OSError):
            self.store.remove(entry.name)
            return None

    cdef int _save(self) except -1:
        """Write the recorded blocks to the cache, and put the file's pages in their place."""
        from ortmmap.cache.pages import write_pages

        blocks = self.recording.blocks()
        draft = self.store.write(self.key, "pages", expect=sum(map(len, blocks)))
        if draft is None:
            return 0
        with draft:
            fd = os.open(draft.path(PAGES_FILE), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                write_pages(fd, draft.key, blocks)
            finally:
                os.close(fd)
        pages = None if draft.entry is None else self._open(draft.entry)
        if pages is not None:
            self.use_entry(draft.entry)
            (<Recording>self.recording).share(pages)
            self._drop_weights()
        return 0


cdef Attempt allocating(Attempt attempt):
    """Return an attempt whose session uses the allocator that records."""
    config = {ENVIRONMENT_ALLOCATORS: "1", **attempt.config}
    return Attempt(attempt.options, config, attempt.data, attempt.file)


cdef bint is_prepacked(object options) except -1:
    return options.enable_cpu_mem_arena and options._config.get(NO_PREPACKING) != "1"


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
