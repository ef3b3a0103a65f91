/* mapping.h on Windows. */
#ifndef ORTMMAP_MAPPING_WINDOWS_H
#define ORTMMAP_MAPPING_WINDOWS_H

#include "mapping.h"

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

/* FILE_FLAG_BACKUP_SEMANTICS opens directories too, which ortmmap_file_identity_of reports as such.
 * Without security attributes, child processes do not inherit the handle. */
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

/* A process may lock no more than its minimum working set, which is small by default. */
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
  /* Unlocking pages that are not locked removes them from the working set, and reports
   * ERROR_NOT_LOCKED. */
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

#endif /* _WIN32 */

#endif /* ORTMMAP_MAPPING_WINDOWS_H */
