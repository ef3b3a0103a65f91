#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create, mremap */
#endif

#include "cache/shared_pages.h"

#ifdef __linux__

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

/* A thread of a recorded creation. Only that thread accesses the fields while the recorder is
 * active, except for `pending` and `next`, which the heap's lock guards. */
typedef struct ortmmap_recording_thread {
  ortmmap_recorder *recorder;
  unsigned char *pending; /* the block in scratch, or NULL */
  int scratch;            /* a memfd, or -1 */
  size_t scratch_size;
  struct ortmmap_recording_thread *next; /* of the recorder */
} recording_thread;

/* The calling thread's recording, or NULL. Stale in a pool's thread once the recorder is no longer
 * active. */
static _Thread_local recording_thread *current;

/* --- memory of blocks --- */

static void set_state(const void *address, ortmmap_block_state state) {
  ortmmap_heap_lock();
  ortmmap_heap_find(address)->state = state;
  ortmmap_heap_unlock();
}

static bool map_private(unsigned char *address, size_t size) {
  return mmap(address, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
              0) != MAP_FAILED;
}

/* Extend the thread's scratch file. Writing a new page takes half the time of a page fault. */
static bool grow_scratch(recording_thread *thread, size_t size) {
  static const char zeros[ORTMMAP_SMALLEST_BLOCK];
  while (thread->scratch_size < size) {
    ssize_t written = pwrite(thread->scratch, zeros, sizeof zeros, (off_t)thread->scratch_size);
    if (written <= 0)
      return false;
    thread->scratch_size += (size_t)written;
  }
  return true;
}

/* Map the thread's scratch file at `address`. Its pages exist already, so none is zeroed. */
static bool map_scratch(recording_thread *thread, unsigned char *address, size_t size) {
  if (thread->scratch < 0) {
    thread->scratch = memfd_create("ortmmap scratch", MFD_CLOEXEC);
    thread->scratch_size = 0;
  }
  if (thread->scratch < 0 || !grow_scratch(thread, size))
    return false;
  return mmap(address, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
              thread->scratch, 0) != MAP_FAILED;
}

/* Map a stored block at `address`, which holds the same bytes already. */
static bool map_stored(const ortmmap_store *store, size_t index, unsigned char *address) {
  const ortmmap_stored_block *block = store->blocks + index;
  size_t size = ortmmap_whole_pages((size_t)block->size);
  if (mmap(address, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, store->fd,
           (off_t)block->offset) == MAP_FAILED)
    return false;
  (void)madvise(address, size, MADV_POPULATE_READ); /* kernels before 5.14 fault in each page */
  return true;
}

/* Move a block from scratch to private memory at the same address. If memory is out, the block
 * keeps the scratch file, and the thread makes another. */
static void make_private(recording_thread *thread, unsigned char *address, size_t size) {
  size_t length = ortmmap_whole_pages(size);
  void *copy = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (copy != MAP_FAILED) {
    memcpy(copy, address, size);
    if (mremap(copy, length, length, MREMAP_MAYMOVE | MREMAP_FIXED, address) != MAP_FAILED)
      return;
    munmap(copy, length);
  }
  close(thread->scratch);
  thread->scratch = -1;
}

/* --- sharing --- */

/* The next stored block of that size and, unless `contents` is NULL, of those contents; `count` if
 * there is none. The search begins at the block that is expected. */
static size_t find_stored(const ortmmap_recorder *recorder, const unsigned char *contents,
                          size_t size) {
  const ortmmap_store *store = recorder->store;
  size_t expected = atomic_load(&recorder->expected), step, index;
  for (step = 0; step < store->count; step++) {
    index = (expected + step) % store->count;
    if (store->blocks[index].size != size)
      continue;
    if (contents == NULL || ortmmap_store_equals(store, index, contents))
      return index;
  }
  return store->count;
}

/* Map the store's pages in the place of a block, if the store has an equal one. */
static bool map_equal(ortmmap_recorder *recorder, unsigned char *address, size_t size) {
  const ortmmap_store *store = recorder->store;
  size_t index = find_stored(recorder, address, size);
  if (index == store->count || !map_stored(store, index, address))
    return false;
  atomic_store(&recorder->expected, (index + 1) % store->count);
  return true;
}

/* Finalize the thread's pending scratch block: share it or make it private.
 *
 * The block is complete: a thread fills it before it allocates the next one, and no other thread
 * writes to it, since ONNX Runtime's parallel loops block their caller. If a kernel does allocate
 * twice before it fills the first block, the bytes differ, and the block is compared again at the
 * end of the recording. */
static void finalize_pending(recording_thread *thread) {
  unsigned char *address;
  size_t size = 0;
  ortmmap_heap_lock();
  address = thread->pending;
  if (address != NULL)
    size = ortmmap_heap_find(address)->size;
  thread->pending = NULL;
  ortmmap_heap_unlock();
  if (address == NULL)
    return;
  if (map_equal(thread->recorder, address, size)) {
    set_state(address, ORTMMAP_BLOCK_SHARED);
    return;
  }
  make_private(thread, address, size);
  set_state(address, ORTMMAP_BLOCK_PRIVATE);
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
 *   stays private then. The new mapping takes no more address space or commit charge than the old
 *   one. */
static void share_listed(ortmmap_recorder *recorder, const ortmmap_block *listed) {
  ortmmap_block *block;
  ortmmap_heap_lock();
  block = ortmmap_heap_find(listed->address);
  if (block != NULL && block->ordinal == listed->ordinal && block->state == ORTMMAP_BLOCK_PRIVATE &&
      map_equal(recorder, block->address, block->size))
    block->state = ORTMMAP_BLOCK_SHARED;
  ortmmap_heap_unlock();
}

/* Compare each private block of the recorder with the store, and share the equal ones. If memory is
 * out, they stay private. */
static void share_private_blocks(ortmmap_recorder *recorder) {
  size_t index, count, capacity = ortmmap_recorder_blocks(recorder, NULL, 0);
  ortmmap_block *blocks = calloc(capacity + 1, sizeof *blocks);
  if (blocks == NULL)
    return;
  count = ortmmap_recorder_blocks(recorder, blocks, capacity);
  if (count > 0)
    (void)ortmmap_store_wait(recorder->store,
                             recorder->store->count); /* not under the heap's lock */
  for (index = 0; index < count && index < capacity; index++)
    share_listed(recorder, blocks + index);
  free(blocks);
}

/* --- the allocator --- */

static OrtAllocator *arena; /* serves allocations outside a recording */
static const OrtMemoryInfo *memory_info;

/* Remove a block that nothing could be mapped for. */
static void discard_block(unsigned char *address, size_t length) {
  ortmmap_heap_lock();
  ortmmap_heap_remove(ortmmap_heap_find(address));
  ortmmap_heap_return(address, length);
  ortmmap_heap_unlock();
}

/* Allocate a recorded block; NULL if memory or address space is out. If the store has blocks of its
 * size, it begins in scratch, at an address where the expected one can be mapped with huge pages.
 */
static void *allocate_block(recording_thread *thread, size_t size) {
  ortmmap_recorder *recorder = thread->recorder;
  const ortmmap_store *store = recorder->store;
  size_t length = ortmmap_whole_pages(size), residue = 0, next = 0;
  unsigned char *address = NULL;
  ortmmap_block *block;
  bool may_be_stored;
  finalize_pending(thread);
  if (store != NULL)
    next = find_stored(recorder, NULL, size);
  may_be_stored = store != NULL && next < store->count;
  if (may_be_stored)
    residue = (size_t)(store->blocks[next].offset % ORTMMAP_HUGE_PAGE);
  ortmmap_heap_lock();
  block = ortmmap_heap_add(recorder, size, residue);
  if (block != NULL)
    address = block->address;
  ortmmap_heap_unlock();
  if (address == NULL)
    return NULL;
  if (may_be_stored && map_scratch(thread, address, length)) {
    ortmmap_heap_lock();
    ortmmap_heap_find(address)->state = ORTMMAP_BLOCK_SCRATCH;
    thread->pending = address;
    ortmmap_heap_unlock();
    return address;
  }
  if (map_private(address, length))
    return address;
  discard_block(address, length);
  return NULL;
}

static void *ORT_API_CALL allocator_alloc(OrtAllocator *self, size_t size) {
  recording_thread *thread = current;
  void *block;
  (void)self;
  if (thread == NULL || size < ORTMMAP_SMALLEST_BLOCK || !atomic_load(&thread->recorder->active))
    return arena->Alloc(arena, size);
  block = allocate_block(thread, size);
  return block != NULL ? block : arena->Alloc(arena, size);
}

/* Remove the block at `address` from the table and from its thread; return its size. 0 if there is
 * none, or if its recorder keeps it. */
static size_t forget_block(const void *address) {
  ortmmap_block *block;
  recording_thread *thread;
  size_t size = 0;
  ortmmap_heap_lock();
  block = ortmmap_heap_find(address);
  if (block != NULL && block->recorder->keeping) {
    block->state = ORTMMAP_BLOCK_FREED;
  } else if (block != NULL) {
    size = block->size;
    for (thread = block->recorder->threads; thread != NULL; thread = thread->next)
      if (thread->pending == address)
        thread->pending = NULL;
    ortmmap_heap_remove(block);
  }
  ortmmap_heap_unlock();
  return size;
}

/* Unmap a block that has left the table, and only then let another one take its address. */
static void unmap_block(unsigned char *address, size_t size) {
  size_t length = ortmmap_whole_pages(size);
  if (mmap(address, length, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
           0) == MAP_FAILED)
    return;
  ortmmap_heap_lock();
  ortmmap_heap_return(address, length);
  ortmmap_heap_unlock();
}

static void ORT_API_CALL allocator_free(OrtAllocator *self, void *block) {
  size_t size;
  (void)self;
  if (!ortmmap_heap_contains(block)) {
    arena->Free(arena, block);
    return;
  }
  size = forget_block(block);
  if (size > 0)
    unmap_block(block, size);
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

static recording_thread *add_thread(ortmmap_recorder *recorder) {
  recording_thread *thread = calloc(1, sizeof *thread);
  if (thread == NULL)
    return NULL;
  thread->recorder = recorder;
  thread->scratch = -1;
  ortmmap_heap_lock();
  thread->next = recorder->threads;
  recorder->threads = thread;
  ortmmap_heap_unlock();
  return thread;
}

bool ortmmap_recorder_begin(ortmmap_recorder *recorder, const ortmmap_store *store) {
  recorder->store = store;
  current = add_thread(recorder);
  if (current == NULL)
    return false;
  atomic_store(&recorder->active, true);
  return true;
}

void ortmmap_recorder_end(ortmmap_recorder *recorder) {
  recording_thread *thread;
  atomic_store(&recorder->active, false);
  current = NULL;
  for (thread = recorder->threads; thread != NULL; thread = thread->next) {
    finalize_pending(thread);
    if (thread->scratch >= 0)
      close(thread->scratch);
    thread->scratch = -1;
  }
  if (recorder->store != NULL)
    share_private_blocks(recorder);
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
    unmap_block(block.address, block.size);
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
}

size_t ortmmap_recorder_blocks(const ortmmap_recorder *recorder, ortmmap_block *blocks,
                               size_t capacity) {
  const ortmmap_block *all;
  size_t index, count, found = 0;
  ortmmap_heap_lock();
  all = ortmmap_heap_blocks(&count);
  for (index = 0; index < count; index++) {
    if (all[index].recorder != recorder)
      continue;
    if (found < capacity)
      blocks[found] = all[index];
    found++;
  }
  ortmmap_heap_unlock();
  return found;
}

/* --- the session's threads, which may prepack in parallel --- */

typedef struct thread_start {
  pthread_t thread;
  recording_thread *recording;
  OrtThreadWorkerFn run;
  void *argument;
} thread_start;

static void *thread_main(void *argument) {
  thread_start *start = argument;
  current = start->recording;
  start->run(start->argument);
  return NULL;
}

OrtCustomThreadHandle ortmmap_create_thread(void *recorder, OrtThreadWorkerFn run, void *argument) {
  thread_start *start = calloc(1, sizeof *start);
  if (start == NULL)
    return NULL;
  start->recording = add_thread(recorder);
  start->run = run;
  start->argument = argument;
  if (start->recording == NULL || pthread_create(&start->thread, NULL, thread_main, start) != 0) {
    free(start);
    return NULL;
  }
  return (OrtCustomThreadHandle)start;
}

void ortmmap_join_thread(OrtCustomThreadHandle handle) {
  thread_start *start = (thread_start *)handle;
  pthread_join(start->thread, NULL);
  free(start);
}

#else /* not Linux: only ortmmap_allocator_start() is called; the rest is there to link */

OrtAllocator *ortmmap_allocator_start(OrtAllocator *outside, const OrtMemoryInfo *info) {
  (void)outside, (void)info;
  return NULL;
}

void ortmmap_allocator_set_arena(OrtAllocator *arena) { (void)arena; }

bool ortmmap_recorder_begin(ortmmap_recorder *recorder, const ortmmap_store *store) {
  (void)recorder, (void)store;
  return false;
}

void ortmmap_recorder_end(ortmmap_recorder *recorder) { (void)recorder; }

void ortmmap_recorder_keep(ortmmap_recorder *recorder) { (void)recorder; }

void ortmmap_recorder_let(ortmmap_recorder *recorder) { (void)recorder; }

void ortmmap_recorder_share(ortmmap_recorder *recorder, const ortmmap_store *store) {
  (void)recorder, (void)store;
}

void ortmmap_recorder_release(ortmmap_recorder *recorder) { (void)recorder; }

size_t ortmmap_recorder_blocks(const ortmmap_recorder *recorder, ortmmap_block *blocks,
                               size_t capacity) {
  (void)recorder, (void)blocks, (void)capacity;
  return 0;
}

OrtCustomThreadHandle ortmmap_create_thread(void *recorder, OrtThreadWorkerFn run, void *argument) {
  (void)recorder, (void)run, (void)argument;
  return NULL;
}

void ortmmap_join_thread(OrtCustomThreadHandle handle) { (void)handle; }

#endif /* __linux__ */
