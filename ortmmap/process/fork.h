/* What fork() does to a process that has sessions: its threads are gone, and so are those of ONNX
 * Runtime's pools; a lock that another thread held stays locked.
 *
 * So a child counts one fork more than its parent, and what belongs to another count is neither
 * used nor released. A fork waits for whoever is inside ortmmap_fork_hold(), since what is half
 * done then (opening the library, creating a session) holds locks that every session needs. */
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

enum { ORTMMAP_FORK_LONGEST_WAIT = 30 }; /* seconds; then the fork goes on all the same */

/* `holders` is guarded by the lock. `forks` is written in a child that has no other
 * thread yet. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t none;
  int holders;
  int *forks;
  void (*take)(void), (*give)(void); /* of a lock that whoever holds a fork off may need */
} ortmmap_forking = {.lock = PTHREAD_MUTEX_INITIALIZER, .none = PTHREAD_COND_INITIALIZER};

/* Keeps forks away until ortmmap_fork_let(). The caller must not need the interpreter lock in
 * between, which the forking thread may hold. */
static inline void ortmmap_fork_hold(void) {
  pthread_mutex_lock(&ortmmap_forking.lock);
  ortmmap_forking.holders++;
  pthread_mutex_unlock(&ortmmap_forking.lock);
}

static inline void ortmmap_fork_let(void) {
  pthread_mutex_lock(&ortmmap_forking.lock);
  if (--ortmmap_forking.holders == 0)
    pthread_cond_broadcast(&ortmmap_forking.none);
  pthread_mutex_unlock(&ortmmap_forking.lock);
}

/* Has forks take another lock too, once nobody holds them off. */
static inline void ortmmap_fork_lock(void (*lock)(void), void (*unlock)(void)) {
  ortmmap_forking.give = unlock;
  ortmmap_forking.take = lock;
}

/* Before a fork: the locks are kept until after it, so that nobody begins meanwhile. */
static inline void ortmmap_fork_prepare(void) {
  struct timespec end;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += ORTMMAP_FORK_LONGEST_WAIT;
  pthread_mutex_lock(&ortmmap_forking.lock);
  while (ortmmap_forking.holders > 0 &&
         pthread_cond_timedwait(&ortmmap_forking.none, &ortmmap_forking.lock, &end) != ETIMEDOUT)
    ;
  if (ortmmap_forking.take != NULL)
    ortmmap_forking.take();
}

static inline void ortmmap_fork_parent(void) {
  if (ortmmap_forking.give != NULL)
    ortmmap_forking.give();
  pthread_mutex_unlock(&ortmmap_forking.lock);
}

/* In the child, where only the forking thread is left. */
static inline void ortmmap_fork_child(void) {
  ++*ortmmap_forking.forks;
  ortmmap_forking.holders = 0;
  pthread_cond_init(&ortmmap_forking.none, NULL); /* nobody waits here */
  ortmmap_fork_parent();
}

/* Counts forks in `forks` from now on; once in a process. Returns 0 or an errno. */
static inline int ortmmap_fork_watch(int *forks) {
  ortmmap_forking.forks = forks;
  return pthread_atfork(ortmmap_fork_prepare, ortmmap_fork_parent, ortmmap_fork_child);
}

#endif

#endif /* ORTMMAP_FORK_H */
