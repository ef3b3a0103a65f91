#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* flock */
#endif

#include "cache/block_store.h"

#ifndef _WIN32

#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

static const struct timespec a_millisecond = {0, 1000000};

/* Whether nobody holds the writer's lock. A shared lock does not hinder other readers' tests. */
static bool is_unlocked(int fd) {
  if (flock(fd, LOCK_SH | LOCK_NB) != 0)
    return false;
  (void)flock(fd, LOCK_UN);
  return true;
}

/* Wait until the file's first `size` bytes are written; false if they will not be. */
static bool wait_for_size(ortmmap_growing_file *file, uint64_t size) {
  struct stat found;
  bool is_last_look = false;
  while (atomic_load(&file->size) < size) {
    if (is_last_look || atomic_load(&file->ended)) {
      atomic_store(&file->ended, true);
      return false;
    }
    /* Before the size is read, so that all is seen that the writer had written when it ended. */
    is_last_look = is_unlocked(file->fd) || atomic_fetch_sub(&file->most_waits, 1) <= 0;
    if (fstat(file->fd, &found) != 0)
      return false;
    atomic_store(&file->size, (uint64_t)found.st_size);
    if ((uint64_t)found.st_size < size && !is_last_look)
      nanosleep(&a_millisecond, NULL);
  }
  return true;
}

bool ortmmap_store_wait(const ortmmap_store *store, size_t count) {
  const ortmmap_stored_block *last = store->blocks + count - 1;
  return store->growing == NULL || count == 0 ||
         wait_for_size(store->growing, last->offset + last->size);
}

bool ortmmap_store_equals(const ortmmap_store *store, size_t index, const unsigned char *contents) {
  const ortmmap_stored_block *block = store->blocks + index;
  return ortmmap_store_wait(store, index + 1) &&
         memcmp(store->data + block->offset, contents, (size_t)block->size) == 0;
}

/* A cache line of each page is read, and the last bytes of what counts. */
enum { SAMPLE_STRIDE = 1 << 12, SAMPLE_WORDS = 8 };

static void mix(ortmmap_fingerprint *state, const unsigned char *words, size_t count) {
  uint64_t word = 0;
  size_t index;
  for (index = 0; index < count; index++) {
    if (words != NULL)
      memcpy(&word, words + index * sizeof word, sizeof word);
    state->low = (state->low ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    state->low ^= state->low >> 32;
    state->high = (state->high + word) * UINT64_C(0xC2B2AE3D27D4EB4F) + state->low;
    state->high ^= state->high >> 29;
  }
}

ortmmap_fingerprint ortmmap_fingerprint_of(const unsigned char *contents, size_t size) {
  ortmmap_fingerprint state = {size, ~(uint64_t)size};
  size_t end = size < ORTMMAP_FINGERPRINTED ? size : ORTMMAP_FINGERPRINTED;
  size_t start, sample = SAMPLE_WORDS * sizeof(uint64_t);
  for (start = 0; start + sample <= end; start += SAMPLE_STRIDE)
    mix(&state, contents == NULL ? NULL : contents + start, SAMPLE_WORDS);
  if (end >= sample)
    mix(&state, contents == NULL ? NULL : contents + end - sample, SAMPLE_WORDS);
  state.high |= 1;
  return state;
}

bool ortmmap_store_knows(const ortmmap_store *store, size_t index,
                         ortmmap_fingerprint fingerprint) {
  return store->fingerprints[index].low == fingerprint.low &&
         store->fingerprints[index].high == fingerprint.high;
}

const unsigned char *ortmmap_store_map(int fd, size_t size) {
  void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
  return data == MAP_FAILED ? NULL : data;
}

void ortmmap_store_unmap(const unsigned char *data, size_t size) { munmap((void *)data, size); }

#else /* Windows: no store is made; the functions are there to link */

bool ortmmap_store_wait(const ortmmap_store *store, size_t count) {
  (void)store, (void)count;
  return false;
}

bool ortmmap_store_equals(const ortmmap_store *store, size_t index, const unsigned char *contents) {
  (void)store, (void)index, (void)contents;
  return false;
}

const unsigned char *ortmmap_store_map(int fd, size_t size) {
  (void)fd, (void)size;
  return NULL;
}

void ortmmap_store_unmap(const unsigned char *data, size_t size) { (void)data, (void)size; }

ortmmap_fingerprint ortmmap_fingerprint_of(const unsigned char *contents, size_t size) {
  (void)contents, (void)size;
  return (ortmmap_fingerprint){0, 0};
}

bool ortmmap_store_knows(const ortmmap_store *store, size_t index,
                         ortmmap_fingerprint fingerprint) {
  (void)store, (void)index, (void)fingerprint;
  return false;
}

#endif /* !_WIN32 */
