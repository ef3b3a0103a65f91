/* A thread that is not the interpreter's. Windows: none can be started. */
#ifndef ORTMMAP_NATIVE_THREAD_H
#define ORTMMAP_NATIVE_THREAD_H

#include <stdbool.h>

#ifdef _WIN32

typedef int ortmmap_thread;

static inline bool ortmmap_thread_start(ortmmap_thread *thread, void *(*run)(void *)) {
  (void)thread, (void)run;
  return false;
}

static inline void ortmmap_thread_join(ortmmap_thread thread) { (void)thread; }

#else /* POSIX */

#include <pthread.h>

typedef pthread_t ortmmap_thread;

/* Calls run(NULL) on a thread, which must be joined; false if the system grants none. */
static inline bool ortmmap_thread_start(ortmmap_thread *thread, void *(*run)(void *)) {
  return pthread_create(thread, NULL, run, NULL) == 0;
}

/* Waits for the thread, which must be one of this process: a child of a fork has none of the
 * parent's, and would wait for ever. */
static inline void ortmmap_thread_join(ortmmap_thread thread) { pthread_join(thread, NULL); }

#endif

#endif /* ORTMMAP_NATIVE_THREAD_H */
