/* Blocks that the recording allocator hands out, and their contents. */
#ifndef ORTMMAP_TESTS_BLOCKS_H
#define ORTMMAP_TESTS_BLOCKS_H

#include "cache/shared_pages.h"

#include <stdlib.h>
#include <string.h>

static OrtAllocator *allocator; /* started by main() */
static int from_arena;          /* allocations that are not recorded, and not freed yet */

static void *arena_alloc(OrtAllocator *self, size_t size) {
  (void)self;
  from_arena++;
  return malloc(size);
}

static void arena_free(OrtAllocator *self, void *block) {
  (void)self;
  from_arena -= block != NULL;
  free(block);
}

static OrtAllocator arena = {.version = 18, .Alloc = arena_alloc, .Free = arena_free};

static void *allocate(size_t size) { return allocator->Alloc(allocator, size); }

static void release(void *block) { allocator->Free(allocator, block); }

/* Fill a block with contents that depend on its size and `seed` only. */
static void fill(unsigned char *block, size_t size, unsigned seed) {
  size_t index;
  for (index = 0; index < size; index++)
    block[index] = (unsigned char)((index * 31 + index / 4096) * (seed + 7) + seed);
}

static int is_filled(const unsigned char *block, size_t size, unsigned seed) {
  unsigned char *expected = malloc(size);
  int equal;
  fill(expected, size, seed);
  equal = memcmp(block, expected, size) == 0;
  free(expected);
  return equal;
}

#endif /* ORTMMAP_TESTS_BLOCKS_H */
