#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif

#include "cache/stand_ins.h"

#ifdef __linux__

#include "cache/heap.h"

#include <sys/mman.h>
#include <unistd.h>

/* A weight sees a window of the pattern again and again, which fits a core's own cache. Windows
 * begin at different pages, and after STARTS weights they have different lengths. */
enum {
  PATTERN_PAGES = 512,
  WINDOW_PAGES = 128,
  PAGES_AT_ONCE = 16, /* on the stack */
  SPARE = 8,
  STARTS = PATTERN_PAGES - WINDOW_PAGES,
  LENGTHS = 32
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
  uint64_t pages[PAGES_AT_ONCE * ORTMMAP_PAGE / sizeof(uint64_t)];
  uint64_t state = UINT64_C(0x9E3779B97F4A7C15);
  size_t index, word;
  for (index = 0; index < PATTERN_PAGES; index += PAGES_AT_ONCE) {
    for (word = 0; word < sizeof pages / sizeof pages[0]; word++)
      pages[word] = next_word(&state);
    if (write(fd, pages, sizeof pages) != (ssize_t)sizeof pages)
      return false;
  }
  return true;
}

int ortmmap_pattern_make(void) {
  int fd = memfd_create("ortmmap stand-ins", MFD_CLOEXEC);
  if (fd < 0 || write_pattern(fd))
    return fd;
  close(fd);
  return -1;
}

size_t ortmmap_stand_in_put(int pattern, unsigned char *address, size_t size, size_t number) {
  size_t start = number % STARTS, length = WINDOW_PAGES - number / STARTS % LENGTHS, put, piece;
  off_t offset = (off_t)(start * ORTMMAP_PAGE);
  for (put = 0; put < size; put += piece) {
    piece = length * ORTMMAP_PAGE < size - put ? length * ORTMMAP_PAGE : size - put;
    if (mmap(address + put, piece, PROT_READ, MAP_PRIVATE | MAP_FIXED, pattern, offset) ==
        MAP_FAILED)
      return put;
  }
  return size;
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

size_t ortmmap_stand_in_put(int pattern, unsigned char *address, size_t size, size_t number) {
  (void)pattern, (void)address, (void)size, (void)number;
  return 0;
}

void *ortmmap_spare_mappings_make(void) { return NULL; }

void ortmmap_spare_mappings_release(void *spare) { (void)spare; }

bool ortmmap_stand_in_remove(int file, uint64_t offset, unsigned char *address, size_t size) {
  (void)file, (void)offset, (void)address, (void)size;
  return false;
}

#endif /* __linux__ */
