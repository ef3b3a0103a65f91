/* A whole file as read-only memory.
 *
 * The bytes are the file's own pages, shared with every process that maps it. A file must not be
 * truncated while it is mapped: on POSIX, reading past its new end raises SIGBUS. To replace a
 * file, rename another over it; the mapping keeps the old one.
 *
 * Opening and closing a mapping is not thread-safe; any number of threads may read it in between.
 * All functions are static inline. glibc needs -std=gnu11 or -D_DEFAULT_SOURCE. */
#ifndef ORTMMAP_MAPPING_H
#define ORTMMAP_MAPPING_H

#include "path_char.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* If two identities are equal, the file is the same and has not changed. Times are in ns since
 * 1970. */
typedef struct ortmmap_file_identity {
  uint64_t device;
  uint64_t inode;
  uint64_t size;
  int64_t mtime_ns;
  int64_t ctime_ns;
} ortmmap_file_identity;

typedef struct ortmmap_mapping {
  const unsigned char *data;
  size_t size;
  ortmmap_file_identity identity;
} ortmmap_mapping;

typedef enum ortmmap_mapping_status {
  ORTMMAP_MAPPING_OK = 0,
  ORTMMAP_MAPPING_OPEN_FAILED, /* missing, no permission, ... */
  ORTMMAP_MAPPING_IS_DIRECTORY,
  ORTMMAP_MAPPING_NOT_REGULAR, /* FIFO, socket, device */
  ORTMMAP_MAPPING_EMPTY,
  ORTMMAP_MAPPING_TOO_LARGE, /* does not fit the address space */
  ORTMMAP_MAPPING_CHANGED,   /* the file was written to while it was being opened */
  ORTMMAP_MAPPING_MAP_FAILED,
  ORTMMAP_MAPPING_PREFAULT_FAILED,
  ORTMMAP_MAPPING_LOCK_FAILED, /* most often because of the limit on locked memory */
  ORTMMAP_MAPPING_ADVISE_FAILED,
  ORTMMAP_MAPPING_UNSUPPORTED /* the platform has no such call */
} ortmmap_mapping_status;

/* Every function that takes one writes it, on success too. */
typedef struct ortmmap_mapping_error {
  ortmmap_mapping_status status;
  int os_error;           /* errno, or GetLastError() on Windows; 0 if none */
  uint64_t size_expected; /* in bytes; 0 unless the status is CHANGED */
  uint64_t size_found;
} ortmmap_mapping_error;

typedef enum ortmmap_advice {
  ORTMMAP_ADVICE_NORMAL,
  ORTMMAP_ADVICE_RANDOM,
  ORTMMAP_ADVICE_SEQUENTIAL,
  ORTMMAP_ADVICE_WILLNEED,
  ORTMMAP_ADVICE_DONTNEED,
  ORTMMAP_ADVICE_NOHUGEPAGE /* Linux: an access maps a few pages, not 2 MiB of them */
} ortmmap_advice;

/* Maps the file at `path`. On failure, `mapping` is as it is after a close. */
static inline ortmmap_mapping_status ortmmap_mapping_open(const ortmmap_path_char *path,
                                                          ortmmap_mapping *mapping,
                                                          ortmmap_mapping_error *error);

/* Unmaps the file; `identity` stays. A second call does nothing. */
static inline void ortmmap_mapping_close(ortmmap_mapping *mapping);

/* The next four functions need an open mapping. */

/* Reads the whole file into memory, and, if the system can, maps its pages in this process. */
static inline ortmmap_mapping_status ortmmap_mapping_prefault(const ortmmap_mapping *mapping,
                                                              ortmmap_mapping_error *error);

/* Keeps the whole file in memory until the mapping is closed. */
static inline ortmmap_mapping_status ortmmap_mapping_lock(const ortmmap_mapping *mapping,
                                                          ortmmap_mapping_error *error);

/* Advises the system on how a range of the mapping will be used. The range is cut to the mapping,
 * then rounded to whole pages: inward for DONTNEED, so that no byte outside it is dropped, outward
 * for the others. DONTNEED drops pages from this process only. Windows supports WILLNEED and
 * DONTNEED; there, DONTNEED also undoes a lock. */
static inline ortmmap_mapping_status ortmmap_mapping_advise(const ortmmap_mapping *mapping,
                                                            ortmmap_advice advice, size_t offset,
                                                            size_t length,
                                                            ortmmap_mapping_error *error);

/* Returns the number of the mapping's bytes that are in physical memory, or -1 if it is unknown.
 * POSIX counts the page cache (Linux reports every page as resident if the caller neither owns the
 * file nor may write it); Windows counts the working set of this process. */
static inline int64_t ortmmap_mapping_resident(const ortmmap_mapping *mapping);

/* Looks up the identity of the file at `path`. It fails as ortmmap_mapping_open does, except that
 * the file may be empty and need not be readable. */
static inline ortmmap_mapping_status ortmmap_file_identity_get(const ortmmap_path_char *path,
                                                               ortmmap_file_identity *identity,
                                                               ortmmap_mapping_error *error);

static inline int ortmmap_file_identity_equal(const ortmmap_file_identity *a,
                                              const ortmmap_file_identity *b) {
  return a->device == b->device && a->inode == b->inode && a->size == b->size &&
         a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

/* What follows is used by the platform's implementation, which is included at the end. */

static inline ortmmap_mapping_status
ortmmap_mapping_result(ortmmap_mapping_error *error, ortmmap_mapping_status status, int os_error) {
  error->status = status;
  error->os_error = os_error;
  error->size_expected = 0;
  error->size_found = 0;
  return status;
}

static inline ortmmap_mapping_status ortmmap_mapping_check_size(uint64_t size,
                                                                ortmmap_mapping_error *error) {
  if (size == 0)
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_EMPTY, 0);
  if (size > (uint64_t)PTRDIFF_MAX)
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_TOO_LARGE, 0);
  return ortmmap_mapping_result(error, ORTMMAP_MAPPING_OK, 0);
}

/* Neither ctime nor inode is compared: a rename over the file changes its ctime, not its bytes. */
static inline ortmmap_mapping_status
ortmmap_mapping_check_unchanged(const ortmmap_file_identity *opened,
                                const ortmmap_file_identity *mapped, ortmmap_mapping_error *error) {
  if (opened->size == mapped->size && opened->mtime_ns == mapped->mtime_ns)
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_OK, 0);
  ortmmap_mapping_result(error, ORTMMAP_MAPPING_CHANGED, 0);
  error->size_expected = opened->size;
  error->size_found = mapped->size;
  return ORTMMAP_MAPPING_CHANGED;
}

/* Rounds a range to the pages that an advice applies to; returns 0 if there are none. The end of
 * the mapping counts as the end of a page. */
static inline int ortmmap_mapping_page_range(const ortmmap_mapping *mapping, ortmmap_advice advice,
                                             size_t page, size_t *offset, size_t *length) {
  size_t begin = *offset, end;
  if (begin >= mapping->size)
    return 0;
  end = *length > mapping->size - begin ? mapping->size : begin + *length;
  if (advice == ORTMMAP_ADVICE_DONTNEED) {
    begin = (begin + page - 1) / page * page;
    end = end == mapping->size ? end : end / page * page;
  }
  if (begin >= end)
    return 0;
  if (advice != ORTMMAP_ADVICE_DONTNEED)
    begin = begin / page * page;
  *offset = begin;
  *length = end - begin;
  return 1;
}

/* Returns how many bytes of the page at `offset` belong to the file. */
static inline int64_t ortmmap_mapping_page_bytes(const ortmmap_mapping *mapping, size_t page,
                                                 size_t offset) {
  size_t rest = mapping->size - offset;
  return (int64_t)(rest < page ? rest : page);
}

#ifdef _WIN32
#include "mapping_windows.h"
#else
#include "mapping_posix.h"
#endif

#endif /* ORTMMAP_MAPPING_H */
