#include "cache/session_threads.h"
#include "cache/shared_pages.h"

#ifndef _WIN32

#include <pthread.h>
#include <stdlib.h>

/* A thread that creates a session never waits for others before it allocates a block. If a version
 * of ONNX Runtime did, this is how long. */
enum { LONGEST_REST = 1000 }; /* milliseconds */

typedef struct session_thread {
  pthread_t thread;
  ortmmap_recorder *recorder;
  struct ortmmap_recording_thread *recording;
  OrtThreadWorkerFn run;
  void *argument;
} session_thread;

static void *thread_main(void *argument) {
  session_thread *self = argument;
  ortmmap_latch_wait(self->recorder->packing, LONGEST_REST);
  ortmmap_recording_thread_enter(self->recording);
  self->run(self->argument);
  return NULL;
}

OrtCustomThreadHandle ortmmap_create_thread(void *recorder, OrtThreadWorkerFn run, void *argument) {
  session_thread *made = calloc(1, sizeof *made);
  if (made == NULL)
    return NULL;
  made->recorder = recorder;
  made->recording = ortmmap_recording_thread_add(recorder);
  made->run = run;
  made->argument = argument;
  if (made->recording == NULL || pthread_create(&made->thread, NULL, thread_main, made) != 0) {
    free(made);
    return NULL;
  }
  return (OrtCustomThreadHandle)made;
}

void ortmmap_join_thread(OrtCustomThreadHandle handle) {
  session_thread *ended = (session_thread *)handle;
  ortmmap_latch_open(ended->recorder->packing); /* the creation has failed before it packed */
  pthread_join(ended->thread, NULL);
  free(ended);
}

#endif /* !_WIN32 */
