"""An allocator whose blocks can be replaced by the pages of a shared file."""

from libc.stdint cimport uint64_t

from ortmmap.abi.ort cimport (
    OrtAllocator,
    OrtCustomCreateThreadFn,
    OrtCustomJoinThreadFn,
    OrtMemoryInfo,
)

cdef extern from "cache/block_store.h" nogil:
    ctypedef struct ortmmap_fingerprint:
        uint64_t low, high

cdef extern from "cache/heap.h" nogil:
    ctypedef enum ortmmap_block_state:
        ORTMMAP_BLOCK_PRIVATE
        ORTMMAP_BLOCK_SCRATCH
        ORTMMAP_BLOCK_FOLDED
        ORTMMAP_BLOCK_SHARED
        ORTMMAP_BLOCK_FREED

    ctypedef struct ortmmap_block:
        unsigned char *address
        size_t size
        uint64_t ordinal
        ortmmap_block_state state
        size_t stored
        ortmmap_fingerprint fingerprint
        bint recognized

    void ortmmap_heap_lock() noexcept
    void ortmmap_heap_unlock() noexcept
    ortmmap_block *ortmmap_heap_copy_blocks(const void *recorder, size_t *count)

cdef extern from "cache/block_store.h" nogil:
    ctypedef struct ortmmap_growing_file:
        int fd
        long most_waits   # atomic, as is `ended`
        bint ended

    ctypedef struct ortmmap_stored_block:
        uint64_t offset
        uint64_t size

    ctypedef struct ortmmap_store:
        int fd
        const unsigned char *data
        const ortmmap_stored_block *blocks
        size_t count
        ortmmap_growing_file *growing
        const ortmmap_fingerprint *fingerprints
        const size_t *order

    const unsigned char *ortmmap_store_map(int fd, size_t size)
    void ortmmap_store_unmap(const unsigned char *data, size_t size)

cdef extern from "cache/shared_pages.h" nogil:
    ctypedef struct ortmmap_recorder:
        bint learning
        size_t missed   # atomic

    OrtAllocator *ortmmap_allocator_start(OrtAllocator *arena, const OrtMemoryInfo *info)
    void ortmmap_allocator_set_arena(OrtAllocator *arena)
    bint ortmmap_recorder_begin(ortmmap_recorder *recorder, const ortmmap_store *store)
    void ortmmap_recorder_end(ortmmap_recorder *recorder)
    void ortmmap_recorder_keep(ortmmap_recorder *recorder)
    void ortmmap_recorder_let(ortmmap_recorder *recorder)
    void ortmmap_recorder_share(ortmmap_recorder *recorder, const ortmmap_store *store)
    void ortmmap_recorder_release(ortmmap_recorder *recorder)

cdef extern from "cache/session_threads.h" nogil:
    OrtCustomCreateThreadFn ortmmap_create_thread
    OrtCustomJoinThreadFn ortmmap_join_thread

cdef extern from "cache/stand_ins.h" nogil:
    ctypedef struct ortmmap_stand_in:
        uint64_t name
        uint64_t offset
        size_t size
        size_t place

    uint64_t ortmmap_name_hash(const char *name, size_t size)
    size_t ortmmap_stand_ins_lay(ortmmap_stand_in *weights, size_t count)
    unsigned char *ortmmap_stand_ins_map(
        const ortmmap_stand_in *weights, size_t count, size_t size
    )
    bint ortmmap_stand_ins_clear(unsigned char *range, size_t size)
    bint ortmmap_stand_in_replace(
        unsigned char *range, const ortmmap_stand_in *weight, int file
    )
    void ortmmap_stand_ins_unmap(unsigned char *range, size_t size)
