/* The address range that recorded blocks lie in, and the table of these blocks.
 *
 * There is one per process. All blocks lie in one range, so that a free tells them from other
 * memory by their address. Functions that take or return a block are called with the lock held.
 * POSIX only. */
#ifndef ORTMMAP_HEAP_H
#define ORTMMAP_HEAP_H

#include "cache/block_store.h"
#include "cache/huge_pages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Blocks begin at multiples of the largest page that a kernel for the architecture may have: mmap()
 * refuses other addresses, and MAP_FIXED over part of a page replaces all of it. */
#if defined(__x86_64__) || defined(__i386__)
enum { ORTMMAP_PAGE = 4 << 10 };
#else
enum { ORTMMAP_PAGE = 64 << 10 }; /* aarch64 and ppc64: of 4, 16 or 64 KiB, as it was configured */
#endif

typedef enum ortmmap_block_state {
  ORTMMAP_BLOCK_PRIVATE,
  ORTMMAP_BLOCK_SCRATCH, /* in its thread's scratch, until the next allocation */
  ORTMMAP_BLOCK_FOLDED,  /* recognized, on a fold until the recording ends */
  ORTMMAP_BLOCK_SHARED,  /* pages of a store */
  ORTMMAP_BLOCK_FREED    /* by its session; the recorder still keeps it */
} ortmmap_block_state;

typedef struct ortmmap_block {
  unsigned char *address;
  size_t size;
  unsigned char *extent; /* the address space that the block has to itself, in pages */
  size_t extent_size;
  uint64_t ordinal; /* counts allocations */
  struct ortmmap_recorder *recorder;
  ortmmap_block_state state;
  bool as_in_file;                 /* in the store's range (store_range.h) */
  size_t stored;                   /* the index in the store, if folded or shared */
  bool recognized;                 /* shared by its fingerprint, without a comparison */
  ortmmap_fingerprint fingerprint; /* if the recorder is learning, else zeros */
} ortmmap_block;

/* Reserve the address space, once in a process; false if there is none. */
bool ortmmap_heap_reserve(void);

bool ortmmap_heap_contains(const void *address);

/* Also held around fork(), so that no child inherits a locked heap. */
void ortmmap_heap_lock(void);
void ortmmap_heap_unlock(void);

/* Add a private block at an address that is `residue` modulo a huge page. Its extent has the least
 * size that begins and ends at multiples of `unit`, ORTMMAP_PAGE or ORTMMAP_HUGE_PAGE. Nothing is
 * mapped there. NULL if memory or address space is out. */
ortmmap_block *ortmmap_heap_add(struct ortmmap_recorder *recorder, size_t size, size_t residue,
                                size_t unit);

/* Add a private block at the beginning of an extent that was taken. NULL if memory is out. */
ortmmap_block *ortmmap_heap_add_in(struct ortmmap_recorder *recorder, size_t size,
                                   unsigned char *extent, size_t extent_size);

/* Take address space that begins at a multiple of a huge page plus `residue`; NULL if there is
 * none.
 */
unsigned char *ortmmap_heap_take(size_t size, size_t residue);

/* Remove a block from the table. Its extent stays taken until it is returned. */
void ortmmap_heap_remove(ortmmap_block *block);
void ortmmap_heap_return(unsigned char *address, size_t size);

/* The block that begins at `address`, or NULL. */
ortmmap_block *ortmmap_heap_find(const void *address);

/* The table: `*count` blocks in no order. */
ortmmap_block *ortmmap_heap_blocks(size_t *count);

/* Copy the live blocks of a recorder, at most `capacity`, and return how many there are. The lock
 * is not held. */
size_t ortmmap_heap_blocks_of(const struct ortmmap_recorder *recorder, ortmmap_block *blocks,
                              size_t capacity);

/* The same as an array that the caller frees; NULL, and a count of 0, if memory is out. */
ortmmap_block *ortmmap_heap_copy_blocks(const struct ortmmap_recorder *recorder, size_t *count);

/* Whether there is no block and the address space is in one piece again; for tests. */
bool ortmmap_heap_is_empty(void);

static inline size_t ortmmap_round_up(size_t size, size_t unit) {
  return (size + unit - 1) / unit * unit;
}

static inline size_t ortmmap_whole_pages(size_t size) {
  return ortmmap_round_up(size, ORTMMAP_PAGE);
}

#endif /* ORTMMAP_HEAP_H */
