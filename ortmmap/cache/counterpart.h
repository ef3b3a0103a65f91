/* The stored block that stands for a recorded one. */
#ifndef ORTMMAP_COUNTERPART_H
#define ORTMMAP_COUNTERPART_H

#include "cache/shared_pages.h"

/* The next stored block of that size and, unless `contents` is NULL, of those contents; `count` if
 * there is none. The search begins at the block that is expected. */
size_t ortmmap_find_stored(const ortmmap_recorder *recorder, const unsigned char *contents,
                           size_t size);

/* The stored block of a block's fingerprint, or an equal one; `count` if there is none. A learning
 * recorder notes the fingerprint. */
size_t ortmmap_find_counterpart(const ortmmap_recorder *recorder, ortmmap_block *block);

/* Expect the stored block that sessions allocate after that one. */
void ortmmap_expect_after(ortmmap_recorder *recorder, size_t index);

#endif /* ORTMMAP_COUNTERPART_H */
