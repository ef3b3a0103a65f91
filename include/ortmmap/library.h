/* A shared library, opened by path. It is never closed, since ONNX Runtime's threads run its code
 * until the process ends. */
#ifndef ORTMMAP_LIBRARY_H
#define ORTMMAP_LIBRARY_H

#include "path_char.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef _WIN32

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

/* Writes the system's text for an error code to `error`. */
static inline void ortmmap_library_describe(DWORD code, char *error, size_t error_size) {
  wchar_t wide[512];
  char utf8[3 * 512];
  DWORD flags = FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS;
  DWORD length = FormatMessageW(flags, NULL, code, 0, wide, 511, NULL);
  while (length > 0 && (wide[length - 1] == L'\n' || wide[length - 1] == L'\r'))
    length--;
  wide[length] = L'\0';
  if (length == 0 ||
      WideCharToMultiByte(CP_UTF8, 0, wide, -1, utf8, (int)sizeof utf8, NULL, NULL) == 0) {
    snprintf(error, error_size, "error %lu", (unsigned long)code);
    return;
  }
  snprintf(error, error_size, "%s", utf8);
}

/* `path` must be absolute; the library's own dependencies are then searched in its folder. */
static inline void *ortmmap_library_open(const ortmmap_path_char *path, char *error,
                                         size_t error_size) {
  HMODULE library = LoadLibraryExW(path, NULL, LOAD_WITH_ALTERED_SEARCH_PATH);
  if (library == NULL)
    ortmmap_library_describe(GetLastError(), error, error_size);
  return (void *)library;
}

static inline void *ortmmap_library_symbol(void *library, const char *name) {
  return (void *)(uintptr_t)GetProcAddress((HMODULE)library, name);
}

#else /* POSIX */

#include <dlfcn.h>

/* RTLD_LOCAL keeps its symbols apart from those of the copy inside onnxruntime's Python module. */
static inline void *ortmmap_library_open(const ortmmap_path_char *path, char *error,
                                         size_t error_size) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == NULL)
    snprintf(error, error_size, "%s", dlerror());
  return library;
}

static inline void *ortmmap_library_symbol(void *library, const char *name) {
  return dlsym(library, name);
}

#endif

#endif /* ORTMMAP_LIBRARY_H */
