/* Memory of huge pages. Linux only. */
#ifndef ORTMMAP_HUGE_PAGES_H
#define ORTMMAP_HUGE_PAGES_H

#include <stdbool.h>
#include <stddef.h>

enum { ORTMMAP_HUGE_PAGE = 2 << 20 };

/* Map private memory that begins at a multiple of a huge page, with the protection of mmap(2); NULL
 * if there is none. Its pages are small until somebody advises otherwise. */
unsigned char *ortmmap_huge_pages_map(size_t size, int protection);

/* Give an empty file in memory a size, and map all of it, to be shared and written, from a multiple
 * of a huge page on; NULL if that fails. Its pages are small. */
unsigned char *ortmmap_huge_pages_map_file(int file, size_t size);

/* Have a mapped file that is empty lie in huge pages, whatever the system's setting for such files.
 * False before Linux 6.1, or if there are none to spare. */
bool ortmmap_huge_pages_collapse(unsigned char *mapped, size_t size);

/* Touch new private memory in huge pages, each of which takes less time than 512 small ones. Once
 * one has not, since the system had none to spare, or a virtual machine got it from its host, no
 * more are touched in this process, and memory is left to be touched page by page. */
void ortmmap_huge_pages_touch(unsigned char *address, size_t size);

#endif /* ORTMMAP_HUGE_PAGES_H */
