"""Recorded creations of sessions, and the pages that their blocks are shared with.

While a session is created, an allocator of ours hands out the memory that kernels prepack weights
into (see ``include/ortmmap/shared_pages.h``). It is registered with the environment once, and only
sessions with ``session.use_env_allocators`` use it; what is not recorded it leaves to the arena of
a helper session, which is ONNX Runtime's own.
"""

from cpython.buffer cimport PyBUF_READ
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdlib cimport calloc, free

from ortmmap.runtime.library cimport ProcessLock, api, check, cpu_memory, env, forks, lock_at_fork

import os

# An ONNX model of one node, Identity, of one float: the least that has an arena.
HELPER_MODEL = (
    b"\x08\x08:7\n\x10\n\x01x\x12\x01y\"\x08Identity\x12\x01g"
    b"Z\x0f\n\x01x\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01"
    b"b\x0f\n\x01y\x12\n\n\x08\x08\x01\x12\x04\n\x02\x08\x01B\x04\n\x00\x10\x11"
)

# Held while a creation is recorded, and while the allocator is replaced: one at a time leaves
# memory and cores to one. Taken before `_starting`.
creating = ProcessLock()

cdef ProcessLock _starting = ProcessLock()   # guards what follows
cdef ort.OrtAllocator *_allocator = NULL     # ours, once it is made
cdef bint _tried = False
cdef bint _started = False
cdef int _forks = 0   # of the process that made the arena


cdef bint start() except -1:
    """Register the allocator, once in a process; False where the platform has no such memory."""
    global _tried, _started, _forks
    with _starting.here():
        if not _tried:
            _tried, _forks = True, forks
            _started = _register()
        elif _started and _forks != forks:
            _forks = forks
            csp.ortmmap_heap_use(_helper_arena())   # the parent's may be locked for ever
    return _started


cdef int give_way() except -1:
    """Leave the environment to an allocator that the user registers, holding `creating`.

    The sessions that were recorded keep ours. `settle` follows.
    """
    with _starting.here():
        if _started:
            check(api.UnregisterAllocator(env, cpu_memory))
    return 0


cdef int settle(bint replaced) except -1:
    """Record nothing any more, or, where the user's allocator was refused, put ours back."""
    global _tried, _started
    with _starting.here():
        if replaced:
            _tried, _started = True, False
        elif _started:
            check(api.RegisterAllocator(env, _allocator))
    return 0


cdef bint _register() except -1:
    global _allocator
    cdef ort.OrtAllocator *arena = _helper_arena()
    _allocator = csp.ortmmap_heap_start(arena, cpu_memory)
    if _allocator == NULL:
        return False
    lock_at_fork(csp.ortmmap_heap_lock, csp.ortmmap_heap_unlock)
    check(api.RegisterAllocator(env, _allocator))
    return True


cdef ort.OrtAllocator *_helper_arena() except NULL:
    """Make a session for its arena; both live until the process ends."""
    cdef ort.OrtSessionOptions *options = NULL
    cdef ort.OrtSession *session = NULL
    cdef ort.OrtAllocator *arena = NULL
    cdef bytes model = HELPER_MODEL
    check(api.CreateSessionOptions(&options))
    try:
        check(api.SetIntraOpNumThreads(options, 1))
        check(api.CreateSessionFromArray(env, <char *>model, len(model), options, &session))
    finally:
        api.ReleaseSessionOptions(options)
    check(api.CreateAllocator(session, cpu_memory, &arena))
    return arena


cdef class Pages:
    """A file of blocks that an earlier process recorded, mapped to be compared with.

    Parameters
    ----------
    fd : int
        The file, open for reading, complete, and never changed again. The object closes it.
    view : buffer
        The whole file, mapped.
    table : list of (int, int)
        Offset and size of each block, in bytes.
    entry : object
        What the file is known by.
    """

    def __cinit__(self, int fd, const unsigned char[::1] view, list table, entry):
        cdef csp.ortmmap_stored_block *blocks
        cdef size_t index = 0
        blocks = <csp.ortmmap_stored_block *>calloc(len(table) + 1, sizeof(blocks[0]))
        if blocks == NULL:
            raise MemoryError()
        for offset, size in table:
            blocks[index].offset, blocks[index].size = offset, size
            index += 1
        self._view, self.entry = view, entry
        self.store.fd = fd
        self.store.data = &view[0]
        self.store.blocks, self.store.count = blocks, index

    def __dealloc__(self):
        if self.store.blocks != NULL:
            os.close(self.store.fd)
            free(<void *>self.store.blocks)


cdef class Recording:
    """One creation of a session whose blocks are recorded; it outlives the session."""

    def __dealloc__(self):
        csp.ortmmap_recorder_release(&self.recorder)

    cdef int set_threads(self, ort.OrtSessionOptions *options) except -1:
        """Have the session's threads record too, for when they prepack in parallel."""
        check(api.SessionOptionsSetCustomCreateThreadFn(options, csp.ortmmap_create_thread))
        check(api.SessionOptionsSetCustomThreadCreationOptions(options, &self.recorder))
        check(api.SessionOptionsSetCustomJoinThreadFn(options, csp.ortmmap_join_thread))
        return 0

    cdef int begin(self, Pages pages) except -1:
        """Record what this thread allocates until end(); share it with `pages`, if any."""
        if not csp.ortmmap_recorder_begin(&self.recorder, NULL if pages is None else &pages.store):
            raise MemoryError()
        return 0

    cdef int end(self) noexcept nogil:
        """End recording, in the thread that began it; the pages given are not used any more."""
        csp.ortmmap_recorder_end(&self.recorder)
        self.recorder.store = NULL
        return 0

    cdef int share(self, Pages pages) except -1:
        """Share what is still private with `pages`, while nobody uses the session yet."""
        self.recorder.store = &pages.store
        with nogil:
            csp.ortmmap_recorder_share(&self.recorder)
        self.recorder.store = NULL
        return 0

    def blocks(self) -> list[memoryview]:
        """Return the live blocks in the order of allocation, valid while the session lives."""
        return [
            PyMemoryView_FromMemory(<char *><size_t>address, size, PyBUF_READ)
            for _, address, size, _ in sorted(self._table())
        ]

    def shared_blocks(self) -> tuple[int, int]:
        """Return how many of the live blocks are shared, and of how many bytes."""
        sizes = [size for _, _, size, shared in self._table() if shared]
        return len(sizes), sum(sizes)

    def private_blocks(self) -> tuple[int, int]:
        """Return how many of the live blocks are not shared, and of how many bytes."""
        sizes = [size for _, _, size, shared in self._table() if not shared]
        return len(sizes), sum(sizes)

    cdef list _table(self):
        """List ordinal, address, size in bytes and whether it is shared, of each live block."""
        cdef size_t most = csp.ortmmap_recorder_blocks(&self.recorder, NULL, 0)
        cdef csp.ortmmap_block *blocks = <csp.ortmmap_block *>calloc(most + 1, sizeof(blocks[0]))
        cdef size_t count, index
        if blocks == NULL:
            raise MemoryError()
        try:
            count = min(csp.ortmmap_recorder_blocks(&self.recorder, blocks, most), most)
            return [
                (
                    blocks[index].ordinal,
                    <size_t>blocks[index].address,
                    blocks[index].size,
                    blocks[index].state == csp.ORTMMAP_BLOCK_SHARED,
                )
                for index in range(count)
            ]
        finally:
            free(blocks)
