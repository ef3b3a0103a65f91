/* test_shared_pages FOLDER: blocks become pages of a file, and nothing else changes. Linux only.
 * FOLDER is empty and may be written. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* syscall */
#endif

#include "blocks.h"
#include "check.h"

#include "cache/session_threads.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKS = 6, THREADS = 4, ROUNDS = 200, ALIGNMENT = 64 << 10 };

static const char *folder;

/* Odd sizes, two of them alike; the first is too small to be recorded. */
static const size_t sizes[BLOCKS] = {100, 65536, 70001, 3 << 20, 70001, (2 << 20) + 1};

/* Record a creation that allocates and fills one block after another, in this order. */
static void create(ortmmap_recorder *recorder, const ortmmap_store *store,
                   unsigned char *blocks[BLOCKS], const int order[BLOCKS]) {
  int step;
  CHECK(ortmmap_recorder_begin(recorder, store));
  for (step = 0; step < BLOCKS; step++) {
    int which = order[step];
    blocks[which] = allocate(sizes[which]);
    fill(blocks[which], sizes[which], (unsigned)which);
  }
  ortmmap_recorder_end(recorder);
}

static void release_all(ortmmap_recorder *recorder, unsigned char *blocks[BLOCKS]) {
  int which;
  for (which = 0; which < BLOCKS; which++)
    release(blocks[which]);
  ortmmap_recorder_release(recorder);
}

static size_t count_of(const ortmmap_recorder *recorder, ortmmap_block_state state) {
  ortmmap_block blocks[64];
  size_t index, count = ortmmap_heap_blocks_of(recorder, blocks, 64), found = 0;
  for (index = 0; index < count; index++)
    found += blocks[index].state == state;
  return found;
}

static void nothing_is_left(void) {
  ortmmap_heap_lock();
  CHECK(ortmmap_heap_is_empty());
  ortmmap_heap_unlock();
  CHECK(from_arena == 0);
}

static const int in_order[BLOCKS] = {0, 1, 2, 3, 4, 5};
static const int shuffled[BLOCKS] = {5, 4, 0, 3, 2, 1};

static ortmmap_stored_block stored[BLOCKS - 1];

/* Write the recorder's blocks to a file, in the order of allocation, and return it as a store. */
static ortmmap_store store_of(const ortmmap_recorder *recorder) {
  ortmmap_store store = {.blocks = stored};
  ortmmap_block blocks[BLOCKS];
  char path[4096];
  size_t index, offset = 0;
  store.count = ortmmap_heap_blocks_of(recorder, blocks, BLOCKS);
  CHECK(store.count == BLOCKS - 1);
  snprintf(path, sizeof path, "%s/store", folder);
  store.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  for (index = 0; index < store.count; index++) {
    stored[index] = (ortmmap_stored_block){offset, blocks[index].size};
    CHECK(pwrite(store.fd, blocks[index].address, blocks[index].size, (off_t)offset) ==
          (ssize_t)blocks[index].size);
    offset = (offset + blocks[index].size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }
  CHECK(ftruncate(store.fd, (off_t)offset) == 0);
  store.data = mmap(NULL, offset, PROT_READ, MAP_SHARED, store.fd, 0);
  CHECK(store.data != MAP_FAILED);
  return store;
}

static void a_recording_keeps_blocks_private(void) {
  ortmmap_recorder recorder = {0};
  unsigned char *blocks[BLOCKS];
  int which;
  create(&recorder, NULL, blocks, in_order);
  CHECK(count_of(&recorder, ORTMMAP_BLOCK_PRIVATE) == BLOCKS - 1);
  CHECK(from_arena == 1);
  for (which = 0; which < BLOCKS; which++)
    CHECK(is_filled(blocks[which], sizes[which], (unsigned)which));
  release_all(&recorder, blocks);
  nothing_is_left();
}

static void what_was_recorded_is_shared_afterwards(ortmmap_store *store) {
  ortmmap_recorder recorder = {0};
  unsigned char *blocks[BLOCKS];
  int which;
  create(&recorder, NULL, blocks, in_order);
  *store = store_of(&recorder);
  ortmmap_recorder_share(&recorder, store);
  CHECK(count_of(&recorder, ORTMMAP_BLOCK_SHARED) == BLOCKS - 1);
  for (which = 0; which < BLOCKS; which++)
    CHECK(is_filled(blocks[which], sizes[which], (unsigned)which));
  release_all(&recorder, blocks);
  nothing_is_left();
}

static void equal_blocks_are_shared(const ortmmap_store *store, const int order[BLOCKS]) {
  ortmmap_recorder recorder = {0};
  unsigned char *blocks[BLOCKS];
  int which;
  create(&recorder, store, blocks, order);
  CHECK(count_of(&recorder, ORTMMAP_BLOCK_SHARED) == BLOCKS - 1);
  for (which = 0; which < BLOCKS; which++)
    CHECK(is_filled(blocks[which], sizes[which], (unsigned)which));
  if (order == in_order) /* each block was the expected one, so its huge pages fit */
    for (which = 1; which < BLOCKS; which++)
      CHECK((uintptr_t)blocks[which] % ORTMMAP_HUGE_PAGE ==
            stored[which - 1].offset % ORTMMAP_HUGE_PAGE);
  release_all(&recorder, blocks);
  nothing_is_left();
}

/* The next block of a size is the expected one only once the block before it is finalized. */
static void blocks_of_one_size_each_get_the_address_of_their_own(void) {
  enum { COUNT = 3, SIZE = (1 << 20) + 1 };
  ortmmap_stored_block table[COUNT];
  ortmmap_recorder recorder = {0};
  ortmmap_store store = {.blocks = table, .count = COUNT};
  size_t length = COUNT * ((size_t)2 << 20);
  unsigned char *data, *blocks[COUNT];
  char path[4096];
  unsigned which;
  snprintf(path, sizeof path, "%s/one size", folder);
  store.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  CHECK(ftruncate(store.fd, (off_t)length) == 0);
  data = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, store.fd, 0);
  CHECK(data != MAP_FAILED);
  store.data = data;
  for (which = 0; which < COUNT; which++) {
    table[which] = (ortmmap_stored_block){which * (SIZE + ALIGNMENT - 1), SIZE};
    fill(data + table[which].offset, SIZE, which);
  }
  CHECK(ortmmap_recorder_begin(&recorder, &store));
  for (which = 0; which < COUNT; which++) {
    blocks[which] = allocate(SIZE);
    fill(blocks[which], SIZE, which);
    CHECK((uintptr_t)blocks[which] % ORTMMAP_HUGE_PAGE == table[which].offset % ORTMMAP_HUGE_PAGE);
  }
  ortmmap_recorder_end(&recorder);
  CHECK(count_of(&recorder, ORTMMAP_BLOCK_SHARED) == COUNT);
  for (which = 0; which < COUNT; which++)
    release(blocks[which]);
  ortmmap_recorder_release(&recorder);
  munmap(data, length);
  close(store.fd);
  nothing_is_left();
}

static void a_write_makes_private_and_spares_the_file(const ortmmap_store *store) {
  ortmmap_recorder recorder = {0};
  unsigned char *blocks[BLOCKS];
  create(&recorder, store, blocks, in_order);
  memset(blocks[3], 0x5a, sizes[3]);
  CHECK(is_filled(store->data + stored[2].offset, sizes[3], 3));
  release_all(&recorder, blocks);
  nothing_is_left();
}

static void different_blocks_stay_private(const ortmmap_store *store) {
  ortmmap_recorder recorder = {0};
  unsigned char *other, *unknown;
  CHECK(ortmmap_recorder_begin(&recorder, store));
  other = allocate(sizes[3]);
  fill(other, sizes[3], 99);
  unknown = allocate(123456);
  fill(unknown, 123456, 98);
  ortmmap_recorder_end(&recorder);
  CHECK(count_of(&recorder, ORTMMAP_BLOCK_PRIVATE) == 2);
  CHECK(is_filled(other, sizes[3], 99) && is_filled(unknown, 123456, 98));
  release(other);
  release(unknown);
  ortmmap_recorder_release(&recorder);
  nothing_is_left();
}

static void two_blocks_filled_late_are_shared_at_the_end(const ortmmap_store *store) {
  ortmmap_recorder recorder = {0};
  unsigned char *one, *two;
  CHECK(ortmmap_recorder_begin(&recorder, store));
  one = allocate(sizes[2]);
  two = allocate(sizes[4]);
  fill(one, sizes[2], 2);
  fill(two, sizes[4], 4);
  CHECK(is_filled(one, sizes[2], 2) && is_filled(two, sizes[4], 4));
  ortmmap_recorder_end(&recorder);
  CHECK(count_of(&recorder, ORTMMAP_BLOCK_SHARED) == 2);
  CHECK(is_filled(one, sizes[2], 2) && is_filled(two, sizes[4], 4));
  release(one);
  release(two);
  ortmmap_recorder_release(&recorder);
  nothing_is_left();
}

static void a_block_may_be_freed_while_it_is_in_scratch(const ortmmap_store *store) {
  ortmmap_recorder recorder = {0};
  unsigned char *kept;
  CHECK(ortmmap_recorder_begin(&recorder, store));
  release(allocate(sizes[3]));
  kept = allocate(sizes[1]);
  fill(kept, sizes[1], 1);
  ortmmap_recorder_end(&recorder);
  CHECK(count_of(&recorder, ORTMMAP_BLOCK_SHARED) == 1 && is_filled(kept, sizes[1], 1));
  release(kept);
  ortmmap_recorder_release(&recorder);
  nothing_is_left();
}

/* Allocate, write and free blocks, many times over, while other threads do the same. */
static void *work(void *failures) {
  int round, which;
  for (round = 0; round < ROUNDS; round++)
    for (which = 1; which < BLOCKS; which++) {
      size_t size = sizes[which] % 100000 + ORTMMAP_SMALLEST_BLOCK;
      unsigned char *block = allocate(size);
      block[0] = (unsigned char)which;
      block[size - 1] = (unsigned char)round;
      if (block[0] != which || block[size - 1] != (unsigned char)round)
        atomic_fetch_add((atomic_int *)failures, 1);
      release(block);
    }
  return NULL;
}

typedef struct job {
  int which;
  unsigned char *block;
} job;

static void fill_one(void *argument) {
  job *mine = argument;
  mine->block = allocate(sizes[mine->which]);
  fill(mine->block, sizes[mine->which], (unsigned)mine->which);
}

static void threads_of_the_session_record_too(const ortmmap_store *store) {
  ortmmap_recorder recorder = {0};
  OrtCustomThreadHandle threads[THREADS];
  job jobs[THREADS];
  int index;
  CHECK(ortmmap_recorder_begin(&recorder, store));
  for (index = 0; index < THREADS; index++) {
    jobs[index].which = index + 1;
    threads[index] = ortmmap_create_thread(&recorder, fill_one, jobs + index);
  }
  for (index = 0; index < THREADS; index++)
    ortmmap_join_thread(threads[index]);
  ortmmap_recorder_end(&recorder);
  CHECK(count_of(&recorder, ORTMMAP_BLOCK_SHARED) == THREADS);
  for (index = 0; index < THREADS; index++) {
    CHECK(is_filled(jobs[index].block, sizes[index + 1], (unsigned)index + 1));
    release(jobs[index].block);
  }
  ortmmap_recorder_release(&recorder);
  nothing_is_left();
}

static void note_run(void *ran) { atomic_store((atomic_bool *)ran, true); }

static void threads_rest_until_there_is_something_to_pack(void) {
  ortmmap_recorder recorder = {0};
  OrtCustomThreadHandle thread;
  atomic_bool ran = false;
  int event;
  for (event = 0; event < 3; event++) { /* a block, the end, and a creation that fails */
    ran = false;
    CHECK(ortmmap_recorder_begin(&recorder, NULL));
    thread = ortmmap_create_thread(&recorder, note_run, &ran);
    usleep(50000);
    CHECK(!ran);
    if (event == 0)
      release(allocate(sizes[1]));
    if (event == 1)
      ortmmap_recorder_end(&recorder);
    ortmmap_join_thread(thread);
    CHECK(ran);
    if (event != 1)
      ortmmap_recorder_end(&recorder);
    ortmmap_recorder_release(&recorder);
  }
  nothing_is_left();
}

static void a_child_frees_a_recorder_whose_threads_rest(void) {
  ortmmap_recorder recorder = {0};
  OrtCustomThreadHandle thread;
  atomic_bool ran = false;
  pid_t child;
  int status;
  CHECK(ortmmap_recorder_begin(&recorder, NULL));
  thread = ortmmap_create_thread(&recorder, note_run, &ran);
  usleep(50000);
  child = fork();
  if (child == 0) {
    alarm(10);
    ortmmap_recorder_release(&recorder);
    _exit(0);
  }
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  ortmmap_join_thread(thread);
  ortmmap_recorder_end(&recorder);
  ortmmap_recorder_release(&recorder);
  nothing_is_left();
}

static void record_and_work(void *failures) { work(failures); }

static void blocks_come_and_go_in_many_threads(const ortmmap_store *store) {
  ortmmap_recorder recorder = {0};
  OrtCustomThreadHandle threads[THREADS];
  atomic_int failures = 0;
  int index;
  CHECK(ortmmap_recorder_begin(&recorder, store));
  for (index = 0; index < THREADS; index++)
    threads[index] = ortmmap_create_thread(&recorder, record_and_work, &failures);
  work(&failures);
  for (index = 0; index < THREADS; index++)
    ortmmap_join_thread(threads[index]);
  ortmmap_recorder_end(&recorder);
  CHECK(failures == 0);
  ortmmap_recorder_release(&recorder);
  nothing_is_left();
}

static void threads_outside_go_to_the_arena(const ortmmap_store *store) {
  ortmmap_recorder recorder = {0};
  pthread_t outside;
  atomic_int failures = 0;
  CHECK(ortmmap_recorder_begin(&recorder, store));
  CHECK(pthread_create(&outside, NULL, work, &failures) == 0);
  pthread_join(outside, NULL);
  CHECK(failures == 0 && count_of(&recorder, ORTMMAP_BLOCK_PRIVATE) == 0);
  ortmmap_recorder_end(&recorder);
  ortmmap_recorder_release(&recorder);
  nothing_is_left();
}

static void two_sessions_drop_in_any_order(const ortmmap_store *store) {
  ortmmap_recorder one = {0}, two = {0};
  unsigned char *of_one[BLOCKS], *of_two[BLOCKS];
  create(&one, store, of_one, in_order);
  create(&two, store, of_two, shuffled);
  release_all(&one, of_one);
  CHECK(is_filled(of_two[5], sizes[5], 5));
  create(&one, store, of_one, shuffled);
  release_all(&two, of_two);
  CHECK(is_filled(of_one[3], sizes[3], 3));
  release_all(&one, of_one);
  nothing_is_left();
}

static void a_child_of_fork_has_a_working_heap(const ortmmap_store *store) {
  ortmmap_recorder recorder = {0};
  unsigned char *blocks[BLOCKS];
  int status = 1;
  pid_t child;
  create(&recorder, store, blocks, in_order);
  child = fork();
  if (child == 0) {
    ortmmap_recorder own = {0};
    unsigned char *of_child[BLOCKS];
    create(&own, store, of_child, shuffled);
    _exit(checks_failed != 0 || !is_filled(of_child[3], sizes[3], 3) ||
          !is_filled(blocks[3], sizes[3], 3));
  }
  CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
  release_all(&recorder, blocks);
  nothing_is_left();
}

static void a_failed_file_leaves_blocks_private(const ortmmap_store *store) {
  ortmmap_recorder recorder = {0};
  ortmmap_store closed = *store;
  unsigned char *blocks[BLOCKS];
  closed.fd = -1;
  create(&recorder, &closed, blocks, in_order);
  CHECK(count_of(&recorder, ORTMMAP_BLOCK_PRIVATE) == BLOCKS - 1);
  CHECK(is_filled(blocks[3], sizes[3], 3));
  release_all(&recorder, blocks);
  nothing_is_left();
}

static void freed_blocks_are_kept_until_let(const ortmmap_store *store) {
  ortmmap_recorder recorder = {0};
  unsigned char *blocks[BLOCKS], *other;
  int which;
  create(&recorder, NULL, blocks, in_order);
  ortmmap_recorder_keep(&recorder);
  for (which = 0; which < BLOCKS; which++)
    release(blocks[which]);
  CHECK(count_of(&recorder, ORTMMAP_BLOCK_FREED) == BLOCKS - 1);
  for (which = 1; which < BLOCKS; which++)
    CHECK(is_filled(blocks[which], sizes[which], (unsigned)which));
  ortmmap_recorder_share(&recorder, store);
  CHECK(count_of(&recorder, ORTMMAP_BLOCK_SHARED) == 0); /* nobody reads them any more */
  CHECK(ortmmap_recorder_begin(&recorder, NULL));
  other = allocate(sizes[3]);
  for (which = 1; which < BLOCKS; which++)
    CHECK(other != blocks[which]);
  ortmmap_recorder_end(&recorder);
  ortmmap_recorder_let(&recorder);
  CHECK(ortmmap_heap_blocks_of(&recorder, NULL, 0) == 1); /* the live one */
  release(other);
  ortmmap_recorder_release(&recorder);
  nothing_is_left();
}

typedef struct reader {
  unsigned char **blocks;
  atomic_bool *stop;
  atomic_int *failures;
} reader;

/* Count bytes that are not `expected`, with loads like those of kernels, which are not
 * instrumented: the thread sanitizer takes a mapping that replaces another for a write of its
 * bytes. */
__attribute__((no_sanitize("thread"), noinline)) static size_t
differing(const unsigned char *block, size_t size, const unsigned char *expected) {
  const volatile unsigned char *bytes = block;
  size_t index, count = 0;
  for (index = 0; index < size; index += 61)
    count += bytes[index] != expected[index];
  return count;
}

static void *read_all_the_time(void *argument) {
  const reader *mine = argument;
  unsigned char *expected[BLOCKS];
  int which;
  for (which = 1; which < BLOCKS; which++) {
    expected[which] = malloc(sizes[which]);
    fill(expected[which], sizes[which], (unsigned)which);
  }
  while (!atomic_load(mine->stop))
    for (which = 1; which < BLOCKS; which++)
      if (differing(mine->blocks[which], sizes[which], expected[which]) != 0)
        atomic_fetch_add(mine->failures, 1);
  for (which = 1; which < BLOCKS; which++)
    free(expected[which]);
  return NULL;
}

/* System calls read the block too: pwrite(2) copies from it, or fails if a page is not there. It is
 * called without the sanitizer's wrapper, for the same reason. */
static void *write_all_the_time(void *argument) {
  const reader *mine = argument;
  char path[4096];
  int file, which;
  snprintf(path, sizeof path, "%s/copy", folder);
  file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  while (!atomic_load(mine->stop))
    for (which = 1; which < BLOCKS; which++)
      if (syscall(SYS_pwrite64, file, mine->blocks[which], sizes[which], 0L) != (long)sizes[which])
        atomic_fetch_add(mine->failures, 1);
  close(file);
  return NULL;
}

static void threads_read_while_blocks_are_exchanged(const ortmmap_store *store) {
  int round, index;
  for (round = 0; round < ROUNDS / 25; round++) {
    ortmmap_recorder recorder = {0};
    unsigned char *blocks[BLOCKS];
    pthread_t threads[THREADS];
    atomic_bool stop = false;
    atomic_int failures = 0;
    reader mine = {blocks, &stop, &failures};
    create(&recorder, NULL, blocks, round % 2 ? shuffled : in_order);
    for (index = 0; index < THREADS; index++)
      CHECK(pthread_create(threads + index, NULL,
                           index == 0 ? write_all_the_time : read_all_the_time, &mine) == 0);
    ortmmap_recorder_share(&recorder, store);
    atomic_store(&stop, true);
    for (index = 0; index < THREADS; index++)
      pthread_join(threads[index], NULL);
    CHECK(failures == 0);
    CHECK(count_of(&recorder, ORTMMAP_BLOCK_SHARED) == BLOCKS - 1);
    release_all(&recorder, blocks);
  }
  nothing_is_left();
}

static void *free_all(void *argument) {
  unsigned char **blocks = argument;
  int which;
  for (which = 0; which < BLOCKS; which++)
    release(blocks[which]);
  return NULL;
}

/* The heap reuses a freed range at once. A block of the other recorder, whose bytes are not in the
 * store, must never be mapped over. */
static void blocks_are_freed_and_reused_while_others_are_exchanged(const ortmmap_store *store) {
  int round, which;
  for (round = 0; round < ROUNDS / 20; round++) {
    ortmmap_recorder recorder = {0}, later = {0};
    unsigned char *blocks[BLOCKS], *reused[BLOCKS];
    pthread_t freeing;
    create(&recorder, NULL, blocks, in_order);
    CHECK(pthread_create(&freeing, NULL, free_all, blocks) == 0);
    ortmmap_recorder_share(&recorder, store);
    CHECK(ortmmap_recorder_begin(&later, NULL));
    for (which = 1; which < BLOCKS; which++) {
      reused[which] = allocate(sizes[which]);
      fill(reused[which], sizes[which], 77);
      ortmmap_recorder_share(&recorder, store);
    }
    ortmmap_recorder_end(&later);
    pthread_join(freeing, NULL);
    for (which = 1; which < BLOCKS; which++) {
      CHECK(is_filled(reused[which], sizes[which], 77));
      release(reused[which]);
    }
    ortmmap_recorder_release(&recorder);
    ortmmap_recorder_release(&later);
  }
  nothing_is_left();
}

typedef struct writer {
  int fd; /* of the growing file, locked */
  const ortmmap_store *source;
  size_t blocks; /* how many to write before it unlocks */
  bool failed;
} writer;

static void *write_blocks(void *argument) {
  writer *work = argument;
  size_t index;
  for (index = 0; index < work->blocks; index++) {
    const ortmmap_stored_block *block = stored + index;
    usleep(20000);
    work->failed |= pwrite(work->fd, work->source->data + block->offset, block->size,
                           (off_t)block->offset) != (ssize_t)block->size;
  }
  flock(work->fd, LOCK_UN);
  return NULL;
}

/* Create a session while another thread writes so many of the blocks; return how many are shared.
 */
static size_t share_while_written(const ortmmap_store *source, size_t written, long most_waits) {
  ortmmap_store store = *source;
  ortmmap_growing_file growing = {.most_waits = most_waits};
  ortmmap_recorder recorder = {0};
  unsigned char *blocks[BLOCKS];
  char path[4096];
  size_t size = stored[BLOCKS - 2].offset + stored[BLOCKS - 2].size;
  pthread_t thread;
  writer work = {.source = source, .blocks = written};
  int which;
  size_t shared;
  snprintf(path, sizeof path, "%s/growing", folder);
  work.fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  CHECK(flock(work.fd, LOCK_EX | LOCK_NB) == 0);
  store.fd = growing.fd = open(path, O_RDONLY | O_CLOEXEC); /* another open file: a lock's owner */
  store.growing = &growing;
  store.data = ortmmap_store_map(store.fd, size);
  CHECK(store.data != NULL);
  CHECK(most_waits == 0 || pthread_create(&thread, NULL, write_blocks, &work) == 0);
  create(&recorder, &store, blocks, in_order);
  CHECK(most_waits == 0 || (pthread_join(thread, NULL) == 0 && !work.failed));
  shared = count_of(&recorder, ORTMMAP_BLOCK_SHARED);
  CHECK(growing.ended == (written < BLOCKS - 1));
  for (which = 0; which < BLOCKS; which++)
    CHECK(is_filled(blocks[which], sizes[which], (unsigned)which));
  release_all(&recorder, blocks);
  ortmmap_store_unmap(store.data, size);
  close(store.fd);
  close(work.fd);
  return shared;
}

static void blocks_are_shared_while_the_file_is_written(const ortmmap_store *store) {
  enum { ENOUGH = 60000 };
  CHECK(share_while_written(store, BLOCKS - 1, ENOUGH) == BLOCKS - 1);
  CHECK(share_while_written(store, 2, ENOUGH) == 2); /* its writer ends too early */
  CHECK(share_while_written(store, 0, ENOUGH) == 0);
  CHECK(share_while_written(store, 0, 0) == 0); /* its writer takes too long */
  nothing_is_left();
}

int main(int argc, char **argv) {
  ortmmap_store store;
  if (argc != 2) {
    fprintf(stderr, "usage: test_shared_pages FOLDER\n");
    return 2;
  }
  folder = argv[1];
  allocator = ortmmap_allocator_start(&arena, NULL);
  if (!CHECK(allocator != NULL))
    return 1;
  a_recording_keeps_blocks_private();
  what_was_recorded_is_shared_afterwards(&store);
  equal_blocks_are_shared(&store, in_order);
  equal_blocks_are_shared(&store, shuffled);
  blocks_of_one_size_each_get_the_address_of_their_own();
  a_write_makes_private_and_spares_the_file(&store);
  different_blocks_stay_private(&store);
  two_blocks_filled_late_are_shared_at_the_end(&store);
  a_block_may_be_freed_while_it_is_in_scratch(&store);
  threads_of_the_session_record_too(&store);
  threads_rest_until_there_is_something_to_pack();
  a_child_frees_a_recorder_whose_threads_rest();
  blocks_come_and_go_in_many_threads(&store);
  threads_outside_go_to_the_arena(&store);
  two_sessions_drop_in_any_order(&store);
  a_child_of_fork_has_a_working_heap(&store);
  a_failed_file_leaves_blocks_private(&store);
  freed_blocks_are_kept_until_let(&store);
  threads_read_while_blocks_are_exchanged(&store);
  blocks_are_freed_and_reused_while_others_are_exchanged(&store);
  blocks_are_shared_while_the_file_is_written(&store);
  return checks_report("test_shared_pages");
}
