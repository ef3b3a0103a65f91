#include "cache/counterpart.h"

#ifndef _WIN32

/* The stored block that is this many after the expected one. */
static size_t block_after(const ortmmap_recorder *recorder, size_t steps) {
  const ortmmap_store *store = recorder->store;
  size_t position = (atomic_load(&recorder->expected) + steps) % store->count;
  return store->order == NULL ? position : store->order[position];
}

size_t ortmmap_find_stored(const ortmmap_recorder *recorder, const unsigned char *contents,
                           size_t size) {
  const ortmmap_store *store = recorder->store;
  size_t step, index;
  for (step = 0; step < store->count; step++) {
    index = block_after(recorder, step);
    if (store->blocks[index].size != size)
      continue;
    if (contents == NULL || ortmmap_store_equals(store, index, contents))
      return index;
  }
  return store->count;
}

void ortmmap_expect_after(ortmmap_recorder *recorder, size_t index) {
  size_t steps = 1;
  while (steps <= recorder->store->count && block_after(recorder, steps - 1) != index)
    steps++;
  atomic_store(&recorder->expected,
               (atomic_load(&recorder->expected) + steps) % recorder->store->count);
}

/* Whether a block was left empty after its fingerprint was taken, and not filled since. */
static bool is_emptied(const ortmmap_block *block, ortmmap_fingerprint found) {
  ortmmap_fingerprint zeros = ortmmap_fingerprint_of(NULL, block->size);
  return block->fingerprint.high != 0 && found.low == zeros.low && found.high == zeros.high;
}

size_t ortmmap_find_counterpart(const ortmmap_recorder *recorder, ortmmap_block *block) {
  const ortmmap_store *store = recorder->store;
  ortmmap_fingerprint fingerprint = {0, 0};
  size_t index;
  if (recorder->learning || store->fingerprints != NULL)
    fingerprint = ortmmap_fingerprint_of(block->address, block->size);
  if (recorder->learning && !is_emptied(block, fingerprint))
    block->fingerprint = fingerprint;
  for (index = 0; store->fingerprints != NULL && index < store->count; index++)
    if (store->blocks[index].size == block->size &&
        ortmmap_store_knows(store, index, fingerprint)) {
      block->recognized = true;
      return index;
    }
  return ortmmap_find_stored(recorder, block->address, block->size);
}

#endif /* !_WIN32 */
