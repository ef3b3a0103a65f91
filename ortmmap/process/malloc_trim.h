/* Free memory of malloc, given back to the system.
 *
 * glibc keeps freed pages that lie below a block in use. Creating and releasing a session of ONNX
 * Runtime leaves much of such memory; other allocators give it back by themselves. */
#ifndef ORTMMAP_MALLOC_TRIM_H
#define ORTMMAP_MALLOC_TRIM_H

#include <stdlib.h> /* defines __GLIBC__ */

#ifdef __GLIBC__
#include <malloc.h>

static inline void ortmmap_malloc_trim(void) { malloc_trim(0); }

#else

static inline void ortmmap_malloc_trim(void) {}

#endif

#endif /* ORTMMAP_MALLOC_TRIM_H */
