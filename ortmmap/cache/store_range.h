/* Address space in which the blocks of a store lie as they do in its file.
 *
 * The kernel keeps neighbours as one mapping then, and where the file has huge pages, each of them
 * is mapped whole, although it holds parts of several blocks. Functions are called with the heap's
 * lock held, except for ortmmap_store_range_unite(). */
#ifndef ORTMMAP_STORE_RANGE_H
#define ORTMMAP_STORE_RANGE_H

#include "cache/heap.h"

/* Initialized with zeros. */
typedef struct ortmmap_store_range {
  unsigned char *start; /* of the file; NULL: there is no range */
  bool *is_taken;       /* of each stored block's place */
  const ortmmap_store *store;
} ortmmap_store_range;

/* Take address space for a whole store, in huge pages. If there is none, the range has no room. */
void ortmmap_store_range_reserve(ortmmap_store_range *range, const ortmmap_store *store);

/* Add a private block, for that stored one, at its place; the extent ends where the next stored
 * block begins. NULL if the place is taken, or memory is out. */
ortmmap_block *ortmmap_store_range_add(ortmmap_store_range *range, size_t index,
                                       struct ortmmap_recorder *recorder);

/* Keep the address space of a block that leaves the table; false if it is not in a range. */
bool ortmmap_store_range_keep(ortmmap_store_range *range, const ortmmap_block *block);

/* Unmap and return what no block lies in. */
void ortmmap_store_range_return(ortmmap_store_range *range);

/* Map the file over recognized blocks, over neighbours in the range at once. They are shared then,
 * unless there can be no more mappings. The blocks are a copy of the table, and are sorted. */
void ortmmap_store_range_unfold(const ortmmap_store *store, ortmmap_block *blocks, size_t count);

#endif /* ORTMMAP_STORE_RANGE_H */
