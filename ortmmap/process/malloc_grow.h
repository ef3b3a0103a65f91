/* Memory for a new thread, obtained from the system at once.
 *
 * glibc grows the heap of a thread that is not the first by single pages, with a system call for
 * each. Other allocators do not. */
#ifndef ORTMMAP_MALLOC_GROW_H
#define ORTMMAP_MALLOC_GROW_H

#include <stdlib.h> /* defines __GLIBC__ */

#ifdef __GLIBC__

/* A larger piece would have a mapping of its own. */
enum { ORTMMAP_GROWTH = 1536 << 10, ORTMMAP_GROWTH_PIECE = 120 << 10, ORTMMAP_GROWTH_END = 2048 };

/* Grows the thread's heap. A small block at its end keeps it from being trimmed: the caller frees
 * it when the memory is in use. Nothing is touched. */
static inline void *ortmmap_malloc_grow(void) {
  void *pieces[ORTMMAP_GROWTH / ORTMMAP_GROWTH_PIECE];
  size_t count = sizeof pieces / sizeof pieces[0], index;
  void *end;
  for (index = 0; index < count; index++)
    pieces[index] = malloc(ORTMMAP_GROWTH_PIECE);
  end = malloc(ORTMMAP_GROWTH_END); /* smaller ones come from what was freed before */
  for (index = 0; index < count; index++)
    free(pieces[index]);
  return end;
}

#else

static inline void *ortmmap_malloc_grow(void) { return NULL; }

#endif

#endif /* ORTMMAP_MALLOC_GROW_H */
