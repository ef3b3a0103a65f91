/* mapping.h on POSIX systems: Linux, macOS, the BSDs. */
#ifndef ORTMMAP_MAPPING_POSIX_H
#define ORTMMAP_MAPPING_POSIX_H

#include "mapping.h"

#ifndef _WIN32

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

/* O_NONBLOCK and O_NOCTTY matter only if a FIFO or a terminal has meanwhile replaced the file. */
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
  data = mmap(NULL, (size_t)opened.size, PROT_READ, MAP_PRIVATE, descriptor, 0);
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

/* The type of the file is looked up before it is opened: opening a device can have side effects. */
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
  case ORTMMAP_ADVICE_NOHUGEPAGE:
#ifdef MADV_NOHUGEPAGE
    return MADV_NOHUGEPAGE;
#else
    break;
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

#endif /* !_WIN32 */

#endif /* ORTMMAP_MAPPING_POSIX_H */
