#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#endif

#include "cache/huge_pages.h"
#include "cache/linux_memory.h"

#ifdef ORTMMAP_LINUX_MEMORY

#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

enum { LONGEST_TOUCH = 750000 }; /* nanoseconds, what 512 small pages take */

static atomic_bool are_slow; /* huge pages, in this process */

unsigned char *ortmmap_huge_pages_map(size_t size, int protection) {
  size_t reserved = size + ORTMMAP_HUGE_PAGE, skip;
  unsigned char *start =
      mmap(NULL, reserved, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED)
    return NULL;
  skip = -(uintptr_t)start % ORTMMAP_HUGE_PAGE;
  if (skip > 0)
    munmap(start, skip);
  munmap(start + skip + size, reserved - skip - size);
  return start + skip;
}

unsigned char *ortmmap_huge_pages_map_file(int file, size_t size) {
  unsigned char *mapped = ortmmap_huge_pages_map(size, PROT_NONE);
  if (mapped == NULL)
    return NULL;
  if (ftruncate(file, (off_t)size) == 0 &&
      mmap(mapped, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) != MAP_FAILED)
    return mapped;
  munmap(mapped, size);
  return NULL;
}

bool ortmmap_huge_pages_collapse(unsigned char *mapped, size_t size) {
  size_t start;
  for (start = 0; start < size; start += ORTMMAP_HUGE_PAGE)
    mapped[start] = 0; /* one small page to begin with: a range without any stays empty */
  return madvise(mapped, size, MADV_COLLAPSE) == 0;
}

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static bool touch(unsigned char *page) {
  int64_t begin = nanoseconds();
  return madvise(page, ORTMMAP_HUGE_PAGE, MADV_POPULATE_WRITE) == 0 &&
         nanoseconds() - begin < LONGEST_TOUCH;
}

void ortmmap_huge_pages_touch(unsigned char *address, size_t size) {
  unsigned char *page = address + -(uintptr_t)address % ORTMMAP_HUGE_PAGE, *end = address + size;
  if (page + ORTMMAP_HUGE_PAGE > end || atomic_load(&are_slow) ||
      madvise(address, size, MADV_HUGEPAGE) != 0)
    return;
  for (; page + ORTMMAP_HUGE_PAGE <= end && !atomic_load(&are_slow); page += ORTMMAP_HUGE_PAGE)
    if (!touch(page))
      atomic_store(&are_slow, true);
  if (page < end)
    (void)madvise(page, (size_t)(end - page), MADV_NOHUGEPAGE);
}

#else /* not Linux: the functions are there to link */

void ortmmap_huge_pages_touch(unsigned char *address, size_t size) { (void)address, (void)size; }

unsigned char *ortmmap_huge_pages_map(size_t size, int protection) {
  (void)size, (void)protection;
  return NULL;
}

unsigned char *ortmmap_huge_pages_map_file(int file, size_t size) {
  (void)file, (void)size;
  return NULL;
}

bool ortmmap_huge_pages_collapse(unsigned char *mapped, size_t size) {
  (void)mapped, (void)size;
  return false;
}

#endif /* ORTMMAP_LINUX_MEMORY */
