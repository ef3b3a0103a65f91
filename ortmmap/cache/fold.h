/* Memory of a few huge pages that a block of any size is folded onto.
 *
 * A block that is recognized by its beginning needs no room for the rest. The first pages show it
 * one by one, and the last page shows all that follows: what a kernel packs there overwrites
 * itself, in the processor's cache, and takes no memory. Linux only. */
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
} ortmmap_fold;

/* Whether there is such memory; it is made at first use. False if the system has no huge pages for
 * files in memory (Linux before 6.1), or none to spare. */
bool ortmmap_fold_make(ortmmap_fold *fold);

/* Map it at `address`, in the place of what is mapped there. Both numbers are multiples of a huge
 * page. False if there can be no more mappings: part of the range may be mapped then. */
bool ortmmap_fold_lend(const ortmmap_fold *fold, unsigned char *address, size_t length);

/* Leave the memory to those who have mapped it. */
void ortmmap_fold_release(ortmmap_fold *fold);

#endif /* ORTMMAP_FOLD_H */
