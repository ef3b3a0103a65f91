#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif

#include "cache/stand_ins.h"
#include "cache/linux_memory.h"

uint64_t ortmmap_name_hash(const char *name, size_t size) {
  uint64_t hash = UINT64_C(0xCBF29CE484222325);
  size_t index;
  for (index = 0; index < size; index++)
    hash = (hash ^ (unsigned char)name[index]) * UINT64_C(0x100000001B3);
  return hash;
}

#ifdef ORTMMAP_LINUX_MEMORY

#include "cache/heap.h"

#include <sys/mman.h>
#include <unistd.h>

/* A pattern is a huge page, which the range shows from one multiple of a huge page to the next. So
 * weights that begin at different pages modulo a huge page, their phase, differ everywhere. After
 * as many weights as there are phases, another pattern follows. */
enum {
  PATTERN_SIZE = ORTMMAP_HUGE_PAGE,
  PHASES = PATTERN_SIZE / ORTMMAP_PAGE,
  MOST_PATTERNS = 64,
  LANES = 8 /* sequences that do not wait for each other */
};

static size_t patterns_of(size_t count) { return (count + PHASES - 1) / PHASES; }

size_t ortmmap_stand_ins_lay(ortmmap_stand_in *weights, size_t count) {
  bool taken[PHASES];
  size_t at = 0, index, phase;
  if (patterns_of(count) > MOST_PATTERNS)
    return 0;
  for (index = 0; index < count; index++) {
    ortmmap_stand_in *each = weights + index;
    if (index % PHASES == 0) {
      at = ortmmap_round_up(at, PATTERN_SIZE);
      for (phase = 0; phase < PHASES; phase++)
        taken[phase] = false;
    }
    for (phase = each->name % PHASES; taken[phase];)
      phase = (phase + 1) % PHASES;
    taken[phase] = true;
    at += (phase * ORTMMAP_PAGE - at) % PATTERN_SIZE;
    each->place = at + each->offset % ORTMMAP_PAGE;
    at = ortmmap_whole_pages(each->place + each->size);
  }
  return ortmmap_round_up(at, PATTERN_SIZE);
}

/* Change it, and recorded fingerprints are of no use: see VERSION in recognition.py. */
static uint64_t next_word(uint64_t *state) {
  uint64_t word;
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  word = *state;
  /* As floating-point numbers, of magnitude 1 to 2. */
  return (word & UINT64_C(0x807FFFFF807FFFFF)) | UINT64_C(0x3F8000003F800000);
}

static void write_words(uint64_t *words, size_t count) {
  uint64_t states[LANES];
  size_t word, lane;
  for (lane = 0; lane < LANES; lane++)
    states[lane] = UINT64_C(0x9E3779B97F4A7C15) * (lane + 1);
  for (word = 0; word < count; word += LANES)
    for (lane = 0; lane < LANES; lane++)
      words[word + lane] = next_word(states + lane);
}

/* Make a file of patterns, whose bytes are always the same; return a descriptor, or -1. */
static int make_patterns(size_t count) {
  size_t size = count * PATTERN_SIZE;
  int fd = memfd_create("ortmmap stand-ins", MFD_CLOEXEC);
  unsigned char *mapped = fd < 0 ? NULL : ortmmap_huge_pages_map_file(fd, size);
  if (mapped != NULL) {
    /* Huge pages are mapped and removed at once. Small ones serve too. */
    (void)ortmmap_huge_pages_collapse(mapped, size);
    write_words((uint64_t *)mapped, size / sizeof(uint64_t));
    munmap(mapped, size);
    return fd;
  }
  if (fd >= 0)
    close(fd);
  return -1;
}

/* Map one pattern from `start` to `stop`. */
static bool show(int patterns, size_t number, unsigned char *start, const unsigned char *stop) {
  off_t offset = (off_t)number * PATTERN_SIZE;
  for (; start < stop; start += PATTERN_SIZE)
    if (mmap(start, PATTERN_SIZE, PROT_READ, MAP_PRIVATE | MAP_FIXED, patterns, offset) ==
        MAP_FAILED)
      return false;
  return true;
}

/* Where, in the range, the weights of a pattern begin. */
static size_t start_of(const ortmmap_stand_in *weights, size_t count, size_t size, size_t number) {
  if (number * PHASES >= count)
    return size;
  return weights[number * PHASES].place / PATTERN_SIZE * PATTERN_SIZE;
}

static bool show_all(int patterns, const ortmmap_stand_in *weights, size_t count,
                     unsigned char *range, size_t size) {
  size_t number;
  for (number = 0; number < patterns_of(count); number++)
    if (!show(patterns, number, range + start_of(weights, count, size, number),
              range + start_of(weights, count, size, number + 1)))
      return false;
  return true;
}

unsigned char *ortmmap_stand_ins_map(const ortmmap_stand_in *weights, size_t count, size_t size) {
  unsigned char *range = ortmmap_huge_pages_map(size, PROT_NONE);
  int patterns = range == NULL ? -1 : make_patterns(patterns_of(count));
  bool is_shown = patterns >= 0 && show_all(patterns, weights, count, range, size);
  if (patterns >= 0)
    close(patterns);
  if (is_shown || range == NULL)
    return range;
  ortmmap_stand_ins_unmap(range, size);
  return NULL;
}

bool ortmmap_stand_ins_clear(unsigned char *range, size_t size) {
  return mmap(range, size, PROT_NONE, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE, -1,
              0) != MAP_FAILED;
}

bool ortmmap_stand_in_replace(unsigned char *range, const ortmmap_stand_in *weight, int file) {
  size_t before = weight->place % ORTMMAP_PAGE; /* as in the file */
  return mmap(range + weight->place - before, before + weight->size, PROT_READ,
              MAP_PRIVATE | MAP_FIXED, file, (off_t)(weight->offset - before)) != MAP_FAILED;
}

void ortmmap_stand_ins_unmap(unsigned char *range, size_t size) { munmap(range, size); }

#else /* not Linux: the functions are there to link */

size_t ortmmap_stand_ins_lay(ortmmap_stand_in *weights, size_t count) {
  (void)weights, (void)count;
  return 0;
}

unsigned char *ortmmap_stand_ins_map(const ortmmap_stand_in *weights, size_t count, size_t size) {
  (void)weights, (void)count, (void)size;
  return NULL;
}

bool ortmmap_stand_ins_clear(unsigned char *range, size_t size) {
  (void)range, (void)size;
  return false;
}

bool ortmmap_stand_in_replace(unsigned char *range, const ortmmap_stand_in *weight, int file) {
  (void)range, (void)weight, (void)file;
  return false;
}

void ortmmap_stand_ins_unmap(unsigned char *range, size_t size) { (void)range, (void)size; }

#endif /* ORTMMAP_LINUX_MEMORY */
