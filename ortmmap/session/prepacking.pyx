"""The cache's part in creating a session: what is found, and what is written afterwards.

If the cache has all that belongs to the model, the session is created of the saved graph, and its
prepacked weights are the cache's pages. If not, it is created of the model's own file, and handed
out; a thread then saves the graph, writes the prepacked weights, and exchanges them for the pages
of the file that it has written. If it is known that they cannot be written, nothing is recorded.
"""

cimport ortmmap.abi.ort as ort
from ortmmap.cache.prepack cimport Pages, Recording
from ortmmap.process.guard cimport ortmmap_count_add
from ortmmap.process.malloc_trim cimport ortmmap_malloc_trim
from ortmmap.session.creation cimport Attempt, Creation
from ortmmap.session.recorded_creation cimport RecordedCreation

import os

from ortmmap.runtime.library import get_version_string
from ortmmap.session.cached import PRIVATE, SHARED, Cached
from ortmmap.session.optimizing import Refused, save_optimized, unsaved
from ortmmap.session.recorded_creation import PAGES_FILE

MOST_TRIES = 3


cdef class PrepackedCreation(RecordedCreation):
    """A `Creation` whose session shares prepacked weights with those of other processes.

    Parameters
    ----------
    model, skeleton, options, config, providers, store, key
        As for `RecordedCreation`.
    """

    cdef int tries        # sessions that were given up since their pages were not written
    cdef object filing    # a Filing; None if there is nothing to write or to learn

    cdef ort.OrtSession *create_found(self) except? NULL:
        if not self.store.is_searched():
            return NULL
        self._find()
        if not self.graph:
            return NULL
        if self._lacks_pages() and self._check_sharing():
            return NULL
        self.found_graph = (<Attempt>self.graph[0]).data
        return self._create_shared([])

    cdef ort.OrtSession *create(self, list attempts) except NULL:
        cdef ort.OrtSession *session
        if not self.store.is_searched():
            return self._create_private(attempts, self._known_failure())
        self._check_sharing()
        if self._find():
            return self._create_shared(attempts)
        reason = self._known_failure()
        if reason is not None:
            return self._create_private(attempts, reason)
        turn = self.store.lock(self.key)
        try:
            is_ours = turn.acquire(self._find_begun)
            if self._find():
                turn.release()
                return self._create_shared(attempts)
            if not is_ours:
                self._note_failure(turn)
                return self._create_private(
                    attempts, turn.failure or "another process has not written it, or cannot"
                )
            session = self._create_recorded(attempts)
        except BaseException:
            turn.release()
            raise
        self._prepare_filing(turn)
        return session

    cdef bint hand_out(self) except -1:
        filing, self.filing = self.filing, None
        if filing is None:
            return False
        if self._may_blocks_change():
            filing.run()
        else:
            filing.start()
        return not filing.rests   # learning alone does not

    cdef int give_up(self) except -1:
        if self.filing is not None:
            self.filing.give_up()
            self.filing = None
        return 0

    def _find_begun(self):
        """Look for the entries, of which the lock's owner may be writing the pages."""
        self._find_graph()
        if self._lacks_pages() and not self._lacks_graph():
            self.pages = open_begun(self.store, self.key)
            self.folder = self.store.folder
        return not (self._lacks_graph() or self._lacks_pages())

    # Creating the session

    cdef ort.OrtSession *_create_shared(self, list attempts) except NULL:
        """Create a session of all that the cache has.

        If another process was writing the pages, and has ended before, or a fork has interrupted
        it, the session would keep a private copy of the rest. It is created anew then.
        """
        cdef ort.OrtSession *session = self._create_recorded(attempts)
        self.cached = Cached(SHARED, self.unshared, self.folder)
        if self.pages is None or not self.pages.is_cut_off():
            self._prepare_learning()
            return session
        if self.pages.is_waited_for() and self.tries < MOST_TRIES:
            self.release(session)
            self.entries.remove(self.pages.entry)
            self.pages = None
            self.tries += 1
            return self.create(attempts)
        self.cached = Cached(PRIVATE, "another process has not written it, or cannot")
        return session

    cdef ort.OrtSession *_create_private(self, list attempts, str reason) except NULL:
        """Create a session as without the cache, but of the saved graph if there is one."""
        self.cached = Cached(PRIVATE, reason)
        if self.pages is not None:
            return self._create_recorded(attempts)
        return self.try_each((self.graph or []) + attempts)

    # Writing the cache

    cdef object _known_failure(self):
        """Return why writing would fail, if that is known before any work is done, or None."""
        from ortmmap.cache.failures import failure
        from ortmmap.session.filing import lack_of_threads

        lacking = (("model", self._lacks_graph()), ("pages", self._lacks_pages()))
        reason = self.store.prepare(self.key, [kind for kind, lacks in lacking if lacks])
        if reason is None and not self._may_blocks_change():
            reason = lack_of_threads()
        return reason or failure(self.store, self.key)

    cdef int _note_failure(self, object turn) except -1:
        from ortmmap.cache.failures import remember_folder

        if turn.failure is not None:
            remember_folder(self.store.folder, turn.failure)
        return 0

    cdef int _prepare_filing(self, object turn) except -1:
        """Keep what is to be written; hand_out() or give_up() follows.

        If there is no room for it, that is noted, and nothing follows.
        """
        from ortmmap.session.filing import Filing

        reason = self._lack_of_room()
        if reason is not None:
            turn.release()
            self.cached = Cached(PRIVATE, reason)
            return 0
        self.filing = Filing(self._file, turn, self._let, self._identifying())
        self.cached = self.filing.cached
        self.cached.folder = self.store.folder
        if self.recording is not None:
            (<Recording>self.recording).keep()
        return 0

    cdef object _lack_of_room(self):
        """Return why there is no room for the recorded blocks, or None."""
        from ortmmap.cache.failures import remember
        from ortmmap.cache.folder import warn

        nbytes = self._bytes_to_write()
        reason = self.store.no_room(nbytes)
        if reason is not None:
            remember(self.store, self.key, nbytes)
            self.store.note_failure(self.key)
            warn("write", f"the cache is not written for {self.key.model}: {reason}")
        return reason

    cdef Py_ssize_t _bytes_to_write(self) except -1:
        if self.recording is None or not self._lacks_pages():
            return 0
        return self.recording.private_blocks()[1]

    cdef RecordedCreation _learner(self):
        """Return what learns of the entries; it does not hold the session's model."""
        cdef RecordedCreation learner = RecordedCreation(
            self.model.of_files(), self.skeleton, self.options.copy(), self.config,
            self.providers, self.store, self.key,
        )
        learner.mistaken = self.mistaken
        return learner

    cdef int _prepare_learning(self) except -1:
        """Have the thread learn of an entry whose writer has not: it may have been killed before.

        One process at a time does so, if the cache may be written.
        """
        if not self._is_to_be_learned():
            return 0
        from ortmmap.session.filing import Filing

        learner, turn = self._learner(), self.store.lock(self.key, 0)

        def work(filing):
            from ortmmap.session.learning import learn

            if turn.acquire():
                learn(learner, filing)

        self.filing = Filing(work, turn, rests=True)
        return 0

    cdef bint _is_to_be_learned(self) except -1:
        """Whether the entry lacks a recognition, or has a wrong one, and may get another.

        A copy may not: in each new container of an image, the whole model would be read. What is
        wrong for a session whose blocks are others may be right where the entry was written.
        """
        from ortmmap.cache.recognition import LEAST_TOTAL, RECOGNITION_FILE, is_proven

        cdef Pages pages = self.pages
        if pages is None or pages._size < LEAST_TOTAL or pages.is_growing() or not self.graph:
            return False
        entry = pages.entry
        is_learned = any([file.name == RECOGNITION_FILE for file in entry.files])
        is_wrong = self.mistaken and self.recording.private_blocks()[0] == 0
        if entry.system or (is_learned and not is_wrong):
            return False
        return (
            is_proven(get_version_string())
            and not self._may_blocks_change()
            and entry.is_original(PAGES_FILE)
            and os.access(self.store.folder, os.W_OK)
            and self.store.no_room(1) is None
        )

    cdef object _identifying(self):
        """Return a function that does what nobody waits for."""
        store, key, learner = self.store, self.key, self._learner()

        def finish(filing):
            from ortmmap.cache.draft import identify
            from ortmmap.session.learning import learn

            learn(learner, filing)
            identify(store, key, filing.check)

        return finish

    def _let(self):
        """Give back the blocks that were kept for writing."""
        if self.recording is not None:
            self.recording.let()

    def _file(self, filing):
        """Write what the cache lacks; return why the session keeps its own copy, or None.

        Before that, give back what graph optimization has freed: milliseconds for 100 MB.
        """
        from ortmmap.cache.failures import remember

        with nogil:
            ortmmap_malloc_trim()
        cdef Creation saving = self._for_saving(filing)
        ortmmap_count_add(&saving.model.guard.users, 1)
        try:
            graph = self._file_graph(filing, saving) if self._lacks_graph() else None
            if not self._lacks_pages() or self.recording is None:
                return None
            reason = self._file_pages(filing, saving, graph)
        finally:
            ortmmap_count_add(&saving.model.guard.users, -1)
        if reason is not None:
            remember(self.store, self.key)
        return reason

    cdef Creation _for_saving(self, object filing):
        """Make a creation that neither the session's end nor its user's options affect."""
        options = self.options.copy()
        filing.on_cancel(lambda: options.set_load_cancellation_flag(True))
        return Creation(
            self.model.of_files(), self.skeleton, options, self.config, self.providers
        )

    cdef object _file_graph(self, object filing, Creation saving):
        """Save the graph, and return its entry; None if that failed."""
        entry = self.store.find(self.key, "model")   # of work that was interrupted
        if entry is not None:
            return entry
        draft = self.store.write(self.key, "model")
        if draft is None:
            return None
        try:
            with draft:
                save_optimized(saving, draft)
                filing.check()
        except Refused:
            filing.check()   # a cancelled creation fails as a refused model does
            return None
        filing.check()
        return draft.entry

    cdef object _file_pages(self, object filing, Creation saving, object graph):
        """Write the recorded blocks, and put the file's pages in their place."""
        from xxhash import xxh3_64

        from ortmmap.cache.pages import write_pages
        from ortmmap.cache.unfinished import claim

        cdef Pages pages
        if self._share_found(filing):
            return self._drop_weights() or None
        digest = xxh3_64()
        blocks = unsaved(self.recording.blocks(), graph)
        draft = self.store.write(self.key, "pages", expect=sum(map(len, blocks)))
        if draft is None:
            return "there is no room for it in the cache"
        with draft:
            saving.model.check_whole()
            fd = os.open(draft.path(PAGES_FILE), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                claim(fd)
                write_pages(fd, draft.key, blocks, filing.check, digest, begun=filing.begun)
            finally:
                os.close(fd)
            draft.note_checksum(PAGES_FILE, digest.intdigest())
        filing.written()
        pages = None if draft.entry is None else self._open(draft.entry)
        if pages is None:
            return "the cache could not be written"
        self.use_entry(draft.entry)
        (<Recording>self.recording).share(pages)
        return self._drop_weights() or None

    cdef bint _share_found(self, object filing) except -1:
        """Share the recorded blocks with pages that the cache has already; return whether it has.

        They are those of a copy of the model, or of work that was interrupted.
        """
        cdef Pages pages
        entry = self.store.find(self.key, "pages")
        pages = None if entry is None else self._open(entry)
        if pages is None:
            return False
        filing.written()
        self.use_entry(entry)
        (<Recording>self.recording).share(pages)
        return True


cdef Pages open_begun(object store, object key):
    """Open the blocks that another process is writing; None if there are none."""
    from ortmmap.cache.unfinished import unfinished_entries

    for entry in unfinished_entries(store, key, "pages"):
        pages = open_unfinished(entry)
        if pages is not None:
            return pages
    return None


cdef Pages open_unfinished(object entry):
    """Open the blocks of a draft; None if it is another key's, a killed process's, or too new."""
    from ortmmap.cache.folder import longest_wait
    from ortmmap.cache.pages import BadPages, read_unfinished_table
    from ortmmap.cache.unfinished import is_claimed

    try:
        fd = entry.open(PAGES_FILE)
    except OSError:
        return None
    try:
        table, size = read_unfinished_table(fd, entry.key)
        if is_claimed(fd) or os.fstat(fd).st_size == size:
            return Pages(fd, table, size, entry, longest_wait())
    except BadPages:
        pass
    except BaseException:
        os.close(fd)
        raise
    os.close(fd)
    return None
