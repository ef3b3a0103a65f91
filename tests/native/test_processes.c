/* Tests of sigbus.h, faults in truncated files, of fork.h, and of page_cache.h. */
#include "process/fork.h"
#include "process/page_cache.h"
#include "process/sigbus.h"

#include "check.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { SIZE = 1 << 20, THREADS = 8 };

static char path[4096];
static size_t page;

/* Maps a file of ones. */
static unsigned char *map_ones(int flags) {
  static unsigned char ones[SIZE];
  int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  void *data;
  memset(ones, 1, sizeof ones);
  if (file < 0 || write(file, ones, sizeof ones) != (ssize_t)sizeof ones) {
    perror(path);
    _exit(2);
  }
  data = mmap(NULL, SIZE, PROT_READ, flags, file, 0);
  close(file);
  if (data == MAP_FAILED)
    _exit(2);
  return (unsigned char *)data;
}

/* Returns whether `work` returns true in a child, which exits normally. */
static int is_well(int (*work)(void)) {
  int status;
  pid_t child = fork();
  if (child == 0)
    _exit(work() ? 0 : 1);
  return waitpid(child, &status, 0) == child && status == 0;
}

static ortmmap_guard *guard_of(const unsigned char *data) {
  ortmmap_guard *guard = ortmmap_guard_take();
  guard->data = data;
  guard->size = SIZE;
  return guard;
}

/* Reads a truncated mapping whose guard has no users: the process dies. */
static int read_unused(void) {
  const volatile unsigned char *data = map_ones(MAP_SHARED);
  guard_of((const unsigned char *)data);
  return truncate(path, 0) == 0 && data[5] < 2;
}

static void a_guarded_mapping_reads_as_zeros_and_is_marked(void) {
  const volatile unsigned char *data = map_ones(MAP_SHARED);
  ortmmap_guard *guard = guard_of((const unsigned char *)data), *other = ortmmap_guard_take();
  ortmmap_count_add(&guard->users, 1);
  ortmmap_count_add(&other->users, 1);
  CHECK(truncate(path, (off_t)page) == 0);
  CHECK(data[0] == 1);
  CHECK(!ortmmap_count_get(&guard->changed));
  CHECK(data[SIZE / 2] == 0);
  CHECK(data[SIZE - 1] == 0);
  CHECK(data[page - 1] == 1);
  CHECK(ortmmap_count_get(&guard->changed) == 1);
  CHECK(!ortmmap_count_get(&other->changed));
  ortmmap_guard_give(guard);
  ortmmap_guard_give(other);
  munmap((void *)data, SIZE);
}

/* ONNX Runtime may map a file that has replaced the model's for a moment, and is shorter. */
static void a_mapping_of_a_replaced_file_is_known_too(void) {
  const volatile unsigned char *data = map_ones(MAP_PRIVATE);
  char names[sizeof path + 2] = {0};
  ortmmap_guard *guard = ortmmap_guard_take();
  strcpy(names, path);
  guard->files = names;
  ortmmap_count_add(&guard->users, 1);
  CHECK(truncate(path, 0) == 0);
  CHECK(unlink(path) == 0);
  CHECK(data[7] == 0);
  CHECK(ortmmap_count_get(&guard->changed) == 1);
  ortmmap_guard_give(guard);
  munmap((void *)data, SIZE);
}

static void a_private_mapping_is_known_by_its_file(void) {
  const volatile unsigned char *data = map_ones(MAP_PRIVATE);
  char names[2 * sizeof path];
  size_t first = (size_t)snprintf(names, sizeof names, "/nowhere") + 1;
  ortmmap_guard *guard = ortmmap_guard_take();
  memset(names + first, 0, sizeof names - first);
  strcpy(names + first, path);
  guard->files = names;
  ortmmap_count_add(&guard->users, 1);
  CHECK(truncate(path, 0) == 0);
  CHECK(data[7] == 0);
  CHECK(ortmmap_count_get(&guard->changed) == 1);
  ortmmap_guard_give(guard);
  munmap((void *)data, SIZE);
}

static void *read_all(void *data) {
  const volatile unsigned char *bytes = (const volatile unsigned char *)data;
  size_t index, sum = 0;
  for (index = 0; index < SIZE; index += page)
    sum += bytes[index];
  return (void *)sum;
}

static void threads_may_fault_at_once(void) {
  unsigned char *data = map_ones(MAP_PRIVATE);
  ortmmap_guard *guard = ortmmap_guard_take();
  char names[sizeof path + 1] = "";
  pthread_t threads[THREADS];
  void *sum;
  size_t index;
  strcpy(names, path);
  names[strlen(names) + 1] = '\0';
  guard->files = names;
  ortmmap_count_add(&guard->users, 1);
  CHECK(truncate(path, 0) == 0);
  for (index = 0; index < THREADS; index++)
    CHECK(pthread_create(&threads[index], NULL, read_all, data) == 0);
  for (index = 0; index < THREADS; index++)
    CHECK(pthread_join(threads[index], &sum) == 0 && sum == NULL);
  ortmmap_guard_give(guard);
  munmap(data, SIZE);
}

static void a_guard_is_taken_again(void) {
  ortmmap_guard *guard = ortmmap_guard_take();
  ortmmap_count_set(&guard->changed, 1);
  ortmmap_guard_give(guard);
  CHECK(ortmmap_guard_take() == guard);
  CHECK(!ortmmap_count_get(&guard->changed));
  ortmmap_guard_give(guard);
}

/* Parses text of /proc/self/maps, and returns the number of completed lines. */
static int read_line(const char *text, ortmmap_maps_line *line) {
  static ortmmap_maps_reader reader;
  int lines = 0;
  for (; *text != '\0'; text++)
    lines += ortmmap_maps_take(&reader, *text, line);
  return lines;
}

static void lines_of_maps_are_read(void) {
  static char longest[5000];
  ortmmap_maps_line line;
  CHECK(read_line("7f00a000-7f00b000 r--p 00000000 08:02 17   /a folder/b (c)\n", &line) == 1);
  CHECK(line.first == 0x7f00a000 && line.end == 0x7f00b000 && line.is_private);
  CHECK(line.path == ortmmap_hash_path("/a folder/b (c)"));
  CHECK(line.path != ortmmap_hash_path("/a folder/b (d)"));
  CHECK(read_line("7f00a000-7f00b000 rw-s 00000000 08:02 17   /b\\012c\n", &line) == 1);
  CHECK(!line.is_private && line.path == ortmmap_hash_path("/b\nc"));
  CHECK(read_line("7f00a000-7f00b000 rw-p 00000000 00:00 0 \n", &line) == 1);
  CHECK(line.is_private && line.path == 0);
  CHECK(read_line("\n", &line) == 1 && line.end == 0 && !line.is_private);
  memset(longest, 'x', sizeof longest - 1);
  longest[0] = '/';
  CHECK(read_line("1000-2000 r--p 00000000 08:02 17   ", &line) == 0);
  CHECK(read_line(longest, &line) == 0 && read_line("\n", &line) == 1);
  CHECK(line.first == 0x1000 && line.is_private && line.path == ortmmap_hash_path(longest));
  CHECK(read_line(longest + 1, &line) == 0 && read_line("\n", &line) == 1); /* not a line of maps */
  CHECK(line.end == 0 && line.path == 0);
}

static int forks, intact_since, locked, most_locked;

static void lock(void) { most_locked = ++locked; }

static void unlock(void) { locked--; }

static int is_first_child(void) { return forks == 1 && locked == 0 && most_locked == 1; }

static atomic_int held;

static void *hold_forks_briefly(void *unused) {
  struct timespec delay = {0, 50 * 1000 * 1000};
  (void)unused;
  ortmmap_fork_hold();
  atomic_store(&held, 1);
  nanosleep(&delay, NULL);
  atomic_store(&held, 2);
  ortmmap_fork_let();
  return NULL;
}

static int nobody_holds(void) { return atomic_load(&held) == 2 && ortmmap_forking.holders == 0; }

static void a_child_counts_one_fork_more(void) {
  CHECK(ortmmap_fork_watch(&forks, &intact_since) == 0);
  ortmmap_fork_lock(lock, unlock);
  CHECK(is_well(is_first_child));
  CHECK(forks == 0 && locked == 0 && most_locked == 1);
}

static void a_fork_waits_for_a_thread_that_delays_it(void) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, hold_forks_briefly, NULL) == 0);
  while (!atomic_load(&held))
    ;
  CHECK(is_well(nobody_holds));
  CHECK(pthread_join(thread, NULL) == 0);
}

static atomic_int clean, abandoned;

static int is_clean(void) { return atomic_load(&clean); }

static void abandon(void) { atomic_store(&abandoned, 1); }

static int is_intact(void) { return forks == 1 && intact_since == 0 && !atomic_load(&abandoned); }

static int is_not_intact(void) {
  return forks == 1 && intact_since == 1 && atomic_load(&abandoned) && ortmmap_forking.callers == 0;
}

static int is_grandchild(void) { return forks == 2 && intact_since == 1; }

static int a_childs_child_is_intact(void) { return is_not_intact() && is_well(is_grandchild); }

static void a_fork_is_clean_if_no_thread_is_inside(void) {
  CHECK(ortmmap_fork_is_clean() == 0); /* nothing examines it */
  ortmmap_fork_examine(is_clean, abandon);
  CHECK(is_well(is_not_intact));
  atomic_store(&clean, 1);
  CHECK(is_well(is_intact));
  ortmmap_fork_enter();
  CHECK(is_well(a_childs_child_is_intact));
  ortmmap_fork_leave();
  CHECK(is_well(is_intact));
  ortmmap_forking.holders = 1; /* the wait for it has ended */
  CHECK(ortmmap_fork_is_clean() == 0);
  ortmmap_forking.holders = 0;
}

static void guards_with_users_are_found_and_abandoned(void) {
  ortmmap_guard *guard = ortmmap_guard_take();
  CHECK(guard != NULL && !ortmmap_guards_have_users());
  ortmmap_count_add(&guard->users, 1);
  CHECK(ortmmap_guards_have_users());
  ortmmap_guards_abandon();
  CHECK(!ortmmap_guards_have_users());
  ortmmap_guard_give(guard);
  CHECK(ortmmap_guard_take() == guard && !guard->abandoned);
  ortmmap_count_add(&guard->users, 1);
  CHECK(ortmmap_guards_have_users());
  ortmmap_guard_give(guard);
}

static void a_file_is_read_into_the_page_cache(void) {
  int file;
  munmap(map_ones(MAP_SHARED), SIZE);
  file = open(path, O_RDONLY | O_CLOEXEC);
  CHECK(file >= 0 && fsync(file) == 0);
  ortmmap_page_cache_read(file, SIZE);
  CHECK(!ortmmap_page_cache_lacks(file, SIZE));
  ortmmap_page_cache_read(file, 4 * SIZE); /* the file was longer when it was opened */
  CHECK(!ortmmap_page_cache_lacks(file, 1000 * (uint64_t)SIZE));
  ortmmap_page_cache_close(file);
  CHECK(fcntl(file, F_GETFD) == -1);
  ortmmap_page_cache_read(file, SIZE);
  CHECK(!ortmmap_page_cache_lacks(file, SIZE));
}

int main(int argc, char **argv) {
  if (argc != 2 || realpath(argv[1], path) == NULL) {
    fprintf(stderr, "usage: test_processes FOLDER\n");
    return 2;
  }
  strcat(path, "/file");
  page = (size_t)sysconf(_SC_PAGESIZE);
  CHECK(ortmmap_sigbus_install() == 0);
  CHECK(ortmmap_sigbus_install() == 0);
  CHECK(!is_well(read_unused)); /* a sanitizer reports the death on stderr */
  a_guarded_mapping_reads_as_zeros_and_is_marked();
  a_private_mapping_is_known_by_its_file();
  a_mapping_of_a_replaced_file_is_known_too();
  threads_may_fault_at_once();
  a_guard_is_taken_again();
  lines_of_maps_are_read();
  a_child_counts_one_fork_more();
  a_fork_waits_for_a_thread_that_delays_it();
  a_fork_is_clean_if_no_thread_is_inside();
  guards_with_users_are_found_and_abandoned();
  a_file_is_read_into_the_page_cache();
  return checks_report("test_processes");
}
