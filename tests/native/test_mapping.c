/* test_mapping FOLDER: tests every function and every failure of mapping.h, in an empty folder.
 *
 * Races and failures are forced: macros rename the system calls of mapping.h to functions of this
 * file, which first run a hook, such as another writer, or fail a set number of times. */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <wchar.h>

typedef void (*hook)(void);
static hook before_open, before_map;

static void run_once(hook *pending) {
  hook call = *pending;
  *pending = NULL;
  if (call != NULL)
    call();
}

#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <io.h>

#define TEXT_OF(literal) L##literal

static HANDLE test_create_section(HANDLE file, SECURITY_ATTRIBUTES *security, DWORD protection,
                                  DWORD high, DWORD low, const wchar_t *name) {
  DWORD flags = 0;
  CHECK(GetHandleInformation(file, &flags) && !(flags & HANDLE_FLAG_INHERIT));
  run_once(&before_map);
  return CreateFileMappingW(file, security, protection, high, low, name);
}

static HANDLE test_create_file(const wchar_t *path, DWORD access, DWORD share,
                               SECURITY_ATTRIBUTES *security, DWORD disposition, DWORD flags,
                               HANDLE template_file) {
  run_once(&before_open);
  return CreateFileW(path, access, share, security, disposition, flags, template_file);
}

#define CreateFileMappingW test_create_section
#define CreateFileW test_create_file
#include <ortmmap/mapping.h>
#undef CreateFileMappingW
#undef CreateFileW

static FILE *open_file(const wchar_t *path, const wchar_t *mode) { return _wfopen(path, mode); }
static void remove_file(const wchar_t *path) { CHECK(DeleteFileW(path)); }
static void make_folder(const wchar_t *path) { CHECK(CreateDirectoryW(path, NULL)); }
static void rename_file(const wchar_t *from, const wchar_t *to) {
  CHECK(MoveFileExW(from, to, MOVEFILE_REPLACE_EXISTING));
}
static void sleep_ms(unsigned ms) { Sleep(ms); }

static int open_handles(void) {
  DWORD count = 0;
  CHECK(GetProcessHandleCount(GetCurrentProcess(), &count));
  return (int)count;
}

static int is_mapped(const void *address) {
  MEMORY_BASIC_INFORMATION info;
  return VirtualQuery(address, &info, sizeof info) != 0 && info.State != MEM_FREE;
}

static int is_read_only(const void *address) {
  MEMORY_BASIC_INFORMATION info;
  return VirtualQuery(address, &info, sizeof info) != 0 && info.Protect == PAGE_READONLY;
}

#else /* POSIX */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TEXT_OF(literal) literal

/* The number of times that each call will still fail, and its errno. */
static struct failure {
  int times, error;
} open_failure, stat_failure, fstat_failure, mmap_failure, madvise_failure, mincore_failure;
static int fstat_successes; /* calls of fstat that succeed before it fails */

static int fails(struct failure *failure) {
  if (failure->times == 0)
    return 0;
  failure->times--;
  errno = failure->error;
  return 1;
}

static int test_open(const char *path, int flags) {
  CHECK((flags & O_ACCMODE) == O_RDONLY);
  run_once(&before_open);
  return fails(&open_failure) ? -1 : open(path, flags);
}

static int test_stat(const char *path, struct stat *info) {
  return fails(&stat_failure) ? -1 : stat(path, info);
}

static int test_fstat(int descriptor, struct stat *info) {
  if (fstat_successes > 0)
    fstat_successes--;
  else if (fails(&fstat_failure))
    return -1;
  return fstat(descriptor, info);
}

static void *test_mmap(void *address, size_t size, int protection, int flags, int descriptor,
                       off_t offset) {
  CHECK(fcntl(descriptor, F_GETFD) & FD_CLOEXEC);
  run_once(&before_map);
  if (fails(&mmap_failure))
    return MAP_FAILED;
  return mmap(address, size, protection, flags, descriptor, offset);
}

static int test_madvise(void *address, size_t size, int advice) {
  return fails(&madvise_failure) ? -1 : madvise(address, size, advice);
}

/* The sanitizers replace mlock by a function that does nothing. */
static int test_mlock(const void *address, size_t size) {
#ifdef __linux__
  return (int)syscall(SYS_mlock, address, size);
#else
  return mlock(address, size);
#endif
}

#ifdef __linux__
typedef unsigned char residence;
#else
typedef char residence;
#endif

static int test_mincore(void *address, size_t size, residence *pages) {
  return fails(&mincore_failure) ? -1 : mincore(address, size, pages);
}

#define open(path, flags) test_open(path, flags)
#define stat(path, info) test_stat(path, info)
#define fstat(descriptor, info) test_fstat(descriptor, info)
#define mmap(address, size, protection, flags, descriptor, offset)                                 \
  test_mmap(address, size, protection, flags, descriptor, offset)
#define madvise(address, size, advice) test_madvise(address, size, advice)
#define mlock(address, size) test_mlock(address, size)
#define mincore(address, size, pages) test_mincore(address, size, pages)
#include <ortmmap/mapping.h>
#undef open
#undef stat
#undef fstat
#undef mmap
#undef madvise
#undef mlock
#undef mincore

static FILE *open_file(const char *path, const char *mode) { return fopen(path, mode); }
static void remove_file(const char *path) { CHECK(unlink(path) == 0); }
static void make_folder(const char *path) { CHECK(mkdir(path, 0755) == 0); }
static void rename_file(const char *from, const char *to) { CHECK(rename(from, to) == 0); }

static void sleep_ms(unsigned ms) {
  struct timespec time = {0, (long)ms * 1000000};
  nanosleep(&time, NULL);
}

static int open_handles(void) {
  int count = 0;
  for (int descriptor = 0; descriptor < 1024; descriptor++)
    count += fcntl(descriptor, F_GETFD) != -1;
  return count;
}

static int is_mapped(const void *address) { return msync((void *)address, 1, MS_ASYNC) == 0; }

/* Also true if the system has no /proc/self/maps. */
static int is_read_only(const void *address) {
  char line[1024], permissions[5];
  uintptr_t begin, end;
  FILE *maps = fopen("/proc/self/maps", "r");
  int answer = maps == NULL;
  while (maps != NULL && fgets(line, sizeof line, maps) != NULL)
    if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &begin, &end, permissions) == 3 &&
        begin <= (uintptr_t)address && (uintptr_t)address < end)
      answer = strcmp(permissions, "r--p") == 0;
  if (maps != NULL)
    fclose(maps);
  return answer;
}

#endif

#define PATH_SIZE 4096
#define BIG (17 * 1024 * 1024 + 123) /* beyond one mincore of resident(), no whole pages */

static const ortmmap_path_char *folder;

/* FOLDER/name, in one of 8 buffers that are used in turn. */
static const ortmmap_path_char *at(const ortmmap_path_char *name) {
  static ortmmap_path_char paths[8][PATH_SIZE];
  static unsigned turn;
  ortmmap_path_char *path = paths[turn++ % 8];
#ifdef _WIN32
  swprintf(path, PATH_SIZE, L"%ls/%ls", folder, name);
#else
  snprintf(path, PATH_SIZE, "%s/%s", folder, name);
#endif
  return path;
}

#define AT(literal) at(TEXT_OF(literal))

static unsigned char byte_at(size_t position) { return (unsigned char)(position * 31 + 7); }

static void write_pattern(const ortmmap_path_char *path, const ortmmap_path_char *mode,
                          size_t size) {
  FILE *file = open_file(path, mode);
  unsigned char *bytes = malloc(size + 1);
  if (!CHECK(file != NULL && bytes != NULL))
    exit(1);
  for (size_t i = 0; i < size; i++)
    bytes[i] = byte_at(i);
  CHECK(fwrite(bytes, 1, size, file) == size);
  CHECK(fclose(file) == 0);
  free(bytes);
}

static void write_file(const ortmmap_path_char *path, size_t size) {
  write_pattern(path, TEXT_OF("wb"), size);
}

static void append_to_file(const ortmmap_path_char *path, size_t size) {
  write_pattern(path, TEXT_OF("ab"), size);
}

static int holds_pattern(const ortmmap_mapping *mapping) {
  for (size_t i = 0; i < mapping->size; i++)
    if (mapping->data[i] != byte_at(i))
      return 0;
  return 1;
}

/* Filled with garbage, to detect a field that is not written. */
static ortmmap_mapping_error garbage_error(void) {
  ortmmap_mapping_error error;
  memset(&error, 0x5a, sizeof error);
  return error;
}

static ortmmap_mapping open_well(const ortmmap_path_char *path) {
  ortmmap_mapping mapping;
  ortmmap_mapping_error error = garbage_error();
  memset(&mapping, 0x5a, sizeof mapping);
  if (!CHECK(ortmmap_mapping_open(path, &mapping, &error) == ORTMMAP_MAPPING_OK)) {
    fprintf(stderr, "status %d, system error %d\n", (int)error.status, error.os_error);
    exit(1);
  }
  CHECK(error.status == ORTMMAP_MAPPING_OK && error.os_error == 0);
  CHECK(error.size_expected == 0 && error.size_found == 0);
  CHECK(mapping.data != NULL && mapping.identity.size == mapping.size);
  return mapping;
}

static ortmmap_mapping_error open_badly(const ortmmap_path_char *path,
                                        ortmmap_mapping_status expected) {
  ortmmap_mapping mapping;
  ortmmap_mapping_error error = garbage_error();
  ortmmap_mapping_status status;
  int handles = open_handles();
  memset(&mapping, 0x5a, sizeof mapping);
  status = ortmmap_mapping_open(path, &mapping, &error);
  if (!CHECK(status == expected))
    fprintf(stderr, "status %d for %d, system error %d\n", (int)status, (int)expected,
            error.os_error);
  CHECK(error.status == status);
  CHECK(mapping.data == NULL && mapping.size == 0);
  CHECK(open_handles() == handles);
  ortmmap_mapping_close(&mapping);
  return error;
}

static ortmmap_file_identity identity_of(const ortmmap_path_char *path) {
  ortmmap_file_identity identity;
  ortmmap_mapping_error error = garbage_error();
  memset(&identity, 0x5a, sizeof identity);
  CHECK(ortmmap_file_identity_get(path, &identity, &error) == ORTMMAP_MAPPING_OK);
  CHECK(error.status == ORTMMAP_MAPPING_OK && error.os_error == 0);
  return identity;
}

static void maps_the_bytes_of_the_file(void) {
  static const size_t sizes[] = {1, 2, 4095, 4096, 4097, 65536, 65537, 1000003};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    ortmmap_mapping mapping;
    write_file(AT("sizes"), sizes[i]);
    mapping = open_well(AT("sizes"));
    CHECK(mapping.size == sizes[i]);
    CHECK(holds_pattern(&mapping));
    CHECK(is_read_only(mapping.data));
    ortmmap_mapping_close(&mapping);
  }
  remove_file(AT("sizes"));
}

static void closing_unmaps_and_may_be_repeated(void) {
  ortmmap_mapping mapping;
  const unsigned char *data;
  write_file(AT("closing"), 5000);
  mapping = open_well(AT("closing"));
  data = mapping.data;
  CHECK(is_mapped(data));
  ortmmap_mapping_close(&mapping);
  CHECK(mapping.data == NULL && mapping.size == 0);
  CHECK(!is_mapped(data));
  ortmmap_mapping_close(&mapping);
  CHECK(mapping.data == NULL && mapping.size == 0);
  remove_file(AT("closing"));
}

static void no_handle_stays_open(void) {
  ortmmap_mapping mapping;
  int handles = open_handles();
  write_file(AT("handles"), 5000);
  mapping = open_well(AT("handles"));
  CHECK(open_handles() == handles);
  ortmmap_mapping_close(&mapping);
  for (int i = 0; i < 1000; i++) {
    mapping = open_well(AT("handles"));
    ortmmap_mapping_close(&mapping);
  }
  CHECK(open_handles() == handles);
  remove_file(AT("handles"));
}

static void mappings_of_one_file_are_independent(void) {
  ortmmap_mapping mappings[20];
  write_file(AT("several"), 70000);
  for (int i = 0; i < 20; i++)
    mappings[i] = open_well(AT("several"));
  for (int i = 0; i < 20; i += 2)
    ortmmap_mapping_close(&mappings[i]);
  for (int i = 1; i < 20; i += 2) {
    CHECK(mappings[i].data != mappings[(i + 2) % 20].data);
    CHECK(ortmmap_file_identity_equal(&mappings[i].identity, &mappings[1].identity));
    CHECK(holds_pattern(&mappings[i]));
    ortmmap_mapping_close(&mappings[i]);
  }
  remove_file(AT("several"));
}

static void paths_need_not_be_ascii(void) {
  ortmmap_mapping mapping;
  const ortmmap_path_char *path = AT("mod\u00e8le \u6a21\u578b \U0001f600.onnx");
  write_file(path, 777);
  mapping = open_well(path);
  CHECK(mapping.size == 777 && holds_pattern(&mapping));
  ortmmap_mapping_close(&mapping);
  remove_file(path);
}

static void a_missing_file_is_reported(void) {
  ortmmap_file_identity identity;
  ortmmap_mapping_error found = garbage_error();
  ortmmap_mapping_error error = open_badly(AT("missing"), ORTMMAP_MAPPING_OPEN_FAILED);
#ifdef _WIN32
  CHECK(error.os_error == ERROR_FILE_NOT_FOUND);
#else
  CHECK(error.os_error == ENOENT);
#endif
  CHECK(ortmmap_file_identity_get(AT("missing"), &identity, &found) == ORTMMAP_MAPPING_OPEN_FAILED);
  CHECK(found.os_error == error.os_error);
}

static void an_empty_file_is_refused(void) {
  write_file(AT("empty"), 0);
  CHECK(open_badly(AT("empty"), ORTMMAP_MAPPING_EMPTY).os_error == 0);
  CHECK(identity_of(AT("empty")).size == 0);
  remove_file(AT("empty"));
}

static void a_folder_is_refused(void) {
  ortmmap_file_identity identity;
  ortmmap_mapping_error error = garbage_error();
  make_folder(AT("folder"));
  CHECK(open_badly(AT("folder"), ORTMMAP_MAPPING_IS_DIRECTORY).os_error == 0);
  CHECK(ortmmap_file_identity_get(AT("folder"), &identity, &error) == ORTMMAP_MAPPING_IS_DIRECTORY);
}

static void sizes_beyond_the_address_space_are_refused(void) {
  ortmmap_mapping_error error = garbage_error();
  CHECK(ortmmap_mapping_check_size(UINT64_MAX, &error) == ORTMMAP_MAPPING_TOO_LARGE);
  CHECK(ortmmap_mapping_check_size((uint64_t)PTRDIFF_MAX + 1, &error) == ORTMMAP_MAPPING_TOO_LARGE);
  CHECK(ortmmap_mapping_check_size((uint64_t)PTRDIFF_MAX, &error) == ORTMMAP_MAPPING_OK);
}

static void append_meanwhile(void) { append_to_file(AT("racing"), 5); }

static void shorten_meanwhile(void) { write_file(AT("racing"), 40); }

static void replace_meanwhile(void) {
  write_file(AT("racing.new"), 300);
  rename_file(AT("racing.new"), AT("racing"));
}

static void a_file_that_grows_while_it_is_opened_is_refused(void) {
  ortmmap_mapping_error error;
  write_file(AT("racing"), 100);
  before_map = append_meanwhile;
  error = open_badly(AT("racing"), ORTMMAP_MAPPING_CHANGED);
  CHECK(error.size_expected == 100 && error.size_found == 105 && error.os_error == 0);
  remove_file(AT("racing"));
}

static void a_file_that_shrinks_while_it_is_opened_is_refused(void) {
  ortmmap_mapping_error error;
  write_file(AT("racing"), 100);
  before_map = shorten_meanwhile;
  error = open_badly(AT("racing"), ORTMMAP_MAPPING_CHANGED);
  CHECK(error.size_expected == 100 && error.size_found == 40 && error.os_error == 0);
  remove_file(AT("racing"));
}

static void a_file_replaced_before_it_is_opened_is_mapped_whole(void) {
  ortmmap_mapping mapping;
  write_file(AT("racing"), 100);
  before_open = replace_meanwhile;
  mapping = open_well(AT("racing"));
  CHECK(mapping.size == 300 && holds_pattern(&mapping));
  ortmmap_mapping_close(&mapping);
  remove_file(AT("racing"));
}

static void a_mapping_does_not_grow_with_its_file(void) {
  ortmmap_mapping mapping;
  write_file(AT("growing"), 5000);
  mapping = open_well(AT("growing"));
  append_to_file(AT("growing"), 5000);
  CHECK(mapping.size == 5000 && mapping.identity.size == 5000);
  CHECK(holds_pattern(&mapping));
  ortmmap_mapping_close(&mapping);
  mapping = open_well(AT("growing"));
  CHECK(mapping.size == 10000);
  ortmmap_mapping_close(&mapping);
  remove_file(AT("growing"));
}

static void an_identity_lasts_until_the_file_is_rewritten(void) {
  ortmmap_mapping mapping;
  ortmmap_file_identity before, again, rewritten, replaced;
  write_file(AT("identity"), 5000);
  before = identity_of(AT("identity"));
  mapping = open_well(AT("identity"));
  CHECK(before.size == 5000);
  CHECK(before.mtime_ns > (int64_t)1600000000 * 1000000000);
  CHECK(ortmmap_file_identity_equal(&before, &mapping.identity));
  ortmmap_mapping_close(&mapping);
  again = identity_of(AT("identity"));
  CHECK(ortmmap_file_identity_equal(&before, &again));
  sleep_ms(30); /* longer than a tick of the file system's clock */
  write_file(AT("identity"), 5000);
  rewritten = identity_of(AT("identity"));
  CHECK(!ortmmap_file_identity_equal(&before, &rewritten));
  CHECK(rewritten.size == before.size);
  write_file(AT("identity.new"), 5000);
  rename_file(AT("identity.new"), AT("identity"));
  replaced = identity_of(AT("identity"));
  CHECK(!ortmmap_file_identity_equal(&rewritten, &replaced));
  CHECK(replaced.inode != rewritten.inode && replaced.device == rewritten.device);
  remove_file(AT("identity"));
}

static void an_identity_differs_where_any_part_does(void) {
  ortmmap_file_identity one = {1, 2, 3, 4, 5}, other = one;
  CHECK(ortmmap_file_identity_equal(&one, &other));
  other.device = 9;
  CHECK(!ortmmap_file_identity_equal(&one, &other));
  other = one, other.inode = 9;
  CHECK(!ortmmap_file_identity_equal(&one, &other));
  other = one, other.size = 9;
  CHECK(!ortmmap_file_identity_equal(&one, &other));
  other = one, other.mtime_ns = 9;
  CHECK(!ortmmap_file_identity_equal(&one, &other));
  other = one, other.ctime_ns = 9;
  CHECK(!ortmmap_file_identity_equal(&one, &other));
}

static void prefaulting_makes_the_file_resident(void) {
  ortmmap_mapping mapping;
  ortmmap_mapping_error error = garbage_error();
  int64_t resident;
  write_file(AT("big"), BIG);
  mapping = open_well(AT("big"));
  resident = ortmmap_mapping_resident(&mapping);
  CHECK(0 <= resident && resident <= BIG);
  CHECK(ortmmap_mapping_prefault(&mapping, &error) == ORTMMAP_MAPPING_OK);
  CHECK(error.status == ORTMMAP_MAPPING_OK && error.os_error == 0);
  CHECK(holds_pattern(&mapping)); /* maps the pages that Windows has only read ahead */
  CHECK(ortmmap_mapping_resident(&mapping) == BIG);
  ortmmap_mapping_close(&mapping);
  CHECK(ortmmap_mapping_resident(&mapping) == 0);
  remove_file(AT("big"));
}

static int knows_advice(ortmmap_advice advice) {
#ifdef _WIN32
  return advice == ORTMMAP_ADVICE_WILLNEED || advice == ORTMMAP_ADVICE_DONTNEED;
#else
  return advice <= ORTMMAP_ADVICE_NOHUGEPAGE;
#endif
}

static void advice_takes_any_range(void) {
  static const size_t offsets[] = {0, 1, 4095, 4096, 4097, 49999, 50000, 50001, SIZE_MAX};
  static const size_t lengths[] = {0, 1, 4095, 4096, 8193, 50000, SIZE_MAX};
  ortmmap_mapping mapping;
  write_file(AT("advice"), 50000);
  mapping = open_well(AT("advice"));
  for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++)
    for (size_t j = 0; j < sizeof lengths / sizeof lengths[0]; j++)
      for (int advice = ORTMMAP_ADVICE_NORMAL; advice <= ORTMMAP_ADVICE_NOHUGEPAGE; advice++) {
        ortmmap_mapping_error error = garbage_error();
        ortmmap_mapping_status expected =
            knows_advice((ortmmap_advice)advice) ? ORTMMAP_MAPPING_OK : ORTMMAP_MAPPING_UNSUPPORTED;
        CHECK(ortmmap_mapping_advise(&mapping, (ortmmap_advice)advice, offsets[i], lengths[j],
                                     &error) == expected);
        CHECK(error.status == expected && error.os_error == 0);
      }
  CHECK(holds_pattern(&mapping));
  ortmmap_mapping_close(&mapping);
  remove_file(AT("advice"));
}

static void unknown_advice_is_unsupported(void) {
  ortmmap_mapping mapping;
  ortmmap_mapping_error error = garbage_error();
  write_file(AT("advice"), 100);
  mapping = open_well(AT("advice"));
  CHECK(ortmmap_mapping_advise(&mapping, (ortmmap_advice)7, 0, 100, &error) ==
        ORTMMAP_MAPPING_UNSUPPORTED);
  ortmmap_mapping_close(&mapping);
  remove_file(AT("advice"));
}

static void expect_range(ortmmap_advice advice, size_t offset, size_t length, size_t begin,
                         size_t end) {
  ortmmap_mapping mapping = {NULL, 10000, {0, 0, 0, 0, 0}};
  int any = ortmmap_mapping_page_range(&mapping, advice, 4096, &offset, &length);
  CHECK(any == (begin < end));
  CHECK(!any || (offset == begin && offset + length == end));
}

static void ranges_are_rounded_to_pages(void) {
  expect_range(ORTMMAP_ADVICE_WILLNEED, 0, 1, 0, 1);
  expect_range(ORTMMAP_ADVICE_WILLNEED, 5000, 10, 4096, 5010);
  expect_range(ORTMMAP_ADVICE_WILLNEED, 9999, SIZE_MAX, 8192, 10000);
  expect_range(ORTMMAP_ADVICE_WILLNEED, 5000, 0, 0, 0);
  expect_range(ORTMMAP_ADVICE_WILLNEED, 10000, 1, 0, 0);
  expect_range(ORTMMAP_ADVICE_DONTNEED, 0, SIZE_MAX, 0, 10000);
  expect_range(ORTMMAP_ADVICE_DONTNEED, 1, 9999, 4096, 10000);
  expect_range(ORTMMAP_ADVICE_DONTNEED, 0, 9999, 0, 8192);
  expect_range(ORTMMAP_ADVICE_DONTNEED, 1, 8190, 0, 0);
  expect_range(ORTMMAP_ADVICE_DONTNEED, 1, 8191, 4096, 8192);
  expect_range(ORTMMAP_ADVICE_DONTNEED, 9000, 1000, 0, 0);
}

static void a_small_mapping_can_be_locked(void) {
  ortmmap_mapping mapping;
  ortmmap_mapping_error error = garbage_error();
  write_file(AT("lock"), 9000);
  mapping = open_well(AT("lock"));
  CHECK(ortmmap_mapping_lock(&mapping, &error) == ORTMMAP_MAPPING_OK);
  CHECK(error.os_error == 0);
  CHECK(ortmmap_mapping_resident(&mapping) == 9000);
  ortmmap_mapping_close(&mapping);
  remove_file(AT("lock"));
}

#ifdef _WIN32

static void devices_and_pipes_are_refused(void) {
  const wchar_t *name = L"\\\\.\\pipe\\ortmmap-test";
  HANDLE pipe = CreateNamedPipeW(name, PIPE_ACCESS_DUPLEX, PIPE_TYPE_BYTE, 2, 512, 512, 0, NULL);
  CHECK(pipe != INVALID_HANDLE_VALUE);
  open_badly(name, ORTMMAP_MAPPING_NOT_REGULAR);
  CloseHandle(pipe);
  open_badly(L"NUL", ORTMMAP_MAPPING_NOT_REGULAR);
}

static void a_file_opened_without_sharing_is_reported(void) {
  HANDLE file;
  write_file(AT("exclusive"), 100);
  file = CreateFileW(AT("exclusive"), GENERIC_READ, 0, NULL, OPEN_EXISTING, 0, NULL);
  CHECK(open_badly(AT("exclusive"), ORTMMAP_MAPPING_OPEN_FAILED).os_error ==
        ERROR_SHARING_VIOLATION);
  CloseHandle(file);
  remove_file(AT("exclusive"));
}

static void run_platform_tests(void) {
  devices_and_pipes_are_refused();
  a_file_opened_without_sharing_is_reported();
}

#else /* POSIX */

static void devices_pipes_and_sockets_are_refused(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  CHECK(mkfifo(AT("fifo"), 0600) == 0);
  open_badly(AT("fifo"), ORTMMAP_MAPPING_NOT_REGULAR);
  remove_file(AT("fifo"));
  open_badly("/dev/null", ORTMMAP_MAPPING_NOT_REGULAR);
  open_badly("/dev/tty", ORTMMAP_MAPPING_NOT_REGULAR);
  snprintf(address.sun_path, sizeof address.sun_path, "/tmp/ortmmap-test-%ld", (long)getpid());
  CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
  open_badly(address.sun_path, ORTMMAP_MAPPING_NOT_REGULAR);
  unlink(address.sun_path);
  close(listener);
}

static void put_fifo_meanwhile(void) {
  remove_file(AT("racing"));
  CHECK(mkfifo(AT("racing"), 0600) == 0);
}

static void remove_meanwhile(void) { remove_file(AT("racing")); }

static void a_fifo_put_in_the_files_place_does_not_block(void) {
  write_file(AT("racing"), 100);
  before_open = put_fifo_meanwhile;
  open_badly(AT("racing"), ORTMMAP_MAPPING_NOT_REGULAR);
  remove_file(AT("racing"));
}

static void a_file_removed_before_it_is_opened_is_reported(void) {
  write_file(AT("racing"), 100);
  before_open = remove_meanwhile;
  CHECK(open_badly(AT("racing"), ORTMMAP_MAPPING_OPEN_FAILED).os_error == ENOENT);
}

/* The rename changes the old file's ctime, which must be ignored. */
static void a_file_replaced_while_it_is_opened_is_the_old_one(void) {
  ortmmap_mapping mapping;
  write_file(AT("racing"), 100);
  sleep_ms(30);
  before_map = replace_meanwhile;
  mapping = open_well(AT("racing"));
  CHECK(mapping.size == 100 && holds_pattern(&mapping));
  ortmmap_mapping_close(&mapping);
  remove_file(AT("racing"));
}

static void a_removed_file_stays_mapped(void) {
  ortmmap_mapping mapping;
  write_file(AT("removed"), 5000);
  mapping = open_well(AT("removed"));
  remove_file(AT("removed"));
  CHECK(holds_pattern(&mapping));
  ortmmap_mapping_close(&mapping);
}

static void links_are_followed(void) {
  ortmmap_mapping mapping;
  write_file(AT("target"), 5000);
  CHECK(symlink("target", AT("link")) == 0);
  CHECK(symlink("loop", AT("loop")) == 0);
  CHECK(symlink("nowhere", AT("dangling")) == 0);
  mapping = open_well(AT("link"));
  CHECK(holds_pattern(&mapping));
  ortmmap_mapping_close(&mapping);
  CHECK(open_badly(AT("loop"), ORTMMAP_MAPPING_OPEN_FAILED).os_error == ELOOP);
  CHECK(open_badly(AT("dangling"), ORTMMAP_MAPPING_OPEN_FAILED).os_error == ENOENT);
  remove_file(AT("link"));
  remove_file(AT("loop"));
  remove_file(AT("dangling"));
  remove_file(AT("target"));
}

/* Root ignores permissions and limits, so it becomes another user. */
static int drop_privileges(void) { return geteuid() == 0 && seteuid(65534) == 0; }

static void regain_privileges(int dropped) { CHECK(!dropped || seteuid(0) == 0); }

static void a_file_without_permission_is_reported(void) {
  int dropped;
  write_file(AT("secret"), 100);
  CHECK(chmod(AT("secret"), 0) == 0);
  dropped = drop_privileges();
  CHECK(open_badly(AT("secret"), ORTMMAP_MAPPING_OPEN_FAILED).os_error == EACCES);
  regain_privileges(dropped);
  remove_file(AT("secret"));
}

static void an_interrupted_open_is_repeated(void) {
  ortmmap_mapping mapping;
  write_file(AT("interrupted"), 100);
  open_failure = (struct failure){3, EINTR};
  mapping = open_well(AT("interrupted"));
  CHECK(open_failure.times == 0);
  ortmmap_mapping_close(&mapping);
  remove_file(AT("interrupted"));
}

static void failing_system_calls_are_reported(void) {
  write_file(AT("failing"), 100);
  stat_failure = (struct failure){1, EOVERFLOW};
  CHECK(open_badly(AT("failing"), ORTMMAP_MAPPING_TOO_LARGE).os_error == EOVERFLOW);
  open_failure = (struct failure){1, EMFILE};
  CHECK(open_badly(AT("failing"), ORTMMAP_MAPPING_OPEN_FAILED).os_error == EMFILE);
  fstat_failure = (struct failure){1, EIO};
  CHECK(open_badly(AT("failing"), ORTMMAP_MAPPING_OPEN_FAILED).os_error == EIO);
  fstat_successes = 1, fstat_failure = (struct failure){1, EIO};
  CHECK(open_badly(AT("failing"), ORTMMAP_MAPPING_OPEN_FAILED).os_error == EIO);
  mmap_failure = (struct failure){1, ENOMEM};
  CHECK(open_badly(AT("failing"), ORTMMAP_MAPPING_MAP_FAILED).os_error == ENOMEM);
  remove_file(AT("failing"));
}

static void a_changed_mode_changes_the_identity(void) {
  ortmmap_file_identity before, after;
  write_file(AT("mode"), 100);
  before = identity_of(AT("mode"));
  sleep_ms(30);
  CHECK(chmod(AT("mode"), 0400) == 0);
  after = identity_of(AT("mode"));
  CHECK(before.mtime_ns == after.mtime_ns && !ortmmap_file_identity_equal(&before, &after));
  remove_file(AT("mode"));
}

static void prefaulting_falls_back_to_reading_ahead(void) {
  ortmmap_mapping mapping;
  ortmmap_mapping_error error = garbage_error();
  write_file(AT("fallback"), 9000);
  mapping = open_well(AT("fallback"));
#ifdef MADV_POPULATE_READ
  madvise_failure = (struct failure){1, EINVAL};
  CHECK(ortmmap_mapping_prefault(&mapping, &error) == ORTMMAP_MAPPING_OK);
  CHECK(madvise_failure.times == 0 && error.os_error == 0);
  madvise_failure = (struct failure){2, EINVAL};
#else
  madvise_failure = (struct failure){1, EINVAL};
#endif
  CHECK(ortmmap_mapping_prefault(&mapping, &error) == ORTMMAP_MAPPING_PREFAULT_FAILED);
  CHECK(error.os_error == EINVAL);
  madvise_failure = (struct failure){2, EINTR};
  CHECK(ortmmap_mapping_prefault(&mapping, &error) == ORTMMAP_MAPPING_OK);
  CHECK(madvise_failure.times == 0);
  ortmmap_mapping_close(&mapping);
  remove_file(AT("fallback"));
}

/* Reading the lost pages would raise SIGBUS. */
static void prefaulting_a_truncated_file_is_an_error(void) {
  ortmmap_mapping mapping;
  ortmmap_mapping_error error = garbage_error();
  ortmmap_mapping_status expected = ORTMMAP_MAPPING_OK;
#ifdef MADV_POPULATE_READ
  if (madvise(NULL, 0, MADV_POPULATE_READ) == 0) /* the kernel supports it */
    expected = ORTMMAP_MAPPING_PREFAULT_FAILED;
#endif
  write_file(AT("truncated"), 1000000);
  mapping = open_well(AT("truncated"));
  CHECK(truncate(AT("truncated"), 10) == 0);
  CHECK(ortmmap_mapping_prefault(&mapping, &error) == expected);
  CHECK(expected == ORTMMAP_MAPPING_OK || error.os_error == EFAULT);
  CHECK(mapping.data[9] == byte_at(9));
  ortmmap_mapping_close(&mapping);
  remove_file(AT("truncated"));
}

static void unknown_residence_is_minus_one(void) {
  ortmmap_mapping mapping;
  write_file(AT("residence"), 100);
  mapping = open_well(AT("residence"));
  mincore_failure = (struct failure){1, ENOSYS};
  CHECK(ortmmap_mapping_resident(&mapping) == -1);
  CHECK(ortmmap_mapping_resident(&mapping) == 100);
  ortmmap_mapping_close(&mapping);
  remove_file(AT("residence"));
}

static void holes_become_resident_when_they_are_prefaulted(void) {
  ortmmap_mapping mapping;
  ortmmap_mapping_error error = garbage_error();
  write_file(AT("sparse"), 1);
  CHECK(truncate(AT("sparse"), BIG) == 0);
  mapping = open_well(AT("sparse"));
  CHECK(ortmmap_mapping_resident(&mapping) < BIG);
  CHECK(ortmmap_mapping_prefault(&mapping, &error) == ORTMMAP_MAPPING_OK);
  for (size_t i = 1; i < mapping.size; i += 4096)
    CHECK(mapping.data[i] == 0);
  CHECK(ortmmap_mapping_resident(&mapping) == BIG);
  ortmmap_mapping_close(&mapping);
  remove_file(AT("sparse"));
}

static void locking_more_than_allowed_is_an_error(void) {
  ortmmap_mapping mapping;
  ortmmap_mapping_error error = garbage_error();
  struct rlimit before, none;
  int dropped;
  write_file(AT("lock"), 100000);
  mapping = open_well(AT("lock"));
  CHECK(getrlimit(RLIMIT_MEMLOCK, &before) == 0);
  none = before;
  none.rlim_cur = 0;
  CHECK(setrlimit(RLIMIT_MEMLOCK, &none) == 0);
  dropped = drop_privileges();
  CHECK(ortmmap_mapping_lock(&mapping, &error) == ORTMMAP_MAPPING_LOCK_FAILED);
  CHECK(error.os_error == EPERM || error.os_error == ENOMEM || error.os_error == EAGAIN);
  regain_privileges(dropped);
  CHECK(setrlimit(RLIMIT_MEMLOCK, &before) == 0);
  ortmmap_mapping_close(&mapping);
  remove_file(AT("lock"));
}

#ifdef __linux__
static void locked_pages_cannot_be_dropped(void) {
  ortmmap_mapping mapping;
  ortmmap_mapping_error error = garbage_error();
  write_file(AT("lock"), 9000);
  mapping = open_well(AT("lock"));
  CHECK(ortmmap_mapping_lock(&mapping, &error) == ORTMMAP_MAPPING_OK);
  CHECK(ortmmap_mapping_advise(&mapping, ORTMMAP_ADVICE_DONTNEED, 0, 9000, &error) ==
        ORTMMAP_MAPPING_ADVISE_FAILED);
  CHECK(error.os_error == EINVAL);
  ortmmap_mapping_close(&mapping);
  remove_file(AT("lock"));
}
#endif

/* A process that truncates and appends to the file until it is killed. */
static pid_t start_writer(const char *path) {
  pid_t writer = fork();
  if (writer != 0)
    return writer;
  for (;;) {
    int descriptor = open(path, O_WRONLY | O_APPEND | O_TRUNC);
    for (int i = 0; i < 50; i++)
      if (write(descriptor, path, 100) != 100)
        _exit(1);
    close(descriptor);
  }
}

static void a_file_under_change_is_mapped_or_refused(void) {
  pid_t writer;
  int outcomes[ORTMMAP_MAPPING_UNSUPPORTED + 1] = {0};
  write_file(AT("restless"), 100);
  writer = start_writer(AT("restless"));
  CHECK(writer > 0);
  for (int i = 0; i < 5000; i++) {
    ortmmap_mapping mapping;
    ortmmap_mapping_error error = garbage_error();
    outcomes[ortmmap_mapping_open(AT("restless"), &mapping, &error)]++;
    CHECK((error.status == ORTMMAP_MAPPING_OK) == (mapping.data != NULL));
    ortmmap_mapping_close(&mapping);
  }
  CHECK(kill(writer, SIGKILL) == 0);
  CHECK(waitpid(writer, NULL, 0) == writer);
  CHECK(outcomes[ORTMMAP_MAPPING_OK] + outcomes[ORTMMAP_MAPPING_CHANGED] +
            outcomes[ORTMMAP_MAPPING_EMPTY] ==
        5000);
  remove_file(AT("restless"));
}

static void run_platform_tests(void) {
  devices_pipes_and_sockets_are_refused();
  a_fifo_put_in_the_files_place_does_not_block();
  a_file_removed_before_it_is_opened_is_reported();
  a_file_replaced_while_it_is_opened_is_the_old_one();
  a_removed_file_stays_mapped();
  links_are_followed();
  a_file_without_permission_is_reported();
  an_interrupted_open_is_repeated();
  failing_system_calls_are_reported();
  a_changed_mode_changes_the_identity();
  prefaulting_falls_back_to_reading_ahead();
  prefaulting_a_truncated_file_is_an_error();
  unknown_residence_is_minus_one();
  holes_become_resident_when_they_are_prefaulted();
  locking_more_than_allowed_is_an_error();
#ifdef __linux__
  locked_pages_cannot_be_dropped();
#endif
  a_file_under_change_is_mapped_or_refused();
}

#endif

static void run_tests(void) {
  maps_the_bytes_of_the_file();
  closing_unmaps_and_may_be_repeated();
  no_handle_stays_open();
  mappings_of_one_file_are_independent();
  paths_need_not_be_ascii();
  a_missing_file_is_reported();
  an_empty_file_is_refused();
  a_folder_is_refused();
  sizes_beyond_the_address_space_are_refused();
  a_file_that_grows_while_it_is_opened_is_refused();
  a_file_that_shrinks_while_it_is_opened_is_refused();
  a_file_replaced_before_it_is_opened_is_mapped_whole();
  a_mapping_does_not_grow_with_its_file();
  an_identity_lasts_until_the_file_is_rewritten();
  an_identity_differs_where_any_part_does();
  prefaulting_makes_the_file_resident();
  advice_takes_any_range();
  unknown_advice_is_unsupported();
  ranges_are_rounded_to_pages();
  a_small_mapping_can_be_locked();
  run_platform_tests();
}

#ifdef _WIN32
int wmain(int argc, wchar_t **argv) {
#else
int main(int argc, char **argv) {
#endif
  if (argc != 2) {
    fprintf(stderr, "usage: test_mapping FOLDER\n");
    return 2;
  }
  folder = argv[1];
  run_tests();
  return checks_report("test_mapping");
}
