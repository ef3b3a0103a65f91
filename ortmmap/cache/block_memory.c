#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#endif

#include "cache/block_memory.h"

#ifndef _WIN32

#include <sys/mman.h>

#if defined(__linux__) && !defined(MADV_POPULATE_READ)
#define MADV_POPULATE_READ 22
#endif

bool ortmmap_block_map_private(unsigned char *address, size_t size) {
  return mmap(address, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
              0) != MAP_FAILED;
}

bool ortmmap_block_map_nothing(unsigned char *address, size_t size) {
  return mmap(address, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
              0) != MAP_FAILED;
}

void ortmmap_block_trim(const ortmmap_block *block) {
  unsigned char *end = block->address + ortmmap_whole_pages(block->size);
  size_t before = (size_t)(block->address - block->extent);
  size_t after = (size_t)(block->extent + block->extent_size - end);
  if (before > 0 && !ortmmap_block_map_nothing(block->extent, before))
    (void)madvise(block->extent, before, MADV_DONTNEED);
  if (after > 0 && !ortmmap_block_map_nothing(end, after))
    (void)madvise(end, after, MADV_DONTNEED);
}

bool ortmmap_block_map_stored(const ortmmap_store *store, size_t index, unsigned char *address,
                              size_t size) {
  const ortmmap_stored_block *block = store->blocks + index;
  if (mmap(address, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, store->fd,
           (off_t)block->offset) == MAP_FAILED)
    return false;
#ifdef MADV_POPULATE_READ
  if (store->fingerprints == NULL)
    (void)madvise(address, size, MADV_POPULATE_READ); /* kernels before 5.14 fault in each page */
#endif
  return true;
}

#endif /* !_WIN32 */
