/* Forks: counted, delayed, and examined.
 *
 * After fork() a child has only the forking thread. Thread pools of ONNX Runtime have lost their
 * threads, and a lock that another thread held stays locked.
 *
 * - A child counts one fork more than its parent. Every object of ONNX Runtime records the count at
 *   which it was made.
 * - A fork is clean if no other thread was inside ONNX Runtime. After a clean fork all locks of the
 *   parent's objects are free. `intact_since` is the fork count of the oldest objects that have
 *   been through clean forks only; older ones must be neither used nor released.
 * - Opening the library and creating a session take locks that every later session needs. They run
 *   between ortmmap_fork_hold() and ortmmap_fork_let(), and a fork waits for them.
 *
 * One translation unit of a process includes this header, which defines the process's state. */
#ifndef ORTMMAP_FORK_H
#define ORTMMAP_FORK_H

#ifdef _WIN32

static inline int ortmmap_fork_watch(int *forks, int *intact_since) {
  (void)forks, (void)intact_since;
  return 0;
}

static inline void ortmmap_fork_lock(void (*lock)(void), void (*unlock)(void)) {
  (void)lock, (void)unlock;
}

static inline void ortmmap_fork_examine(int (*is_clean)(void), void (*abandon)(void)) {
  (void)is_clean, (void)abandon;
}

static inline void ortmmap_fork_hold(void) {}

static inline void ortmmap_fork_let(void) {}

static inline void ortmmap_fork_enter(void) {}

static inline void ortmmap_fork_leave(void) {}

#else /* POSIX */

#include "process/atomic_count.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

enum { ORTMMAP_FORK_LONGEST_WAIT = 30 }; /* seconds; then the fork proceeds regardless */

/* `mutex` guards `holders` and the functions. The counts of forks are written in a child, which has
 * a single thread then. */
static struct {
  pthread_mutex_t mutex;
  pthread_cond_t no_holders;
  int holders;           /* threads between hold and let */
  ortmmap_count callers; /* threads between enter and leave */
  int *forks, *intact_since;
  void (*lock)(void), (*unlock)(void); /* another lock to hold during a fork; NULL: none */
  int (*is_clean)(void);               /* NULL: no fork is */
  void (*abandon)(void);
} ortmmap_forking = {.mutex = PTHREAD_MUTEX_INITIALIZER, .no_holders = PTHREAD_COND_INITIALIZER};

/* Delays forks until ortmmap_fork_let(). The caller must not acquire the interpreter lock before
 * that: the forking thread may hold it while it waits. */
static inline void ortmmap_fork_hold(void) {
  pthread_mutex_lock(&ortmmap_forking.mutex);
  ortmmap_forking.holders++;
  pthread_mutex_unlock(&ortmmap_forking.mutex);
}

static inline void ortmmap_fork_let(void) {
  pthread_mutex_lock(&ortmmap_forking.mutex);
  if (--ortmmap_forking.holders == 0)
    pthread_cond_broadcast(&ortmmap_forking.no_holders);
  pthread_mutex_unlock(&ortmmap_forking.mutex);
}

/* Makes forks unclean until ortmmap_fork_leave(), without delaying them. */
static inline void ortmmap_fork_enter(void) { ortmmap_count_add(&ortmmap_forking.callers, 1); }

static inline void ortmmap_fork_leave(void) { ortmmap_count_add(&ortmmap_forking.callers, -1); }

/* Sets a lock that forks acquire too, after the last holder has left: holders may need it. */
static inline void ortmmap_fork_lock(void (*lock)(void), void (*unlock)(void)) {
  pthread_mutex_lock(&ortmmap_forking.mutex);
  ortmmap_forking.unlock = unlock;
  ortmmap_forking.lock = lock;
  pthread_mutex_unlock(&ortmmap_forking.mutex);
}

/* Sets two functions that run in the child of a fork: `is_clean` returns whether no thread of the
 * parent was inside ONNX Runtime, holders and callers aside; `abandon` runs if one was. */
static inline void ortmmap_fork_examine(int (*is_clean)(void), void (*abandon)(void)) {
  pthread_mutex_lock(&ortmmap_forking.mutex);
  ortmmap_forking.abandon = abandon;
  ortmmap_forking.is_clean = is_clean;
  pthread_mutex_unlock(&ortmmap_forking.mutex);
}

/* Runs before a fork. The locks stay held until after it, so that no thread becomes a holder. */
static inline void ortmmap_fork_prepare(void) {
  struct timespec end;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += ORTMMAP_FORK_LONGEST_WAIT;
  pthread_mutex_lock(&ortmmap_forking.mutex);
  while (ortmmap_forking.holders > 0 &&
         pthread_cond_timedwait(&ortmmap_forking.no_holders, &ortmmap_forking.mutex, &end) !=
             ETIMEDOUT)
    ;
  if (ortmmap_forking.lock != NULL)
    ortmmap_forking.lock();
}

static inline void ortmmap_fork_parent(void) {
  if (ortmmap_forking.unlock != NULL)
    ortmmap_forking.unlock();
  pthread_mutex_unlock(&ortmmap_forking.mutex);
}

/* The counters are read in the child, whose copy of them is that of the moment of the fork. */
static inline int ortmmap_fork_is_clean(void) {
  return ortmmap_forking.holders == 0 && ortmmap_count_get(&ortmmap_forking.callers) == 0 &&
         ortmmap_forking.is_clean != NULL && ortmmap_forking.is_clean();
}

static inline void ortmmap_fork_child(void) {
  ++*ortmmap_forking.forks;
  if (!ortmmap_fork_is_clean()) {
    *ortmmap_forking.intact_since = *ortmmap_forking.forks;
    if (ortmmap_forking.abandon != NULL)
      ortmmap_forking.abandon();
  }
  ortmmap_forking.holders = 0;
  ortmmap_count_set(&ortmmap_forking.callers, 0);
  pthread_cond_init(&ortmmap_forking.no_holders, NULL); /* a child has no waiting thread */
  ortmmap_fork_parent();
}

/* Counts forks in `forks` from now on, and keeps `intact_since`; called once in a process. Returns
 * 0 or an errno. */
static inline int ortmmap_fork_watch(int *forks, int *intact_since) {
  ortmmap_forking.forks = forks;
  ortmmap_forking.intact_since = intact_since;
  return pthread_atfork(ortmmap_fork_prepare, ortmmap_fork_parent, ortmmap_fork_child);
}

#endif

#endif /* ORTMMAP_FORK_H */
