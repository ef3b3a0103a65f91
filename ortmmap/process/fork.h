/* Forks, counted and delayed.
 *
 * After fork() a child has only the forking thread. ONNX Runtime's pools have lost theirs, and a
 * lock that another thread held stays locked. So a child counts one fork more than its parent, and
 * objects made at another count are neither used nor released. Opening the library and creating a
 * session take locks inside ONNX Runtime that every later session needs: they run between
 * ortmmap_fork_hold() and ortmmap_fork_let(), and a fork waits for them.
 *
 * One translation unit of a process includes this header, which defines the process's state. */
#ifndef ORTMMAP_FORK_H
#define ORTMMAP_FORK_H

#ifdef _WIN32

static inline int ortmmap_fork_watch(int *forks) {
  (void)forks;
  return 0;
}

static inline void ortmmap_fork_lock(void (*lock)(void), void (*unlock)(void)) {
  (void)lock, (void)unlock;
}

static inline void ortmmap_fork_hold(void) {}

static inline void ortmmap_fork_let(void) {}

#else /* POSIX */

#include <errno.h>
#include <pthread.h>
#include <time.h>

enum { ORTMMAP_FORK_LONGEST_WAIT = 30 }; /* seconds; then the fork proceeds regardless */

/* `mutex` guards `holders`. `forks` is written in a child, which has a single thread then. */
static struct {
  pthread_mutex_t mutex;
  pthread_cond_t no_holders;
  int holders; /* threads between hold and let */
  int *forks;
  void (*lock)(void), (*unlock)(void); /* another lock to hold during a fork; NULL: none */
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

/* Sets a lock that forks acquire too, after the last holder has left: holders may need it. */
static inline void ortmmap_fork_lock(void (*lock)(void), void (*unlock)(void)) {
  ortmmap_forking.unlock = unlock;
  ortmmap_forking.lock = lock;
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

static inline void ortmmap_fork_child(void) {
  ++*ortmmap_forking.forks;
  ortmmap_forking.holders = 0;
  pthread_cond_init(&ortmmap_forking.no_holders, NULL); /* a child has no waiting thread */
  ortmmap_fork_parent();
}

/* Counts forks in `forks` from now on; called once in a process. Returns 0 or an errno. */
static inline int ortmmap_fork_watch(int *forks) {
  ortmmap_forking.forks = forks;
  return pthread_atfork(ortmmap_fork_prepare, ortmmap_fork_parent, ortmmap_fork_child);
}

#endif

#endif /* ORTMMAP_FORK_H */
