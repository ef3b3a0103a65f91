/* What uses a model's files, and whether one of them was found truncated meanwhile.
 *
 * Reading a mapped page that the file no longer has is a SIGBUS. While a guard has users, such a
 * fault in one of its files is answered with zeros, and the guard is marked (sigbus.h). Whoever
 * leaves a marked guard throws away what was computed. */
#ifndef ORTMMAP_MODEL_GUARD_H
#define ORTMMAP_MODEL_GUARD_H

#include "process/atomic_count.h"

#include <stddef.h>

/* All but the counts changes under the interpreter lock, and not while another thread is a user. */
typedef struct ortmmap_guard {
  ortmmap_count users;       /* runs and creations under way */
  ortmmap_count changed;     /* 1 once a file was found truncated */
  const unsigned char *data; /* the model itself, however it is mapped */
  size_t size;
  const char *files; /* names of others, mapped privately: a NUL after each, two at the end */
  int taken;
  struct ortmmap_guard *next; /* set once: a guard is never freed, but taken again */
} ortmmap_guard;

#endif /* ORTMMAP_MODEL_GUARD_H */
