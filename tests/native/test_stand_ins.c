/* test_stand_ins FOLDER: a pattern takes the place of weights, and blocks that were packed from it
 * are recognized. Linux only. FOLDER is empty and may be written. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* MAP_ANONYMOUS */
#endif

#include "blocks.h"
#include "check.h"

#include "cache/fold.h"
#include "cache/session_threads.h"
#include "cache/stand_ins.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 700, BLOCKS = 3, ALIGNMENT = 64 << 10 };

static const char *folder;

/* The second and the third are alike. */
static const size_t sizes[BLOCKS] = {300001, 3 << 20, 3 << 20};

static int make_file(const char *name) {
  char path[4096];
  int fd;
  snprintf(path, sizeof path, "%s/%s", folder, name);
  fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  CHECK(fd >= 0);
  return fd;
}

static bool is_same(ortmmap_fingerprint one, ortmmap_fingerprint other) {
  return one.low == other.low && one.high == other.high;
}

/* --- fingerprints --- */

static void equal_blocks_have_one_fingerprint(void) {
  size_t size = sizes[0], index;
  unsigned char *bytes = malloc(size), *others = malloc(size);
  ortmmap_fingerprint found;
  fill(bytes, size, 1);
  fill(others, size, 1);
  found = ortmmap_fingerprint_of(bytes, size);
  CHECK(is_same(found, ortmmap_fingerprint_of(others, size)));
  CHECK(!is_same(found, ortmmap_fingerprint_of(bytes, size - 1)));
  for (index = 0; index < size; index += PAGE) { /* a sample begins each page */
    others[index] ^= 1;
    CHECK(!is_same(found, ortmmap_fingerprint_of(others, size)));
    others[index] ^= 1;
  }
  others[size - 1] ^= 1;
  CHECK(!is_same(found, ortmmap_fingerprint_of(others, size)));
  memset(others, 0, size);
  found = ortmmap_fingerprint_of(others, size);
  CHECK(is_same(found, ortmmap_fingerprint_of(NULL, size)));
  CHECK(found.high != 0);
  free(bytes);
  free(others);
}

/* --- patterns --- */

enum { WEIGHTS = 3, HUGE = ORTMMAP_HUGE_PAGE, PHASES = HUGE / ORTMMAP_PAGE };

/* Of a file of PAGES pages. The first and the second share a page of it, as neighbours do. */
static const ortmmap_stand_in few[WEIGHTS] = {
    {.name = 7, .offset = 100, .size = 3 * PAGE},
    {.name = 7, .offset = 100 + 3 * PAGE, .size = 600 * PAGE + 1},
    {.name = 1, .offset = PAGES * PAGE - 9, .size = 9},
};

static void the_pattern_is_followed_by_the_weights_themselves(void) {
  ortmmap_stand_in weights[WEIGHTS];
  size_t size = PAGES * PAGE, range_size, index;
  unsigned char *content = malloc(size), *range, *again;
  int fd = make_file("weights");
  fill(content, size, 3);
  CHECK(write(fd, content, size) == (ssize_t)size);
  memcpy(weights, few, sizeof few);
  range_size = ortmmap_stand_ins_lay(weights, WEIGHTS);
  CHECK(range_size > 0 && range_size % HUGE == 0);
  range = ortmmap_stand_ins_map(weights, WEIGHTS, range_size);
  again = ortmmap_stand_ins_map(weights, WEIGHTS, range_size);
  CHECK(range != NULL && again != NULL && (uintptr_t)range % HUGE == 0);
  CHECK(memcmp(range, again, range_size) == 0); /* always the same */
  for (index = 0; index < WEIGHTS; index++)
    CHECK(memcmp(range + weights[index].place, content + weights[index].offset,
                 weights[index].size) != 0);
  CHECK(ortmmap_stand_ins_clear(range, range_size));
  for (index = 0; index < WEIGHTS; index++)
    CHECK(ortmmap_stand_in_replace(range, weights + index, fd));
  for (index = 0; index < WEIGHTS; index++)
    CHECK(memcmp(range + weights[index].place, content + weights[index].offset,
                 weights[index].size) == 0);
  ortmmap_stand_ins_unmap(range, range_size);
  ortmmap_stand_ins_unmap(again, range_size);
  close(fd);
  free(content);
}

/* Two weights would be taken for each other if they showed the same bytes. */
static void each_weight_has_a_place_and_a_pattern_of_its_own(void) {
  enum { COUNT = 3 * PHASES + 5, SIZE = 50 * PAGE };
  static ortmmap_stand_in weights[COUNT];
  static ortmmap_fingerprint found[COUNT];
  size_t index, other, same = 0, size;
  unsigned char *range;
  for (index = 0; index < COUNT; index++)
    weights[index] =
        (ortmmap_stand_in){.name = index * index, .offset = index * SIZE + 5, .size = SIZE};
  size = ortmmap_stand_ins_lay(weights, COUNT);
  range = ortmmap_stand_ins_map(weights, COUNT, size);
  CHECK(range != NULL);
  for (index = 0; index < COUNT; index++) {
    CHECK(weights[index].place % ORTMMAP_PAGE == weights[index].offset % ORTMMAP_PAGE);
    CHECK(weights[index].place + SIZE <= size);
    CHECK(index == 0 || weights[index].place >= weights[index - 1].place + SIZE);
    found[index] = ortmmap_fingerprint_of(range + weights[index].place, SIZE);
    for (other = 0; other < index; other++)
      same += is_same(found[other], found[index]);
  }
  CHECK(same == 0);
  ortmmap_stand_ins_unmap(range, size);
}

static void a_hash_of_a_name_is_its_published_one(void) {
  CHECK(ortmmap_name_hash("", 0) == UINT64_C(0xCBF29CE484222325));
  CHECK(ortmmap_name_hash("a", 1) == UINT64_C(0xAF63DC4C8601EC8C));
  CHECK(ortmmap_name_hash("foobar", 6) == UINT64_C(0x85944171F73967E8));
}

/* So a list that names another weight, or is in another order, has other fingerprints. */
static void the_part_of_the_pattern_depends_on_the_name(void) {
  ortmmap_stand_in weights[WEIGHTS], others[WEIGHTS];
  memcpy(weights, few, sizeof few);
  memcpy(others, few, sizeof few);
  others[0].name = 8;
  CHECK(ortmmap_stand_ins_lay(weights, WEIGHTS) > 0 && ortmmap_stand_ins_lay(others, WEIGHTS) > 0);
  CHECK(weights[0].place / ORTMMAP_PAGE % PHASES == 7);
  CHECK(weights[1].place / ORTMMAP_PAGE % PHASES == 8); /* 7 is taken */
  CHECK(others[0].place / ORTMMAP_PAGE % PHASES == 8);
  CHECK(others[2].place / ORTMMAP_PAGE % PHASES == 1);
}

static void too_many_weights_have_no_places(void) {
  enum { COUNT = 64 * PHASES + 1 };
  ortmmap_stand_in *weights = calloc(COUNT, sizeof weights[0]);
  size_t index;
  for (index = 0; index < COUNT; index++)
    weights[index].size = 1;
  CHECK(ortmmap_stand_ins_lay(weights, COUNT) == 0);
  CHECK(ortmmap_stand_ins_lay(weights, COUNT - 1) > 0);
  CHECK(ortmmap_stand_ins_lay(weights, 0) == 0);
  free(weights);
}

static void what_follows_the_beginning_of_a_block_has_no_part_in_its_fingerprint(void) {
  size_t size = ORTMMAP_FINGERPRINTED + 3 * PAGE;
  unsigned char *bytes = calloc(1, size);
  ortmmap_fingerprint found = ortmmap_fingerprint_of(bytes, size);
  memset(bytes + ORTMMAP_FINGERPRINTED, 1, size - ORTMMAP_FINGERPRINTED);
  CHECK(is_same(found, ortmmap_fingerprint_of(bytes, size)));
  CHECK(!is_same(found, ortmmap_fingerprint_of(bytes, size - PAGE)));
  bytes[ORTMMAP_FINGERPRINTED - 1] = 1;
  CHECK(!is_same(found, ortmmap_fingerprint_of(bytes, size)));
  free(bytes);
}

/* --- the fold --- */

static void a_fold_shows_its_last_page_again_and_again(void) {
  enum { SIZE = 6 * HUGE };
  ortmmap_fold fold = {0};
  unsigned char *mapped = ortmmap_huge_pages_map(SIZE, PROT_NONE);
  size_t page, number;
  if (!ortmmap_fold_make(&fold)) {
    printf("test_stand_ins: this system has no huge pages of files\n");
    CHECK(fold.is_denied && !ortmmap_fold_make(&fold));
    munmap(mapped, SIZE);
    return;
  }
  CHECK(ortmmap_fold_lend(&fold, mapped, SIZE, false));
  CHECK((uintptr_t)mapped % HUGE == 0);
  for (page = 0; page < SIZE / HUGE; page++)
    memset(mapped + page * HUGE, (int)page + 1, HUGE);
  for (page = 0; page < SIZE / HUGE; page++) {
    number = page < ORTMMAP_FOLD_PAGES - 1 ? page + 1 : SIZE / HUGE;
    CHECK(mapped[page * HUGE] == number && mapped[(page + 1) * HUGE - 1] == number);
  }
  ortmmap_fold_release(&fold);
  CHECK(mapped[0] == 1 && !fold.is_made); /* it stays with those who have mapped it */
  munmap(mapped, SIZE);
}

/* --- new memory --- */

/* Touched or left alone, it is empty, may be written, and what lies beside it stays closed. */
static void new_memory_is_touched_wherever_it_begins(void) {
  enum { SIZE = 4 * HUGE };
  static const size_t begins[] = {0, PAGE, HUGE - PAGE}, lengths[] = {PAGE, HUGE, 2 * HUGE + PAGE};
  size_t begin, size, byte, wrong = 0;
  for (begin = 0; begin < 3; begin++)
    for (size = 0; size < 3; size++) {
      unsigned char *mapped = ortmmap_huge_pages_map(SIZE, PROT_NONE), *start;
      if (!CHECK(mapped != NULL))
        return;
      start = mapped + begins[begin];
      CHECK(mprotect(start, lengths[size], PROT_READ | PROT_WRITE) == 0);
      ortmmap_huge_pages_touch(start, lengths[size]);
      for (byte = 0; byte < lengths[size]; byte++)
        wrong += start[byte] != 0;
      memset(start, 1, lengths[size]);
      CHECK(mprotect(mapped, SIZE, PROT_READ) == 0);
      for (byte = 0; byte < SIZE; byte += PAGE)
        wrong += mapped[byte] != (mapped + byte >= start && mapped + byte < start + lengths[size]);
      munmap(mapped, SIZE);
    }
  CHECK(wrong == 0);
}

/* --- recognizing --- */

static ortmmap_stored_block stored[BLOCKS];

/* Give the store's file its size, and map it. */
static void map_store(ortmmap_store *store, size_t size) {
  CHECK(ftruncate(store->fd, (off_t)size) == 0);
  store->data = mmap(NULL, size, PROT_READ, MAP_SHARED, store->fd, 0);
  CHECK(store->data != MAP_FAILED);
}

/* A store of blocks that are filled with the seeds 0, 1 and 2. */
static ortmmap_store make_store(void) {
  ortmmap_store store = {.blocks = stored, .count = BLOCKS};
  size_t index, offset = 0;
  store.fd = make_file("store");
  for (index = 0; index < BLOCKS; index++) {
    unsigned char *bytes = malloc(sizes[index]);
    fill(bytes, sizes[index], (unsigned)index);
    stored[index] = (ortmmap_stored_block){offset, sizes[index]};
    CHECK(pwrite(store.fd, bytes, sizes[index], (off_t)offset) == (ssize_t)sizes[index]);
    offset = (offset + sizes[index] + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    free(bytes);
  }
  map_store(&store, offset);
  return store;
}

/* Record a creation of blocks with these seeds, and list them. */
static void create(ortmmap_recorder *recorder, const ortmmap_store *store,
                   unsigned char *blocks[BLOCKS], const unsigned seeds[BLOCKS],
                   ortmmap_block found[BLOCKS]) {
  int which;
  CHECK(ortmmap_recorder_begin(recorder, store));
  for (which = 0; which < BLOCKS; which++) {
    blocks[which] = allocate(sizes[which]);
    fill(blocks[which], sizes[which], seeds[which]);
  }
  ortmmap_recorder_end(recorder);
  CHECK(ortmmap_heap_blocks_of(recorder, found, BLOCKS) == BLOCKS);
}

static void release_all(ortmmap_recorder *recorder, unsigned char *blocks[BLOCKS]) {
  int which;
  for (which = 0; which < BLOCKS; which++)
    release(blocks[which]);
  ortmmap_recorder_release(recorder);
}

static const unsigned as_stored[BLOCKS] = {0, 1, 2}, as_patterns[BLOCKS] = {10, 11, 12};

/* What a learning recorder notes of blocks that are packed from patterns. */
static void learn(const ortmmap_store *store, ortmmap_fingerprint fingerprints[BLOCKS]) {
  ortmmap_recorder recorder = {.learning = true};
  ortmmap_block found[BLOCKS];
  unsigned char *blocks[BLOCKS];
  int which;
  create(&recorder, store, blocks, as_patterns, found);
  for (which = 0; which < BLOCKS; which++) {
    CHECK(found[which].state == ORTMMAP_BLOCK_PRIVATE && !found[which].recognized);
    fingerprints[found[which].ordinal - found[0].ordinal] = found[which].fingerprint;
  }
  release_all(&recorder, blocks);
}

static void a_learning_recorder_notes_fingerprints(const ortmmap_store *store) {
  ortmmap_fingerprint fingerprints[BLOCKS];
  int which;
  learn(store, fingerprints);
  for (which = 0; which < BLOCKS; which++) {
    unsigned char *bytes = malloc(sizes[which]);
    fill(bytes, sizes[which], as_patterns[which]);
    CHECK(is_same(fingerprints[which], ortmmap_fingerprint_of(bytes, sizes[which])));
    free(bytes);
  }
}

static void blocks_of_patterns_become_the_stored_ones(ortmmap_store *store) {
  ortmmap_fingerprint fingerprints[BLOCKS];
  ortmmap_recorder recorder = {0};
  ortmmap_block found[BLOCKS];
  unsigned char *blocks[BLOCKS];
  int which;
  learn(store, fingerprints);
  store->fingerprints = fingerprints;
  create(&recorder, store, blocks, as_patterns, found);
  for (which = 0; which < BLOCKS; which++) {
    CHECK(found[which].state == ORTMMAP_BLOCK_SHARED && found[which].recognized);
    CHECK(is_filled(blocks[which], sizes[which], as_stored[which]));
  }
  release_all(&recorder, blocks);
  store->fingerprints = NULL;
}

static void other_blocks_are_compared(ortmmap_store *store) {
  static const unsigned mixed[BLOCKS] = {0, 11, 99}; /* equal, a pattern's, unknown */
  ortmmap_fingerprint fingerprints[BLOCKS];
  ortmmap_recorder recorder = {0};
  ortmmap_block found[BLOCKS];
  unsigned char *blocks[BLOCKS];
  int which;
  learn(store, fingerprints);
  fingerprints[0] = (ortmmap_fingerprint){0, 0}; /* it does not depend on patterns */
  store->fingerprints = fingerprints;
  create(&recorder, store, blocks, mixed, found);
  for (which = 0; which < BLOCKS; which++) {
    CHECK((found[which].state == ORTMMAP_BLOCK_SHARED) == (found[which].address != blocks[2]));
    CHECK(found[which].recognized == (found[which].address == blocks[1]));
  }
  CHECK(is_filled(blocks[0], sizes[0], 0));
  CHECK(is_filled(blocks[1], sizes[1], 1));
  CHECK(is_filled(blocks[2], sizes[2], 99));
  release_all(&recorder, blocks);
  store->fingerprints = NULL;
}

/* --- recognizing large blocks, which lie on the fold --- */

enum { LARGE_BLOCKS = 4 };

/* The second is too small to show a page of the fold twice, the last one shows but one. */
static const size_t large_sizes[LARGE_BLOCKS] = {9 << 20, (2 << 20) + 5 * PAGE, (40 << 20) + 1,
                                                 300001};

/* A sparse store of large blocks that begin with 1, 2, …, with fingerprints of blocks that are
 * filled with 10, 11, …, and a recording with it. */
typedef struct large_fixture {
  ortmmap_stored_block table[LARGE_BLOCKS];
  ortmmap_fingerprint fingerprints[LARGE_BLOCKS];
  ortmmap_store store;
  ortmmap_recorder recorder;
  unsigned char *blocks[LARGE_BLOCKS];
} large_fixture;

static void begin_large(large_fixture *made) {
  size_t index, offset = 7 * PAGE;
  *made = (large_fixture){.store = {.count = LARGE_BLOCKS}};
  made->store.blocks = made->table;
  made->store.fingerprints = made->fingerprints;
  made->store.fd = make_file("large");
  for (index = 0; index < LARGE_BLOCKS; index++) {
    unsigned char *bytes = malloc(large_sizes[index]), first = (unsigned char)(index + 1);
    memset(bytes, (int)index + 10, large_sizes[index]);
    made->fingerprints[index] = ortmmap_fingerprint_of(bytes, large_sizes[index]);
    free(bytes);
    made->table[index] = (ortmmap_stored_block){offset, large_sizes[index]};
    CHECK(pwrite(made->store.fd, &first, 1, (off_t)offset) == 1);
    offset += ortmmap_whole_pages(large_sizes[index]);
  }
  map_store(&made->store, offset);
  CHECK(ortmmap_recorder_begin(&made->recorder, &made->store));
}

static void fill_large(large_fixture *made, int which) {
  memset(made->blocks[which], which + 10, large_sizes[which]);
}

static void pack_large(large_fixture *made, int which) {
  made->blocks[which] = allocate(large_sizes[which]);
  fill_large(made, which);
}

/* Whether the memory of a block's end is that of the huge page before, if blocks lie on folds. */
static void check_folded(const large_fixture *made, int which) {
  volatile unsigned char *end = made->blocks[which] + large_sizes[which] - 1;
  *end = 1;
  end[-ORTMMAP_HUGE_PAGE] = 2;
  CHECK((*end == 2) == (made->recorder.range.start != NULL));
}

/* End the recording, check that all blocks are the stored ones by now, and release them. */
static void end_large(large_fixture *made) {
  ortmmap_block found[LARGE_BLOCKS];
  int which;
  ortmmap_recorder_end(&made->recorder);
  CHECK(ortmmap_heap_blocks_of(&made->recorder, found, LARGE_BLOCKS) == LARGE_BLOCKS);
  for (which = 0; which < LARGE_BLOCKS; which++) {
    const unsigned char *block = made->blocks[which];
    CHECK(found[which].state == ORTMMAP_BLOCK_SHARED && found[which].recognized);
    CHECK(block[0] == which + 1 && block[large_sizes[which] - 1] == 0);
  }
  for (which = 0; which < LARGE_BLOCKS; which++)
    release(made->blocks[which]);
  ortmmap_recorder_release(&made->recorder);
  CHECK(ortmmap_heap_is_empty());
  close(made->store.fd);
}

static void large_blocks_lie_on_the_fold_until_they_are_recognized(void) {
  large_fixture made;
  int which;
  begin_large(&made);
  for (which = 0; which < LARGE_BLOCKS; which++) {
    pack_large(&made, which);
    if (which % 2 == 0)
      check_folded(&made, which);
  }
  end_large(&made);
}

/* A kernel may allocate a second block before it fills the first. */
static void blocks_that_are_filled_late_are_recognized_at_the_end(void) {
  large_fixture made;
  int which;
  begin_large(&made);
  for (which = 0; which < LARGE_BLOCKS; which++)
    made.blocks[which] = allocate(large_sizes[which]);
  for (which = 0; which < LARGE_BLOCKS; which++)
    fill_large(&made, which);
  end_large(&made);
}

/* The second block gets the address of the first, where the fold is no longer mapped. */
static void pack_in_a_thread(void *argument) {
  large_fixture *made = argument;
  pack_large(made, 3);
  release(made->blocks[3]);
  pack_large(made, 3);
  pack_large(made, 0);
  pack_large(made, 2);
}

static void threads_of_the_session_have_folds_of_their_own(void) {
  large_fixture made;
  OrtCustomThreadHandle thread;
  begin_large(&made);
  pack_large(&made, 1);
  thread = ortmmap_create_thread(&made.recorder, pack_in_a_thread, &made);
  CHECK(thread != NULL);
  ortmmap_join_thread(thread);
  check_folded(&made, 2);
  end_large(&made);
}

/* --- the place of blocks --- */

enum { NEIGHBOURS = 8 };

/* A store of blocks of odd sizes that are filled with 1, 2, …, with fingerprints of those that are
 * filled with 10, 11, …, and a recording with it. */
typedef struct fixture {
  ortmmap_stored_block table[NEIGHBOURS];
  ortmmap_fingerprint fingerprints[NEIGHBOURS];
  ortmmap_store store;
  ortmmap_recorder recorder;
  unsigned char *blocks[NEIGHBOURS];
} fixture;

static void begin(fixture *made, const size_t *order) {
  size_t index, offset = ALIGNMENT;
  *made = (fixture){.store = {.count = NEIGHBOURS, .order = order}};
  made->store.blocks = made->table;
  made->store.fingerprints = made->fingerprints;
  made->store.fd = make_file("neighbours");
  for (index = 0; index < NEIGHBOURS; index++) {
    size_t size = 70000 + index % 3 * ((1 << 20) + 12345);
    unsigned char *bytes = malloc(size);
    memset(bytes, (int)index + 10, size);
    made->fingerprints[index] = ortmmap_fingerprint_of(bytes, size);
    memset(bytes, (int)index + 1, size);
    made->table[index] = (ortmmap_stored_block){offset, size};
    CHECK(pwrite(made->store.fd, bytes, size, (off_t)offset) == (ssize_t)size);
    offset = (offset + size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    free(bytes);
  }
  map_store(&made->store, offset);
  CHECK(ortmmap_recorder_begin(&made->recorder, &made->store));
}

/* Whether one line of /proc/self/maps has both addresses. */
static bool is_one_mapping(const unsigned char *first, const unsigned char *last) {
  char line[512];
  size_t start, end;
  bool found = false;
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps != NULL && !found && fgets(line, sizeof line, maps) != NULL)
    found =
        sscanf(line, "%zx-%zx", &start, &end) == 2 && start <= (size_t)first && (size_t)last < end;
  if (maps != NULL)
    fclose(maps);
  return found;
}

/* Allocate a block, and fill it with `first` plus its index. */
static void pack_block(fixture *made, size_t index, int first) {
  size_t size = (size_t)made->table[index].size;
  made->blocks[index] = allocate(size);
  memset(made->blocks[index], first + (int)index, size);
}

static void check_stored(const fixture *made, size_t index) {
  const unsigned char *block = made->blocks[index];
  CHECK(block[0] == index + 1 &&
        memcmp(block, block + 1, (size_t)made->table[index].size - 1) == 0);
}

/* End the recording, and check that all blocks are the stored ones. */
static void end_recording(fixture *made) {
  size_t index;
  ortmmap_recorder_end(&made->recorder);
  for (index = 0; index < NEIGHBOURS; index++)
    check_stored(made, index);
}

static void release_fixture(fixture *made) {
  size_t index;
  for (index = 0; index < NEIGHBOURS; index++)
    release(made->blocks[index]);
  ortmmap_recorder_release(&made->recorder);
  CHECK(ortmmap_heap_is_empty());
  close(made->store.fd);
}

static void blocks_lie_as_in_the_file_in_any_order(void) {
  static const size_t order[NEIGHBOURS] = {0, 2, 1, 3, 7, 6, 5, 4};
  fixture made;
  size_t index;
  bool has_range;
  begin(&made, order);
  has_range = made.recorder.range.start != NULL;
  for (index = 0; index < NEIGHBOURS; index++)
    pack_block(&made, order[index], 10);
  end_recording(&made);
  for (index = 0; has_range && index < NEIGHBOURS; index++)
    CHECK((size_t)(made.blocks[index] - made.blocks[0]) ==
          made.table[index].offset - made.table[0].offset);
  if (has_range) {
    CHECK((uintptr_t)made.blocks[0] % ORTMMAP_HUGE_PAGE == made.table[0].offset);
    CHECK(is_one_mapping(made.blocks[0], made.blocks[NEIGHBOURS - 1]));
  }
  release_fixture(&made);
}

/* Another session must not get a place that a neighbour's pages would be mapped over. */
static void a_block_that_is_freed_meanwhile_leaves_its_place(void) {
  fixture made;
  unsigned char *freed, *other;
  ortmmap_block *added;
  size_t index, size;
  begin(&made, NULL);
  for (index = 0; index < 3; index++)
    pack_block(&made, index, 10);
  freed = made.blocks[1];
  size = (size_t)made.table[1].size;
  release(freed);
  ortmmap_heap_lock();
  added =
      ortmmap_heap_add(&made.recorder, size, (uintptr_t)freed % ORTMMAP_HUGE_PAGE, ORTMMAP_PAGE);
  other = added->address;
  CHECK(other != freed || made.recorder.range.start == NULL);
  ortmmap_heap_remove(added);
  ortmmap_heap_return(other, ortmmap_whole_pages(size));
  ortmmap_heap_unlock();
  for (index = 3; index < NEIGHBOURS; index++)
    pack_block(&made, index, 10);
  pack_block(&made, 1, 10);
  end_recording(&made);
  release_fixture(&made);
}

/* Another kernel may read them, so what is packed later must not lie in their huge pages. */
static void blocks_that_do_not_depend_on_patterns_stay_as_they_are(void) {
  fixture made;
  size_t index;
  begin(&made, NULL);
  for (index = 0; index < NEIGHBOURS; index++) {
    bool depends = index != 2 && index != 5; /* those that were expected to, and do not */
    pack_block(&made, index, depends ? 10 : 1);
    if (index > 2)
      check_stored(&made, 2);
    if (index > 5)
      check_stored(&made, 5);
  }
  end_recording(&made);
  release_fixture(&made);
}

int main(int argc, char **argv) {
  ortmmap_store store;
  if (argc != 2) {
    fprintf(stderr, "usage: test_stand_ins FOLDER\n");
    return 2;
  }
  folder = argv[1];
  allocator = ortmmap_allocator_start(&arena, NULL);
  if (!CHECK(allocator != NULL))
    return 1;
  equal_blocks_have_one_fingerprint();
  the_pattern_is_followed_by_the_weights_themselves();
  each_weight_has_a_place_and_a_pattern_of_its_own();
  a_hash_of_a_name_is_its_published_one();
  the_part_of_the_pattern_depends_on_the_name();
  too_many_weights_have_no_places();
  what_follows_the_beginning_of_a_block_has_no_part_in_its_fingerprint();
  a_fold_shows_its_last_page_again_and_again();
  new_memory_is_touched_wherever_it_begins();
  store = make_store();
  a_learning_recorder_notes_fingerprints(&store);
  blocks_of_patterns_become_the_stored_ones(&store);
  other_blocks_are_compared(&store);
  large_blocks_lie_on_the_fold_until_they_are_recognized();
  blocks_that_are_filled_late_are_recognized_at_the_end();
  threads_of_the_session_have_folds_of_their_own();
  blocks_lie_as_in_the_file_in_any_order();
  a_block_that_is_freed_meanwhile_leaves_its_place();
  blocks_that_do_not_depend_on_patterns_stay_as_they_are();
  return checks_report("test_stand_ins");
}
