#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif

#include "cache/fold.h"
#include "cache/linux_memory.h"

#ifdef ORTMMAP_LINUX_MEMORY

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static bool lies_in_huge_pages(int file) {
  unsigned char *mapped = ortmmap_huge_pages_map_file(file, ORTMMAP_FOLD_SIZE);
  bool is_collapsed = mapped != NULL && ortmmap_huge_pages_collapse(mapped, ORTMMAP_FOLD_SIZE);
  if (mapped != NULL)
    munmap(mapped, ORTMMAP_FOLD_SIZE);
  return is_collapsed;
}

bool ortmmap_fold_make(ortmmap_fold *fold) {
  if (fold->is_made || fold->is_denied)
    return fold->is_made;
  fold->file = memfd_create("ortmmap fold", MFD_CLOEXEC);
  fold->is_made = fold->file >= 0 && lies_in_huge_pages(fold->file);
  fold->is_denied = !fold->is_made;
  if (fold->is_denied && fold->file >= 0)
    close(fold->file);
  return fold->is_made;
}

bool ortmmap_fold_lend(ortmmap_fold *fold, const unsigned char *address, size_t length,
                       bool has_neighbours) {
  unsigned char *region = (unsigned char *)address - (uintptr_t)address % ORTMMAP_HUGE_PAGE;
  int number;
  if (!has_neighbours)
    fold->last = NULL; /* what is there may have been unmapped since */
  for (number = 0; region < address + length; number++, region += ORTMMAP_HUGE_PAGE) {
    if (number > 0 && number < ORTMMAP_FOLD_PAGES)
      fold->page = (fold->page + 1) % ORTMMAP_FOLD_PAGES;
    if (region == fold->last)
      continue;
    if (mmap(region, ORTMMAP_HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fold->file,
             (off_t)fold->page * ORTMMAP_HUGE_PAGE) == MAP_FAILED)
      return false;
    fold->last = region;
  }
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

bool ortmmap_fold_lend(ortmmap_fold *fold, const unsigned char *address, size_t length,
                       bool has_neighbours) {
  (void)fold, (void)address, (void)length, (void)has_neighbours;
  return false;
}

void ortmmap_fold_release(ortmmap_fold *fold) { (void)fold; }

#endif /* ORTMMAP_LINUX_MEMORY */
