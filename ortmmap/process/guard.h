/* The guard of a model's files: its users, and a mark set when a file is found truncated.
 *
 * Reading a mapped page beyond the end of its file raises SIGBUS. While a guard has users, sigbus.h
 * answers such a fault in one of its files with zeros and marks the guard. A call that finds its
 * guard marked discards its results and raises ModelChangedError. */
#ifndef ORTMMAP_GUARD_H
#define ORTMMAP_GUARD_H

#include "process/atomic_count.h"

#include <stddef.h>

/* The members after the counts are written under the interpreter lock: `data` and `size` while no
 * other thread is a user, `files` at any time, since the texts of before stay valid. */
typedef struct ortmmap_guard {
  ortmmap_count users;       /* runs and creations in progress */
  ortmmap_count changed;     /* the mark: 1 once a file was found truncated */
  const unsigned char *data; /* the mapped model */
  size_t size;
  const char
      *files; /* paths of privately mapped files: a NUL after each, a second NUL at the end */
  int taken;
  int abandoned;              /* its users are threads of a parent process */
  struct ortmmap_guard *next; /* written once: guards are reused and never freed */
} ortmmap_guard;

#endif /* ORTMMAP_GUARD_H */
