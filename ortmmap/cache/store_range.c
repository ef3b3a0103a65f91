#include "cache/store_range.h"

#ifndef _WIN32

#include "cache/block_memory.h"

#include <stdlib.h>

/* Where the room of a stored block ends in the file. */
static size_t end_of(const ortmmap_store *store, size_t index) {
  const ortmmap_stored_block *block = store->blocks + index;
  if (index + 1 < store->count)
    return (size_t)store->blocks[index + 1].offset;
  return (size_t)block->offset + ortmmap_whole_pages((size_t)block->size);
}

static size_t size_of(const ortmmap_store *store) {
  size_t end = store->count == 0 ? 0 : end_of(store, store->count - 1);
  return ortmmap_round_up(end, ORTMMAP_HUGE_PAGE);
}

void ortmmap_store_range_reserve(ortmmap_store_range *range, const ortmmap_store *store) {
  size_t size = size_of(store);
  range->store = store;
  range->is_taken = calloc(store->count + 1, sizeof *range->is_taken);
  if (range->is_taken != NULL && size > 0)
    range->start = ortmmap_heap_take(size, 0);
  if (range->start != NULL)
    return;
  free(range->is_taken);
  *range = (ortmmap_store_range){0};
}

ortmmap_block *ortmmap_store_range_add(ortmmap_store_range *range, size_t index,
                                       struct ortmmap_recorder *recorder) {
  const ortmmap_store *store = range->store;
  size_t offset;
  ortmmap_block *block;
  if (range->start == NULL || range->is_taken[index])
    return NULL;
  offset = (size_t)store->blocks[index].offset;
  block = ortmmap_heap_add_in(recorder, (size_t)store->blocks[index].size, range->start + offset,
                              end_of(store, index) - offset);
  if (block == NULL)
    return NULL;
  block->as_in_file = true;
  range->is_taken[index] = true;
  return block;
}

bool ortmmap_store_range_keep(ortmmap_store_range *range, const ortmmap_block *block) {
  size_t index = 0;
  if (range->start == NULL || !block->as_in_file)
    return false;
  while (range->start + range->store->blocks[index].offset != block->address)
    index++;
  range->is_taken[index] = false;
  return true;
}

static void give_back(const ortmmap_store_range *range, size_t begin, size_t end) {
  if (begin < end && ortmmap_block_map_nothing(range->start + begin, end - begin))
    ortmmap_heap_return(range->start + begin, end - begin);
}

void ortmmap_store_range_return(ortmmap_store_range *range) {
  const ortmmap_store *store = range->store;
  size_t index, begin = 0;
  for (index = 0; index < store->count; index++) {
    if (!range->is_taken[index])
      continue;
    give_back(range, begin, (size_t)store->blocks[index].offset);
    begin = end_of(store, index);
  }
  give_back(range, begin, size_of(store));
  free(range->is_taken);
  *range = (ortmmap_store_range){0};
}

static int compare_addresses(const void *left, const void *right) {
  const ortmmap_block *one = left, *other = right;
  return (one->address > other->address) - (one->address < other->address);
}

/* Blocks that were compared have been shared at once, but for what follows them in their extents.
 */
static bool is_ready(const ortmmap_block *block) {
  return block->as_in_file &&
         (block->state == ORTMMAP_BLOCK_FOLDED || block->state == ORTMMAP_BLOCK_SHARED);
}

/* Whether a block follows another one both in memory and in the file. */
static bool follows(const ortmmap_store *store, const ortmmap_block *next,
                    const ortmmap_block *block) {
  return is_ready(next) && next->address == block->address + block->extent_size &&
         store->blocks[next->stored].offset ==
             store->blocks[block->stored].offset + block->extent_size;
}

/* Map the file over a recognized block that lies outside of the range. */
static void unfold_alone(const ortmmap_store *store, ortmmap_block *block) {
  if (block->state != ORTMMAP_BLOCK_FOLDED ||
      !ortmmap_block_map_stored(store, block->stored, block->address,
                                ortmmap_whole_pages(block->size)))
    return;
  block->state = ORTMMAP_BLOCK_SHARED;
  ortmmap_block_trim(block);
}

void ortmmap_store_range_unfold(const ortmmap_store *store, ortmmap_block *blocks, size_t count) {
  size_t first, end, size;
  if (count > 0) /* or there may be no array */
    qsort(blocks, count, sizeof *blocks, compare_addresses);
  for (first = 0; first < count; first = end) {
    end = first + 1;
    if (!is_ready(blocks + first)) {
      unfold_alone(store, blocks + first);
      continue;
    }
    size = blocks[first].extent_size;
    for (; end < count && follows(store, blocks + end, blocks + end - 1); end++)
      size += blocks[end].extent_size;
    if (!ortmmap_block_map_stored(store, blocks[first].stored, blocks[first].address, size))
      return;
    for (; first < end; first++)
      blocks[first].state = ORTMMAP_BLOCK_SHARED;
  }
}

#endif /* !_WIN32 */
