/* Memory of a few huge pages that blocks of any size are folded onto, one after another.
 *
 * A block that is recognized by its beginning needs no room for the rest. The first pages show it
 * one by one, and one more page shows all that follows: what a kernel packs there overwrites
 * itself, in the processor's cache, and takes no memory. A huge page that holds the end of one
 * block and the beginning of the next shows the same memory to both, so the next one spares what
 * the first one's kernel packed there. Linux only. */
#ifndef ORTMMAP_FOLD_H
#define ORTMMAP_FOLD_H

#include "cache/huge_pages.h"

enum {
  /* Two pages show as much as ORTMMAP_FINGERPRINTED bytes, wherever a block begins in the first. */
  ORTMMAP_FOLD_PAGES = 3,
  ORTMMAP_FOLD_SIZE = ORTMMAP_FOLD_PAGES * ORTMMAP_HUGE_PAGE
};

/* Initialized with zeros. One thread at a time uses it. */
typedef struct ortmmap_fold {
  int file; /* a memfd, if `is_made` */
  bool is_made, is_denied;
  const unsigned char *last; /* the address that was mapped last, or NULL */
  int page;                  /* the page that it shows */
} ortmmap_fold;

/* Whether there is such memory; it is made at first use. False if the system has no huge pages for
 * files in memory (Linux before 6.1), or none to spare. */
bool ortmmap_fold_make(ortmmap_fold *fold);

/* Map it in the place of all huge pages that hold a part of the range; the address space is the
 * caller's. If the range has neighbours that the fold was lent to, they share the huge pages where
 * they meet. False if there can be no more mappings: part of the range may be mapped then. */
bool ortmmap_fold_lend(ortmmap_fold *fold, const unsigned char *address, size_t length,
                       bool has_neighbours);

/* Leave the memory to those who have mapped it. */
void ortmmap_fold_release(ortmmap_fold *fold);

#endif /* ORTMMAP_FOLD_H */
