/* Memory that a thread's blocks lie in until they are complete.
 *
 * It is one anonymous mapping, of huge pages if the system has them, that is moved to the address
 * of one block after another. Its pages exist already, so the kernel clears none for the next
 * block, and a page table moves as a whole. Linux only. */
#ifndef ORTMMAP_SCRATCH_H
#define ORTMMAP_SCRATCH_H

#include <stdbool.h>
#include <stddef.h>

/* Initialized with zeros. One thread at a time uses it. */
typedef struct ortmmap_scratch {
  unsigned char *home; /* where it lies while it is not lent; NULL until it is first lent */
  size_t size;
} ortmmap_scratch;

/* Move the first `length` bytes to `address`, in the place of what is mapped there. Both are
 * multiples of the page size; where they are multiples of a huge page, huge pages stay whole. At
 * first use, scratch is made of `size` bytes. False if the kernel (before 5.7) or memory denies it:
 * nothing has changed then. */
bool ortmmap_scratch_lend(ortmmap_scratch *scratch, size_t size, unsigned char *address,
                          size_t length);

/* Move what was lent back. Anonymous memory without pages stays at `address`. False if that is
 * impossible: the memory stays there, and scratch begins with new pages. So it does if what was
 * lent is never taken back. */
bool ortmmap_scratch_take_back(ortmmap_scratch *scratch, unsigned char *address, size_t length);

/* Unmap what is not lent. */
void ortmmap_scratch_release(ortmmap_scratch *scratch);

#endif /* ORTMMAP_SCRATCH_H */
