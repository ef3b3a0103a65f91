/* The system's page cache: files are read into it. Windows: they are not. */
#ifndef ORTMMAP_PAGE_CACHE_H
#define ORTMMAP_PAGE_CACHE_H

#include <stdbool.h>
#include <stdint.h>

enum {
  ORTMMAP_PAGE_CACHE_PIECE = 2 << 20, /* bytes of a request: disks are quick with as many */
  ORTMMAP_PAGE_CACHE_SLOW = 25,       /* microseconds: a page in memory takes 1 or 2, a disk 60 */
  ORTMMAP_PAGE_CACHE_SAMPLES = 6,
  ORTMMAP_PAGE_CACHE_NICE = 5 /* workers that open at once need the processors more */
};

#ifdef _WIN32

static inline bool ortmmap_page_cache_lacks(int fd, uint64_t size) {
  (void)fd, (void)size;
  return false;
}

static inline void ortmmap_page_cache_read(int fd, uint64_t size) { (void)fd, (void)size; }

static inline void ortmmap_page_cache_close(int fd) { (void)fd; }

#else /* POSIX */

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static inline int64_t ortmmap_page_cache_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Whether a request of a page reads that page alone from the disk. */
static inline void ortmmap_page_cache_read_single(int fd, bool single) {
#ifdef POSIX_FADV_RANDOM
  (void)posix_fadvise(fd, 0, 0, single ? POSIX_FADV_RANDOM : POSIX_FADV_NORMAL);
#else
  (void)fd, (void)single;
#endif
}

/* Returns how many microseconds it takes to read a byte, or -1. */
static inline int64_t ortmmap_page_cache_time(int fd, uint64_t at) {
  char byte;
  int64_t begin = ortmmap_page_cache_now();
  return pread(fd, &byte, 1, (off_t)at) == 1 ? ortmmap_page_cache_now() - begin : -1;
}

/* Whether pages of a file are on the disk: whether two of some take long, and no longer when they
 * are read again. (mincore(2) is for the file's owner only, and overlayfs refuses RWF_NOWAIT.) */
static inline bool ortmmap_page_cache_lacks(int fd, uint64_t size) {
  int slow = 0;
  ortmmap_page_cache_read_single(fd, true);
  for (uint64_t sample = 0; sample < ORTMMAP_PAGE_CACHE_SAMPLES && slow < 2; sample++) {
    uint64_t at = size / ORTMMAP_PAGE_CACHE_SAMPLES * sample;
    int64_t first = ortmmap_page_cache_time(fd, at);
    if (first < 0)
      return false;
    if (first >= ORTMMAP_PAGE_CACHE_SLOW) /* or all calls are slow, as those of a traced process */
      slow += first >= 4 * ortmmap_page_cache_time(fd, at);
  }
  if (slow == 2)
    ortmmap_page_cache_read_single(fd, false);
  return slow == 2;
}

/* Reads a file into the page cache, to its end or an error, on a thread whose priority this lowers.
 * All bytes are copied to one small buffer, which stays in the processor's cache. */
static inline void ortmmap_page_cache_read(int fd, uint64_t size) {
  enum { BUFFER = 64 << 10, PARTS = ORTMMAP_PAGE_CACHE_PIECE / BUFFER };
  char buffer[BUFFER];
  struct iovec parts[PARTS];
  uint64_t at = 0;
#ifdef __linux__ /* elsewhere the priority is the whole process's */
  (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + ORTMMAP_PAGE_CACHE_NICE);
#endif
  for (int part = 0; part < PARTS; part++)
    parts[part] = (struct iovec){.iov_base = buffer, .iov_len = BUFFER};
  while (at < size) {
    ssize_t read = preadv(fd, parts, PARTS, (off_t)at);
    if (read <= 0)
      return;
    at += (uint64_t)read;
  }
}

static inline void ortmmap_page_cache_close(int fd) { (void)close(fd); }

#endif

#endif /* ORTMMAP_PAGE_CACHE_H */
