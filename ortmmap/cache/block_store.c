#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* flock */
#endif

#include "cache/block_store.h"

#ifdef __linux__

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

const unsigned char *ortmmap_store_map(int fd, size_t size) {
  void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
  return data == MAP_FAILED ? NULL : data;
}

void ortmmap_store_unmap(const unsigned char *data, size_t size) { munmap((void *)data, size); }

#else /* not Linux: no store is made; the functions are there to link */

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

#endif /* __linux__ */
