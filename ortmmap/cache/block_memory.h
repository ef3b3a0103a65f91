/* What the addresses of a block show: memory of its own, pages of a store, or nothing. POSIX only.
 */
#ifndef ORTMMAP_BLOCK_MEMORY_H
#define ORTMMAP_BLOCK_MEMORY_H

#include "cache/heap.h"

/* What is mapped takes the place of what was. False if there can be no more mappings. */
bool ortmmap_block_map_private(unsigned char *address, size_t size);

/* Reserve a range only, as the heap does. */
bool ortmmap_block_map_nothing(unsigned char *address, size_t size);

/* Map the file at `address`, from the beginning of a stored block. If the store's blocks are not
 * compared, their pages are left to the first run. */
bool ortmmap_block_map_stored(const ortmmap_store *store, size_t index, unsigned char *address,
                              size_t size);

/* Give back the memory of the parts of an extent that no block lies in. If the address space is in
 * too many pieces, they stay accessible, without pages. */
void ortmmap_block_trim(const ortmmap_block *block);

#endif /* ORTMMAP_BLOCK_MEMORY_H */
