/* The SIGBUS handler: a fault in a guarded file (guard.h) is answered with zeros and marks the
 * guard; any other is passed on to the previous handler.
 *
 * One translation unit of a process includes this header, which defines the list of guards. */
#ifndef ORTMMAP_SIGBUS_H
#define ORTMMAP_SIGBUS_H

#include "process/guard.h"

#include <stdlib.h>

/* Guards are added in front, and never removed. A guard is taken by its count of owners. */
static ortmmap_guard *ortmmap_guards;

/* Returns an unused guard, a new one if there is none; NULL if memory is exhausted. */
static inline ortmmap_guard *ortmmap_guard_take(void) {
  ortmmap_guard *guard;
  for (guard = ORTMMAP_LOAD(&ortmmap_guards); guard != NULL; guard = guard->next)
    if (ortmmap_count_replace(&guard->owners, ORTMMAP_GUARD_FREE, 1))
      return guard;
  guard = (ortmmap_guard *)calloc(1, sizeof *guard);
  if (guard != NULL) {
    guard->owners = 1;
    do
      guard->next = ORTMMAP_LOAD(&ortmmap_guards);
    while (!ORTMMAP_REPLACE(&ortmmap_guards, guard->next, guard));
  }
  return guard;
}

/* Makes a further owner of a guard that has one. */
static inline void ortmmap_guard_share(ortmmap_guard *guard) {
  ortmmap_count_add(&guard->owners, 1);
}

/* Gives back a guard, which the last owner leaves empty. Its users are zero then, or threads of a
 * parent process. */
static inline void ortmmap_guard_give(ortmmap_guard *guard) {
  if (ortmmap_count_add(&guard->owners, -1) > 0)
    return;
  ortmmap_count_set(&guard->users, 0);
  ortmmap_count_set(&guard->changed, 0);
  ortmmap_guard_set_files(guard, NULL);
  ortmmap_guard_set_data(guard, NULL, 0);
  guard->abandoned = 0;
  ortmmap_count_set(&guard->owners, ORTMMAP_GUARD_FREE); /* from here on it is taken again */
}

/* Returns whether a thread of this process is a user of any guard. */
static inline int ortmmap_guards_have_users(void) {
  const ortmmap_guard *guard;
  for (guard = ORTMMAP_LOAD(&ortmmap_guards); guard != NULL; guard = guard->next)
    if (!guard->abandoned && ortmmap_count_get(&guard->users) != 0)
      return 1;
  return 0;
}

/* Runs in the child of a fork, where the users of guards do not exist. */
static inline void ortmmap_guards_abandon(void) {
  ortmmap_guard *guard;
  for (guard = ORTMMAP_LOAD(&ortmmap_guards); guard != NULL; guard = guard->next)
    if (ortmmap_count_get(&guard->users) != 0)
      guard->abandoned = 1;
}

#ifdef _WIN32

static inline int ortmmap_sigbus_install(void) { return 0; }

#else /* POSIX */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static pthread_mutex_t ortmmap_sigbus_installing = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction ortmmap_sigbus_previous; /* written before the handler is installed */
static atomic_flag ortmmap_sigbus_passing = ATOMIC_FLAG_INIT; /* the previous handler is running */
static size_t ortmmap_sigbus_page;

/* A mapping: a line of /proc/self/maps. */
typedef struct ortmmap_maps_line {
  uintptr_t first, end;
  int is_private;
  uint64_t path; /* a hash, since a path may not fit on a signal stack; 0: no path */
} ortmmap_maps_line;

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
static inline uint64_t ortmmap_hash_byte(uint64_t hash, char byte) {
  return (hash ^ (unsigned char)byte) * 0x100000001b3u;
}

#define ORTMMAP_HASH_OF_EMPTY 0xcbf29ce484222325u

/* Hashes a path in the spelling of /proc/self/maps, where a newline is \012. */
static inline uint64_t ortmmap_hash_path(const char *path) {
  static const char newline[] = "\\012";
  uint64_t hash = ORTMMAP_HASH_OF_EMPTY;
  const char *escaped;
  for (; *path != '\0'; path++) {
    if (*path != '\n')
      hash = ortmmap_hash_byte(hash, *path);
    else
      for (escaped = newline; *escaped != '\0'; escaped++)
        hash = ortmmap_hash_byte(hash, *escaped);
  }
  return hash;
}

#ifdef __linux__

static inline const char *ortmmap_read_hex(const char *text, uintptr_t *number) {
  for (*number = 0;; text++) {
    if (*text >= '0' && *text <= '9')
      *number = *number * 16 + (uintptr_t)(*text - '0');
    else if (*text >= 'a' && *text <= 'f')
      *number = *number * 16 + (uintptr_t)(*text - 'a' + 10);
    else
      return text;
  }
}

/* Parses the part of a line before the path: "first-end rwxp offset device inode   ". */
static inline void ortmmap_parse_maps_line(const char *text, ortmmap_maps_line *line) {
  const char *rest = ortmmap_read_hex(text, &line->first);
  rest = ortmmap_read_hex(rest + (*rest == '-'), &line->end);
  line->is_private = strlen(rest) > 5 && rest[4] == 'p';
}

/* State of reading /proc/self/maps byte by byte. */
typedef struct ortmmap_maps_reader {
  char text[128]; /* the current line before its path */
  size_t length;
  uint64_t path;
} ortmmap_maps_reader;

/* Reads one byte. Returns 1 if it completes a line, which is then in `line`. */
static inline int ortmmap_maps_take(ortmmap_maps_reader *reader, char byte,
                                    ortmmap_maps_line *line) {
  if (byte == '\n') {
    reader->text[reader->length] = '\0';
    ortmmap_parse_maps_line(reader->text, line);
    line->path = reader->path;
    reader->length = 0;
    reader->path = 0;
    return 1;
  }
  if (byte == '/' && reader->path == 0)
    reader->path = ORTMMAP_HASH_OF_EMPTY;
  if (reader->path != 0)
    reader->path = ortmmap_hash_byte(reader->path, byte);
  else if (reader->length < sizeof reader->text - 1)
    reader->text[reader->length++] = byte;
  return 0;
}

/* Finds the mapping that contains an address. Async-signal-safe. */
static inline int ortmmap_find_mapping(uintptr_t address, ortmmap_maps_line *found) {
  ortmmap_maps_reader reader = {"", 0, 0};
  char chunk[512];
  ssize_t count, index;
  int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return 0;
  while ((count = read(file, chunk, sizeof chunk)) > 0)
    for (index = 0; index < count; index++)
      if (ortmmap_maps_take(&reader, chunk[index], found) && found->first <= address &&
          address < found->end) {
        close(file);
        return 1;
      }
  close(file);
  return 0;
}

#else

static inline int ortmmap_find_mapping(uintptr_t address, ortmmap_maps_line *found) {
  (void)address, (void)found;
  return 0;
}

#endif

/* A file that was removed or replaced after it was mapped has " (deleted)" after its path. */
static inline uint64_t ortmmap_hash_of_deleted(uint64_t path) {
  static const char suffix[] = " (deleted)";
  const char *byte;
  for (byte = suffix; *byte != '\0'; byte++)
    path = ortmmap_hash_byte(path, *byte);
  return path;
}

static inline int ortmmap_guards_file(const ortmmap_guard *guard, uint64_t path) {
  const char *name = ORTMMAP_LOAD(&guard->files);
  uint64_t guarded;
  if (name == NULL)
    return 0;
  for (; *name != '\0'; name += strlen(name) + 1) {
    guarded = ortmmap_hash_path(name);
    if (path == guarded || path == ortmmap_hash_of_deleted(guarded))
      return 1;
  }
  return 0;
}

/* Maps zeros from the page of `address` to `end`: the file has lost all of these pages. */
static inline int ortmmap_put_zeros(uintptr_t address, uintptr_t end) {
  uintptr_t page = address - address % ortmmap_sigbus_page;
  return mmap((void *)page, end - page, PROT_READ | PROT_WRITE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

/* Returns the end of the guarded mapping that contains `address`; 0 if the guard has none. */
static inline uintptr_t ortmmap_guarded_end(const ortmmap_guard *guard, uintptr_t address,
                                            const ortmmap_maps_line *mapping) {
  size_t size;
  uintptr_t data;
  do { /* until both are of the same mapping; see ortmmap_guard_set_data() */
    size = ORTMMAP_LOAD(&guard->size);
    data = (uintptr_t)ORTMMAP_LOAD(&guard->data);
  } while (size != ORTMMAP_LOAD(&guard->size));
  if (address - data < size)
    return data + size;
  return mapping->is_private && ortmmap_guards_file(guard, mapping->path) ? mapping->end : 0;
}

/* Marks the guards in use whose file `address` is mapped from, and maps zeros there. */
static inline int ortmmap_answer_fault(uintptr_t address) {
  ortmmap_guard *guard;
  ortmmap_maps_line mapping = {0, 0, 0, 0};
  uintptr_t end, longest = 0;
  int any_marked = 0;
  if (!ortmmap_find_mapping(address, &mapping))
    mapping.is_private = 0;
  for (guard = ORTMMAP_LOAD(&ortmmap_guards); guard != NULL; guard = guard->next) {
    if (ortmmap_count_get(&guard->users) <= 0)
      continue;
    any_marked |= ortmmap_count_get(&guard->changed) != 0;
    end = ortmmap_guarded_end(guard, address, &mapping);
    if (end == 0)
      continue;
    ortmmap_count_set(&guard->changed, 1);
    if (end > longest)
      longest = end;
  }
  if (longest != 0)
    return ortmmap_put_zeros(address, longest);
  /* An anonymous mapping: another thread has answered a fault in these pages already. */
  return any_marked && mapping.is_private && mapping.path == 0;
}

/* Passes a signal on to the handler that was installed before this one. */
static inline void ortmmap_sigbus_pass_on(int signal_number, siginfo_t *info, void *context) {
  struct sigaction fallback;
  sigset_t pending;
  int sent = info->si_code <= 0; /* by kill() or raise(), not by a memory access */
  if (ortmmap_sigbus_previous.sa_handler == SIG_IGN && sent)
    return;
  if (ortmmap_sigbus_previous.sa_handler == SIG_DFL ||
      ortmmap_sigbus_previous.sa_handler == SIG_IGN ||
      atomic_flag_test_and_set(&ortmmap_sigbus_passing)) { /* or it passed the signal back */
    memset(&fallback, 0, sizeof fallback);
    fallback.sa_handler = SIG_DFL;
    sigaction(signal_number, &fallback, NULL);
    if (sent)
      raise(signal_number);
    return; /* the memory access is repeated, and fails under the default action */
  }
  if (ortmmap_sigbus_previous.sa_flags & SA_SIGINFO)
    ortmmap_sigbus_previous.sa_sigaction(signal_number, info, context);
  else
    ortmmap_sigbus_previous.sa_handler(signal_number);
  /* faulthandler reinstalls its predecessor, which may be this handler, and raises again. */
  if (sigpending(&pending) != 0 || !sigismember(&pending, signal_number))
    atomic_flag_clear(&ortmmap_sigbus_passing);
}

static inline void ortmmap_on_sigbus(int signal_number, siginfo_t *info, void *context) {
  int error = errno;
  /* BUS_ADRERR: the file has no such page. Other codes mean bad memory or a misaligned access. */
  if (info->si_code != BUS_ADRERR || !ortmmap_answer_fault((uintptr_t)info->si_addr))
    ortmmap_sigbus_pass_on(signal_number, info, context);
  errno = error;
}

static inline int ortmmap_sigbus_is_ours(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == ortmmap_on_sigbus;
}

/* Installs the handler in front of the current one, unless it is current; the lock is held. */
static inline int ortmmap_sigbus_put_first(void) {
  struct sigaction current, ours;
  if (sigaction(SIGBUS, NULL, &current) != 0)
    return errno;
  if (ortmmap_sigbus_is_ours(&current))
    return 0;
  ortmmap_sigbus_page = (size_t)sysconf(_SC_PAGESIZE);
  ortmmap_sigbus_previous = current;
  memset(&ours, 0, sizeof ours);
  ours.sa_sigaction = ortmmap_on_sigbus;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  return sigaction(SIGBUS, &ours, NULL) == 0 ? 0 : errno;
}

/* Installs the handler in front of the current one, unless it is current. Returns 0 or an errno. */
static inline int ortmmap_sigbus_install(void) {
  struct sigaction current;
  int error;
  if (sigaction(SIGBUS, NULL, &current) != 0)
    return errno;
  if (ortmmap_sigbus_is_ours(&current))
    return 0;
  pthread_mutex_lock(&ortmmap_sigbus_installing);
  error = ortmmap_sigbus_put_first();
  pthread_mutex_unlock(&ortmmap_sigbus_installing);
  return error;
}

#endif

#endif /* ORTMMAP_SIGBUS_H */
