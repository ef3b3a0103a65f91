"""Recorded creations of sessions, and the pages that their blocks are shared with.

While a session is created, the allocator of ``shared_pages.h`` serves the memory that kernels
prepack weights into. It is registered with the environment once, and only sessions with
``session.use_env_allocators`` use it. Allocations outside a recording go to ONNX Runtime's own
arena, which belongs to a session that is kept for it.
"""

from cpython.buffer cimport PyBUF_READ
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp

from ortmmap.cache.arena cimport await_arena, begin_arena, make_arena, shrink_arena
from ortmmap.model.weights cimport Weight, placed_at
from ortmmap.runtime.library cimport (
    ProcessLock,
    api,
    check,
    cpu_memory,
    env,
    forks,
    intact_since,
    lock_at_fork,
)

import os

from ortmmap.runtime.idle_processor import has_idle_processor

LEAST_ADDRESS_SPACE = 4 << 30   # of the heap, heap.c
LONGEST_WAIT = 1e6   # seconds

# Held while a creation is recorded, so that one at a time has the memory and the cores, and while
# the allocator is replaced. Acquired before `_starting`.
creating = ProcessLock()

cdef ProcessLock _starting = ProcessLock()   # guards the fields below
cdef ort.OrtAllocator *_allocator = NULL     # set by the first start()
cdef bint _tried = False
cdef bint _started = False
cdef bint _replaced = False                  # by a user's allocator
cdef bint _begun = False                     # or tried to
cdef int _forks = 0   # the fork count of the process that made the arena


cdef int begin_start() except -1:
    """Begin, if a processor is idle, what the first start() spends time on.

    await_start() must follow.
    """
    global _begun
    with _starting.here():
        if not (_begun or _tried):
            _begun = True
            if has_idle_processor():
                begin_arena()
    return 0


cdef int await_start() except -1:
    """Wait for the end of what begin_start() has begun, so that the process may end."""
    with _starting.here():
        await_arena()
    return 0


cdef bint start() except -1:
    """Register the allocator, once in a process; False if the platform does not support it."""
    global _tried, _started, _forks
    with _starting.here():
        if not _tried:
            _forks = forks
            try:
                _started = _register()
            finally:
                _tried = True   # not before: a child forked meanwhile has no outcome
        elif _started and _forks < intact_since:
            _forks = forks
            csp.ortmmap_allocator_set_arena(make_arena())   # the parent's may stay locked
        return _started


cdef object why_not_started():
    """Return why start() has returned False."""
    with _starting.here():
        if _replaced or _allocator != NULL:
            return "another allocator is registered for the CPU"
    limit = address_space_limit()
    if limit is None:
        return "this system cannot exchange pages"
    return (
        f"the address space is limited to {limit} bytes (RLIMIT_AS), a quarter of which is less "
        f"than the {LEAST_ADDRESS_SPACE} bytes that sharing reserves"
    )


cdef object address_space_limit():
    """Return the process's limit of address space, in bytes; None if there is none."""
    try:
        import resource
    except ImportError:   # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


cdef int give_way() except -1:
    """Unregister the allocator, so that a user's can be registered; `settle` must follow.

    The caller holds `creating`. Recorded sessions keep using the allocator.
    """
    with _starting.here():
        if _started:
            check(api.UnregisterAllocator(env, cpu_memory))
    return 0


cdef int settle(bint replaced) except -1:
    """Stop recording if the user's allocator was registered, else register ours again."""
    global _tried, _started, _replaced
    with _starting.here():
        if replaced:
            _tried, _started, _replaced = True, False, True
        elif _started:
            check(api.RegisterAllocator(env, _allocator))
    return 0


cdef bint _register() except -1:
    global _allocator
    cdef ort.OrtAllocator *arena = make_arena()
    _allocator = csp.ortmmap_allocator_start(arena, cpu_memory)
    if _allocator == NULL:
        return False
    lock_at_fork(csp.ortmmap_heap_lock, csp.ortmmap_heap_unlock)
    check(api.RegisterAllocator(env, _allocator))
    return True


cdef class Pages:
    """A mapped file of blocks that another process has recorded.

    Parameters
    ----------
    fd : int
        The file, open for reading. The object closes it.
    table : list of (int, int)
        Offset and size of each block, in bytes.
    size : int
        Size of the file in bytes, once it is complete.
    entry : Entry or UnfinishedEntry
        The cache entry that the file belongs to.
    most_seconds : float, optional
        How long to wait for the process that is writing the file, in all; by default the file is
        complete.
    recognition : Recognition, optional
        By which the blocks can be recognized.

    Raises
    ------
    MemoryError
        If the file cannot be mapped; the descriptor stays open.
    """

    def __cinit__(
        self, int fd, list table, size_t size, entry, most_seconds=None, recognition=None
    ):
        cdef csp.ortmmap_stored_block *blocks
        cdef size_t index = 0
        self.store.data = csp.ortmmap_store_map(fd, size)
        blocks = <csp.ortmmap_stored_block *>calloc(len(table) + 1, sizeof(blocks[0]))
        if self.store.data == NULL or blocks == NULL:
            free(blocks)
            raise MemoryError()
        for offset, block_size in table:
            blocks[index].offset, blocks[index].size = offset, block_size
            index += 1
        self.entry, self._size = entry, size
        self.store.fd = fd
        self.store.blocks, self.store.count = blocks, index
        if most_seconds is not None:
            self.growing.fd = fd
            self.growing.most_waits = <long>(1000 * min(most_seconds, LONGEST_WAIT))
            self.store.growing = &self.growing
        if recognition is not None:
            self._set_fingerprints(recognition.fingerprints, recognition.order)
            self.stand_ins, self.dependent = recognition.weights, recognition.dependent

    def __dealloc__(self):
        free(self._fingerprints)
        free(self._order)
        if self.store.data != NULL:
            csp.ortmmap_store_unmap(self.store.data, self._size)
        if self.store.blocks != NULL:
            os.close(self.store.fd)
            free(<void *>self.store.blocks)

    def _set_fingerprints(self, fingerprints, order):
        cdef size_t index
        self._fingerprints = <csp.ortmmap_fingerprint *>calloc(
            self.store.count + 1, sizeof(self._fingerprints[0])
        )
        self._order = <size_t *>calloc(self.store.count + 1, sizeof(self._order[0]))
        if self._fingerprints == NULL or self._order == NULL:
            raise MemoryError()
        for index in range(self.store.count):
            self._fingerprints[index].low, self._fingerprints[index].high = fingerprints[index]
            self._order[index] = order[index]
        self.store.order = self._order

    cdef int recognize(self, bint whether) noexcept:
        """Have the next recording recognize the blocks, or compare them."""
        self.store.fingerprints = self._fingerprints if whether else NULL
        return 0

    cdef bint is_equal(self, size_t one, size_t other) noexcept:
        """Whether two blocks have the same contents."""
        cdef const csp.ortmmap_stored_block *blocks = self.store.blocks
        return blocks[one].size == blocks[other].size and memcmp(
            self.store.data + blocks[one].offset,
            self.store.data + blocks[other].offset,
            blocks[one].size,
        ) == 0

    cdef bint is_growing(self) noexcept:
        """Whether the file was being written when it was opened."""
        return self.store.growing != NULL

    cdef bint is_cut_off(self) noexcept:
        """Whether blocks were waited for that were not written."""
        return self.store.growing != NULL and self.growing.ended

    cdef bint is_waited_for(self) noexcept:
        """Whether there was time left to wait."""
        return self.growing.most_waits > 0


cdef class Recording:
    """A recorded creation of a session. It must outlive the session."""

    def __dealloc__(self):
        csp.ortmmap_recorder_let(&self.recorder)
        csp.ortmmap_recorder_release(&self.recorder)

    cdef int set_threads(self, ort.OrtSessionOptions *options) except -1:
        """Record the session's threads too (``session_threads.h``)."""
        check(api.SessionOptionsSetCustomCreateThreadFn(options, csp.ortmmap_create_thread))
        check(api.SessionOptionsSetCustomThreadCreationOptions(options, &self.recorder))
        check(api.SessionOptionsSetCustomJoinThreadFn(options, csp.ortmmap_join_thread))
        return 0

    cdef int begin(self, Pages pages, bint learning=False) except -1:
        """Record this thread's allocations until end(); share them with `pages`, if any.

        If learning, the session must not run.
        """
        self.recorder.learning = learning
        if not csp.ortmmap_recorder_begin(&self.recorder, NULL if pages is None else &pages.store):
            raise MemoryError()
        return 0

    cdef int end(self) noexcept nogil:
        """End the recording, in the thread that began it, after which `pages` may go."""
        csp.ortmmap_recorder_end(&self.recorder)
        return 0

    def release_memory(self) -> None:
        """Free what runs have allocated, after the session is released."""
        with nogil:
            shrink_arena()

    cdef int share(self, Pages pages) except -1:
        """Share the private blocks with `pages`; other threads may use the session meanwhile."""
        with nogil:
            csp.ortmmap_recorder_share(&self.recorder, &pages.store)
        return 0

    cdef int keep(self) except -1:
        """Keep the blocks readable until let(), even if the session is released before."""
        csp.ortmmap_recorder_keep(&self.recorder)
        return 0

    def let(self) -> None:
        """Unmap the blocks that were freed since keep(), and keep none from here on."""
        with nogil:
            csp.ortmmap_recorder_let(&self.recorder)

    def blocks(self) -> list[memoryview]:
        """Return the blocks in the order of allocation.

        They are valid while the session lives or, between keep() and let(), in any case.
        """
        return [
            PyMemoryView_FromMemory(<char *><size_t>address, size, PyBUF_READ)
            for _, address, size, *_ in sorted(self._table())
        ]

    def shared_blocks(self) -> tuple[int, int]:
        """Return number and size in bytes of the live blocks that are shared."""
        return self._totals({csp.ORTMMAP_BLOCK_SHARED})

    def private_blocks(self) -> tuple[int, int]:
        """Return number and size in bytes of the live blocks that are not shared."""
        return self._totals(
            {csp.ORTMMAP_BLOCK_PRIVATE, csp.ORTMMAP_BLOCK_SCRATCH, csp.ORTMMAP_BLOCK_FOLDED}
        )

    def recognized_blocks(self) -> int:
        """Return the number of live blocks that are shared without having been compared."""
        return sum([recognized for *_, recognized in self._table()])

    cdef bint is_complete(self) noexcept:
        """Whether all blocks of the creation were recorded."""
        return self.recorder.missed == 0

    cdef list learned(self):
        """Return size, index in the store (None: not shared) and fingerprint of each block."""
        return [
            (size, stored if state == csp.ORTMMAP_BLOCK_SHARED else None, fingerprint)
            for _, _, size, state, stored, fingerprint, _ in sorted(self._table())
        ]

    cdef tuple _totals(self, set states):
        """Return number and size in bytes of the blocks in these states."""
        sizes = [size for _, _, size, state, *_ in self._table() if state in states]
        return len(sizes), sum(sizes)

    cdef list _table(self):
        """Return all that the table has of each block, the ordinal first."""
        cdef size_t count, index
        cdef csp.ortmmap_block *blocks = csp.ortmmap_heap_copy_blocks(&self.recorder, &count)
        if blocks == NULL:
            raise MemoryError()
        try:
            return [
                (
                    blocks[index].ordinal,
                    <size_t>blocks[index].address,
                    blocks[index].size,
                    <int>blocks[index].state,
                    blocks[index].stored,
                    (blocks[index].fingerprint.low, blocks[index].fingerprint.high),
                    <bint>blocks[index].recognized,
                )
                for index in range(count)
            ]
        finally:
            free(blocks)


cdef class StandIns:
    """Pages of a pattern in the place of weights, while a session is created.

    The weights get a range of their own: what the mappings of their files show stays as it is.

    Parameters
    ----------
    weights : list of Weight
    """

    def __cinit__(self, list weights not None):
        cdef Weight weight
        cdef csp.ortmmap_stand_in *each
        self._weights, self._files = weights, {}
        self._stand_ins = <csp.ortmmap_stand_in *>calloc(len(weights) + 1, sizeof(each[0]))
        if self._stand_ins == NULL:
            raise MemoryError()
        each = self._stand_ins
        for weight in weights:
            each.name = csp.ortmmap_name_hash(weight.name, len(weight.name))
            each.offset, each.size = weight.offset, weight.nbytes
            each += 1

    def __dealloc__(self):
        if self._range != NULL:
            csp.ortmmap_stand_ins_unmap(self._range, self._size)
        free(self._stand_ins)

    cdef list put(self):
        """Return the weights as they lie in the range, which shows the pattern; None if it cannot.

        The weights hold the range. remove() must follow before a session of them is used.
        """
        cdef size_t index, count = len(self._weights)
        cdef Weight weight
        cdef list placed = []
        for weight in self._weights:
            if not self._open(weight.mapping):
                return None
        self._size = csp.ortmmap_stand_ins_lay(self._stand_ins, count)
        if self._size > 0:
            with nogil:
                self._range = csp.ortmmap_stand_ins_map(self._stand_ins, count, self._size)
        if self._range == NULL:
            return None
        for index in range(count):
            weight = self._weights[index]
            placed.append(placed_at(weight, self._range + self._stand_ins[index].place, self))
        return placed

    cdef bint _open(self, Mapping mapping) except -1:
        """Open a mapping's file; return False if its path names another one now."""
        if mapping in self._files:
            return True
        try:
            fd = os.open(mapping.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return False
        found = os.fstat(fd)
        if mapping.identity != (
            found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        ):
            os.close(fd)
            return False
        self._files[mapping] = fd
        return True

    cdef bint remove(self) except -1:
        """Have the range show the weights.

        Return False if that is impossible: a session of them must be released then.
        """
        cdef size_t index
        cdef Weight weight
        cdef bint is_whole = True
        if self._range != NULL:
            is_whole = csp.ortmmap_stand_ins_clear(self._range, self._size)
            for index in range(<size_t>len(self._weights)):
                weight = self._weights[index]
                is_whole &= csp.ortmmap_stand_in_replace(
                    self._range, &self._stand_ins[index], self._files[weight.mapping]
                )
        for fd in self._files.values():
            os.close(fd)
        self._files = {}
        return is_whole
