#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#endif

#include "cache/heap.h"

#include <stdlib.h>

#ifndef _WIN32

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

typedef struct extent {
  unsigned char *address;
  size_t size;
} extent;

/* `lock` guards all but `base` and `size`, which are set once. */
static struct {
  pthread_mutex_t lock;
  unsigned char *base;
  size_t size;
  extent *free; /* sorted, no two adjacent */
  size_t free_count, free_capacity;
  ortmmap_block *blocks;
  size_t block_count, block_capacity;
  uint64_t next_ordinal;
} heap = {.lock = PTHREAD_MUTEX_INITIALIZER};

void ortmmap_heap_lock(void) { pthread_mutex_lock(&heap.lock); }

void ortmmap_heap_unlock(void) { pthread_mutex_unlock(&heap.lock); }

/* Return `items` with room for one more item of `size` bytes; NULL if memory is out. */
static void *grown(void *items, size_t count, size_t *capacity, size_t size) {
  size_t wanted = *capacity ? *capacity * 2 : 64;
  if (count < *capacity)
    return items;
  items = realloc(items, wanted * size);
  if (items != NULL)
    *capacity = wanted;
  return items;
}

/* --- free extents --- */

static bool insert_extent(size_t index, extent added) {
  extent *items = grown(heap.free, heap.free_count, &heap.free_capacity, sizeof added);
  if (items == NULL)
    return false;
  heap.free = items;
  memmove(items + index + 1, items + index, (heap.free_count - index) * sizeof added);
  items[index] = added;
  heap.free_count++;
  return true;
}

static void remove_extent(size_t index) {
  heap.free_count--;
  memmove(heap.free + index, heap.free + index + 1, (heap.free_count - index) * sizeof *heap.free);
}

unsigned char *ortmmap_heap_take(size_t size, size_t residue) {
  size_t index, skip;
  for (index = 0; index < heap.free_count; index++) {
    extent found = heap.free[index], rest;
    skip = (residue - (uintptr_t)found.address) % ORTMMAP_HUGE_PAGE;
    if (found.size < skip || found.size - skip < size)
      continue;
    rest.address = found.address + skip + size;
    rest.size = found.size - skip - size;
    if (rest.size > 0 && !insert_extent(index + 1, rest))
      return NULL;
    heap.free[index].size = skip;
    if (skip == 0)
      remove_extent(index);
    return found.address + skip;
  }
  return NULL;
}

/* If memory is out, the address space is lost, and nothing else. */
void ortmmap_heap_return(unsigned char *address, size_t size) {
  size_t index = 0;
  while (index < heap.free_count && heap.free[index].address < address)
    index++;
  if (!insert_extent(index, (extent){address, size}))
    return;
  if (index + 1 < heap.free_count && address + size == heap.free[index + 1].address) {
    heap.free[index].size += heap.free[index + 1].size;
    remove_extent(index + 1);
  }
  if (index > 0 && heap.free[index - 1].address + heap.free[index - 1].size == address) {
    heap.free[index - 1].size += heap.free[index].size;
    remove_extent(index);
  }
}

/* --- blocks --- */

ortmmap_block *ortmmap_heap_add(struct ortmmap_recorder *recorder, size_t size, size_t residue,
                                size_t unit) {
  size_t before = residue % unit, extent_size = ortmmap_round_up(before + size, unit);
  unsigned char *start = ortmmap_heap_take(extent_size, residue - before);
  ortmmap_block *block;
  if (start == NULL)
    return NULL;
  block = ortmmap_heap_add_in(recorder, size, start, extent_size);
  if (block == NULL)
    ortmmap_heap_return(start, extent_size);
  else
    block->address = start + before;
  return block;
}

ortmmap_block *ortmmap_heap_add_in(struct ortmmap_recorder *recorder, size_t size,
                                   unsigned char *start, size_t extent_size) {
  ortmmap_block *items =
      grown(heap.blocks, heap.block_count, &heap.block_capacity, sizeof *heap.blocks);
  if (items == NULL)
    return NULL;
  heap.blocks = items;
  items[heap.block_count] = (ortmmap_block){.address = start,
                                            .size = size,
                                            .extent = start,
                                            .extent_size = extent_size,
                                            .ordinal = heap.next_ordinal++,
                                            .recorder = recorder,
                                            .state = ORTMMAP_BLOCK_PRIVATE};
  return items + heap.block_count++;
}

void ortmmap_heap_remove(ortmmap_block *block) { *block = heap.blocks[--heap.block_count]; }

/* Searched from the latest, since those are freed first. */
ortmmap_block *ortmmap_heap_find(const void *address) {
  size_t index;
  for (index = heap.block_count; index > 0; index--)
    if (heap.blocks[index - 1].address == address)
      return heap.blocks + index - 1;
  return NULL;
}

ortmmap_block *ortmmap_heap_blocks(size_t *count) {
  *count = heap.block_count;
  return heap.blocks;
}

size_t ortmmap_heap_blocks_of(const struct ortmmap_recorder *recorder, ortmmap_block *blocks,
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

/* --- the whole range --- */

/* 1 TiB, or at most a quarter of the address space that the process may have: the reservation
 * counts, and the rest is for everything else. */
static size_t largest_reservation(void) {
  size_t size = (size_t)1 << 40;
  struct rlimit limit;
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return size;
  while (size > limit.rlim_cur / 4)
    size /= 2;
  return size;
}

bool ortmmap_heap_reserve(void) {
  size_t size = largest_reservation();
  void *base = MAP_FAILED;
  for (; size >= (size_t)1 << 32 && base == MAP_FAILED; size /= 2) {
    base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    heap.size = size;
  }
  if (base == MAP_FAILED)
    return false;
  heap.base = base;
  return insert_extent(0, (extent){base, heap.size});
}

bool ortmmap_heap_contains(const void *address) {
  return (uintptr_t)address - (uintptr_t)heap.base < heap.size;
}

bool ortmmap_heap_is_empty(void) {
  return heap.block_count == 0 && heap.free_count == 1 && heap.free[0].address == heap.base &&
         heap.free[0].size == heap.size;
}

#else /* Windows: forks and tests may still call these */

void ortmmap_heap_lock(void) {}

void ortmmap_heap_unlock(void) {}

size_t ortmmap_heap_blocks_of(const struct ortmmap_recorder *recorder, ortmmap_block *blocks,
                              size_t capacity) {
  (void)recorder, (void)blocks, (void)capacity;
  return 0;
}

#endif /* !_WIN32 */

ortmmap_block *ortmmap_heap_copy_blocks(const struct ortmmap_recorder *recorder, size_t *count) {
  size_t found, capacity = ortmmap_heap_blocks_of(recorder, NULL, 0);
  ortmmap_block *blocks = calloc(capacity + 1, sizeof *blocks);
  found = blocks == NULL ? 0 : ortmmap_heap_blocks_of(recorder, blocks, capacity);
  *count = found < capacity ? found : capacity; /* there may be more by now */
  return blocks;
}
