/* A file of blocks that a process has recorded, or is writing from its beginning to its end.
 *
 * The writer holds a lock of the file (flock(2)) meanwhile, which the kernel frees if it is killed.
 * So a reader that waits for a block finds out that it will never be there. POSIX only. */
#ifndef ORTMMAP_BLOCK_STORE_H
#define ORTMMAP_BLOCK_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ortmmap_stored_block {
  uint64_t offset; /* a multiple of ORTMMAP_PAGE */
  uint64_t size;
} ortmmap_stored_block;

enum { ORTMMAP_FINGERPRINTED = 2 << 20 }; /* bytes at a block's beginning */

/* A digest of a block's size, and of samples of its beginning; zeros where there is none. */
typedef struct ortmmap_fingerprint {
  uint64_t low, high;
} ortmmap_fingerprint;

/* A file that is being written. */
typedef struct ortmmap_growing_file {
  int fd;                     /* the file, open for reading */
  atomic_uint_least64_t size; /* bytes that are known to be written */
  atomic_long most_waits;     /* how often to wait for a millisecond yet */
  atomic_bool ended;          /* a part was not written: the writer has ended, or takes too long */
} ortmmap_growing_file;

/* `data` maps the whole file, and may be unmapped once recording has ended. */
typedef struct ortmmap_store {
  int fd;
  const unsigned char *data;
  const ortmmap_stored_block *blocks;
  size_t count;
  ortmmap_growing_file *growing; /* NULL: the file is complete, and never changes */
  /* Of each block, as kernels pack it from stand-ins (see stand_ins.h); NULL: all are compared. */
  const ortmmap_fingerprint *fingerprints;
  const size_t *order; /* indices of blocks, in the order of allocation; NULL: that of the file */
} ortmmap_store;

/* Map `size` bytes of a file for reading, which may not be there yet; NULL if that fails. */
const unsigned char *ortmmap_store_map(int fd, size_t size);
void ortmmap_store_unmap(const unsigned char *data, size_t size);

/* Wait until the first `count` blocks are written. False if they will not be: the writer has ended
 * without, or takes too long. Any thread may call it, without the interpreter lock. */
bool ortmmap_store_wait(const ortmmap_store *store, size_t count);

/* Whether a block has these contents; it is waited for. */
bool ortmmap_store_equals(const ortmmap_store *store, size_t index, const unsigned char *contents);

/* The fingerprint of a block, which is never zeros. NULL stands for a block of zeros. */
ortmmap_fingerprint ortmmap_fingerprint_of(const unsigned char *contents, size_t size);

/* Whether the store knows a block by this fingerprint. */
bool ortmmap_store_knows(const ortmmap_store *store, size_t index, ortmmap_fingerprint fingerprint);

#endif /* ORTMMAP_BLOCK_STORE_H */
