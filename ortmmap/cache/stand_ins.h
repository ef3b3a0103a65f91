/* Stand-ins: pages of a small pattern in the place of mapped weights, while a session is created.
 *
 * A kernel packs whatever it is given, in a time that depends on where the bytes lie. A block that
 * was packed from a pattern is recognized by its fingerprint, and replaced by the stored block. So
 * neither the weights nor the stored blocks are read. Linux only. */
#ifndef ORTMMAP_STAND_INS_H
#define ORTMMAP_STAND_INS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Make the file of the pattern, whose bytes are always the same; return a descriptor, or -1. */
int ortmmap_pattern_make(void);

/* Map the pattern over whole pages of a private mapping of a file. What they show depends on their
 * offset in the file and on the number, which is another one for each weight. Return how many bytes
 * it covers: less than `size` if a process can have no more mappings. ortmmap_stand_in_remove() is
 * due for these. */
size_t ortmmap_stand_in_put(int pattern, unsigned char *address, size_t size, uint64_t offset,
                            size_t number);

/* Make a few mappings that are in nobody's way, and unmap them. A process may have so many mappings
 * (vm.max_map_count); beyond that number not even pages that are mapped can be replaced by others.
 * NULL if there can be none. */
void *ortmmap_spare_mappings_make(void);
void ortmmap_spare_mappings_release(void *spare);

/* Map the file again, for reading. False if that is impossible. */
bool ortmmap_stand_in_remove(int file, uint64_t offset, unsigned char *address, size_t size);

#endif /* ORTMMAP_STAND_INS_H */
