#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mremap */
#endif

#include "cache/scratch.h"
#include "cache/linux_memory.h"

#ifdef ORTMMAP_LINUX_MEMORY

#include "cache/huge_pages.h"

#include <sys/mman.h>

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

/* The old range stays mapped, without pages, so no other thread's mmap() gets its address. */
enum { MOVE = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP };

static bool move(unsigned char *from, unsigned char *to, size_t length) {
  return mremap(from, length, length, MOVE, to) != MAP_FAILED;
}

static bool make(ortmmap_scratch *scratch, size_t size) {
  scratch->home = ortmmap_huge_pages_map(size, PROT_READ | PROT_WRITE);
  if (scratch->home == NULL)
    return false;
  scratch->size = size;
  (void)madvise(scratch->home, size, MADV_HUGEPAGE); /* small pages serve too */
  return true;
}

bool ortmmap_scratch_lend(ortmmap_scratch *scratch, size_t size, unsigned char *address,
                          size_t length) {
  if (scratch->home == NULL && !make(scratch, size))
    return false;
  return length <= scratch->size && move(scratch->home, address, length);
}

bool ortmmap_scratch_take_back(ortmmap_scratch *scratch, unsigned char *address, size_t length) {
  return move(address, scratch->home, length);
}

void ortmmap_scratch_release(ortmmap_scratch *scratch) {
  if (scratch->home != NULL)
    munmap(scratch->home, scratch->size);
  *scratch = (ortmmap_scratch){0};
}

#else /* not Linux: the functions are there to link */

bool ortmmap_scratch_lend(ortmmap_scratch *scratch, size_t size, unsigned char *address,
                          size_t length) {
  (void)scratch, (void)size, (void)address, (void)length;
  return false;
}

bool ortmmap_scratch_take_back(ortmmap_scratch *scratch, unsigned char *address, size_t length) {
  (void)scratch, (void)address, (void)length;
  return false;
}

void ortmmap_scratch_release(ortmmap_scratch *scratch) { (void)scratch; }

#endif /* ORTMMAP_LINUX_MEMORY */
