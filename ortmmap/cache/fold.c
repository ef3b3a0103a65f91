#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif

#include "cache/fold.h"

#ifdef __linux__

#include <sys/mman.h>
#include <unistd.h>

bool ortmmap_fold_make(ortmmap_fold *fold) {
  if (fold->is_made || fold->is_denied)
    return fold->is_made;
  fold->file = memfd_create("ortmmap fold", MFD_CLOEXEC);
  fold->is_made = fold->file >= 0 && ortmmap_huge_pages_collapse(fold->file, ORTMMAP_FOLD_SIZE);
  fold->is_denied = !fold->is_made;
  if (fold->is_denied && fold->file >= 0)
    close(fold->file);
  return fold->is_made;
}

bool ortmmap_fold_lend(const ortmmap_fold *fold, unsigned char *address, size_t length) {
  const size_t last = ORTMMAP_FOLD_SIZE - ORTMMAP_HUGE_PAGE;
  size_t start;
  for (start = 0; start < length; start += ORTMMAP_HUGE_PAGE)
    if (mmap(address + start, ORTMMAP_HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
             fold->file, (off_t)(start < last ? start : last)) == MAP_FAILED)
      return false;
  return true;
}

void ortmmap_fold_release(ortmmap_fold *fold) {
  if (fold->is_made)
    close(fold->file);
  *fold = (ortmmap_fold){0};
}

#else /* not Linux: the functions are there to link */

bool ortmmap_fold_make(ortmmap_fold *fold) {
  (void)fold;
  return false;
}

bool ortmmap_fold_lend(const ortmmap_fold *fold, unsigned char *address, size_t length) {
  (void)fold, (void)address, (void)length;
  return false;
}

void ortmmap_fold_release(ortmmap_fold *fold) { (void)fold; }

#endif /* __linux__ */
