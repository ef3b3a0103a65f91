/* Lets another thread run, for a wait that lasts a few instructions unless that thread was
 * interrupted within them. */
#ifndef ORTMMAP_YIELD_PROCESSOR_H
#define ORTMMAP_YIELD_PROCESSOR_H

#ifdef _WIN32

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

static inline void ortmmap_yield_processor(void) { SwitchToThread(); }

#else

#include <sched.h>

static inline void ortmmap_yield_processor(void) { sched_yield(); }

#endif

#endif /* ORTMMAP_YIELD_PROCESSOR_H */
