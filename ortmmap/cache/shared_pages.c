#include "cache/shared_pages.h"
#include "cache/block_memory.h"
#include "cache/counterpart.h"
#include "cache/fold.h"
#include "cache/huge_pages.h"
#include "cache/scratch.h"

#ifndef _WIN32

#include <stdlib.h>
#include <string.h>

/* Blocks of that size and more have scratch of whole huge pages, and the address space for it. */
enum { LARGE_BLOCK = 1 << 20 };

enum { MOST_UNKNOWN = 4 }; /* some are filled late; with more, nobody will use the session */

/* The memory of a block until it is finalized; on systems without Linux's, always its own. */
typedef enum pending_memory { ITS_OWN, THE_SCRATCH, THE_FOLD } pending_memory;

/* A thread of a recorded creation. Only that thread accesses the fields while the recorder is
 * active, except for `pending` and `next`, which the heap's lock guards. */
typedef struct ortmmap_recording_thread {
  ortmmap_recorder *recorder;
  unsigned char *pending; /* the block that is not finalized, or NULL */
  pending_memory lies_in; /* that block */
  bool folds;             /* what it recognizes; the recording has a range then */
  bool lies_as_in_file;   /* it began the recording: its blocks lie in the range, if they can */
  int unknown;            /* blocks on the fold that were not recognized then */
  ortmmap_scratch small, large;
  ortmmap_fold fold;
  struct ortmmap_recording_thread *next; /* of the recorder */
} recording_thread;

/* The calling thread's recording, or NULL. Stale in a pool's thread once the recorder is no longer
 * active. */
static _Thread_local recording_thread *current;

/* --- memory of blocks that are not complete --- */

static size_t unit_of(size_t size) { return size < LARGE_BLOCK ? ORTMMAP_PAGE : ORTMMAP_HUGE_PAGE; }

static ortmmap_scratch *scratch_of(recording_thread *thread, const ortmmap_block *block) {
  return unit_of(block->size) == ORTMMAP_PAGE ? &thread->small : &thread->large;
}

/* Whether a block that is expected to be this stored one needs no memory beyond the fold: its
 * beginning is all that is looked at. Blocks that are compared need all of theirs. */
static bool may_be_folded(const recording_thread *thread, size_t index) {
  return thread->folds && thread->recorder->store->fingerprints[index].high != 0;
}

/* Scratch has room for the largest block of its kind. */
static size_t scratch_size(const recording_thread *thread, const ortmmap_scratch *scratch) {
  const ortmmap_store *store = thread->recorder->store;
  size_t index, largest = 0;
  if (scratch == &thread->small)
    return LARGE_BLOCK;
  for (index = 0; index < store->count; index++)
    if (!may_be_folded(thread, index) && store->blocks[index].size > largest)
      largest = (size_t)store->blocks[index].size;
  return ortmmap_round_up(largest, ORTMMAP_HUGE_PAGE) + ORTMMAP_HUGE_PAGE;
}

/* Move the thread's scratch to a block. */
static bool lend_scratch(recording_thread *thread, const ortmmap_block *block) {
  ortmmap_scratch *scratch = scratch_of(thread, block);
  size_t size = scratch->home == NULL ? scratch_size(thread, scratch) : 0;
  return ortmmap_scratch_lend(scratch, size, block->extent, block->extent_size);
}

/* Give memory to a block that is likely to be that stored one, until it is finalized. */
static pending_memory lend(recording_thread *thread, const ortmmap_block *block, size_t index) {
  if (!may_be_folded(thread, index))
    return lend_scratch(thread, block) ? THE_SCRATCH : ITS_OWN;
  return ortmmap_fold_make(&thread->fold) &&
                 ortmmap_fold_lend(&thread->fold, block->address, block->size, block->as_in_file)
             ? THE_FOLD
             : ITS_OWN;
}

/* --- sharing --- */

/* Map a stored block in the place of a recorded one. */
static bool use_stored(ortmmap_recorder *recorder, size_t index, ortmmap_block *block) {
  if (!ortmmap_block_map_stored(recorder->store, index, block->address,
                                ortmmap_whole_pages(block->size)))
    return false;
  block->state = ORTMMAP_BLOCK_SHARED;
  block->stored = index;
  ortmmap_expect_after(recorder, index);
  return true;
}

/* Leave a recognized block on the fold: at the end, the stored ones are mapped all at once. Any
 * other block has the fold's memory to itself from here on. If it is one that other kernels may
 * read before the end, since it does not depend on stand-ins, no later block may share a page with
 * it. */
static void leave_on_fold(recording_thread *thread, ortmmap_block *block, size_t index) {
  if (block->recognized) {
    block->state = ORTMMAP_BLOCK_FOLDED;
    block->stored = index;
    ortmmap_expect_after(thread->recorder, index);
    return;
  }
  thread->unknown += index == thread->recorder->store->count;
  if (thread->unknown > MOST_UNKNOWN)
    return;
  ortmmap_fold_release(&thread->fold);
  if (index == thread->recorder->store->count)
    return;
  thread->folds = false;
  (void)use_stored(thread->recorder, index, block);
}

/* Take scratch back from a block, and map the stored one in its place. If that is impossible, the
 * block gets a copy, or keeps the scratch. A block that is only learned of is left empty. */
static void exchange_scratch(recording_thread *thread, ortmmap_block *block, size_t index) {
  ortmmap_recorder *recorder = thread->recorder;
  const ortmmap_store *store = recorder->store;
  if (index == store->count && !recorder->learning)
    return;
  if (!ortmmap_scratch_take_back(scratch_of(thread, block), block->extent, block->extent_size) ||
      index == store->count || use_stored(recorder, index, block))
    return;
  memcpy(block->address, store->data + store->blocks[index].offset, block->size);
}

static void exchange(recording_thread *thread, ortmmap_block *block, size_t index) {
  if (thread->lies_in == THE_FOLD)
    leave_on_fold(thread, block, index);
  else if (thread->lies_in == THE_SCRATCH)
    exchange_scratch(thread, block, index);
  else if (index < thread->recorder->store->count)
    (void)use_stored(thread->recorder, index, block);
}

/* Finalize the thread's pending block: share it, or leave it the memory that it has.
 *
 * The block is complete: a thread fills it before it allocates the next one, and no other thread
 * writes to it, since ONNX Runtime's parallel loops block their caller. If a kernel does allocate
 * twice before it fills the first block, the bytes differ, and the block is compared again at the
 * end of the recording. */
static void finalize_pending(recording_thread *thread) {
  ortmmap_block block = {0};
  ortmmap_heap_lock();
  if (thread->pending != NULL)
    block = *ortmmap_heap_find(thread->pending);
  thread->pending = NULL;
  ortmmap_heap_unlock();
  if (block.address == NULL)
    return;
  block.state = ORTMMAP_BLOCK_PRIVATE;
  exchange(thread, &block, ortmmap_find_counterpart(thread->recorder, &block));
  if (!block.as_in_file && block.state != ORTMMAP_BLOCK_FOLDED) /* these are at the end */
    ortmmap_block_trim(&block);
  ortmmap_heap_lock();
  *ortmmap_heap_find(block.address) = block;
  ortmmap_heap_unlock();
}

/* Share a block, unless it was freed since it was listed.
 *
 * Other threads may be running the session. None of them can see the exchange:
 * - Kernels only read what they have prepacked, so the block still has the bytes that were compared
 *   when the mapping replaces it. Before and after, a read returns the same bytes.
 * - There is no moment in between. One mmap() with MAP_FIXED removes the old pages and puts the new
 *   mapping in their place under the process's lock for mappings. A thread that touches a removed
 *   page faults, waits for that lock, and finds the new mapping. The same holds for system calls
 *   that read the block: they fault, or look up pages under that lock.
 * - A block that is freed leaves the table, under the heap's lock, before its range is unmapped or
 *   returned. Here that lock is held from the look-up until the mapping is in place, so a range
 *   that is free or belongs to another block is never mapped over.
 * - mmap() refuses a bad descriptor and too many mappings before it removes anything; the block
 *   stays private then. The new mapping takes no more memory than the old one. */
static void share_listed(ortmmap_recorder *recorder, const ortmmap_block *listed) {
  ortmmap_block *block;
  size_t index;
  ortmmap_heap_lock();
  block = ortmmap_heap_find(listed->address);
  if (block != NULL && block->ordinal == listed->ordinal && block->state == ORTMMAP_BLOCK_PRIVATE) {
    index = ortmmap_find_counterpart(recorder, block);
    if (index < recorder->store->count)
      (void)use_stored(recorder, index, block);
  }
  ortmmap_heap_unlock();
}

/* Compare each private block of the recorder with the store, and share the equal ones. If memory is
 * out, they stay private. */
static void share_private_blocks(ortmmap_recorder *recorder) {
  size_t index, count;
  ortmmap_block *blocks = ortmmap_heap_copy_blocks(recorder, &count);
  if (count > 0)
    (void)ortmmap_store_wait(recorder->store,
                             recorder->store->count); /* not under the heap's lock */
  for (index = 0; index < count; index++)
    share_listed(recorder, blocks + index);
  free(blocks);
}

/* Map the stored blocks in the place of folded ones, and return the rest of the range. */
static void end_range(ortmmap_recorder *recorder) {
  size_t index, count;
  ortmmap_block *blocks = ortmmap_heap_copy_blocks(recorder, &count);
  ortmmap_store_range_unfold(recorder->store, blocks, count);
  ortmmap_heap_lock();
  for (index = 0; index < count; index++)
    ortmmap_heap_find(blocks[index].address)->state = blocks[index].state;
  ortmmap_store_range_return(&recorder->range);
  ortmmap_heap_unlock();
  free(blocks);
}

/* --- the allocator --- */

static OrtAllocator *arena; /* serves allocations outside a recording */
static const OrtMemoryInfo *memory_info;

/* Remove a block that nothing could be mapped for. */
static void discard_block(const ortmmap_block *block) {
  ortmmap_heap_lock();
  ortmmap_heap_remove(ortmmap_heap_find(block->address));
  if (!ortmmap_store_range_keep(&block->recorder->range, block))
    ortmmap_heap_return(block->extent, block->extent_size);
  ortmmap_heap_unlock();
}

/* Add a block that is likely to be that stored one: in the store's range, or else at an address for
 * huge pages of the fold, of scratch and of the file. */
static ortmmap_block *add_stored_block(recording_thread *thread, size_t size, size_t index) {
  ortmmap_recorder *recorder = thread->recorder;
  size_t residue = (size_t)(recorder->store->blocks[index].offset % ORTMMAP_HUGE_PAGE);
  ortmmap_block *block = NULL;
  if (!may_be_folded(thread, index))
    return ortmmap_heap_add(recorder, size, residue, unit_of(size));
  if (thread->lies_as_in_file)
    block = ortmmap_store_range_add(&recorder->range, index, recorder);
  return block != NULL ? block : ortmmap_heap_add(recorder, size, residue, ORTMMAP_HUGE_PAGE);
}

/* Add a block to the table and return a copy; its address is NULL if there is no room. */
static ortmmap_block add_block(recording_thread *thread, size_t size, bool may_be_stored,
                               size_t index) {
  ortmmap_block *added, block = {0};
  ortmmap_heap_lock();
  added = may_be_stored ? add_stored_block(thread, size, index)
                        : ortmmap_heap_add(thread->recorder, size, 0, ORTMMAP_PAGE);
  if (added != NULL)
    block = *added;
  ortmmap_heap_unlock();
  return block;
}

static void note_pending(recording_thread *thread, unsigned char *address) {
  ortmmap_heap_lock();
  if (thread->lies_in != ITS_OWN)
    ortmmap_heap_find(address)->state = ORTMMAP_BLOCK_SCRATCH;
  thread->pending = address;
  ortmmap_heap_unlock();
}

/* Allocate a recorded block; NULL if memory or address space is out. */
static void *allocate_block(recording_thread *thread, size_t size) {
  ortmmap_recorder *recorder = thread->recorder;
  const ortmmap_store *store = recorder->store;
  size_t next = 0;
  bool may_be_stored;
  ortmmap_block block;
  ortmmap_latch_open(recorder->packing);
  finalize_pending(thread);
  if (store != NULL)
    next = ortmmap_find_stored(recorder, NULL, size);
  may_be_stored = store != NULL && next < store->count;
  block = add_block(thread, size, may_be_stored, next);
  if (block.address == NULL)
    return NULL;
  thread->lies_in = may_be_stored ? lend(thread, &block, next) : ITS_OWN;
  if (thread->lies_in == ITS_OWN &&
      !ortmmap_block_map_private(block.address, ortmmap_whole_pages(size))) {
    discard_block(&block);
    return NULL;
  }
  if (store == NULL)
    ortmmap_huge_pages_touch(block.address, ortmmap_whole_pages(size));
  if (may_be_stored)
    note_pending(thread, block.address);
  return block.address;
}

static void *ORT_API_CALL allocator_alloc(OrtAllocator *self, size_t size) {
  recording_thread *thread = current;
  void *block;
  (void)self;
  if (thread == NULL || size < ORTMMAP_SMALLEST_BLOCK || !atomic_load(&thread->recorder->active))
    return arena->Alloc(arena, size);
  block = allocate_block(thread, size);
  atomic_fetch_add(&thread->recorder->missed, block == NULL);
  return block != NULL ? block : arena->Alloc(arena, size);
}

/* Remove the block at `address` from the table and from its thread, and copy it; false if there is
 * none, or if its recorder keeps it or its address space. */
static bool forget_block(const void *address, ortmmap_block *copy) {
  ortmmap_block *block;
  recording_thread *thread;
  bool is_removed = false;
  ortmmap_heap_lock();
  block = ortmmap_heap_find(address);
  if (block != NULL && block->recorder->keeping) {
    block->state = ORTMMAP_BLOCK_FREED;
  } else if (block != NULL) {
    *copy = *block;
    is_removed = !ortmmap_store_range_keep(&block->recorder->range, block);
    for (thread = block->recorder->threads; thread != NULL; thread = thread->next)
      if (thread->pending == address)
        thread->pending = NULL;
    ortmmap_heap_remove(block);
  }
  ortmmap_heap_unlock();
  return is_removed;
}

/* Unmap a block that has left the table, and only then let another one take its address. */
static void unmap_block(const ortmmap_block *block) {
  if (!ortmmap_block_map_nothing(block->extent, block->extent_size))
    return;
  ortmmap_heap_lock();
  ortmmap_heap_return(block->extent, block->extent_size);
  ortmmap_heap_unlock();
}

static void ORT_API_CALL allocator_free(OrtAllocator *self, void *address) {
  ortmmap_block block;
  (void)self;
  if (!ortmmap_heap_contains(address)) {
    arena->Free(arena, address);
    return;
  }
  if (forget_block(address, &block))
    unmap_block(&block);
}

static const OrtMemoryInfo *ORT_API_CALL allocator_info(const OrtAllocator *self) {
  (void)self;
  return memory_info;
}

static OrtAllocator allocator = {.version = 18, /* has Alloc, Free, Info and Reserve */
                                 .Alloc = allocator_alloc,
                                 .Free = allocator_free,
                                 .Info = allocator_info,
                                 .Reserve = allocator_alloc};

OrtAllocator *ortmmap_allocator_start(OrtAllocator *outside, const OrtMemoryInfo *info) {
  if (!ortmmap_heap_reserve())
    return NULL;
  arena = outside;
  memory_info = info;
  return &allocator;
}

void ortmmap_allocator_set_arena(OrtAllocator *outside) { arena = outside; }

/* --- recording --- */

recording_thread *ortmmap_recording_thread_add(ortmmap_recorder *recorder) {
  recording_thread *thread = calloc(1, sizeof *thread);
  if (thread == NULL)
    return NULL;
  thread->recorder = recorder;
  thread->folds = recorder->range.start != NULL;
  ortmmap_heap_lock();
  thread->next = recorder->threads;
  recorder->threads = thread;
  ortmmap_heap_unlock();
  return thread;
}

void ortmmap_recording_thread_enter(recording_thread *thread) { current = thread; }

/* Have the thread fold what it recognizes, if the system has such memory. */
static void begin_range(recording_thread *thread) {
  ortmmap_recorder *recorder = thread->recorder;
  if (recorder->store == NULL || recorder->store->fingerprints == NULL ||
      !ortmmap_fold_make(&thread->fold))
    return;
  ortmmap_heap_lock();
  ortmmap_store_range_reserve(&recorder->range, recorder->store);
  ortmmap_heap_unlock();
  thread->folds = thread->lies_as_in_file = recorder->range.start != NULL;
}

bool ortmmap_recorder_begin(ortmmap_recorder *recorder, const ortmmap_store *store) {
  current = ortmmap_recording_thread_add(recorder);
  if (current == NULL)
    return false;
  if (recorder->packing == NULL)
    recorder->packing = ortmmap_latch_make();
  recorder->store = store;
  begin_range(current);
  atomic_store(&recorder->active, true);
  return true;
}

void ortmmap_recorder_end(ortmmap_recorder *recorder) {
  recording_thread *thread;
  ortmmap_latch_open(recorder->packing);
  atomic_store(&recorder->active, false);
  current = NULL;
  for (thread = recorder->threads; thread != NULL; thread = thread->next) {
    finalize_pending(thread);
    ortmmap_scratch_release(&thread->small);
    ortmmap_scratch_release(&thread->large);
    ortmmap_fold_release(&thread->fold);
  }
  if (recorder->store != NULL)
    share_private_blocks(recorder);
  if (recorder->range.start != NULL)
    end_range(recorder);
  recorder->store = NULL;
}

void ortmmap_recorder_keep(ortmmap_recorder *recorder) {
  ortmmap_heap_lock();
  recorder->keeping = true;
  ortmmap_heap_unlock();
}

/* Remove one block that was freed while its recorder kept it; false if there is none. */
static bool take_freed(const ortmmap_recorder *recorder, ortmmap_block *taken) {
  ortmmap_block *blocks;
  size_t index, count;
  bool found = false;
  ortmmap_heap_lock();
  blocks = ortmmap_heap_blocks(&count);
  for (index = 0; index < count && !found; index++) {
    found = blocks[index].recorder == recorder && blocks[index].state == ORTMMAP_BLOCK_FREED;
    if (found) {
      *taken = blocks[index];
      ortmmap_heap_remove(blocks + index);
    }
  }
  ortmmap_heap_unlock();
  return found;
}

void ortmmap_recorder_let(ortmmap_recorder *recorder) {
  ortmmap_block block;
  ortmmap_heap_lock();
  recorder->keeping = false;
  ortmmap_heap_unlock();
  while (take_freed(recorder, &block))
    unmap_block(&block);
}

void ortmmap_recorder_share(ortmmap_recorder *recorder, const ortmmap_store *store) {
  recorder->store = store;
  share_private_blocks(recorder);
  recorder->store = NULL;
}

void ortmmap_recorder_release(ortmmap_recorder *recorder) {
  while (recorder->threads != NULL) {
    recording_thread *thread = recorder->threads;
    recorder->threads = thread->next;
    free(thread);
  }
  ortmmap_latch_free(recorder->packing);
  recorder->packing = NULL;
}

#endif /* !_WIN32 */
