#include "cache/latch.h"

#ifndef _WIN32

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

struct ortmmap_latch {
  pthread_mutex_t mutex;
  pthread_cond_t opened;
  atomic_bool is_open; /* changed under the mutex */
};

ortmmap_latch *ortmmap_latch_make(void) {
  ortmmap_latch *latch = calloc(1, sizeof *latch);
  if (latch == NULL)
    return NULL;
  if (pthread_mutex_init(&latch->mutex, NULL) == 0) {
    if (pthread_cond_init(&latch->opened, NULL) == 0)
      return latch;
    pthread_mutex_destroy(&latch->mutex);
  }
  free(latch);
  return NULL;
}

void ortmmap_latch_open(ortmmap_latch *latch) {
  if (latch == NULL || atomic_load(&latch->is_open))
    return;
  pthread_mutex_lock(&latch->mutex);
  atomic_store(&latch->is_open, true);
  pthread_cond_broadcast(&latch->opened);
  pthread_mutex_unlock(&latch->mutex);
}

void ortmmap_latch_wait(ortmmap_latch *latch, long most_milliseconds) {
  struct timespec end;
  int error = 0;
  if (latch == NULL || atomic_load(&latch->is_open))
    return;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += most_milliseconds / 1000;
  end.tv_nsec += most_milliseconds % 1000 * 1000000;
  end.tv_sec += end.tv_nsec / 1000000000;
  end.tv_nsec %= 1000000000;
  pthread_mutex_lock(&latch->mutex);
  while (error == 0 && !atomic_load(&latch->is_open))
    error = pthread_cond_timedwait(&latch->opened, &latch->mutex, &end);
  pthread_mutex_unlock(&latch->mutex);
}

/* Nothing is destroyed, which frees nothing: pthread_cond_destroy() waits for threads that are
 * about to leave, and the child of a fork does not have them. */
void ortmmap_latch_free(ortmmap_latch *latch) { free(latch); }

#endif /* !_WIN32 */
