/* A whole file as read-only memory.
 *
 * The bytes are the file's own pages, shared with every process that maps it. A file must not be
 * truncated while it is mapped: on POSIX, reading past its new end is a SIGBUS. Replace a file by
 * renaming a new one over it; the mapping then keeps the old one.
 *
 * Only one thread may open or close a given mapping; any number may read it in between. glibc
 * needs -std=gnu11 or -D_DEFAULT_SOURCE. */
#ifndef ORTMMAP_MAPPING_H
#define ORTMMAP_MAPPING_H

#include "path_char.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Two equal identities mean: the same file, unchanged. Times are in ns since 1970. */
typedef struct ortmmap_file_identity {
  uint64_t device;
  uint64_t inode;
  uint64_t size;
  int64_t mtime_ns;
  int64_t ctime_ns;
} ortmmap_file_identity;

typedef struct ortmmap_mapping {
  const unsigned char *data;
  size_t size;
  ortmmap_file_identity identity;
} ortmmap_mapping;

typedef enum ortmmap_mapping_status {
  ORTMMAP_MAPPING_OK = 0,
  ORTMMAP_MAPPING_OPEN_FAILED, /* missing, no permission, ... */
  ORTMMAP_MAPPING_IS_DIRECTORY,
  ORTMMAP_MAPPING_NOT_REGULAR, /* FIFO, socket, device */
  ORTMMAP_MAPPING_EMPTY,
  ORTMMAP_MAPPING_TOO_LARGE, /* does not fit the address space */
  ORTMMAP_MAPPING_CHANGED,   /* somebody wrote to the file while it was opened */
  ORTMMAP_MAPPING_MAP_FAILED,
  ORTMMAP_MAPPING_PREFAULT_FAILED,
  ORTMMAP_MAPPING_LOCK_FAILED, /* mostly: over the limit of locked memory */
  ORTMMAP_MAPPING_ADVISE_FAILED,
  ORTMMAP_MAPPING_UNSUPPORTED /* the platform has no such call */
} ortmmap_mapping_status;

/* Written by every function that takes one, on success too. */
typedef struct ortmmap_mapping_error {
  ortmmap_mapping_status status;
  int os_error;           /* errno, or GetLastError() on Windows; 0 if none */
  uint64_t size_expected; /* in bytes, only for CHANGED */
  uint64_t size_found;
} ortmmap_mapping_error;

typedef enum ortmmap_advice {
  ORTMMAP_ADVICE_NORMAL,
  ORTMMAP_ADVICE_RANDOM,
  ORTMMAP_ADVICE_SEQUENTIAL,
  ORTMMAP_ADVICE_WILLNEED,
  ORTMMAP_ADVICE_DONTNEED,
  ORTMMAP_ADVICE_NOHUGEPAGE /* Linux: a touch enters few pages, not 2 MiB of them */
} ortmmap_advice;

/* Maps the file at `path`. On failure `mapping` is as after a close. */
static inline ortmmap_mapping_status ortmmap_mapping_open(const ortmmap_path_char *path,
                                                          ortmmap_mapping *mapping,
                                                          ortmmap_mapping_error *error);

/* Unmaps, and does nothing the second time. `identity` stays. */
static inline void ortmmap_mapping_close(ortmmap_mapping *mapping);

/* The calls below need an open mapping. */

/* Reads the whole file into memory; where it can, puts the pages into the page table too. */
static inline ortmmap_mapping_status ortmmap_mapping_prefault(const ortmmap_mapping *mapping,
                                                              ortmmap_mapping_error *error);

/* Keeps the whole file in memory until the mapping is closed. */
static inline ortmmap_mapping_status ortmmap_mapping_lock(const ortmmap_mapping *mapping,
                                                          ortmmap_mapping_error *error);

/* The range is cut to the mapping, then rounded to whole pages: inward for DONTNEED, so that no
 * byte outside the range is dropped, else outward. A DONTNEED drops pages from this process only.
 * Windows knows WILLNEED and DONTNEED; there a DONTNEED also undoes a lock. */
static inline ortmmap_mapping_status ortmmap_mapping_advise(const ortmmap_mapping *mapping,
                                                            ortmmap_advice advice, size_t offset,
                                                            size_t length,
                                                            ortmmap_mapping_error *error);

/* How many of the mapping's bytes are in physical memory, -1 if unknown. POSIX counts the page
 * cache (Linux calls every page resident when the caller neither owns the file nor may write it);
 * Windows counts the working set of this process. */
static inline int64_t ortmmap_mapping_resident(const ortmmap_mapping *mapping);

/* Fails as ortmmap_mapping_open does, except that a file may be empty and needn't be readable. */
static inline ortmmap_mapping_status ortmmap_file_identity_get(const ortmmap_path_char *path,
                                                               ortmmap_file_identity *identity,
                                                               ortmmap_mapping_error *error);

static inline int ortmmap_file_identity_equal(const ortmmap_file_identity *a,
                                              const ortmmap_file_identity *b) {
  return a->device == b->device && a->inode == b->inode && a->size == b->size &&
         a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static inline ortmmap_mapping_status
ortmmap_mapping_result(ortmmap_mapping_error *error, ortmmap_mapping_status status, int os_error) {
  error->status = status;
  error->os_error = os_error;
  error->size_expected = 0;
  error->size_found = 0;
  return status;
}

/* What can be told from the size alone, before anything is mapped. */
static inline ortmmap_mapping_status ortmmap_mapping_check_size(uint64_t size,
                                                                ortmmap_mapping_error *error) {
  if (size == 0)
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_EMPTY, 0);
  if (size > (uint64_t)PTRDIFF_MAX)
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_TOO_LARGE, 0);
  return ortmmap_mapping_result(error, ORTMMAP_MAPPING_OK, 0);
}

/* ctime and inode are left out: a rename over the file changes its ctime, and harms nothing. */
static inline ortmmap_mapping_status
ortmmap_mapping_check_unchanged(const ortmmap_file_identity *opened,
                                const ortmmap_file_identity *mapped, ortmmap_mapping_error *error) {
  if (opened->size == mapped->size && opened->mtime_ns == mapped->mtime_ns)
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_OK, 0);
  ortmmap_mapping_result(error, ORTMMAP_MAPPING_CHANGED, 0);
  error->size_expected = opened->size;
  error->size_found = mapped->size;
  return ORTMMAP_MAPPING_CHANGED;
}

/* Gives the pages that an advice is about; false if there is none. The end of the mapping counts as
 * the end of a page. */
static inline int ortmmap_mapping_page_range(const ortmmap_mapping *mapping, ortmmap_advice advice,
                                             size_t page, size_t *offset, size_t *length) {
  size_t begin = *offset, end;
  if (begin >= mapping->size)
    return 0;
  end = *length > mapping->size - begin ? mapping->size : begin + *length;
  if (advice == ORTMMAP_ADVICE_DONTNEED) {
    begin = (begin + page - 1) / page * page;
    end = end == mapping->size ? end : end / page * page;
  }
  if (begin >= end)
    return 0;
  if (advice != ORTMMAP_ADVICE_DONTNEED)
    begin = begin / page * page;
  *offset = begin;
  *length = end - begin;
  return 1;
}

/* How many bytes of the page at `offset` belong to the file. */
static inline int64_t ortmmap_mapping_page_bytes(const ortmmap_mapping *mapping, size_t page,
                                                 size_t offset) {
  size_t rest = mapping->size - offset;
  return (int64_t)(rest < page ? rest : page);
}

#ifdef _WIN32

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>

#include <psapi.h>

static inline ortmmap_mapping_status ortmmap_mapping_os_error(ortmmap_mapping_error *error,
                                                              ortmmap_mapping_status status) {
  return ortmmap_mapping_result(error, status, (int)GetLastError());
}

static inline size_t ortmmap_mapping_page_size(void) {
  SYSTEM_INFO info;
  GetSystemInfo(&info);
  return info.dwPageSize;
}

/* `ticks` count 100 ns since 1601. */
static inline int64_t ortmmap_file_time_ns(uint64_t ticks) {
  return (int64_t)((ticks - 116444736000000000u) * 100u);
}

static inline uint64_t ortmmap_file_join(DWORD high, DWORD low) {
  return ((uint64_t)high << 32) | low;
}

static inline ortmmap_mapping_status ortmmap_file_identity_of(HANDLE file,
                                                              ortmmap_file_identity *identity,
                                                              ortmmap_mapping_error *error) {
  BY_HANDLE_FILE_INFORMATION info;
  FILE_BASIC_INFO basic;
  if (GetFileType(file) != FILE_TYPE_DISK)
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_NOT_REGULAR, 0);
  if (!GetFileInformationByHandle(file, &info) ||
      !GetFileInformationByHandleEx(file, FileBasicInfo, &basic, sizeof basic))
    return ortmmap_mapping_os_error(error, ORTMMAP_MAPPING_OPEN_FAILED);
  if (info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_IS_DIRECTORY, 0);
  identity->device = info.dwVolumeSerialNumber;
  identity->inode = ortmmap_file_join(info.nFileIndexHigh, info.nFileIndexLow);
  identity->size = ortmmap_file_join(info.nFileSizeHigh, info.nFileSizeLow);
  identity->mtime_ns = ortmmap_file_time_ns((uint64_t)basic.LastWriteTime.QuadPart);
  identity->ctime_ns = ortmmap_file_time_ns((uint64_t)basic.ChangeTime.QuadPart);
  return ortmmap_mapping_result(error, ORTMMAP_MAPPING_OK, 0);
}

/* FILE_FLAG_BACKUP_SEMANTICS also opens directories, to be told apart afterwards. No security
 * attributes: child processes do not inherit the handle. */
static inline HANDLE ortmmap_file_open(const ortmmap_path_char *path, DWORD access) {
  DWORD share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
  return CreateFileW(path, access, share, NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
}

static inline ortmmap_mapping_status ortmmap_mapping_map_file(HANDLE file, ortmmap_mapping *mapping,
                                                              const ortmmap_file_identity *opened,
                                                              ortmmap_mapping_error *error) {
  HANDLE section = CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
  void *view;
  ortmmap_mapping_status status;
  if (section == NULL)
    return ortmmap_mapping_os_error(error, ORTMMAP_MAPPING_MAP_FAILED);
  view = MapViewOfFile(section, FILE_MAP_READ, 0, 0, 0);
  status = view == NULL ? ortmmap_mapping_os_error(error, ORTMMAP_MAPPING_MAP_FAILED)
                        : ORTMMAP_MAPPING_OK;
  CloseHandle(section);
  if (status != ORTMMAP_MAPPING_OK)
    return status;
  mapping->data = (const unsigned char *)view;
  mapping->size = (size_t)opened->size;
  status = ortmmap_file_identity_of(file, &mapping->identity, error);
  if (status == ORTMMAP_MAPPING_OK)
    status = ortmmap_mapping_check_unchanged(opened, &mapping->identity, error);
  if (status != ORTMMAP_MAPPING_OK)
    ortmmap_mapping_close(mapping);
  return status;
}

static inline ortmmap_mapping_status ortmmap_mapping_open(const ortmmap_path_char *path,
                                                          ortmmap_mapping *mapping,
                                                          ortmmap_mapping_error *error) {
  ortmmap_file_identity opened;
  ortmmap_mapping_status status;
  HANDLE file = ortmmap_file_open(path, GENERIC_READ);
  memset(mapping, 0, sizeof *mapping);
  if (file == INVALID_HANDLE_VALUE)
    return ortmmap_mapping_os_error(error, ORTMMAP_MAPPING_OPEN_FAILED);
  status = ortmmap_file_identity_of(file, &opened, error);
  if (status == ORTMMAP_MAPPING_OK)
    status = ortmmap_mapping_check_size(opened.size, error);
  if (status == ORTMMAP_MAPPING_OK)
    status = ortmmap_mapping_map_file(file, mapping, &opened, error);
  CloseHandle(file);
  return status;
}

static inline void ortmmap_mapping_close(ortmmap_mapping *mapping) {
  if (mapping->data != NULL)
    UnmapViewOfFile(mapping->data);
  mapping->data = NULL;
  mapping->size = 0;
}

static inline ortmmap_mapping_status ortmmap_mapping_prefetch(const ortmmap_mapping *mapping,
                                                              size_t offset, size_t length,
                                                              ortmmap_mapping_status on_failure,
                                                              ortmmap_mapping_error *error) {
#if _WIN32_WINNT >= 0x0602
  WIN32_MEMORY_RANGE_ENTRY range;
  range.VirtualAddress = (void *)(mapping->data + offset);
  range.NumberOfBytes = length;
  if (!PrefetchVirtualMemory(GetCurrentProcess(), 1, &range, 0))
    return ortmmap_mapping_os_error(error, on_failure);
  return ortmmap_mapping_result(error, ORTMMAP_MAPPING_OK, 0);
#else
  (void)mapping, (void)offset, (void)length, (void)on_failure;
  return ortmmap_mapping_result(error, ORTMMAP_MAPPING_UNSUPPORTED, 0);
#endif
}

static inline ortmmap_mapping_status ortmmap_mapping_prefault(const ortmmap_mapping *mapping,
                                                              ortmmap_mapping_error *error) {
  return ortmmap_mapping_prefetch(mapping, 0, mapping->size, ORTMMAP_MAPPING_PREFAULT_FAILED,
                                  error);
}

/* A process may lock no more than its least working set, which is small until it asks for more. */
static inline int ortmmap_mapping_grow_working_set(size_t bytes) {
  SIZE_T least, most;
  HANDLE process = GetCurrentProcess();
  return GetProcessWorkingSetSize(process, &least, &most) &&
         SetProcessWorkingSetSize(process, least + bytes, most + bytes);
}

static inline ortmmap_mapping_status ortmmap_mapping_lock(const ortmmap_mapping *mapping,
                                                          ortmmap_mapping_error *error) {
  void *data = (void *)mapping->data;
  if (VirtualLock(data, mapping->size))
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_OK, 0);
  if (GetLastError() == ERROR_WORKING_SET_QUOTA &&
      ortmmap_mapping_grow_working_set(mapping->size) && VirtualLock(data, mapping->size))
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_OK, 0);
  return ortmmap_mapping_os_error(error, ORTMMAP_MAPPING_LOCK_FAILED);
}

static inline ortmmap_mapping_status ortmmap_mapping_advise(const ortmmap_mapping *mapping,
                                                            ortmmap_advice advice, size_t offset,
                                                            size_t length,
                                                            ortmmap_mapping_error *error) {
  if (advice != ORTMMAP_ADVICE_WILLNEED && advice != ORTMMAP_ADVICE_DONTNEED)
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_UNSUPPORTED, 0);
  if (!ortmmap_mapping_page_range(mapping, advice, ortmmap_mapping_page_size(), &offset, &length))
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_OK, 0);
  if (advice == ORTMMAP_ADVICE_WILLNEED)
    return ortmmap_mapping_prefetch(mapping, offset, length, ORTMMAP_MAPPING_ADVISE_FAILED, error);
  /* Unlocking what is not locked takes it out of the working set, and says ERROR_NOT_LOCKED. */
  if (!VirtualUnlock((void *)(mapping->data + offset), length) &&
      GetLastError() != ERROR_NOT_LOCKED)
    return ortmmap_mapping_os_error(error, ORTMMAP_MAPPING_ADVISE_FAILED);
  return ortmmap_mapping_result(error, ORTMMAP_MAPPING_OK, 0);
}

static inline int64_t ortmmap_mapping_resident(const ortmmap_mapping *mapping) {
  PSAPI_WORKING_SET_EX_INFORMATION pages[256];
  size_t page = ortmmap_mapping_page_size(), offset = 0, count, i;
  int64_t bytes = 0;
  while (offset < mapping->size) {
    for (count = 0; count < 256 && offset + count * page < mapping->size; count++)
      pages[count].VirtualAddress = (void *)(mapping->data + offset + count * page);
    if (!QueryWorkingSetEx(GetCurrentProcess(), pages, (DWORD)(count * sizeof pages[0])))
      return -1;
    for (i = 0; i < count; i++, offset += page)
      if (pages[i].VirtualAttributes.Valid)
        bytes += ortmmap_mapping_page_bytes(mapping, page, offset);
  }
  return bytes;
}

static inline ortmmap_mapping_status ortmmap_file_identity_get(const ortmmap_path_char *path,
                                                               ortmmap_file_identity *identity,
                                                               ortmmap_mapping_error *error) {
  ortmmap_mapping_status status;
  HANDLE file = ortmmap_file_open(path, FILE_READ_ATTRIBUTES);
  if (file == INVALID_HANDLE_VALUE)
    return ortmmap_mapping_os_error(error, ORTMMAP_MAPPING_OPEN_FAILED);
  status = ortmmap_file_identity_of(file, identity, error);
  CloseHandle(file);
  return status;
}

#else /* POSIX */

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__GLIBC__) && !defined(__USE_MISC)
#error "madvise and mincore are hidden: compile with -std=gnu11 or -D_DEFAULT_SOURCE"
#endif

/* Linux 5.14; the C library's headers may be older than the kernel. */
#if defined(__linux__) && !defined(MADV_POPULATE_READ)
#define MADV_POPULATE_READ 22
#endif

static inline ortmmap_mapping_status ortmmap_mapping_os_error(ortmmap_mapping_error *error,
                                                              ortmmap_mapping_status status) {
  return ortmmap_mapping_result(error, status, errno);
}

static inline size_t ortmmap_mapping_page_size(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static inline int64_t ortmmap_file_time_ns(struct timespec time) {
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* EOVERFLOW: a 32-bit off_t cannot hold the file's size. */
static inline ortmmap_mapping_status ortmmap_file_open_error(ortmmap_mapping_error *error) {
  return ortmmap_mapping_os_error(error, errno == EOVERFLOW ? ORTMMAP_MAPPING_TOO_LARGE
                                                            : ORTMMAP_MAPPING_OPEN_FAILED);
}

static inline ortmmap_mapping_status ortmmap_file_identity_of(const struct stat *info,
                                                              ortmmap_file_identity *identity,
                                                              ortmmap_mapping_error *error) {
  if (S_ISDIR(info->st_mode))
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_IS_DIRECTORY, 0);
  if (!S_ISREG(info->st_mode))
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_NOT_REGULAR, 0);
  identity->device = (uint64_t)info->st_dev;
  identity->inode = (uint64_t)info->st_ino;
  identity->size = (uint64_t)info->st_size;
#ifdef __APPLE__
  identity->mtime_ns = ortmmap_file_time_ns(info->st_mtimespec);
  identity->ctime_ns = ortmmap_file_time_ns(info->st_ctimespec);
#else
  identity->mtime_ns = ortmmap_file_time_ns(info->st_mtim);
  identity->ctime_ns = ortmmap_file_time_ns(info->st_ctim);
#endif
  return ortmmap_mapping_result(error, ORTMMAP_MAPPING_OK, 0);
}

static inline ortmmap_mapping_status ortmmap_file_identity_get(const ortmmap_path_char *path,
                                                               ortmmap_file_identity *identity,
                                                               ortmmap_mapping_error *error) {
  struct stat info;
  if (stat(path, &info) != 0)
    return ortmmap_file_open_error(error);
  return ortmmap_file_identity_of(&info, identity, error);
}

static inline ortmmap_mapping_status
ortmmap_file_identity_of_descriptor(int descriptor, ortmmap_file_identity *identity,
                                    ortmmap_mapping_error *error) {
  struct stat info;
  if (fstat(descriptor, &info) != 0)
    return ortmmap_file_open_error(error);
  return ortmmap_file_identity_of(&info, identity, error);
}

/* O_NONBLOCK and O_NOCTTY matter only if a FIFO or a terminal took the file's place meanwhile. */
static inline int ortmmap_file_open(const ortmmap_path_char *path) {
  int descriptor;
  do
    descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

static inline ortmmap_mapping_status ortmmap_mapping_map_descriptor(int descriptor,
                                                                    ortmmap_mapping *mapping,
                                                                    ortmmap_mapping_error *error) {
  ortmmap_file_identity opened;
  void *data;
  ortmmap_mapping_status status = ortmmap_file_identity_of_descriptor(descriptor, &opened, error);
  if (status == ORTMMAP_MAPPING_OK)
    status = ortmmap_mapping_check_size(opened.size, error);
  if (status != ORTMMAP_MAPPING_OK)
    return status;
  data = mmap(NULL, (size_t)opened.size, PROT_READ, MAP_SHARED, descriptor, 0);
  if (data == MAP_FAILED)
    return ortmmap_mapping_os_error(error, ORTMMAP_MAPPING_MAP_FAILED);
  mapping->data = (const unsigned char *)data;
  mapping->size = (size_t)opened.size;
  status = ortmmap_file_identity_of_descriptor(descriptor, &mapping->identity, error);
  if (status == ORTMMAP_MAPPING_OK)
    status = ortmmap_mapping_check_unchanged(&opened, &mapping->identity, error);
  if (status != ORTMMAP_MAPPING_OK)
    ortmmap_mapping_close(mapping);
  return status;
}

/* The kind of file is asked for by path first: merely opening a device can have side effects. */
static inline ortmmap_mapping_status ortmmap_mapping_open(const ortmmap_path_char *path,
                                                          ortmmap_mapping *mapping,
                                                          ortmmap_mapping_error *error) {
  int descriptor;
  ortmmap_mapping_status status;
  memset(mapping, 0, sizeof *mapping);
  status = ortmmap_file_identity_get(path, &mapping->identity, error);
  if (status != ORTMMAP_MAPPING_OK)
    return status;
  descriptor = ortmmap_file_open(path);
  if (descriptor < 0)
    return ortmmap_file_open_error(error);
  status = ortmmap_mapping_map_descriptor(descriptor, mapping, error);
  close(descriptor);
  return status;
}

static inline void ortmmap_mapping_close(ortmmap_mapping *mapping) {
  if (mapping->data != NULL)
    munmap((void *)mapping->data, mapping->size);
  mapping->data = NULL;
  mapping->size = 0;
}

static inline int ortmmap_mapping_madvise(const ortmmap_mapping *mapping, size_t offset,
                                          size_t length, int advice) {
  int result;
  do
    result = madvise((void *)(mapping->data + offset), length, advice);
  while (result != 0 && errno == EINTR);
  return result;
}

static inline ortmmap_mapping_status ortmmap_mapping_prefault(const ortmmap_mapping *mapping,
                                                              ortmmap_mapping_error *error) {
#ifdef MADV_POPULATE_READ
  if (ortmmap_mapping_madvise(mapping, 0, mapping->size, MADV_POPULATE_READ) == 0)
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_OK, 0);
  if (errno != EINVAL)
    return ortmmap_mapping_os_error(error, ORTMMAP_MAPPING_PREFAULT_FAILED);
#endif
  if (ortmmap_mapping_madvise(mapping, 0, mapping->size, MADV_WILLNEED) != 0)
    return ortmmap_mapping_os_error(error, ORTMMAP_MAPPING_PREFAULT_FAILED);
  return ortmmap_mapping_result(error, ORTMMAP_MAPPING_OK, 0);
}

static inline ortmmap_mapping_status ortmmap_mapping_lock(const ortmmap_mapping *mapping,
                                                          ortmmap_mapping_error *error) {
  if (mlock(mapping->data, mapping->size) != 0)
    return ortmmap_mapping_os_error(error, ORTMMAP_MAPPING_LOCK_FAILED);
  return ortmmap_mapping_result(error, ORTMMAP_MAPPING_OK, 0);
}

static inline int ortmmap_mapping_advice_number(ortmmap_advice advice) {
  switch (advice) {
  case ORTMMAP_ADVICE_NORMAL:
    return MADV_NORMAL;
  case ORTMMAP_ADVICE_RANDOM:
    return MADV_RANDOM;
  case ORTMMAP_ADVICE_SEQUENTIAL:
    return MADV_SEQUENTIAL;
  case ORTMMAP_ADVICE_WILLNEED:
    return MADV_WILLNEED;
#ifdef MADV_NOHUGEPAGE
  case ORTMMAP_ADVICE_NOHUGEPAGE:
    return MADV_NOHUGEPAGE;
#endif
  case ORTMMAP_ADVICE_DONTNEED:
    return MADV_DONTNEED;
  }
  return -1;
}

static inline ortmmap_mapping_status ortmmap_mapping_advise(const ortmmap_mapping *mapping,
                                                            ortmmap_advice advice, size_t offset,
                                                            size_t length,
                                                            ortmmap_mapping_error *error) {
  int number = ortmmap_mapping_advice_number(advice);
  if (number < 0)
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_UNSUPPORTED, 0);
  if (!ortmmap_mapping_page_range(mapping, advice, ortmmap_mapping_page_size(), &offset, &length))
    return ortmmap_mapping_result(error, ORTMMAP_MAPPING_OK, 0);
  if (ortmmap_mapping_madvise(mapping, offset, length, number) != 0)
    return ortmmap_mapping_os_error(error, ORTMMAP_MAPPING_ADVISE_FAILED);
  return ortmmap_mapping_result(error, ORTMMAP_MAPPING_OK, 0);
}

static inline int64_t ortmmap_mapping_resident(const ortmmap_mapping *mapping) {
#ifdef __linux__
  unsigned char pages[4096];
#else
  char pages[4096];
#endif
  size_t page = ortmmap_mapping_page_size(), offset = 0, length, i;
  int64_t bytes = 0;
  while (offset < mapping->size) {
    length = mapping->size - offset;
    if (length > sizeof pages * page)
      length = sizeof pages * page;
    if (mincore((void *)(mapping->data + offset), length, pages) != 0)
      return -1;
    for (i = 0; i * page < length; i++)
      if (pages[i] & 1)
        bytes += ortmmap_mapping_page_bytes(mapping, page, offset + i * page);
    offset += length;
  }
  return bytes;
}

#endif

#endif /* ORTMMAP_MAPPING_H */
