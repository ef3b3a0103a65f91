/* The session in whose thread pool the calling thread is, while it calls back: the thread must not
 * release that session, since the release waits for the pool's threads to end.
 *
 * One translation unit of a process includes this header, which defines the threads' state. */
#ifndef ORTMMAP_POOL_THREAD_H
#define ORTMMAP_POOL_THREAD_H

static _Thread_local const void *ortmmap_pool_session;

static inline void ortmmap_pool_thread_of(const void *session) { ortmmap_pool_session = session; }

static inline int ortmmap_is_pool_thread_of(const void *session) {
  return session == ortmmap_pool_session;
}

#endif /* ORTMMAP_POOL_THREAD_H */
