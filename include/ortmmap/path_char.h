/* The character type of paths: bytes on POSIX, UTF-16 units on Windows. */
#ifndef ORTMMAP_PATH_CHAR_H
#define ORTMMAP_PATH_CHAR_H

#ifdef _WIN32
#include <wchar.h>
typedef wchar_t ortmmap_path_char;
#else
typedef char ortmmap_path_char;
#endif

#endif /* ORTMMAP_PATH_CHAR_H */
