#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif

#include "cache/stand_ins.h"
#include "cache/linux_memory.h"

#ifdef ORTMMAP_LINUX_MEMORY

#include "cache/heap.h"

#include <sys/mman.h>
#include <unistd.h>

/* A weight sees a window of the pattern again and again, which fits a core's own cache. Windows
 * begin at different pages, and after STARTS weights they have different lengths. In its middle it
 * sees the whole pattern, where that can be mapped as one huge page. */
enum {
  PATTERN_SIZE = ORTMMAP_HUGE_PAGE,
  WINDOW_SIZE = PATTERN_SIZE / 4,
  LEAST_WINDOWS = WINDOW_SIZE / 2, /* bytes of windows in a weight that has a middle */
  STEP = ORTMMAP_PAGE,
  BYTES_AT_ONCE = 64 << 10, /* on the stack */
  SPARE = 8,
  STARTS = (PATTERN_SIZE - WINDOW_SIZE) / STEP,
  LENGTHS = WINDOW_SIZE / STEP / 4
};

/* Change it, and recorded fingerprints are of no use: see VERSION in recognition.py. */
static uint64_t next_word(uint64_t *state) {
  uint64_t word;
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  word = *state;
  /* As floating-point numbers, of magnitude 1 to 2. */
  return (word & UINT64_C(0x807FFFFF807FFFFF)) | UINT64_C(0x3F8000003F800000);
}

static bool write_pattern(int fd) {
  uint64_t words[BYTES_AT_ONCE / sizeof(uint64_t)];
  uint64_t state = UINT64_C(0x9E3779B97F4A7C15);
  size_t written, word;
  for (written = 0; written < PATTERN_SIZE; written += sizeof words) {
    for (word = 0; word < sizeof words / sizeof words[0]; word++)
      words[word] = next_word(&state);
    if (write(fd, words, sizeof words) != (ssize_t)sizeof words)
      return false;
  }
  return true;
}

int ortmmap_pattern_make(void) {
  int fd = memfd_create("ortmmap stand-ins", MFD_CLOEXEC);
  if (fd < 0)
    return -1;
  /* Huge pages are mapped and removed at once. Small ones serve too. */
  (void)ortmmap_huge_pages_collapse(fd, PATTERN_SIZE);
  if (write_pattern(fd))
    return fd;
  close(fd);
  return -1;
}

/* Map a part of the pattern again and again; return how many bytes that covers. */
static size_t put_windows(int pattern, unsigned char *address, size_t size, size_t start,
                          size_t length) {
  size_t put, piece;
  for (put = 0; put < size; put += piece) {
    piece = length < size - put ? length : size - put;
    if (mmap(address + put, piece, PROT_READ, MAP_PRIVATE | MAP_FIXED, pattern, (off_t)start) ==
        MAP_FAILED)
      return put;
  }
  return size;
}

size_t ortmmap_stand_in_put(int pattern, unsigned char *address, size_t size, uint64_t offset,
                            size_t number) {
  size_t start = number % STARTS * STEP, length = WINDOW_SIZE - number / STARTS % LENGTHS * STEP;
  size_t before = (size_t)(-offset % PATTERN_SIZE), middle, put;
  if (before < LEAST_WINDOWS)
    before += PATTERN_SIZE;
  if (before > size)
    before = size;
  middle = (size - before) / PATTERN_SIZE * PATTERN_SIZE;
  put = put_windows(pattern, address, before, start, length);
  if (put == before)
    put += put_windows(pattern, address + put, middle, 0, PATTERN_SIZE);
  if (put == before + middle)
    put += put_windows(pattern, address + put, size - put, start, length);
  return put;
}

void *ortmmap_spare_mappings_make(void) {
  unsigned char *spare = mmap(NULL, SPARE * ORTMMAP_PAGE, PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  size_t index;
  if (spare == MAP_FAILED)
    return NULL;
  for (index = 1; index < SPARE; index += 2)
    if (mprotect(spare + index * ORTMMAP_PAGE, ORTMMAP_PAGE, PROT_READ) != 0) {
      ortmmap_spare_mappings_release(spare);
      return NULL;
    }
  return spare;
}

void ortmmap_spare_mappings_release(void *spare) {
  if (spare != NULL)
    munmap(spare, SPARE * ORTMMAP_PAGE);
}

bool ortmmap_stand_in_remove(int file, uint64_t offset, unsigned char *address, size_t size) {
  return mmap(address, size, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, (off_t)offset) != MAP_FAILED;
}

#else /* not Linux: the functions are there to link */

int ortmmap_pattern_make(void) { return -1; }

size_t ortmmap_stand_in_put(int pattern, unsigned char *address, size_t size, uint64_t offset,
                            size_t number) {
  (void)pattern, (void)address, (void)size, (void)offset, (void)number;
  return 0;
}

void *ortmmap_spare_mappings_make(void) { return NULL; }

void ortmmap_spare_mappings_release(void *spare) { (void)spare; }

bool ortmmap_stand_in_remove(int file, uint64_t offset, unsigned char *address, size_t size) {
  (void)file, (void)offset, (void)address, (void)size;
  return false;
}

#endif /* ORTMMAP_LINUX_MEMORY */
