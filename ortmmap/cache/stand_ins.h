/* Stand-ins: a small pattern in the place of weights, while a session is created.
 *
 * A kernel packs whatever it is given, in a time that depends on where the bytes lie. A block that
 * was packed from a pattern is recognized by its fingerprint, and replaced by the stored block. So
 * neither the weights nor the stored blocks are read. All weights of a session lie in a range of
 * their own, which shows the pattern again and again, and their files' pages in the end. Linux
 * only. */
#ifndef ORTMMAP_STAND_INS_H
#define ORTMMAP_STAND_INS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A weight that has a stand-in. */
typedef struct ortmmap_stand_in {
  uint64_t name;   /* ortmmap_name_hash(), by which it shows a part of the pattern of its own */
  uint64_t offset; /* of its data in its file */
  size_t size;     /* of its data in bytes, not 0 */
  size_t place;    /* of its data in the range */
} ortmmap_stand_in;

/* FNV-1a, as http://www.isthe.com/chongo/tech/comp/fnv/ describes it. */
uint64_t ortmmap_name_hash(const char *name, size_t size);

/* Give each weight its place, which depends on nothing but the weights. Return the range's size; 0
 * if there are too many. */
size_t ortmmap_stand_ins_lay(ortmmap_stand_in *weights, size_t count);

/* Map a range of that size, which shows the pattern. NULL if memory, address space or mappings are
 * out. */
unsigned char *ortmmap_stand_ins_map(const ortmmap_stand_in *weights, size_t count, size_t size);

/* Show the files' pages in the place of the pattern: ortmmap_stand_ins_clear() leaves nothing that
 * can be read, and ortmmap_stand_in_replace() maps the part of a file that is a weight. False if
 * that is impossible: a process can have no more mappings, for instance. */
bool ortmmap_stand_ins_clear(unsigned char *range, size_t size);
bool ortmmap_stand_in_replace(unsigned char *range, const ortmmap_stand_in *weight, int file);

void ortmmap_stand_ins_unmap(unsigned char *range, size_t size);

#endif /* ORTMMAP_STAND_INS_H */
