/* The guard of a model's files: its users, and a mark set when a file is found truncated.
 *
 * Reading a mapped page beyond the end of its file raises SIGBUS. While a guard has users, sigbus.h
 * answers such a fault in one of its files with zeros and marks the guard. A call that finds its
 * guard marked discards its results and raises ModelChangedError. */
#ifndef ORTMMAP_GUARD_H
#define ORTMMAP_GUARD_H

#include "process/atomic_count.h"

#include <stddef.h>

/* A guard has one owner or more, of which the first alone writes `data`, `size` and `files`. The
 * signal handler may read them on any thread meanwhile. Texts that `files` has pointed to stay
 * valid until the last owner has given the guard back. */
enum { ORTMMAP_GUARD_FREE = -1 };

typedef struct ortmmap_guard {
  ortmmap_count users;       /* runs and creations in progress */
  ortmmap_count changed;     /* the mark: 1 once a file was found truncated */
  const unsigned char *data; /* the mapped model */
  size_t size;
  const char
      *files; /* paths of privately mapped files: a NUL after each, a second NUL at the end */
  ortmmap_count owners;       /* or ORTMMAP_GUARD_FREE */
  int abandoned;              /* its users are threads of a parent process; set in a child */
  struct ortmmap_guard *next; /* written once: guards are reused and never freed */
} ortmmap_guard;

/* Sets the mapped model; NULL and 0 after it was unmapped. */
static inline void ortmmap_guard_set_data(ortmmap_guard *guard, const unsigned char *data,
                                          size_t size) {
  ORTMMAP_STORE(&guard->size, 0);
  ORTMMAP_STORE(&guard->data, data);
  ORTMMAP_STORE(&guard->size, size);
}

static inline void ortmmap_guard_set_files(ortmmap_guard *guard, const char *files) {
  ORTMMAP_STORE(&guard->files, files);
}

#endif /* ORTMMAP_GUARD_H */
