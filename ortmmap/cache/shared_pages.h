/* An allocator whose blocks become pages of a shared file.
 *
 * Prepacked weights are the same in every process that opens a model. While a session is created, a
 * recorder hands out the blocks that its kernels ask for. Where a block turns out equal to one of a
 * store (a file of blocks that an earlier process recorded), the file's pages take its place: a
 * private mapping, so that a later write makes a page private again and never changes the file.
 *
 * Everything that is not recorded goes to ONNX Runtime's own arena. Linux only: elsewhere
 * there is no heap to start, and the other functions are never called. Needs -D_GNU_SOURCE. One
 * translation unit of a process includes it: it holds the process's one heap. */
#ifndef ORTMMAP_SHARED_PAGES_H
#define ORTMMAP_SHARED_PAGES_H

#include <ortmmap/ort_abi.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  ORTMMAP_PAGE = 4 << 10,
  ORTMMAP_LEAST_BLOCK = 64 << 10, /* smaller ones are not worth a mapping each */
  ORTMMAP_HUGE_PAGE = 2 << 20
};

/* A file of blocks, complete and never changed again. `data`, the whole file, may be unmapped once
 * recording is over. */
typedef struct ortmmap_stored_block {
  uint64_t offset; /* a multiple of ORTMMAP_PAGE */
  uint64_t size;
} ortmmap_stored_block;

typedef struct ortmmap_store {
  int fd;
  const unsigned char *data;
  const ortmmap_stored_block *blocks;
  size_t count;
} ortmmap_store;

typedef enum ortmmap_block_state {
  ORTMMAP_BLOCK_PRIVATE,
  ORTMMAP_BLOCK_SCRATCH, /* a view of its thread's scratch file, until the thread allocates again */
  ORTMMAP_BLOCK_SHARED   /* pages of a store */
} ortmmap_block_state;

typedef struct ortmmap_block {
  unsigned char *address;
  size_t size;
  uint64_t ordinal; /* blocks are numbered as they are allocated */
  struct ortmmap_recorder *recorder;
  ortmmap_block_state state;
} ortmmap_block;

/* What a thread of a recorded creation holds. Only that thread touches it while the recorder is
 * active, but for `pending`, which the heap's lock guards. */
typedef struct ortmmap_recording_thread {
  struct ortmmap_recorder *recorder;
  unsigned char *pending; /* the block in scratch, or NULL */
  int scratch;            /* a memfd, or -1 */
  size_t scratch_size;
  struct ortmmap_recording_thread *next; /* of the recorder; the heap's lock guards the list */
} ortmmap_recording_thread;

/* One creation of a session. It outlives the session, whose threads point to it. */
typedef struct ortmmap_recorder {
  atomic_bool active;
  const ortmmap_store *store; /* NULL: record only. Set while no thread allocates. */
  atomic_size_t expected;     /* the stored block that is likely to be asked for next */
  ortmmap_recording_thread *threads;
} ortmmap_recorder;

#ifdef __linux__

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

typedef struct ortmmap_extent {
  unsigned char *address;
  size_t size;
} ortmmap_extent;

/* The address space that blocks lie in: one range, so that Free tells blocks from the arena's
 * memory by their address. `lock` guards all but `base`, `size` and `arena`, which are set once. */
typedef struct ortmmap_heap {
  pthread_mutex_t lock;
  unsigned char *base;
  size_t size;
  OrtAllocator *arena;
  ortmmap_extent *free; /* sorted, no two adjacent */
  size_t free_count, free_capacity;
  ortmmap_block *blocks;
  size_t block_count, block_capacity;
  uint64_t next_ordinal;
} ortmmap_heap;

static ortmmap_heap ortmmap_the_heap = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* The calling thread's part of the creation that is being recorded, or NULL. It may be stale in a
 * thread pool's thread: look at `recorder->active`. */
static _Thread_local ortmmap_recording_thread *ortmmap_recording;

static inline size_t ortmmap_round_up(size_t size, size_t unit) {
  return (size + unit - 1) / unit * unit;
}

static inline void ortmmap_heap_lock(void) { pthread_mutex_lock(&ortmmap_the_heap.lock); }

static inline void ortmmap_heap_unlock(void) { pthread_mutex_unlock(&ortmmap_the_heap.lock); }

/* Room for one more item of `size` bytes in an array; false where memory is out. */
static inline bool ortmmap_grow(void **items, size_t count, size_t *capacity, size_t size) {
  size_t wanted = *capacity ? *capacity * 2 : 64;
  void *grown;
  if (count < *capacity)
    return true;
  grown = realloc(*items, wanted * size);
  if (grown == NULL)
    return false;
  *items = grown;
  *capacity = wanted;
  return true;
}

/* --- address space; the heap's lock is held --- */

static inline bool ortmmap_insert_extent(size_t index, ortmmap_extent extent) {
  ortmmap_heap *heap = &ortmmap_the_heap;
  void *items = heap->free;
  if (!ortmmap_grow(&items, heap->free_count, &heap->free_capacity, sizeof extent))
    return false;
  heap->free = items;
  memmove(heap->free + index + 1, heap->free + index, (heap->free_count - index) * sizeof extent);
  heap->free[index] = extent;
  heap->free_count++;
  return true;
}

static inline void ortmmap_remove_extent(size_t index) {
  ortmmap_heap *heap = &ortmmap_the_heap;
  heap->free_count--;
  memmove(heap->free + index, heap->free + index + 1,
          (heap->free_count - index) * sizeof *heap->free);
}

/* Takes `size` bytes whose address is `residue` modulo a huge page; NULL where there are none. */
static inline unsigned char *ortmmap_take_extent(size_t size, size_t residue) {
  ortmmap_heap *heap = &ortmmap_the_heap;
  size_t index, skip;
  for (index = 0; index < heap->free_count; index++) {
    ortmmap_extent *extent = heap->free + index;
    ortmmap_extent rest;
    skip = (residue - (uintptr_t)extent->address) % ORTMMAP_HUGE_PAGE;
    if (extent->size < skip || extent->size - skip < size)
      continue;
    rest.address = extent->address + skip + size;
    rest.size = extent->size - skip - size;
    if (rest.size > 0 && !ortmmap_insert_extent(index + 1, rest))
      return NULL;
    heap->free[index].size = skip;
    if (skip == 0)
      ortmmap_remove_extent(index);
    return rest.address - size;
  }
  return NULL;
}

/* Gives back what was taken. Where memory is out, the address space is lost, nothing else. */
static inline void ortmmap_give_extent(unsigned char *address, size_t size) {
  ortmmap_heap *heap = &ortmmap_the_heap;
  size_t index = 0;
  while (index < heap->free_count && heap->free[index].address < address)
    index++;
  if (!ortmmap_insert_extent(index, (ortmmap_extent){address, size}))
    return;
  if (index + 1 < heap->free_count && address + size == heap->free[index + 1].address) {
    heap->free[index].size += heap->free[index + 1].size;
    ortmmap_remove_extent(index + 1);
  }
  if (index > 0 && heap->free[index - 1].address + heap->free[index - 1].size == address) {
    heap->free[index - 1].size += heap->free[index].size;
    ortmmap_remove_extent(index);
  }
}

/* --- blocks; the heap's lock is held --- */

/* The block at `address`, or NULL. The latest are looked at first: they are freed first. */
static inline ortmmap_block *ortmmap_find_block(const void *address) {
  ortmmap_heap *heap = &ortmmap_the_heap;
  size_t index;
  for (index = heap->block_count; index > 0; index--)
    if (heap->blocks[index - 1].address == address)
      return heap->blocks + index - 1;
  return NULL;
}

static inline unsigned char *ortmmap_add_block(ortmmap_recorder *recorder, size_t size,
                                               size_t residue) {
  ortmmap_heap *heap = &ortmmap_the_heap;
  void *items = heap->blocks;
  unsigned char *address;
  if (!ortmmap_grow(&items, heap->block_count, &heap->block_capacity, sizeof *heap->blocks))
    return NULL;
  heap->blocks = items;
  address = ortmmap_take_extent(ortmmap_round_up(size, ORTMMAP_PAGE), residue);
  if (address == NULL)
    return NULL;
  heap->blocks[heap->block_count++] = (ortmmap_block){.address = address,
                                                      .size = size,
                                                      .ordinal = heap->next_ordinal++,
                                                      .recorder = recorder,
                                                      .state = ORTMMAP_BLOCK_PRIVATE};
  return address;
}

/* Forgets a block, wherever it lies; false where there is none at `address`. */
static inline bool ortmmap_remove_block(const void *address, size_t *size) {
  ortmmap_heap *heap = &ortmmap_the_heap;
  ortmmap_block *block = ortmmap_find_block(address);
  ortmmap_recording_thread *thread;
  if (block == NULL)
    return false;
  *size = block->size;
  for (thread = block->recorder->threads; thread != NULL; thread = thread->next)
    if (thread->pending == address)
      thread->pending = NULL;
  *block = heap->blocks[--heap->block_count];
  return true;
}

static inline void ortmmap_set_state(const void *address, ortmmap_block_state state) {
  ortmmap_heap_lock();
  ortmmap_find_block(address)->state = state;
  ortmmap_heap_unlock();
}

/* --- memory of blocks --- */

static inline bool ortmmap_map_private(unsigned char *address, size_t size) {
  return mmap(address, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
              0) != MAP_FAILED;
}

/* Makes the thread's scratch file that large. Writing pages takes half the time that touching them
 * does. */
static inline bool ortmmap_grow_scratch(ortmmap_recording_thread *thread, size_t size) {
  static const char zeros[ORTMMAP_LEAST_BLOCK];
  while (thread->scratch_size < size) {
    ssize_t written = pwrite(thread->scratch, zeros, sizeof zeros, (off_t)thread->scratch_size);
    if (written <= 0)
      return false;
    thread->scratch_size += (size_t)written;
  }
  return true;
}

/* Puts the thread's scratch file at `address`. Its pages were touched before, so none is zeroed. */
static inline bool ortmmap_map_scratch(ortmmap_recording_thread *thread, unsigned char *address,
                                       size_t size) {
  if (thread->scratch < 0) {
    thread->scratch = memfd_create("ortmmap scratch", MFD_CLOEXEC);
    thread->scratch_size = 0;
  }
  if (thread->scratch < 0 || !ortmmap_grow_scratch(thread, size))
    return false;
  return mmap(address, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE,
              thread->scratch, 0) != MAP_FAILED;
}

/* Puts a stored block's pages at `address`, which holds the same bytes before and after. */
static inline bool ortmmap_map_stored(const ortmmap_store *store, size_t index,
                                      unsigned char *address) {
  const ortmmap_stored_block *block = store->blocks + index;
  size_t size = ortmmap_round_up((size_t)block->size, ORTMMAP_PAGE);
  if (mmap(address, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, store->fd,
           (off_t)block->offset) == MAP_FAILED)
    return false;
  (void)madvise(address, size, MADV_POPULATE_READ); /* an older kernel maps page by page */
  return true;
}

/* Moves a block out of scratch, to private memory at the same address. Where there is none, it
 * keeps the scratch file for itself, and the thread makes another. */
static inline void ortmmap_leave_scratch(ortmmap_recording_thread *thread, unsigned char *address,
                                         size_t size) {
  size_t length = ortmmap_round_up(size, ORTMMAP_PAGE);
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

/* --- comparing --- */

/* The stored block that equals these bytes, or `count`. memcmp ends at the first difference. */
static inline size_t ortmmap_match(const ortmmap_store *store, size_t expected,
                                   const unsigned char *address, size_t size) {
  size_t step, index;
  for (step = 0; step < store->count; step++) {
    index = (expected + step) % store->count;
    if (store->blocks[index].size == size &&
        memcmp(store->data + store->blocks[index].offset, address, size) == 0)
      return index;
  }
  return store->count;
}

/* The next stored block of that size, or `count`. */
static inline size_t ortmmap_candidate(const ortmmap_store *store, size_t expected, size_t size) {
  size_t step, index;
  for (step = 0; step < store->count; step++) {
    index = (expected + step) % store->count;
    if (store->blocks[index].size == size)
      return index;
  }
  return store->count;
}

/* Shares a block if the store has its bytes. */
static inline bool ortmmap_share(ortmmap_recorder *recorder, unsigned char *address, size_t size) {
  const ortmmap_store *store = recorder->store;
  size_t index = ortmmap_match(store, atomic_load(&recorder->expected), address, size);
  if (index == store->count || !ortmmap_map_stored(store, index, address))
    return false;
  atomic_store(&recorder->expected, (index + 1) % store->count);
  ortmmap_set_state(address, ORTMMAP_BLOCK_SHARED);
  return true;
}

/* Ends the time of the thread's block in scratch. It is complete: its thread fills a block before
 * it allocates the next; and nobody else writes to it, since ORT's parallel loops block their
 * caller. Where a kernel does allocate twice before it fills once, the bytes differ, and the block
 * is looked at again at the end. */
static inline void ortmmap_settle(ortmmap_recording_thread *thread) {
  unsigned char *address;
  size_t size = 0;
  ortmmap_heap_lock();
  address = thread->pending;
  if (address != NULL)
    size = ortmmap_find_block(address)->size;
  thread->pending = NULL;
  ortmmap_heap_unlock();
  if (address == NULL || ortmmap_share(thread->recorder, address, size))
    return;
  ortmmap_leave_scratch(thread, address, size);
  ortmmap_set_state(address, ORTMMAP_BLOCK_PRIVATE);
}

/* --- the allocator --- */

/* A block of the recorder, or NULL where memory or address space is out. */
static inline void *ortmmap_allocate_block(ortmmap_recording_thread *thread, size_t size) {
  ortmmap_recorder *recorder = thread->recorder;
  const ortmmap_store *store = recorder->store;
  size_t count = store == NULL ? 0 : store->count;
  size_t next = count ? ortmmap_candidate(store, atomic_load(&recorder->expected), size) : count;
  size_t residue = next < count ? (size_t)(store->blocks[next].offset % ORTMMAP_HUGE_PAGE) : 0;
  size_t length = ortmmap_round_up(size, ORTMMAP_PAGE);
  unsigned char *address;
  ortmmap_settle(thread);
  ortmmap_heap_lock();
  address = ortmmap_add_block(recorder, size, residue);
  ortmmap_heap_unlock();
  if (address == NULL)
    return NULL;
  if (next < count && ortmmap_map_scratch(thread, address, length)) {
    ortmmap_heap_lock();
    ortmmap_find_block(address)->state = ORTMMAP_BLOCK_SCRATCH;
    thread->pending = address;
    ortmmap_heap_unlock();
    return address;
  }
  if (ortmmap_map_private(address, length))
    return address;
  ortmmap_heap_lock();
  ortmmap_remove_block(address, &size);
  ortmmap_give_extent(address, length);
  ortmmap_heap_unlock();
  return NULL;
}

static inline void *ORT_API_CALL ortmmap_alloc(OrtAllocator *self, size_t size) {
  ortmmap_recording_thread *thread = ortmmap_recording;
  OrtAllocator *arena = ortmmap_the_heap.arena;
  void *block;
  (void)self;
  if (thread == NULL || size < ORTMMAP_LEAST_BLOCK || !atomic_load(&thread->recorder->active))
    return arena->Alloc(arena, size);
  block = ortmmap_allocate_block(thread, size);
  return block != NULL ? block : arena->Alloc(arena, size);
}

static inline bool ortmmap_in_heap(const void *address) {
  const ortmmap_heap *heap = &ortmmap_the_heap;
  return (uintptr_t)address - (uintptr_t)heap->base < heap->size;
}

static inline void ORT_API_CALL ortmmap_free(OrtAllocator *self, void *block) {
  OrtAllocator *arena = ortmmap_the_heap.arena;
  size_t size = 0;
  bool found;
  (void)self;
  if (!ortmmap_in_heap(block)) {
    arena->Free(arena, block);
    return;
  }
  ortmmap_heap_lock();
  found = ortmmap_remove_block(block, &size);
  ortmmap_heap_unlock();
  if (!found)
    return;
  size = ortmmap_round_up(size, ORTMMAP_PAGE);
  /* The memory goes first, and then the address may be given to somebody else. */
  if (mmap(block, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
           0) == MAP_FAILED)
    return;
  ortmmap_heap_lock();
  ortmmap_give_extent(block, size);
  ortmmap_heap_unlock();
}

static inline const OrtMemoryInfo *ORT_API_CALL ortmmap_info(const OrtAllocator *self);

typedef struct ortmmap_allocator {
  OrtAllocator base; /* first: ORT gets a pointer to it */
  const OrtMemoryInfo *info;
} ortmmap_allocator;

/* Version 18 of the struct: Alloc, Free, Info and Reserve. */
static ortmmap_allocator ortmmap_the_allocator = {.base = {.version = 18,
                                                           .Alloc = ortmmap_alloc,
                                                           .Free = ortmmap_free,
                                                           .Info = ortmmap_info,
                                                           .Reserve = ortmmap_alloc}};

static inline const OrtMemoryInfo *ORT_API_CALL ortmmap_info(const OrtAllocator *self) {
  return ((const ortmmap_allocator *)self)->info;
}

/* --- starting --- */

/* Reserves address space, less where a limit forbids much. */
static inline bool ortmmap_reserve(void) {
  ortmmap_heap *heap = &ortmmap_the_heap;
  size_t size = (size_t)1 << 40;
  void *base = MAP_FAILED;
  for (; size >= (size_t)1 << 32 && base == MAP_FAILED; size /= 2) {
    base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    heap->size = size;
  }
  if (base == MAP_FAILED)
    return false;
  heap->base = base;
  return ortmmap_insert_extent(0, (ortmmap_extent){base, heap->size});
}

/* Starts the heap, once in a process, and gives the allocator to register with ORT. `arena` is what
 * everything else goes to, `info` what the allocator says of itself; both outlive the process's
 * sessions. NULL where there is no address space. A child of fork() may allocate: the caller sees
 * to it that no other thread holds the heap's lock then. */
static inline OrtAllocator *ortmmap_heap_start(OrtAllocator *arena, const OrtMemoryInfo *info) {
  if (!ortmmap_reserve())
    return NULL;
  ortmmap_the_heap.arena = arena;
  ortmmap_the_allocator.info = info;
  return &ortmmap_the_allocator.base;
}

/* Has what is not recorded go to another arena, while nobody has memory of the one before: in the
 * child of a fork, where the parent's sessions are neither used nor released. */
static inline void ortmmap_heap_use(OrtAllocator *arena) { ortmmap_the_heap.arena = arena; }

/* --- recording --- */

static inline ortmmap_recording_thread *ortmmap_recording_thread_new(ortmmap_recorder *recorder) {
  ortmmap_recording_thread *thread = calloc(1, sizeof *thread);
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

/* Begins to record what this thread allocates. `store` may be NULL. */
static inline bool ortmmap_recorder_begin(ortmmap_recorder *recorder, const ortmmap_store *store) {
  recorder->store = store;
  ortmmap_recording = ortmmap_recording_thread_new(recorder);
  if (ortmmap_recording == NULL)
    return false;
  atomic_store(&recorder->active, true);
  return true;
}

/* Compares the recorder's private blocks with its store, one after another, and shares what is
 * equal. Nobody may be using the session yet. */
static inline void ortmmap_recorder_share(ortmmap_recorder *recorder) {
  ortmmap_heap *heap = &ortmmap_the_heap;
  ortmmap_block block;
  size_t index;
  bool mine;
  for (index = 0;; index++) {
    ortmmap_heap_lock();
    if (index >= heap->block_count) {
      ortmmap_heap_unlock();
      return;
    }
    block = heap->blocks[index];
    mine = block.recorder == recorder && block.state == ORTMMAP_BLOCK_PRIVATE;
    ortmmap_heap_unlock();
    if (mine)
      ortmmap_share(recorder, block.address, block.size);
  }
}

/* Ends recording, in the thread that began it, once the session is there (or could not be created).
 */
static inline void ortmmap_recorder_end(ortmmap_recorder *recorder) {
  ortmmap_recording_thread *thread;
  atomic_store(&recorder->active, false);
  ortmmap_recording = NULL;
  for (thread = recorder->threads; thread != NULL; thread = thread->next) {
    ortmmap_settle(thread);
    if (thread->scratch >= 0)
      close(thread->scratch);
    thread->scratch = -1;
  }
  if (recorder->store != NULL)
    ortmmap_recorder_share(recorder);
}

/* Releases the recorder's own memory, after the session's: its threads and its blocks are gone. */
static inline void ortmmap_recorder_release(ortmmap_recorder *recorder) {
  while (recorder->threads != NULL) {
    ortmmap_recording_thread *thread = recorder->threads;
    recorder->threads = thread->next;
    free(thread);
  }
}

/* Copies out the recorder's live blocks, at most `most`, and returns how many there are. */
static inline size_t ortmmap_recorder_blocks(const ortmmap_recorder *recorder,
                                             ortmmap_block *blocks, size_t most) {
  ortmmap_heap *heap = &ortmmap_the_heap;
  size_t index, count = 0;
  ortmmap_heap_lock();
  for (index = 0; index < heap->block_count; index++) {
    if (heap->blocks[index].recorder != recorder)
      continue;
    if (count < most)
      blocks[count] = heap->blocks[index];
    count++;
  }
  ortmmap_heap_unlock();
  return count;
}

/* --- threads of the session, which prepack in parallel --- */

typedef struct ortmmap_thread_start {
  pthread_t thread;
  ortmmap_recording_thread *recording;
  OrtThreadWorkerFn run;
  void *argument;
} ortmmap_thread_start;

static inline void *ortmmap_thread_main(void *start) {
  ortmmap_thread_start *mine = start;
  ortmmap_recording = mine->recording;
  mine->run(mine->argument);
  return NULL;
}

/* Makes a thread of ORT's pool record too. `recorder` is what was set as creation options. */
static inline OrtCustomThreadHandle ortmmap_create_thread(void *recorder, OrtThreadWorkerFn run,
                                                          void *argument) {
  ortmmap_thread_start *start = calloc(1, sizeof *start);
  if (start == NULL)
    return NULL;
  start->recording = ortmmap_recording_thread_new(recorder);
  start->run = run;
  start->argument = argument;
  if (start->recording == NULL ||
      pthread_create(&start->thread, NULL, ortmmap_thread_main, start) != 0) {
    free(start);
    return NULL;
  }
  return (OrtCustomThreadHandle)start;
}

static inline void ortmmap_join_thread(OrtCustomThreadHandle handle) {
  ortmmap_thread_start *start = (ortmmap_thread_start *)handle;
  pthread_join(start->thread, NULL);
  free(start);
}

#else /* not Linux */

static inline OrtAllocator *ortmmap_heap_start(OrtAllocator *arena, const OrtMemoryInfo *info) {
  (void)arena, (void)info;
  return NULL;
}

static inline void ortmmap_heap_use(OrtAllocator *arena) { (void)arena; }

static inline void ortmmap_heap_lock(void) {}

static inline void ortmmap_heap_unlock(void) {}

static inline bool ortmmap_recorder_begin(ortmmap_recorder *recorder, const ortmmap_store *store) {
  (void)recorder, (void)store;
  return false;
}

static inline void ortmmap_recorder_end(ortmmap_recorder *recorder) { (void)recorder; }

static inline void ortmmap_recorder_share(ortmmap_recorder *recorder) { (void)recorder; }

static inline void ortmmap_recorder_release(ortmmap_recorder *recorder) { (void)recorder; }

static inline size_t ortmmap_recorder_blocks(const ortmmap_recorder *recorder,
                                             ortmmap_block *blocks, size_t most) {
  (void)recorder, (void)blocks, (void)most;
  return 0;
}

static inline OrtCustomThreadHandle ortmmap_create_thread(void *recorder, OrtThreadWorkerFn run,
                                                          void *argument) {
  (void)recorder, (void)run, (void)argument;
  return NULL;
}

static inline void ortmmap_join_thread(OrtCustomThreadHandle handle) { (void)handle; }

#endif /* __linux__ */

#endif /* ORTMMAP_SHARED_PAGES_H */
